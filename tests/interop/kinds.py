"""Conditions of every kind: served, not met, not decidable; and the state of the chains that makes them so."""

from __future__ import annotations

from typing import Any

from lit_airflow.devnet.evaluation import ChainState

Json = dict[str, Any]

KEY = "0x" + "11" * 32
ADDRESS = "0x19E7E376E7C213B7E7e7e46cc70A5dD086DAff2A"
"""The wallet of that key, which every served condition admits."""
NOBODY = "0x0000000000000000000000000000000000000001"
TOKEN = "0x7C7757a9675f06F3BE4618bB68732c4aB25D2e88"
NFT = "0x89b597199dAc806Ceecfc091e56044D34E59985c"
PATH = "/cosmos/bank/v1beta1/balances/:userAddress"
AND, OR = {"operator": "and"}, {"operator": "or"}

STATE: ChainState = {
    f"ethereum:{ADDRESS}": 2 * 10**12,
    f"polygon:{TOKEN}.balanceOf({ADDRESS})": 11,
    f"polygon:{TOKEN}.balanceOf({ADDRESS},8)": 1,
    f"ethereum:{NFT}.ownerOf(3112)": ADDRESS,
    "solanaDevnet:getAccountInfo(pda)": {"$.x": 7},
    f"cosmos:{PATH}": {"$.balances[0].amount": 1_000_000},
}


def _basic(
    method: str, parameters: list[str], comparator: str, value: str, /, *, type_: str = "", **more: str
) -> Json:
    return {
        "contractAddress": more.get("contract", ""),
        "standardContractType": type_,
        "chain": more.get("chain", "ethereum"),
        "method": method,
        "parameters": parameters,
        "returnValueTest": {"comparator": comparator, "value": value},
    }


def wallet_is(address: str) -> Json:
    return _basic("", [":userAddress"], "=", address)


def balance(value: str = "1000000000000", chain: str = "ethereum") -> Json:
    return _basic("eth_getBalance", [":userAddress", "latest"], ">=", value, chain=chain)


def erc20(value: str = "10", chain: str = "polygon") -> Json:
    return _basic("balanceOf", [":userAddress"], ">", value, type_="ERC20", chain=chain, contract=TOKEN)


def contract(value: str = "0", chain: str = "polygon") -> Json:
    return {
        "contractAddress": TOKEN,
        "functionName": "balanceOf",
        "functionParams": [":userAddress", "8"],
        "functionAbi": {
            "type": "function",
            "stateMutability": "view",
            "outputs": [{"type": "uint256", "name": "", "internalType": "uint256"}],
            "name": "balanceOf",
            "inputs": [
                {"type": "address", "name": "account", "internalType": "address"},
                {"type": "uint256", "name": "id", "internalType": "uint256"},
            ],
        },
        "chain": chain,
        "returnValueTest": {"key": "", "comparator": ">", "value": value},
    }


def solana(value: str = "7", chain: str = "solanaDevnet") -> Json:
    return {
        "method": "getAccountInfo",
        "params": ["pda"],
        "pdaParams": ["So11111111111111111111111111111111111111112", "seed"],
        "pdaInterface": {"offset": 8, "fields": {"counter": 8}},
        "pdaKey": "counter",
        "chain": chain,
        "returnValueTest": {"key": "$.x", "comparator": "=", "value": value},
    }


def cosmos(value: str = "1000000", chain: str = "cosmos", **more: Any) -> Json:  # noqa: ANN401 - JSON
    return {
        "path": PATH,
        "chain": chain,
        "returnValueTest": {"key": "$.balances[0].amount", "comparator": ">=", "value": value},
        **more,
    }


def basic_list(*items: Any) -> Json:  # noqa: ANN401 - conditions, operators, groups
    return {"accessControlConditions": list(items), "chain": "ethereum"}


def contract_list(*items: Json) -> Json:
    return {"evmContractConditions": list(items), "chain": "ethereum"}


def solana_list(*items: Json) -> Json:
    return {"solRpcConditions": list(items), "chain": "solanaDevnet"}


def unified_list(*items: Any) -> Json:  # noqa: ANN401 - as above
    return {"unifiedAccessControlConditions": list(items), "chain": "ethereum"}


def of(kind: str, condition: Json) -> Json:
    """A condition as it stands in a unified list."""
    return {"conditionType": kind, **condition}


_ERC721 = _basic("ownerOf", ["3112"], "=", ":userAddress", type_="ERC721", contract=NFT)
_TIME = _basic("eth_getBlockByNumber", ["latest"], ">=", "1577836800", type_="timestamp")
_DOMAIN = _basic("", [":domain"], "=", "localhost", type_="SIWE")

SERVED = {
    "wallet": basic_list(wallet_is(ADDRESS)),
    "wallet in other case": basic_list(wallet_is(ADDRESS.lower())),
    "balance": basic_list(balance()),
    "ERC20": basic_list(erc20()),
    "ERC721": basic_list(_ERC721),
    "timestamp": basic_list(_TIME),
    "SIWE domain": basic_list(_DOMAIN),
    "or": basic_list(wallet_is(NOBODY), OR, wallet_is(ADDRESS)),
    "groups": basic_list(
        wallet_is(NOBODY), OR, [balance(), AND, [wallet_is(NOBODY), OR, erc20()], AND, wallet_is(ADDRESS)]
    ),
    "contract": contract_list(contract()),
    "contracts": contract_list(contract("5"), OR, contract()),
    "Solana": solana_list(solana()),
    "unified basic": unified_list(of("evmBasic", wallet_is(ADDRESS))),
    "unified contract": unified_list(of("evmContract", contract())),
    "unified Solana": unified_list(of("solRpc", solana())),
    "unified Cosmos": unified_list(of("cosmos", cosmos())),
    "unified Cosmos with method": unified_list(of("cosmos", cosmos(method="GET", parameters=[]))),
    "unified of all": unified_list(
        of("evmBasic", wallet_is(ADDRESS)),
        AND,
        [of("evmContract", contract()), OR, of("evmBasic", wallet_is(NOBODY))],
        AND,
        of("solRpc", solana()),
        AND,
        of("cosmos", cosmos()),
    ),
}
"""The wallet meets these under :data:`STATE`."""

WITHOUT_OPERATOR = basic_list(wallet_is(ADDRESS), balance())
"""Of the form from before there were operators; the wallet meets it."""

UNMET = {
    "wallet": basic_list(wallet_is(NOBODY)),
    "balance": basic_list(balance(str(10**20))),
    "ERC20": basic_list(erc20("11")),
    "contract": contract_list(contract("1")),
    "Solana": solana_list(solana("8")),
    "unified Solana": unified_list(of("solRpc", solana("8"))),
    "unified Cosmos": unified_list(of("cosmos", cosmos("1000001"))),
    "left to right": basic_list(wallet_is(ADDRESS), OR, balance(), AND, wallet_is(NOBODY)),
}
"""The wallet does not meet these."""

UNKNOWN = {
    "balance": basic_list(balance(chain="fantom")),
    "ERC20": basic_list(erc20(chain="fantom")),
    "contract": contract_list(contract(chain="fantom")),
    "Solana": solana_list(solana(chain="solana")),
    "unified contract": unified_list(of("evmContract", contract(chain="fantom"))),
    "unified Cosmos": unified_list(of("cosmos", cosmos(chain="juno"))),
}
"""Nothing is known of these chains: a node's RPC would be unreachable."""

UNFIT = {
    "Solana of the first form": solana_list(
        {
            "method": "getBalance",
            "params": [":userAddress"],
            "chain": "solana",
            "returnValueTest": {"key": "", "comparator": ">=", "value": "100000000"},
        }
    ),
    "unknown chain": basic_list(balance(chain="nowhere")),
    "unknown comparator": basic_list(
        {**balance(), "returnValueTest": {"comparator": "!=", "value": "0"}},
    ),
    "unknown contract type": basic_list({**wallet_is(ADDRESS), "standardContractType": "ERC0"}),
    "number for text": basic_list({**wallet_is(ADDRESS), "parameters": [5]}),
    "missing field": basic_list({k: v for k, v in wallet_is(ADDRESS).items() if k != "parameters"}),
    "additional field": basic_list({**wallet_is(ADDRESS), "extra": "x"}),
    "contract without ABI": contract_list({k: v for k, v in contract().items() if k != "functionAbi"}),
    "unified without type": unified_list(wallet_is(ADDRESS)),
    "unified, nothing": unified_list(),
}
"""Neither side encrypts under these."""

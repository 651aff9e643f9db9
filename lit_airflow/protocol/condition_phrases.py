"""One access control condition as a clause of an English sentence.

What is not certain is shown literally instead of guessed: the name of a currency, the decimals of a token, a
test of an unknown type.

Source: docs/protocol/conditions.md: what each condition means on a node.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from lit_airflow.clock import LAST_SECOND
from lit_airflow.protocol import phrases
from lit_airflow.protocol.conditions import USER_ADDRESS
from lit_airflow.protocol.phrases import RUNNING_ACTION, Comparison, argument, as_json, call, quoted, word

# Chains whose native currency is certain; all have 18 decimals.
_COINS: Mapping[str, str] = {
    **dict.fromkeys(("ethereum", "sepolia", "goerli", "arbitrum", "arbitrumSepolia"), "ETH"),
    **dict.fromkeys(("optimism", "base", "baseSepolia", "scroll", "zksync", "zora"), "ETH"),
    "avalanche": "AVAX",
    "bsc": "BNB",
    "filecoin": "FIL",
    "xdai": "xDAI",
    "yellowstone": "tstLPX",
}
_WEI_DECIMALS = 18
_LAMPORT_DECIMALS = 9

_MOMENTS: Mapping[str, str] = {
    ">=": "at or after",
    ">": "after",
    "=": "exactly",
    "<=": "at or before",
    "<": "before",
    "!=": "other than",
}
_CONTRACT_TYPES = (
    *("CASK", "Creaton", "ERC1155", "ERC20", "ERC721", "ERC721MetadataName"),
    *("MolochDAOv2.1", "PKPPermissions", "POAP", "ProofOfHumanity"),
)


def condition_phrase(condition: Mapping[str, Any], field: str) -> str:
    """Return one condition as a clause, such as ``the wallet is 0x…``.

    Args:
        condition: The condition in canonical form.
        field: The body field of its list.
    """
    saying = _SAYINGS.get(field) or _SAYINGS[_shape(condition)]
    test = Comparison.of(condition["returnValueTest"], keyed=saying is not _basic)
    said = saying(condition, test) if test is not None else None
    return said or f"this condition is met: {as_json(condition)}"


def _shape(condition: Mapping[str, Any]) -> str:
    """Return the kind of a condition in a mixed list. Nodes recognise it by keys that only this kind has."""
    if "pdaInterface" in condition:
        return "solRpcConditions"
    if "functionAbi" in condition:
        return "evmContractConditions"
    return "cosmos" if "path" in condition else "accessControlConditions"


@dataclass(frozen=True, slots=True)
class _Basic:
    """A basic condition whose fields all have the right type."""

    kind: str
    method: str
    contract: str
    chain: str
    parameters: list[str]
    test: Comparison

    @property
    def where(self) -> str:
        return f"on {word(self.chain)}"

    @property
    def place(self) -> str:
        return f"{word(self.contract)} {self.where}"

    @property
    def call(self) -> str:
        return call(self.method, self.parameters)

    def holding(self, amount: str | None, of: str, parameters: int = 1) -> str | None:
        if amount is None or len(self.parameters) != parameters:
            return None
        owner = phrases.owner(self.parameters[0])
        return f"{owner} holds {amount} {of}" if owner else None


def _basic(condition: Mapping[str, Any], test: Comparison) -> str | None:
    texts = phrases.texts(condition, "standardContractType", "method", "contractAddress", "chain")
    parameters = condition.get("parameters")
    if texts is None or not isinstance(parameters, list) or not all(isinstance(p, str) for p in parameters):
        return None
    kind, method, contract, chain = texts
    basic = _Basic(kind, method, contract, chain, parameters, test)
    saying = _MEANINGS.get((kind, method)) or _OTHERS.get(kind)
    said = saying(basic) if saying else None
    if said is None and kind in _CONTRACT_TYPES:
        return test.result(f"the result of {basic.call} of the {kind} contract {basic.place}")
    return said


def _without_contract(basic: _Basic) -> str | None:
    if basic.method == "eth_getBalance" and basic.parameters[1:] in ([], ["latest"]):
        coin = _COINS.get(basic.chain)
        amount = basic.test.amount(coin, _WEI_DECIMALS) if coin else basic.test.amount("wei")
        return basic.holding(amount, basic.where, len(basic.parameters))
    if basic.method or len(basic.parameters) != 1:
        return None
    subject, test = basic.parameters[0], basic.test
    if subject == RUNNING_ACTION and test.comparator == "=":
        return f"the running Lit Action is {phrases.substituted(test.value) or word(test.value)}"
    if subject != USER_ADDRESS:
        return test.text(phrases.substituted(subject) or f"the text {quoted(subject)}")
    simple = test.comparator == "=" and test.value != USER_ADDRESS
    return f"the wallet is {argument(test.value)}" if simple else test.result("the wallet's address")


def _moment(basic: _Basic) -> str | None:
    seconds = phrases.whole(basic.test.value)
    if seconds is None or basic.test.comparator not in _MOMENTS:
        return None
    moment = f"Unix time {seconds}"
    if seconds <= LAST_SECOND:
        moment = f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S} UTC"
    return f"the time of the latest block {basic.where} is {_MOMENTS[basic.test.comparator]} {moment}"


def _signed_in(basic: _Basic) -> str | None:
    if basic.parameters == [":domain"]:
        return basic.test.text("the sign-in message's domain")
    if basic.parameters == [":resources"] and basic.test.comparator in ("=", "contains"):
        return basic.test.text("a resource of the sign-in message")
    return None


def _action(basic: _Basic) -> str:
    return basic.test.result(f"the result of {basic.call} in the Lit Action {word(basic.contract)}")


def _fungible(basic: _Basic) -> str | None:
    return basic.holding(basic.test.amount("base units"), f"of the ERC20 token {basic.place}")


def _collected(basic: _Basic) -> str | None:
    amount = basic.test.amount("token" if basic.test.value == "1" else "tokens")
    return basic.holding(amount, f"of the ERC721 contract {basic.place}")


def _owned(basic: _Basic) -> str | None:
    owner = phrases.owner(basic.test.value)
    if owner is None or basic.test.comparator != "=" or len(basic.parameters) != 1:
        return None
    return f"{owner} owns token {word(basic.parameters[0])} of the ERC721 contract {basic.place}"


def _of_kinds(basic: _Basic) -> str | None:
    token = word(basic.parameters[-1]) if basic.parameters else ""
    of = f"of token {token} of the ERC1155 contract {basic.place}"
    return basic.holding(basic.test.amount("units"), of, 2)


def _permitted(basic: _Basic) -> str | None:
    if basic.test.comparator != "contains" or len(basic.parameters) != 1:
        return None
    who = "Lit Actions" if basic.method == "getPermittedActions" else "addresses"
    allowed = f"the {who} that may use the PKP {word(basic.parameters[0])}"
    return f"{allowed}, by the contract {basic.place}, include {argument(basic.test.value)}"


_OTHERS: Mapping[str, Callable[[_Basic], str | None]] = {
    "": _without_contract,
    "LitAction": _action,
    "SIWE": _signed_in,
    "timestamp": _moment,
}
# Calls whose meaning a standard defines.
_MEANINGS: Mapping[tuple[str, str], Callable[[_Basic], str | None]] = {
    ("ERC20", "balanceOf"): _fungible,
    ("ERC721", "balanceOf"): _collected,
    ("ERC721", "ownerOf"): _owned,
    ("ERC1155", "balanceOf"): _of_kinds,
    ("PKPPermissions", "getPermittedActions"): _permitted,
    ("PKPPermissions", "getPermittedAddresses"): _permitted,
}


def _contract(condition: Mapping[str, Any], test: Comparison) -> str | None:
    texts = phrases.texts(condition, "contractAddress", "functionName", "chain")
    parameters, abi = condition.get("functionParams"), condition.get("functionAbi")
    if texts is None or not isinstance(parameters, list) or not isinstance(abi, Mapping):
        return None
    contract, function, chain = texts
    if abi.get("name") != function:
        return None  # the name and the ABI contradict each other
    output = f"the output {quoted(test.key)}" if test.key else "the result"
    called = f"{call(function, parameters)} of the contract {word(contract)} on {word(chain)}"
    return test.result(f"{output} of {called}")


def _solana(condition: Mapping[str, Any], test: Comparison) -> str | None:
    texts, parameters = phrases.texts(condition, "method", "chain"), condition.get("params")
    if texts is None or not isinstance(parameters, list):
        return None
    method, chain = texts
    derived = {key: condition[key] for key in ("pdaParams", "pdaInterface", "pdaKey") if key in condition}
    plain = derived.get("pdaParams", []) == [] and derived.get("pdaKey", "") == ""
    if plain and method == "" and not test.key and parameters == [USER_ADDRESS]:
        return test.text(f"the address of the wallet on {word(chain)}")
    if plain and method == "getBalance" and not test.key and parameters == [USER_ADDRESS]:
        amount = test.amount("SOL", _LAMPORT_DECIMALS)
        return f"the wallet holds {amount} on {word(chain)}" if amount else None
    part = f"the value at {quoted(test.key)} in the result" if test.key else "the result"
    account = "" if plain else f" with the derived account {as_json(derived)}"
    return test.result(f"{part} of the Solana call {call(method, parameters)}{account} on {word(chain)}")


def _cosmos(condition: Mapping[str, Any], test: Comparison) -> str | None:
    texts = phrases.texts(condition, "path", "chain")
    method, parameters = condition.get("method", ""), condition.get("parameters", [])
    if texts is None or not isinstance(method, str) or not isinstance(parameters, list):
        return None
    path, chain = texts
    asked = f"{word(method)} {quoted(path)}" if method else quoted(path)
    asked += f" with {as_json(parameters)}" if parameters else ""
    part = f"the value at {quoted(test.key)} in the answer" if test.key else "the answer"
    return test.result(f"{part} of {word(chain)} to {asked}")


_SAYINGS: Mapping[str, Callable[[Mapping[str, Any], Comparison], str | None]] = {
    "accessControlConditions": _basic,
    "evmContractConditions": _contract,
    "solRpcConditions": _solana,
    "cosmos": _cosmos,
}

"""JSON-RPC 2.0 for the account contract, as much as account owners and observers need.

Signed EIP-1559 transactions are executed immediately, one per block. Gas is free.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from eth_abi.exceptions import DecodingError
from eth_utils.crypto import keccak
from starlette.applications import Starlette
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from lit_airflow.devnet.chipotle.chain import METHODS, Chain, Transaction
from lit_airflow.devnet.chipotle.config_calls import CONTRACT_ADDRESS
from lit_airflow.devnet.chipotle.contract_abi import REGISTERED_TOPIC, function_of
from lit_airflow.devnet.chipotle.identifiers import hex_address, hex_number, parse_address, unhex
from lit_airflow.devnet.chipotle.reverts import RevertError
from lit_airflow.devnet.chipotle.state import CHAIN_ID
from lit_airflow.devnet.strict_json import parse

if TYPE_CHECKING:
    from starlette.requests import Request

_PARSE_ERROR, _INVALID_REQUEST, _NO_METHOD, _INVALID_PARAMS = -32700, -32600, -32601, -32602
_REVERTED, _REFUSED = 3, -32000
_GAS, _PRICE_WEI, _FUNDS_WEI = 200_000, 10**6, 10**18
_CODE = "0x60806040"
_LOGS_BLOOM = "0x" + "00" * 256


class RpcError(Exception):
    """An error object of JSON-RPC."""

    def __init__(self, code: int, message: str, data: str | None = None) -> None:
        self.code = code
        self.data = data
        super().__init__(message)


@dataclass(frozen=True, slots=True)
class _Sent:
    """A signed transaction that was accepted."""

    sender: int
    block: int
    succeeded: bool


class BaseRpc:
    """Answers JSON-RPC about the account contract.

    Args:
        chain: The chain.
        changed: Called with an account's hash after its owner has changed it.
    """

    def __init__(self, chain: Chain, changed: Callable[[int], None]) -> None:
        self._chain = chain
        self._changed = changed
        self._sent: dict[str, _Sent] = {}
        self._nonces: dict[int, int] = {}
        self._methods: dict[str, Callable[[list[object]], object]] = {
            "eth_chainId": lambda _: hex(CHAIN_ID),
            "net_version": lambda _: str(CHAIN_ID),
            "eth_blockNumber": lambda _: hex(self._height),
            "eth_getBalance": lambda _: hex(_FUNDS_WEI),
            "eth_gasPrice": lambda _: hex(_PRICE_WEI),
            "eth_maxPriorityFeePerGas": lambda _: hex(_PRICE_WEI),
            "eth_getCode": lambda given: _CODE if _is_contract(given[0]) else "0x",
            "eth_getTransactionCount": lambda given: hex(self._nonces.get(_address(given[0]), 0)),
            "eth_getBlockByNumber": lambda _: self._block(),
            "eth_call": self._call,
            "eth_estimateGas": self._estimate,
            "eth_sendRawTransaction": self._send,
            "eth_getTransactionReceipt": self._receipt,
            "eth_getLogs": self._logs,
        }

    def app(self) -> Starlette:
        """The ASGI application."""

        async def serve(request: Request) -> Response:
            try:
                call = parse(await request.body())
            except ValueError:
                return JSONResponse(_failure(None, RpcError(_PARSE_ERROR, "parse error")))
            if isinstance(call, list) and call:
                return JSONResponse([self._answer(each) for each in call])
            return JSONResponse(self._answer(call))

        return Starlette(routes=[Route("/", serve, methods=["POST"])])

    @property
    def _height(self) -> int:
        return len(self._chain.transactions)

    def _answer(self, call: object) -> dict[str, object]:
        if not isinstance(call, dict) or not isinstance(call.get("method"), str):
            return _failure(None, RpcError(_INVALID_REQUEST, "invalid request"))
        try:
            result = self._result(call["method"], call.get("params", []))
        except RpcError as error:
            return _failure(call.get("id"), error)
        except RevertError as revert:
            reverted = RpcError(_REVERTED, f"execution reverted: {revert}", revert.data())
            return _failure(call.get("id"), reverted)
        except (ValueError, IndexError, DecodingError) as error:
            return _failure(call.get("id"), RpcError(_INVALID_PARAMS, f"invalid params: {error}"))
        return {"jsonrpc": "2.0", "id": call.get("id"), "result": result}

    def _result(self, method: str, given: object) -> object:
        if method not in self._methods:
            raise RpcError(_NO_METHOD, f"the method {method} does not exist")
        if not isinstance(given, list):
            raise RpcError(_INVALID_PARAMS, "params must be a list")
        return self._methods[method](given)

    def _call(self, given: list[object]) -> str:
        sender, to, data = _transaction(given)
        function = function_of(data)
        if not _is_contract(to):
            return "0x"
        if function is None:
            raise RpcError(_REVERTED, "execution reverted: there is no such function")
        arguments = function.arguments(data)
        if function.ask is not None:
            return "0x" + function.returned(function.ask(self._chain.head, sender, *arguments)).hex()
        trial = METHODS[function.method](copy.deepcopy(self._chain.head), sender, *arguments)
        return "0x" + function.returned(trial).hex()

    def _estimate(self, given: list[object]) -> str:
        self._call(given)
        return hex(_GAS)

    def _send(self, given: list[object]) -> str:
        from eth_account import Account  # noqa: PLC0415 - slow to import, seldom needed
        from eth_account.typed_transactions.typed_transaction import TypedTransaction  # noqa: PLC0415 - the same
        from hexbytes import HexBytes  # noqa: PLC0415 - the same

        raw = unhex(cast("str", given[0]))
        try:
            fields = TypedTransaction.from_bytes(HexBytes(raw)).as_dict()
            sender = parse_address(Account.recover_transaction(raw))
        except Exception as error:
            # The library raises many exceptions for malformed bytes.
            raise RpcError(_REFUSED, "only signed EIP-1559 transactions are accepted") from error
        nonce = self._nonces.get(sender, 0)
        if fields["chainId"] != CHAIN_ID:
            raise RpcError(_REFUSED, "invalid chain id for signer")
        if fields["nonce"] != nonce:
            raise RpcError(_REFUSED, f"nonce too {'low' if fields['nonce'] < nonce else 'high'}")
        self._nonces[sender] = nonce + 1
        name = "0x" + keccak(raw).hex()
        self._sent[name] = self._make(sender, fields["to"], bytes(fields["data"]))
        return name

    def _make(self, sender: int, to: object, data: bytes) -> _Sent:
        function = function_of(data)
        target = int.from_bytes(to) if isinstance(to, bytes) else 0
        if target != parse_address(CONTRACT_ADDRESS) or function is None or function.ask is not None:
            return _Sent(sender, self._height, succeeded=False)
        try:
            arguments = function.arguments(data)
            self._chain.send(sender, function.method, *arguments)
        except (RevertError, DecodingError):
            return _Sent(sender, self._height, succeeded=False)
        if arguments and isinstance(arguments[0], int):
            self._changed(arguments[0])
        return _Sent(sender, self._height, succeeded=True)

    def _receipt(self, given: list[object]) -> object:
        name = cast("str", given[0])
        sent = self._sent.get(name)
        if sent is None:
            return None
        made = self._chain.transactions[sent.block - 1] if sent.succeeded else None
        return {
            "transactionHash": name,
            "transactionIndex": "0x0",
            "blockHash": _block_hash(sent.block),
            "blockNumber": hex(sent.block),
            "from": hex_address(sent.sender),
            "to": CONTRACT_ADDRESS,
            "contractAddress": None,
            "cumulativeGasUsed": hex(_GAS),
            "gasUsed": hex(_GAS),
            "effectiveGasPrice": hex(_PRICE_WEI),
            "logs": _logs_of(made, sent.block) if made else [],
            "logsBloom": _LOGS_BLOOM,
            "status": "0x1" if sent.succeeded else "0x0",
            "type": "0x2",
        }

    def _logs(self, given: list[object]) -> object:
        wanted = given[0]
        if not isinstance(wanted, dict):
            raise RpcError(_INVALID_PARAMS, "a filter object is expected")
        addresses = wanted.get("address", CONTRACT_ADDRESS)
        if not any(map(_is_contract, addresses if isinstance(addresses, list) else [addresses])):
            return []
        first = self._number(wanted.get("fromBlock", "latest"))
        last = self._number(wanted.get("toBlock", "latest"))
        return [
            log
            for block in range(max(1, first), min(last, self._height) + 1)
            for log in _logs_of(self._chain.transactions[block - 1], block)
            if _matches(cast("list[str]", log["topics"]), wanted.get("topics", []))
        ]

    def _number(self, block: object) -> int:
        if block == "earliest":
            return 0
        if isinstance(block, str) and block.startswith("0x"):
            return int(block, 16)
        return self._height

    def _block(self) -> dict[str, object]:
        now = int(self._chain.now().timestamp())
        return {
            "number": hex(self._height),
            "hash": _block_hash(self._height),
            "timestamp": hex(now),
            "baseFeePerGas": hex(_PRICE_WEI),
            "transactions": [],
        }


def _logs_of(made: Transaction, block: int) -> list[dict[str, object]]:
    """Only ``WalletDerivationRegistered`` is logged."""
    if made.method != "register_wallet_derivation":
        return []
    _, wallet, path, *_ = cast("tuple[int, int, int, str, str]", made.arguments)
    return [
        {
            "address": CONTRACT_ADDRESS,
            "topics": [REGISTERED_TOPIC, hex_number(cast("int", made.result)), hex_number(wallet)],
            "data": hex_number(path),
            "blockNumber": hex(block),
            "blockHash": _block_hash(block),
            "transactionHash": hex_number(block),
            "transactionIndex": "0x0",
            "logIndex": "0x0",
            "removed": False,
        }
    ]


def _matches(topics: list[str], wanted: object) -> bool:
    if not isinstance(wanted, list):
        return True
    if len(wanted) > len(topics):
        return False
    for topic, want in zip(topics, wanted, strict=False):
        choices = want if isinstance(want, list) else [want]
        if want is not None and topic not in [str(choice).lower() for choice in choices]:
            return False
    return True


def _transaction(given: list[object]) -> tuple[int, object, bytes]:
    fields = given[0]
    if not isinstance(fields, Mapping):
        raise RpcError(_INVALID_PARAMS, "a transaction object is expected")
    data = fields.get("data", fields.get("input", "0x"))
    sender = _address(fields["from"]) if "from" in fields else 0
    return sender, fields.get("to"), unhex(str(data))


def _address(value: object) -> int:
    return parse_address(str(value))


def _is_contract(value: object) -> bool:
    return isinstance(value, str) and value.lower() == CONTRACT_ADDRESS


def _block_hash(block: int) -> str:
    return "0x" + keccak(text=f"lit-airflow devnet block {block}").hex()


def _failure(id_: object, error: RpcError) -> dict[str, object]:
    details = {"code": error.code, "message": str(error)}
    return {"jsonrpc": "2.0", "id": id_, "error": {**details, "data": error.data} if error.data else details}

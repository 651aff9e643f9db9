"""The chain that lists the nodes: the part of JSON-RPC 2.0 that node discovery needs.

The staking contract answers from the network's own state. There is no other contract: a call to any other address
returns ``0x``, as on a real chain.

Source: docs/protocol/discovery.md.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from ipaddress import IPv4Address

from eth_abi.abi import encode
from eth_utils.abi import function_signature_to_4byte_selector
from eth_utils.address import to_checksum_address

from lit_airflow.devnet.parsing import Json, parse_json

CHAIN_ID = 31337
STAKING_ADDRESS = to_checksum_address(sha256(b"lit-airflow devnet staking").digest()[:20])

_EPOCH = "(uint256,uint256,uint256,uint256,uint256)"
_VALIDATOR = "(uint32,uint128,uint32,address,uint256,uint256,uint256)"
_ACTIVE = 0
_RETRIES, _TIMEOUT_S = 0, 60

PARSE_ERROR, INVALID_REQUEST, METHOD_NOT_FOUND, INVALID_PARAMS, REVERTED = -32700, -32600, -32601, -32602, 3


@dataclass(frozen=True, slots=True)
class StakingState:
    """The state of the staking contract at one moment.

    Attributes:
        epoch: The number of the epoch.
        epoch_start: When the epoch began, in seconds since 1970.
        epoch_length_s: How long the epoch is meant to last.
        threshold: How many shares make a signature.
        host: The IPv4 address of the nodes.
        ports: The number of each node -> its port, in the order of the list.
        block: The number of the latest block.
        status: The result of the contract's ``state()``; 0 is Active.
    """

    epoch: int
    epoch_start: int
    epoch_length_s: int
    threshold: int
    host: str
    ports: Mapping[int, int]
    block: int
    status: int = _ACTIVE

    def epoch_tuple(self) -> tuple[int, ...]:
        """Return ``(epochLength, number, endTime, retries, timeout)``."""
        return (
            self.epoch_length_s,
            self.epoch,
            self.epoch_start + self.epoch_length_s,
            _RETRIES,
            _TIMEOUT_S,
        )

    def validators(self) -> list[tuple[object, ...]]:
        """Return ``(ip, ipv6, port, nodeAddress, reward, senderPubKey, receiverPubKey)`` of each node."""
        ip = int(IPv4Address(self.host))
        return [
            (ip, 0, port, _node_address(node), 0, _key_number(node, "sender"), _key_number(node, "receiver"))
            for node, port in self.ports.items()
        ]

    def node_addresses(self) -> list[str]:
        """Return the account of each node."""
        return [_node_address(node) for node in self.ports]


class RpcError(Exception):
    """A JSON-RPC error.

    Attributes:
        code: The error code.
    """

    def __init__(self, code: int, message: str) -> None:
        self.code = code
        super().__init__(message)


def _node_address(node: int) -> str:
    return to_checksum_address(sha256(f"lit-airflow devnet node {node}".encode()).digest()[:20])


def _key_number(node: int, use: str) -> int:
    return int.from_bytes(sha256(f"lit-airflow devnet node {node} {use}".encode()).digest())


# Function of the staking contract -> the types and values that it returns.
_FUNCTIONS: dict[str, tuple[tuple[str, ...], Callable[[StakingState], tuple[object, ...]]]] = {
    "getActiveUnkickedValidatorStructsAndCounts()": (
        (_EPOCH, "uint256", f"{_VALIDATOR}[]"),
        lambda state: (state.epoch_tuple(), state.threshold, state.validators()),
    ),
    "epoch()": ((_EPOCH,), lambda state: (state.epoch_tuple(),)),
    "currentValidatorCountForConsensus()": (("uint256",), lambda state: (state.threshold,)),
    "getValidatorsInCurrentEpoch()": (("address[]",), lambda state: (state.node_addresses(),)),
    "getKickedValidators()": (("address[]",), lambda _state: ([],)),
    "getValidatorsStructs(address[])": ((f"{_VALIDATOR}[]",), lambda state: (state.validators(),)),
    "state()": (("uint8",), lambda state: (state.status,)),
}
_BY_SELECTOR = {function_signature_to_4byte_selector(name).hex(): row for name, row in _FUNCTIONS.items()}
_SELECTOR_HEX = 8


def answer(raw: bytes, state: StakingState) -> Json | list[Json]:
    """Answer a request body that contains a call or a batch of calls.

    Args:
        raw: The body as received.
        state: The state of the staking contract.

    Returns:
        The response object or objects; errors are objects as well.
    """
    try:
        call = parse_json(raw)
    except ValueError:
        return _error_response(None, RpcError(PARSE_ERROR, "parse error"))
    if isinstance(call, list) and call:
        return [_answer_one(each, state) for each in call]
    return _answer_one(call, state)


def _error_response(id_: object, error: RpcError) -> Json:
    return {"jsonrpc": "2.0", "id": id_, "error": {"code": error.code, "message": str(error)}}


def _answer_one(call: object, state: StakingState) -> Json:
    if not isinstance(call, dict) or not isinstance(call.get("method"), str):
        return _error_response(None, RpcError(INVALID_REQUEST, "invalid request"))
    try:
        result = _result(call["method"], call.get("params", []), state)
    except RpcError as error:
        return _error_response(call.get("id"), error)
    return {"jsonrpc": "2.0", "id": call.get("id"), "result": result}


def _result(method: str, params: object, state: StakingState) -> object:
    if method not in _METHODS:
        raise RpcError(METHOD_NOT_FOUND, f"the method {method} does not exist")
    if not isinstance(params, list):
        raise RpcError(INVALID_PARAMS, "params must be a list")
    return _METHODS[method](params, state)


def _eth_call(params: list[object], state: StakingState) -> str:
    transaction = params[0] if params else None
    if not isinstance(transaction, dict):
        raise RpcError(INVALID_PARAMS, "a transaction object is expected")
    to, data = transaction.get("to"), transaction.get("data", transaction.get("input"))
    if not isinstance(to, str) or not isinstance(data, str):
        raise RpcError(INVALID_PARAMS, "to and data are expected")
    if to.lower() != STAKING_ADDRESS.lower():
        return "0x"
    function = _BY_SELECTOR.get(data.lower().removeprefix("0x")[:_SELECTOR_HEX])
    if function is None:
        raise RpcError(REVERTED, "execution reverted: the staking contract has no such function")
    types, values = function
    return "0x" + encode(types, values(state)).hex()


_METHODS: dict[str, Callable[[list[object], StakingState], object]] = {
    "eth_call": _eth_call,
    "eth_chainId": lambda _params, _state: hex(CHAIN_ID),
    "net_version": lambda _params, _state: str(CHAIN_ID),
    "eth_blockNumber": lambda _params, state: hex(state.block),
    "eth_getLogs": lambda _params, _state: [],
}

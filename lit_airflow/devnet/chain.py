"""The chain that lists the nodes: JSON-RPC 2.0, as much of it as node discovery asks for.

Calls to the staking contract are answered from the network's own facts; any other account holds no code,
and calling it gives ``0x`` as on a real chain.
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

PARSE_ERROR, INVALID_REQUEST, NO_METHOD, INVALID_PARAMS, REVERTED = -32700, -32600, -32601, -32602, 3


@dataclass(frozen=True, slots=True)
class ChainFacts:
    """What the contracts know at one moment.

    Attributes:
        epoch: Number of the epoch.
        epoch_start: When it began, seconds since 1970.
        epoch_length_s: How long it is meant to last.
        threshold: How many nodes are needed.
        host: The nodes' IPv4 address.
        ports: Number of a node -> its port, in the order in which they are listed.
        block: Number of the latest block.
        state: The staking contract's state; 0 is Active.
    """

    epoch: int
    epoch_start: int
    epoch_length_s: int
    threshold: int
    host: str
    ports: Mapping[int, int]
    block: int
    state: int = _ACTIVE

    def epoch_tuple(self) -> tuple[int, ...]:
        """``(epochLength, number, endTime, retries, timeout)``."""
        return (
            self.epoch_length_s,
            self.epoch,
            self.epoch_start + self.epoch_length_s,
            _RETRIES,
            _TIMEOUT_S,
        )

    def validators(self) -> list[tuple[object, ...]]:
        """One ``(ip, ipv6, port, nodeAddress, reward, senderPubKey, receiverPubKey)`` per node."""
        ip = int(IPv4Address(self.host))
        return [
            (ip, 0, port, _node_address(node), 0, _key_number(node, "sender"), _key_number(node, "receiver"))
            for node, port in self.ports.items()
        ]

    def node_addresses(self) -> list[str]:
        """The nodes' accounts."""
        return [_node_address(node) for node in self.ports]


class RpcError(Exception):
    """An error object of JSON-RPC."""

    def __init__(self, code: int, message: str) -> None:
        self.code = code
        super().__init__(message)


def _node_address(node: int) -> str:
    return to_checksum_address(sha256(f"lit-airflow devnet node {node}".encode()).digest()[:20])


def _key_number(node: int, use: str) -> int:
    return int.from_bytes(sha256(f"lit-airflow devnet node {node} {use}".encode()).digest())


_CALLS: dict[str, tuple[tuple[str, ...], Callable[[ChainFacts], tuple[object, ...]]]] = {
    "getActiveUnkickedValidatorStructsAndCounts()": (
        (_EPOCH, "uint256", f"{_VALIDATOR}[]"),
        lambda facts: (facts.epoch_tuple(), facts.threshold, facts.validators()),
    ),
    "epoch()": ((_EPOCH,), lambda facts: (facts.epoch_tuple(),)),
    "currentValidatorCountForConsensus()": (("uint256",), lambda facts: (facts.threshold,)),
    "getValidatorsInCurrentEpoch()": (("address[]",), lambda facts: (facts.node_addresses(),)),
    "getKickedValidators()": (("address[]",), lambda _facts: ([],)),
    "getValidatorsStructs(address[])": ((f"{_VALIDATOR}[]",), lambda facts: (facts.validators(),)),
    "state()": (("uint8",), lambda facts: (facts.state,)),
}
_BY_SELECTOR = {function_signature_to_4byte_selector(name).hex(): row for name, row in _CALLS.items()}
_SELECTOR_HEX = 8


def answer(raw: bytes, facts: ChainFacts) -> Json | list[Json]:
    """Answer one request body: a call, or a batch of calls.

    Args:
        raw: The body as received.
        facts: What the contracts know.

    Returns:
        The response object or objects; errors are objects too, never exceptions.
    """
    try:
        call = parse_json(raw)
    except ValueError:
        return _failure(None, RpcError(PARSE_ERROR, "parse error"))
    if isinstance(call, list) and call:
        return [_answer_one(each, facts) for each in call]
    return _answer_one(call, facts)


def _failure(id_: object, error: RpcError) -> Json:
    return {"jsonrpc": "2.0", "id": id_, "error": {"code": error.code, "message": str(error)}}


def _answer_one(call: object, facts: ChainFacts) -> Json:
    if not isinstance(call, dict) or not isinstance(call.get("method"), str):
        return _failure(None, RpcError(INVALID_REQUEST, "invalid request"))
    try:
        result = _result(call["method"], call.get("params", []), facts)
    except RpcError as error:
        return _failure(call.get("id"), error)
    return {"jsonrpc": "2.0", "id": call.get("id"), "result": result}


def _result(method: str, params: object, facts: ChainFacts) -> object:
    if method not in _METHODS:
        raise RpcError(NO_METHOD, f"the method {method} does not exist")
    if not isinstance(params, list):
        raise RpcError(INVALID_PARAMS, "params must be a list")
    return _METHODS[method](params, facts)


def _eth_call(params: list[object], facts: ChainFacts) -> str:
    transaction = params[0] if params else None
    if not isinstance(transaction, dict):
        raise RpcError(INVALID_PARAMS, "a transaction object is expected")
    to, data = transaction.get("to"), transaction.get("data", transaction.get("input"))
    if not isinstance(to, str) or not isinstance(data, str):
        raise RpcError(INVALID_PARAMS, "to and data are expected")
    if to.lower() != STAKING_ADDRESS.lower():
        return "0x"
    row = _BY_SELECTOR.get(data.lower().removeprefix("0x")[:_SELECTOR_HEX])
    if row is None:
        raise RpcError(REVERTED, "execution reverted: the staking contract has no such function")
    types, values = row
    return "0x" + encode(types, values(facts)).hex()


_METHODS: dict[str, Callable[[list[object], ChainFacts], object]] = {
    "eth_call": _eth_call,
    "eth_chainId": lambda _params, _facts: hex(CHAIN_ID),
    "net_version": lambda _params, _facts: str(CHAIN_ID),
    "eth_blockNumber": lambda _params, facts: hex(facts.block),
    "eth_getLogs": lambda _params, _facts: [],
}

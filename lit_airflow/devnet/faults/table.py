"""The tables of all faults by name; a new fault is a new row."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import NoReturn

from py_arkworks_bls12381 import G1Point, Scalar

from lit_airflow.devnet.dealer import MAX_NODES, Dealer, random_public_key
from lit_airflow.devnet.errors import NodeError
from lit_airflow.devnet.faults import bodies
from lit_airflow.devnet.faults.fault import ChangeableNetwork, Fault, HandshakeChange, ShareSigner
from lit_airflow.devnet.parsing import Json
from lit_airflow.devnet.responses import HttpResponse


def _always(response: HttpResponse) -> Callable[[float], HttpResponse]:
    return lambda _seconds: response


def _with_fields(**fields: Callable[[], str]) -> HandshakeChange:
    return lambda content: {**content, **{name: make() for name, make in fields.items()}}


_FALSE_KEY = (G1Point() * Scalar(5)).to_compressed_bytes().hex()


def _with_key(make_key: Callable[[], str]) -> HandshakeChange:
    def change(content: Json) -> Json:
        key = make_key()
        return {**content, "subnetPublicKey": key, "networkPublicKey": key, "networkPublicKeySet": key}

    return change


def _refuse(code: str) -> Callable[..., NoReturn]:
    def refuse(*_arguments: object) -> NoReturn:
        raise NodeError(code)

    return refuse


def _another_chain_id(text: str) -> str:
    return text.replace("\nChain ID: ", "\nChain ID: 9", 1)


def _share_of_another_message(dealer: Dealer, node: int, message: bytes, epoch: int) -> bytes:
    return dealer.signature_share(node, message + b" and another", epoch)


def _share_of_previous_epoch(dealer: Dealer, node: int, message: bytes, _epoch: int) -> bytes:
    return dealer.signature_share(node, message, dealer.epoch - 1)


def _share_of_next_node(dealer: Dealer, node: int, message: bytes, epoch: int) -> bytes:
    return dealer.signature_share(dealer.next_node(node), message, epoch)


def _identifier_of_next_node(dealer: Dealer, node: int, message: bytes, epoch: int) -> bytes:
    return bytes([dealer.next_node(node) + 1]) + dealer.signature_share(node, message, epoch)[1:]


def _identifier_zero(dealer: Dealer, node: int, message: bytes, epoch: int) -> bytes:
    return b"\0" + dealer.signature_share(node, message, epoch)[1:]


def _point(encoded: bytes) -> ShareSigner:
    return lambda _dealer, node, _message, _epoch: bytes([node + 1]) + encoded


def _point_with_x(x: int) -> bytes:
    """Encode a G2 point with this real x, compressed; such a point need not exist."""
    return b"\x80" + x.to_bytes(95)


def _random_hash() -> str:
    return "0x" + secrets.token_hex(32)


async def _advance_epoch(network: ChangeableNetwork, _node: int) -> None:
    network.advance_epoch()


async def _add_node(network: ChangeableNetwork, _node: int) -> None:
    await network.add_node()


async def _remove_node(network: ChangeableNetwork, node: int) -> None:
    with suppress(ValueError):  # it stays if the threshold could not be reached without it
        await network.remove_node(node)


_TEN_MINUTES_S = 600.0
_PAUSED = 4

_COMMON: dict[str, Fault] = {
    # Changes to the connection.
    "down": Fault("refuses connections", listens=False),
    "silent": Fault("accepts connections but never answers", answers=False),
    "slow": Fault("answers late", "seconds before each answer", delay=lambda s, _: s),
    "slower": Fault(
        "answers later each time", "seconds added before each answer", delay=lambda s, n: s * (n + 1)
    ),
    "drip": Fault("sends its answer byte by byte", "seconds between two bytes", drips=True),
    "reset": Fault("resets the connection in the middle of the body", resets=True),
    # Replacements of the response.
    "overloaded": Fault(
        "refuses because it is too busy", replacement=_always(bodies.refusal("NodeConcurrencyOverload"))
    ),
    "overloaded-for": Fault(
        "refuses because it is too busy, with a Retry-After header",
        "seconds that the Retry-After header names",
        replacement=lambda s: bodies.refusal("NodeConcurrencyOverload", retry_after=f"{s:.0f}"),
    ),
    "broken": Fault("answers with an internal error", replacement=_always(bodies.refusal("NodeSystemFault"))),
    "bad-gateway": Fault("answers with a gateway's status 502", replacement=_always(bodies.BAD_GATEWAY)),
    "redirect": Fault("redirects to another path", replacement=_always(bodies.REDIRECT)),
    "garbled": Fault("answers with a page of HTML", replacement=_always(bodies.WELCOME_PAGE)),
    "not-json": Fault(
        "answers with invalid JSON that is declared as JSON", replacement=_always(bodies.INVALID_JSON)
    ),
    "other-shape": Fault("answers with a JSON array", replacement=_always(bodies.ARRAY)),
    "deep": Fault("answers with deeply nested arrays", replacement=_always(bodies.NESTED_ARRAYS)),
    "huge": Fault("answers with 50 MB", replacement=_always(bodies.HUGE)),
    "bomb": Fault("answers with 50 MB, compressed to 50 kB", replacement=lambda _: bodies.gzip_bomb()),
    # Changes to the content.
    "missing-fields": Fault("leaves fields out", content=bodies.only_first_field),
    "extra-fields": Fault("adds unknown fields", content=bodies.with_unknown_fields),
    "wrong-types": Fault("gives every field a value of another type", content=bodies.with_other_types),
}
FAULTS: dict[str, Fault] = {
    **_COMMON,
    "rate-limited": Fault("requires capacity credits", sign=_refuse("rate_limit_exceeded")),
    # Shares.
    "wrong-share": Fault("sends a well-formed share of another message", sign=_share_of_another_message),
    "stale-share": Fault(
        "sends a share of the previous epoch, whichever epoch is asked for", sign=_share_of_previous_epoch
    ),
    "duplicate-share": Fault("sends the share of the next node", sign=_share_of_next_node),
    "wrong-identifier": Fault(
        "sends its share with the identifier of the next node", sign=_identifier_of_next_node
    ),
    "zero-identifier": Fault("sends its share with the identifier 0", sign=_identifier_zero),
    "bad-share": Fault("sends bytes that encode no point", sign=_point(b"\x8f" + b"\xff" * 95)),
    "off-curve": Fault("sends a point that is not on the curve", sign=_point(_point_with_x(1))),
    "outside-subgroup": Fault("sends a point outside the subgroup", sign=_point(_point_with_x(2))),
    "identity-share": Fault("sends the identity point", sign=_point(b"\xc0" + b"\0" * 95)),
    "other-text": Fault(
        "signs a different sign-in message for a PKP than the other nodes", pkp_message=_another_chain_id
    ),
    # Handshakes.
    "wrong-key": Fault("reports a random network key", handshake=_with_key(random_public_key)),
    "false-key": Fault(
        "reports a wrong network key, the same as every node with this fault",
        handshake=_with_key(lambda: _FALSE_KEY),
    ),
    "err-key": Fault("reports that it has no network key yet", handshake=_with_key(lambda: "ERR")),
    "unknown-blockhash": Fault(
        "reports the hash of a block that does not exist",
        handshake=_with_fields(latestBlockhash=_random_hash),
    ),
    "old-blockhash": Fault(
        "always reports the same block hash",
        handshake=_with_fields(latestBlockhash=lambda: "0x" + "0" * 64),
    ),
    "other-epoch": Fault(
        "reports and uses the previous epoch",
        handshake=_with_fields(epoch=lambda: "1"),
        sign=_share_of_previous_epoch,
    ),
    # Changes to the network.
    "ten-minutes-ahead": Fault("has a clock that is ten minutes ahead", clock_offset_s=_TEN_MINUTES_S),
    "ten-minutes-behind": Fault("has a clock that is ten minutes behind", clock_offset_s=-_TEN_MINUTES_S),
    "epoch-moves": Fault("starts a new epoch after its next handshake", event=_advance_epoch),
    "node-joins": Fault("lets another node join after its next handshake", event=_add_node),
    "node-leaves": Fault("leaves the network after its next handshake", event=_remove_node),
}
CHAIN_FAULTS: dict[str, Fault] = {
    **_COMMON,
    "rpc-error": Fault("answers every call with an error", replacement=_always(bodies.RPC_ERROR)),
    "nonsense": Fault(
        "returns meaningless bytes from every call",
        content=lambda content: {**content, "result": "0xdeadbeef"},
    ),
    "no-contract": Fault(
        "returns no bytes, as if the contract did not exist",
        content=lambda content: {**content, "result": "0x"},
    ),
    "nobody": Fault("lists no nodes", staking=lambda state: replace(state, ports={})),
    "strangers": Fault(
        "lists ports on which no node listens",
        staking=lambda state: replace(state, ports={node: node + 1 for node in state.ports}),
    ),
    "too-few": Fault(
        "reports a threshold above the number of nodes",
        staking=lambda state: replace(state, threshold=MAX_NODES + 1),
    ),
    "none-needed": Fault("reports a threshold of 0", staking=lambda state: replace(state, threshold=0)),
    "paused": Fault(
        "reports that the staking contract is paused", staking=lambda state: replace(state, status=_PAUSED)
    ),
}

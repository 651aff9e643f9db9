"""The switchboard's rows: what can be wrong with a node, or with the chain that lists the nodes.

A new fault is a new row; what a row is made of says ``lit_airflow.devnet.trouble.Fault``.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import NoReturn

from py_arkworks_bls12381 import G1Point, Scalar

from lit_airflow.devnet import replies
from lit_airflow.devnet.dealer import MOST_NODES, Dealer, random_public_key
from lit_airflow.devnet.errors import NodeError
from lit_airflow.devnet.parsing import Json
from lit_airflow.devnet.replies import Reply
from lit_airflow.devnet.trouble import Events, Fault, Handshake, Sign


def _always(reply: Reply) -> Callable[[float], Reply]:
    return lambda _seconds: reply


def _named(**fields: Callable[[], str]) -> Handshake:
    return lambda answer: {**answer, **{name: make() for name, make in fields.items()}}


_FALSE_KEY = (G1Point() * Scalar(5)).to_compressed_bytes().hex()


def _with_key(make: Callable[[], str]) -> Handshake:
    def change(answer: Json) -> Json:
        return {
            **answer,
            **dict.fromkeys(("subnetPublicKey", "networkPublicKey", "networkPublicKeySet"), make()),
        }

    return change


def _refuse(code: str) -> Callable[..., NoReturn]:
    def refuse(*_anything: object) -> NoReturn:
        raise NodeError(code)

    return refuse


def _another_chain(text: str) -> str:
    return text.replace("\nChain ID: ", "\nChain ID: 9", 1)


def _another_message(dealer: Dealer, node: int, message: bytes, epoch: int) -> bytes:
    return dealer.share(node, message + b" and another", epoch)


def _previous_share(dealer: Dealer, node: int, message: bytes, _epoch: int) -> bytes:
    return dealer.share(node, message, dealer.epoch - 1)


def _neighbours_share(dealer: Dealer, node: int, message: bytes, epoch: int) -> bytes:
    return dealer.share(dealer.neighbour(node), message, epoch)


def _neighbours_identifier(dealer: Dealer, node: int, message: bytes, epoch: int) -> bytes:
    return bytes([dealer.neighbour(node) + 1]) + dealer.share(node, message, epoch)[1:]


def _no_identifier(dealer: Dealer, node: int, message: bytes, epoch: int) -> bytes:
    return b"\0" + dealer.share(node, message, epoch)[1:]


def _point(encoded: bytes) -> Sign:
    return lambda _dealer, node, _message, _epoch: bytes([node + 1]) + encoded


def _x(x: int) -> bytes:
    """A compressed G2 point of this real x; nothing says that there is one."""
    return b"\x80" + x.to_bytes(95)


def _unknown_hash() -> str:
    return "0x" + secrets.token_hex(32)


async def _epoch_moves(network: Events, _node: int) -> None:
    network.advance_epoch()


async def _node_joins(network: Events, _node: int) -> None:
    await network.add_node()


async def _node_leaves(network: Events, node: int) -> None:
    with suppress(ValueError):  # it stays where it is needed
        await network.remove_node(node)


_TEN_MINUTES_S = 600.0
_PAUSED = 4
_RPC_ERROR = Reply.of({"jsonrpc": "2.0", "id": 1, "error": {"code": -32000, "message": "header not found"}})

_ANYBODYS: dict[str, Fault] = {
    # How an answer travels.
    "down": Fault("refuses connections", listens=False),
    "silent": Fault("accepts, never answers", answers=False),
    "slow": Fault("answers after some seconds", "before each answer", waits=lambda s, _: s),
    "slower": Fault("answers later each time", "more for each answer", waits=lambda s, n: s * (n + 1)),
    "drip": Fault("sends its answer byte by byte", "between two bytes", drips=True),
    "reset": Fault("resets the connection in mid-body", breaks=True),
    # What stands in its place.
    "overloaded": Fault("too busy", instead=_always(replies.refused("NodeConcurrencyOverload"))),
    "overloaded-for": Fault(
        "too busy, and says for how long",
        "to wait, as the header Retry-After says",
        instead=lambda s: replies.refused("NodeConcurrencyOverload", retry_after=f"{s:.0f}"),
    ),
    "broken": Fault("fails", instead=_always(replies.refused("NodeSystemFault"))),
    "bad-gateway": Fault("is behind a gateway that does not reach it", instead=_always(replies.BAD_GATEWAY)),
    "redirect": Fault("sends its visitors elsewhere", instead=_always(replies.REDIRECT)),
    "garbled": Fault("answers with a page of HTML", instead=_always(replies.GREETING)),
    "not-json": Fault("answers with what only claims to be JSON", instead=_always(replies.NOT_JSON)),
    "other-shape": Fault("answers with a list", instead=_always(replies.LIST)),
    "deep": Fault("answers with lists in lists in lists", instead=_always(replies.DEEP)),
    "huge": Fault("answers with 50 MB", instead=_always(replies.HUGE)),
    "bomb": Fault("answers with 50 MB, compressed", instead=lambda _: replies.bomb()),
    # What is done to its content.
    "missing-fields": Fault("leaves out fields", change=replies.without_fields),
    "extra-fields": Fault("adds fields that nobody knows", change=replies.with_more_fields),
    "wrong-types": Fault("gives every field another type", change=replies.with_other_types),
}
FAULTS: dict[str, Fault] = {
    **_ANYBODYS,
    "rate-limited": Fault("wants capacity credits", sign=_refuse("rate_limit_exceeded")),
    # Shares.
    "wrong-share": Fault("a well-formed share of another message", sign=_another_message),
    "stale-share": Fault("a share of the previous epoch, whatever is asked for", sign=_previous_share),
    "duplicate-share": Fault("the share of its neighbour", sign=_neighbours_share),
    "wrong-identifier": Fault("its share under its neighbour's number", sign=_neighbours_identifier),
    "zero-identifier": Fault("its share under the number 0", sign=_no_identifier),
    "bad-share": Fault("bytes that are no point", sign=_point(b"\x8f" + b"\xff" * 95)),
    "off-curve": Fault("a point that is not on the curve", sign=_point(_x(1))),
    "outside-subgroup": Fault("a point of the curve outside the subgroup", sign=_point(_x(2))),
    "identity-share": Fault("the identity point", sign=_point(b"\xc0" + b"\0" * 95)),
    "other-text": Fault("signs another sign-in message for a PKP than the others", write=_another_chain),
    # Handshakes.
    "wrong-key": Fault("names another network key", handshake=_with_key(random_public_key)),
    "false-key": Fault(
        "names the same false key as all with this fault", handshake=_with_key(lambda: _FALSE_KEY)
    ),
    "err-key": Fault("has no network key yet", handshake=_with_key(lambda: "ERR")),
    "unknown-blockhash": Fault(
        "names a block that nobody has mined", handshake=_named(latestBlockhash=_unknown_hash)
    ),
    "old-blockhash": Fault(
        "names the same block for ever", handshake=_named(latestBlockhash=lambda: "0x" + "0" * 64)
    ),
    "other-epoch": Fault(
        "lives in the epoch before", handshake=_named(epoch=lambda: "1"), sign=_previous_share
    ),
    # The network's life.
    "ten-minutes-ahead": Fault("its clock is ahead", clock_off_s=_TEN_MINUTES_S),
    "ten-minutes-behind": Fault("its clock is behind", clock_off_s=-_TEN_MINUTES_S),
    "epoch-moves": Fault("a new epoch begins once it has shaken hands", event=_epoch_moves),
    "node-joins": Fault("another node joins once it has shaken hands", event=_node_joins),
    "node-leaves": Fault("leaves once it has shaken hands", event=_node_leaves),
}
CHAIN_FAULTS: dict[str, Fault] = {
    **_ANYBODYS,
    "rpc-error": Fault("answers every call with an error", instead=_always(_RPC_ERROR)),
    "nonsense": Fault(
        "answers with bytes that mean nothing", change=lambda answer: {**answer, "result": "0xdeadbeef"}
    ),
    "no-contract": Fault("knows no such contract", change=lambda answer: {**answer, "result": "0x"}),
    "nobody": Fault("lists no nodes", facts=lambda facts: replace(facts, ports={})),
    "strangers": Fault(
        "lists ports where nobody listens",
        facts=lambda facts: replace(facts, ports={node: node + 1 for node in facts.ports}),
    ),
    "too-few": Fault(
        "says that more nodes are needed than it lists",
        facts=lambda facts: replace(facts, threshold=MOST_NODES + 1),
    ),
    "none-needed": Fault("says that no node is needed", facts=lambda facts: replace(facts, threshold=0)),
    "paused": Fault("says that the network is paused", facts=lambda facts: replace(facts, state=_PAUSED)),
}

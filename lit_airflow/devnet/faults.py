"""The switchboard: what can be wrong with a node, one row per name.

A new fault is a new row of ``FAULTS``. ``handshake`` and ``sign`` stand in for the good node's own; both may
raise ``NodeError``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NoReturn

from lit_airflow.devnet.dealer import Dealer, random_public_key
from lit_airflow.devnet.reading import Json
from lit_airflow.devnet.refusals import NodeError

Handshake = Callable[[Json], Json]
"""Changes the good answer of a handshake."""
Sign = Callable[[Dealer, int, bytes, int], bytes]
"""dealer, node, message, epoch asked for -> the 97 bytes of a share."""


Write = Callable[[str], str]
"""Changes the text of a PKP's sign-in message."""


def _same(answer: Json) -> Json:
    return answer


def _unchanged(text: str) -> str:
    return text


def _another_chain(text: str) -> str:
    return text.replace("\nChain ID: ", "\nChain ID: 9", 1)


def _good(dealer: Dealer, node: int, message: bytes, epoch: int) -> bytes:
    return dealer.share(node, message, epoch)


@dataclass(frozen=True, slots=True)
class Fault:
    """How a node with this fault behaves.

    Attributes:
        about: One line for people.
        listens: Whether its port accepts connections.
        answers: Whether it ever answers what it accepted.
        waits: Whether it waits before it answers; the seconds are set with the fault.
        garbles: Whether its answers are something else than JSON.
        handshake: Makes the handshake's answer out of the good one.
        sign: Makes the share.
        write: Changes the sign-in message that is signed for a PKP.
    """

    about: str
    listens: bool = True
    answers: bool = True
    waits: bool = False
    garbles: bool = False
    handshake: Handshake = _same
    sign: Sign = _good
    write: Write = _unchanged


def _with_key(key: Callable[[], str]) -> Handshake:
    def change(answer: Json) -> Json:
        named = key()
        return {
            **answer,
            "subnetPublicKey": named,
            "networkPublicKey": named,
            "networkPublicKeySet": named,
        }

    return change


def _refuse(code: str) -> Callable[..., NoReturn]:
    def refuse(*_anything: object) -> NoReturn:
        raise NodeError(code)

    return refuse


def _another_message(dealer: Dealer, node: int, message: bytes, epoch: int) -> bytes:
    return dealer.share(node, message + b" and another", epoch)


def _previous_share(dealer: Dealer, node: int, message: bytes, _epoch: int) -> bytes:
    return dealer.share(node, message, dealer.epoch - 1)


def _anothers_identifier(dealer: Dealer, node: int, message: bytes, epoch: int) -> bytes:
    return dealer.share(dealer.neighbour(node), message, epoch)


def _no_point(_dealer: Dealer, node: int, _message: bytes, _epoch: int) -> bytes:
    return bytes([node + 1, 0x8F]) + b"\xff" * 95


GOOD = Fault("none")
FAULTS: dict[str, Fault] = {
    "down": Fault("refuses connections", listens=False),
    "silent": Fault("accepts, never answers", answers=False),
    "slow": Fault("answers after some seconds", waits=True),
    "wrong-share": Fault("a well-formed share of another message", sign=_another_message),
    "stale-share": Fault("a share of the previous epoch, whatever is asked for", sign=_previous_share),
    "bad-share": Fault("bytes that are no curve point", sign=_no_point),
    "wrong-identifier": Fault("the share of its neighbour", sign=_anothers_identifier),
    "other-text": Fault("signs another sign-in message for a PKP than the others", write=_another_chain),
    "wrong-key": Fault("names another network key", handshake=_with_key(random_public_key)),
    "err-key": Fault("has no network key yet", handshake=_with_key(lambda: "ERR")),
    "rate-limited": Fault("wants capacity credits", sign=_refuse("rate_limit_exceeded")),
    "overloaded": Fault(
        "too busy",
        handshake=_refuse("NodeConcurrencyOverload"),
        sign=_refuse("NodeConcurrencyOverload"),
    ),
    "broken": Fault("fails", handshake=_refuse("NodeSystemFault"), sign=_refuse("NodeSystemFault")),
    "garbled": Fault("answers with a page of HTML", garbles=True),
}

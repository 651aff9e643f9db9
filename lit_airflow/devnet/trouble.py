"""A fault: how what has it behaves, as data; and a fault in force.

From the outside in: how an answer travels, what stands in its place, what is done to its content, what is in it.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from lit_airflow.devnet import replies
from lit_airflow.devnet.chain import ChainFacts
from lit_airflow.devnet.dealer import Dealer
from lit_airflow.devnet.parsing import Json
from lit_airflow.devnet.replies import Change, Reply

Handshake = Callable[[Json], Json]
"""Changes the good answer of a handshake."""
Sign = Callable[[Dealer, int, bytes, int], bytes]
"""dealer, node, message, epoch asked for -> the 97 bytes of a share."""
Write = Callable[[str], str]
"""Changes the text of a PKP's sign-in message."""
Wait = Callable[[float, int], float]
"""The fault's seconds, how many have been answered under it -> seconds before this answer."""


class Events(Protocol):
    """What can happen to a whole network."""

    def advance_epoch(self, by: int = 1) -> int:
        """A new epoch begins."""

    async def add_node(self) -> int:
        """A node joins."""

    async def remove_node(self, node: int) -> None:
        """A node leaves."""


Event = Callable[[Events, int], Coroutine[None, None, object]]
"""network, node."""


def _unchanged(anything: Any) -> Any:  # noqa: ANN401 - whatever it is given
    return anything


def _at_once(_seconds: float, _answered: int) -> float:
    return 0.0


def _good_share(dealer: Dealer, node: int, message: bytes, epoch: int) -> bytes:
    return dealer.share(node, message, epoch)


@dataclass(frozen=True, slots=True)
class Fault:
    """How what has this fault behaves.

    Attributes:
        about: One line for people.
        seconds: What its seconds mean; empty where it has none.
        listens: Whether its port accepts connections.
        answers: Whether it ever answers what it accepted.
        waits: How long it waits before it answers.
        drips: Whether it sends one byte, waits its seconds, sends the next.
        breaks: Whether it resets the connection in the middle of the body.
        instead: Stands in for every answer; made with the fault's seconds.
        change: Makes another content of a good answer.
        handshake: Makes the handshake's answer out of the good one.
        sign: Makes the share.
        write: Changes the sign-in message that is signed for a PKP.
        clock_off_s: How far its clock is off; positive is ahead.
        event: What happens to the network after its next handshake; then it is a good node again.
        facts: Changes what the chain knows.
    """

    about: str
    seconds: str = ""
    listens: bool = True
    answers: bool = True
    waits: Wait = _at_once
    drips: bool = False
    breaks: bool = False
    instead: Callable[[float], Reply] | None = None
    change: Change = _unchanged
    handshake: Handshake = _unchanged
    sign: Sign = _good_share
    write: Write = _unchanged
    clock_off_s: float = 0.0
    event: Event | None = None
    facts: Callable[[ChainFacts], ChainFacts] = _unchanged


GOOD = Fault("none")


@dataclass(slots=True)
class Trouble:
    """A fault in force.

    Attributes:
        fault: The row.
        name: Its name, ``None`` for none.
        seconds: Its seconds, 0 where it has none.
        answered: How many answers have been given under it.
    """

    fault: Fault = GOOD
    name: str | None = None
    seconds: float = 0.0
    answered: int = 0

    @classmethod
    def of(cls, table: Mapping[str, Fault], name: str | None, seconds: float | None) -> Trouble:
        """The named fault, or none for ``None``.

        Raises:
            ValueError: No such fault, or seconds missing, negative, or given where they mean nothing.
        """
        fault = GOOD if name is None else table.get(name)
        if fault is None:
            raise ValueError(f"there is no fault {name!r}, only {', '.join(table)}")
        if bool(fault.seconds) != (seconds is not None):
            takes = f"takes seconds ({fault.seconds})" if fault.seconds else "takes no seconds"
            raise ValueError(f"{name!r} {takes}")
        if seconds is not None and not 0 <= seconds < float("inf"):
            raise ValueError(f"seconds are 0 or more, not {seconds}")
        return cls(fault, name, seconds or 0.0)

    def snapshot(self) -> Json:
        """Its name and its seconds."""
        return {"fault": self.name, "seconds": self.seconds if self.fault.seconds else None}

    def wait_s(self) -> float | None:
        """Seconds before the next answer; ``None`` if there will be none."""
        return self.fault.waits(self.seconds, self.answered) if self.fault.answers else None

    def applied(self, good: Callable[[], Reply]) -> Reply:
        """What is answered instead of a good answer, which is made only where it is needed."""
        self.answered += 1
        fault = self.fault
        if fault.instead is not None:
            return fault.instead(self.seconds)
        return good() if fault.change is _unchanged else replies.altered(good(), fault.change)

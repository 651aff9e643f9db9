"""How a fault changes the behaviour of a node or the chain, and the fault that is currently set."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from lit_airflow.devnet.chain import StakingState
from lit_airflow.devnet.dealer import Dealer
from lit_airflow.devnet.parsing import Json
from lit_airflow.devnet.responses import HttpResponse

Delay = Callable[[float, int], float]
"""The fault's seconds, the number of responses under it -> seconds before the next response."""
ContentChange = Callable[[Json], object]
"""Changes the content of a success."""
HandshakeChange = Callable[[Json], Json]
"""Changes the correct response to a handshake."""
ShareSigner = Callable[[Dealer, int, bytes, int], bytes]
"""Dealer, node, message, requested epoch -> the 97 bytes of a signature share."""
TextChange = Callable[[str], str]
"""Changes the sign-in message of a PKP."""
StakingChange = Callable[[StakingState], StakingState]
"""Changes the state of the staking contract."""


class ChangeableNetwork(Protocol):
    """What a fault can do to the whole network."""

    def advance_epoch(self, by: int = 1) -> int:
        """Start a new epoch."""

    async def add_node(self) -> int:
        """Let a node join."""

    async def remove_node(self, node: int) -> None:
        """Let a node leave."""


Event = Callable[[ChangeableNetwork, int], Coroutine[None, None, object]]
"""The network, the number of the node that causes the event."""


def _unchanged(value: Any) -> Any:  # noqa: ANN401 - the default of every change
    return value


def _no_delay(_seconds: float, _responses: int) -> float:
    return 0.0


def _correct_share(dealer: Dealer, node: int, message: bytes, epoch: int) -> bytes:
    return dealer.signature_share(node, message, epoch)


@dataclass(frozen=True, slots=True)
class Fault:
    """How a node or the chain behaves under a fault; the defaults are correct behaviour.

    Attributes:
        description: One line for people.
        seconds_meaning: What the fault's seconds mean; empty if it takes none.
        listens: Whether the port accepts connections.
        answers: Whether a request ever gets a response.
        delay: How long to wait before a response.
        drips: Whether the body is sent byte by byte, with the fault's seconds between two bytes.
        resets: Whether the connection is reset in the middle of the body.
        replacement: Makes the response that replaces every correct one, from the fault's seconds.
        content: Changes the content of every success.
        handshake: Changes the response to a handshake.
        sign: Makes the signature share.
        pkp_message: Changes the sign-in message of a PKP before it is signed.
        clock_offset_s: How far the clock is ahead, in seconds; negative if it is behind.
        event: What happens to the network after the next handshake, which also removes the fault.
        staking: Changes the state of the staking contract.
    """

    description: str
    seconds_meaning: str = ""
    listens: bool = True
    answers: bool = True
    delay: Delay = _no_delay
    drips: bool = False
    resets: bool = False
    replacement: Callable[[float], HttpResponse] | None = None
    content: ContentChange = _unchanged
    handshake: HandshakeChange = _unchanged
    sign: ShareSigner = _correct_share
    pkp_message: TextChange = _unchanged
    clock_offset_s: float = 0.0
    event: Event | None = None
    staking: StakingChange = _unchanged

    @property
    def takes_seconds(self) -> bool:
        """Whether a number of seconds must be given with the fault."""
        return bool(self.seconds_meaning)


NO_FAULT = Fault("none")


@dataclass(slots=True)
class ActiveFault:
    """The fault that is set on a node or the chain.

    Attributes:
        behaviour: How the node or the chain behaves.
        name: The fault's name; ``None`` if there is no fault.
        seconds: The fault's seconds; 0 if it takes none.
        responses: How many responses were made under it.
    """

    behaviour: Fault = NO_FAULT
    name: str | None = None
    seconds: float = 0.0
    responses: int = 0

    @classmethod
    def named(cls, faults: Mapping[str, Fault], name: str | None, seconds: float | None) -> ActiveFault:
        """Return a fault by its name.

        Args:
            faults: All faults by name.
            name: The name; ``None`` for no fault.
            seconds: Required for a fault that takes seconds, not allowed for any other.

        Raises:
            ValueError: There is no such fault, or seconds are missing, negative or not allowed.
        """
        behaviour = NO_FAULT if name is None else faults.get(name)
        if behaviour is None:
            raise ValueError(f"there is no fault {name!r}, only {', '.join(faults)}")
        if behaviour.takes_seconds and seconds is None:
            raise ValueError(f"fault {name!r} needs seconds ({behaviour.seconds_meaning})")
        if not behaviour.takes_seconds and seconds is not None:
            raise ValueError(f"fault {name!r} takes no seconds")
        if seconds is not None and not 0 <= seconds < float("inf"):
            raise ValueError(f"seconds must be finite and not negative, got {seconds}")
        return cls(behaviour, name, seconds or 0.0)

    def to_json(self) -> Json:
        """Return the fault's name and seconds, for the control API."""
        return {"fault": self.name, "seconds": self.seconds if self.behaviour.takes_seconds else None}

    def delay_s(self) -> float | None:
        """Return the seconds before the next response; ``None`` if there will be none."""
        return self.behaviour.delay(self.seconds, self.responses) if self.behaviour.answers else None

    def apply(self, correct_response: Callable[[], HttpResponse]) -> HttpResponse:
        """Return the response under this fault and count it.

        Args:
            correct_response: Makes the correct response; not called if the fault replaces it.
        """
        self.responses += 1
        if self.behaviour.replacement is not None:
            return self.behaviour.replacement(self.seconds)
        response = correct_response()
        return (
            response
            if self.behaviour.content is _unchanged
            else response.with_content(self.behaviour.content)
        )

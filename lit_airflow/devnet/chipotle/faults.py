"""The switchboard's rows: what can go wrong with a request, and which faults are in force.

A new fault is a new row.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Literal

from lit_airflow.devnet.chipotle.refusals import HTML, JSON, Body, RefusalError, guarded

_CHUNK = 64 * 1024
_HUGE_CHUNKS = 800  # 50 MB
_DEEP = 200_000
EVERY_CALL, WRITES, READS = "*", "writes", "reads"


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes over the wire.

    Attributes:
        status: The HTTP status.
        body: The body and its type.
        times: How often its bytes are sent over.
        headers: Further headers.
    """

    status: int
    body: Body
    times: int = 1
    headers: Mapping[str, str] = field(default_factory=dict)


Change = Callable[[object], object]
"""Makes another content of a good answer's."""


@dataclass(frozen=True, slots=True)
class Fault:
    """How a request with this fault goes.

    Attributes:
        about: One line for people.
        seconds: What its seconds mean; empty where it has none.
        listens: Whether the port accepts connections.
        ends: When the connection ends without an answer: before anything is looked at, or when all is done.
        hangs: When the answer stays away, the connection open.
        waits: Whether it waits its seconds before anything is looked at.
        drips: Whether the answer comes byte by byte, its seconds between two.
        breaks: Whether the connection is reset in the middle of the answer.
        refusal: Refuses before anything is looked at.
        instead: Answers instead, before anything is looked at.
        afterwards: Answers instead when all is done.
        change: Changes the content of a good answer.
        splits: Whether a mint fails between its two transactions.
        other_enclave: Whether the action runs in an enclave with other keys.
    """

    about: str
    seconds: str = ""
    listens: bool = True
    ends: Literal["", "before", "after"] = ""
    hangs: Literal["", "before", "after"] = ""
    waits: bool = False
    drips: bool = False
    breaks: bool = False
    refusal: RefusalError | None = None
    instead: Callable[[], Answer] | None = None
    afterwards: Callable[[], Answer] | None = None
    change: Change | None = None
    splits: bool = False
    other_enclave: bool = False


def _always(status: int, content_type: str, content: bytes, times: int = 1) -> Callable[[], Answer]:
    answer = Answer(status, Body(content_type, content), times)
    return lambda: answer


@cache
def _bomb() -> Answer:
    packed = gzip.compress(b" " * _CHUNK * _HUGE_CHUNKS, compresslevel=9)
    return Answer(200, Body(JSON, packed), headers={"content-encoding": "gzip"})


def _fewer_fields(content: object) -> object:
    return dict(list(content.items())[:1]) if isinstance(content, dict) else content


def _more_fields(content: object) -> object:
    if not isinstance(content, dict):
        return content
    return {
        "": None,
        "v": 2**64,
        **content,
        "__proto__": {"response": [[{}]] * 9},
        "é": "\N{GOTHIC LETTER AHSA}",
    }


_OTHERS: dict[type, object] = {str: 5, int: "5", bool: "true", list: {}, dict: [], type(None): 0, float: None}


def _other_types(content: object) -> object:
    if isinstance(content, dict):
        return {name: _OTHERS[type(value)] for name, value in content.items()}
    return _OTHERS[type(content)]


def _another_key(content: object) -> object:
    """The gate's answer to ``ask`` with another public key: a mistaken or dishonest enclave."""
    if isinstance(content, dict) and isinstance(content.get("response"), dict):
        response = content["response"]
        if "publicKey" in response:
            return {**content, "response": {**response, "publicKey": "07" * 32}}
    return content


_BAD_GATEWAY = _always(502, HTML, b"<!DOCTYPE html><html><head><title>502 Bad Gateway</title></head></html>")
_GATEWAY_TIMEOUT = _always(504, "text/plain", b"upstream timed out")

FAULTS: dict[str, Fault] = {
    # How an answer travels.
    "down": Fault("refuses connections; for all calls only", listens=False),
    "silent": Fault("accepts the request, does nothing, never answers", hangs="before"),
    "silent-after": Fault("does what is asked, never answers", hangs="after"),
    "lost-before": Fault("closes the connection and does nothing", ends="before"),
    "lost-after": Fault("does what is asked, then closes the connection", ends="after"),
    "slow": Fault("answers after some seconds", "before each answer", waits=True),
    "drip": Fault("sends its answer byte by byte", "between two bytes", drips=True),
    "reset": Fault("resets the connection in the middle of the answer", breaks=True),
    # Refusals, before anything is looked at.
    "unauthorized": Fault("knows no key", refusal=guarded(401)),
    "payment-required": Fault("wants more credit", refusal=guarded(402)),
    "forbidden": Fault("permits nothing", refusal=guarded(403)),
    "not-found": Fault("has no such endpoint", refusal=guarded(404)),
    "too-large": Fault("finds every request too large", refusal=guarded(413)),
    "unprocessable": Fault("finds that no body fits", refusal=guarded(422)),
    "overloaded": Fault("sheds load", refusal=guarded(429)),
    "broken": Fault("fails", refusal=guarded(500)),
    "empty-error": Fault("fails, with nothing in the body", instead=_always(500, JSON, b"")),
    "unavailable": Fault("lacks a service that it depends on", refusal=guarded(503)),
    # What stands in front of it.
    "bad-gateway": Fault("is behind a gateway that does not reach it", instead=_BAD_GATEWAY),
    "bad-gateway-after": Fault("does what is asked; the gateway loses the answer", afterwards=_BAD_GATEWAY),
    "gateway-timeout": Fault("is behind a gateway that gives up", instead=_GATEWAY_TIMEOUT),
    "gateway-timeout-after": Fault("does what is asked; the gateway gives up", afterwards=_GATEWAY_TIMEOUT),
    # What is sent.
    "html": Fault("answers with a page of HTML", afterwards=_always(200, HTML, b"<html>Welcome!</html>")),
    "empty": Fault("answers with nothing", afterwards=_always(200, JSON, b"")),
    "not-json": Fault("answers with what only claims to be JSON", afterwards=_always(200, JSON, b'{"a": no')),
    "other-shape": Fault("answers with a list", afterwards=_always(200, JSON, b'["success", 7, null]')),
    "deep": Fault("answers with lists in lists in lists", afterwards=_always(200, JSON, b"[" * _DEEP)),
    "huge": Fault(
        "answers with 50 MB", afterwards=_always(200, JSON, b'"' + b"x" * (_CHUNK - 1), _HUGE_CHUNKS)
    ),
    "bomb": Fault("answers with 50 MB, compressed", afterwards=_bomb),
    "missing-fields": Fault("leaves out fields", change=_fewer_fields),
    "extra-fields": Fault("adds fields that nobody knows", change=_more_fields),
    "wrong-types": Fault("gives every field another type", change=_other_types),
    # What happens inside.
    "split": Fault("a mint fails between its two transactions", splits=True),
    "other-enclave": Fault("an enclave with other keys runs the actions", other_enclave=True),
    "another-gate-key": Fault("says that the gate has another key than it has", change=_another_key),
}
GOOD = Fault("none")


@dataclass(slots=True)
class Trouble:
    """A fault in force.

    Attributes:
        name: Its name.
        fault: The row.
        call: Which calls have it: an endpoint's name, ``*``, ``writes`` or ``reads``.
        seconds: Its seconds.
        left: How many more requests have it; ``None`` for all.
    """

    name: str
    fault: Fault
    call: str = EVERY_CALL
    seconds: float = 0.0
    left: int | None = None

    @classmethod
    def of(cls, name: str, call: str, seconds: float | None, times: int | None) -> Trouble:
        """The named fault.

        Raises:
            ValueError: No such fault; seconds missing, negative, or given where they mean nothing; or no request
                would have it.
        """
        fault = FAULTS.get(name)
        if fault is None:
            raise ValueError(f"there is no fault {name!r}; there are {', '.join(FAULTS)}")
        if bool(fault.seconds) != (seconds is not None):
            takes = f"takes seconds ({fault.seconds})" if fault.seconds else "takes no seconds"
            raise ValueError(f"{name!r} {takes}")
        if seconds is not None and not 0 <= seconds < float("inf"):
            raise ValueError(f"seconds must be 0 or more, got {seconds}")
        if times is not None and times < 1:
            raise ValueError(f"times must be 1 or more, got {times}")
        if not fault.listens and (call != EVERY_CALL or times is not None):
            raise ValueError(f"{name!r} is for all calls, and until it is taken away")
        return cls(name, fault, call, seconds or 0.0, times)

    def is_about(self, name: str, *, changes: bool) -> bool:
        """Whether a call has the fault."""
        return self.call in {EVERY_CALL, name, WRITES if changes else READS}

    def snapshot(self) -> dict[str, object]:
        """What it is, as JSON."""
        return {"fault": self.name, "call": self.call, "seconds": self.seconds, "left": self.left}


class Troubles:
    """All faults in force."""

    def __init__(self) -> None:
        self._all: list[Trouble] = []

    def add(self, trouble: Trouble) -> None:
        """Put a fault in force; it replaces one for the same calls."""
        self.clear(trouble.call)
        self._all.append(trouble)

    def clear(self, call: str | None = None) -> None:
        """Take away the faults of some calls; of all with ``None``."""
        self._all = [] if call is None else [each for each in self._all if each.call != call]

    def take(self, name: str, *, changes: bool) -> Trouble:
        """Return the fault that a request has; the newest of several."""
        for trouble in reversed(self._all):
            if trouble.is_about(name, changes=changes):
                if trouble.left is not None:
                    trouble.left -= 1
                    if trouble.left == 0:
                        self._all.remove(trouble)
                return trouble
        return Trouble("", GOOD)

    @property
    def listens(self) -> bool:
        """Whether the port accepts connections."""
        return all(each.fault.listens for each in self._all)

    def snapshot(self) -> list[dict[str, object]]:
        """All of them, as JSON."""
        return [each.snapshot() for each in self._all]


def changed(answer: Answer, change: Change) -> Answer:
    """Return a good answer with another content; any other answer as it is."""
    if answer.status != 200:  # noqa: PLR2004 - a good answer
        return answer
    return Answer(answer.status, Body.json(change(json.loads(answer.body.content))))

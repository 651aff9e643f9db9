"""Faults of the local Chipotle: a table of definitions, and those that are active."""

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
    """An HTTP answer.

    Attributes:
        status: The HTTP status.
        body: The body and its type.
        times: How many times the body is repeated.
        headers: Further headers.
    """

    status: int
    body: Body
    times: int = 1
    headers: Mapping[str, str] = field(default_factory=dict)


Change = Callable[[object], object]
"""Changes the content of a successful answer."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What a fault does to a request.

    Attributes:
        about: One-line description.
        seconds: Meaning of its duration; empty if it takes none.
        listens: Whether the port accepts connections.
        ends: Whether the connection is reset without an answer, before or after the request is processed.
        hangs: Whether there is no answer on an open connection, before or after processing.
        waits: Whether it waits before processing the request.
        drips: Whether the answer is sent byte by byte, with a pause between bytes.
        breaks: Whether the connection is reset in the middle of the answer.
        refusal: Refusal sent without processing the request.
        instead: Answer sent without processing the request.
        afterwards: Answer sent in place of the real one, after processing.
        change: Changes the content of a successful answer.
        splits: Whether a mint fails between its two transactions.
        other_enclave: Whether actions run with another enclave's keys.
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
    """Replace the public key in a gate's answer to ``ask``, as a wrong or dishonest enclave would."""
    if isinstance(content, dict) and isinstance(content.get("response"), dict):
        response = content["response"]
        if "publicKey" in response:
            return {**content, "response": {**response, "publicKey": "07" * 32}}
    return content


_BAD_GATEWAY = _always(502, HTML, b"<!DOCTYPE html><html><head><title>502 Bad Gateway</title></head></html>")
_GATEWAY_TIMEOUT = _always(504, "text/plain", b"upstream timed out")

FAULTS: dict[str, Fault] = {
    # Transport.
    "down": Fault("refuses connections (all calls only)", listens=False),
    "silent": Fault("does not process the request and never answers", hangs="before"),
    "silent-after": Fault("processes the request and never answers", hangs="after"),
    "lost-before": Fault("resets the connection without processing the request", ends="before"),
    "lost-after": Fault("processes the request, then resets the connection", ends="after"),
    "slow": Fault("answers late", "before processing", waits=True),
    "drip": Fault("sends the answer byte by byte", "between bytes", drips=True),
    "reset": Fault("resets the connection in the middle of the answer", breaks=True),
    # Refusals without processing the request.
    "unauthorized": Fault("answers 401", refusal=guarded(401)),
    "payment-required": Fault("answers 402", refusal=guarded(402)),
    "forbidden": Fault("answers 403", refusal=guarded(403)),
    "not-found": Fault("answers 404", refusal=guarded(404)),
    "too-large": Fault("answers 413", refusal=guarded(413)),
    "unprocessable": Fault("answers 422", refusal=guarded(422)),
    "overloaded": Fault("answers 429", refusal=guarded(429)),
    "broken": Fault("answers 500", refusal=guarded(500)),
    "empty-error": Fault("answers 500 with an empty body", instead=_always(500, JSON, b"")),
    "unavailable": Fault("answers 503", refusal=guarded(503)),
    # Gateways in front of the service.
    "bad-gateway": Fault("a gateway answers 502; the request is not processed", instead=_BAD_GATEWAY),
    "bad-gateway-after": Fault(
        "a gateway answers 502 after the request was processed", afterwards=_BAD_GATEWAY
    ),
    "gateway-timeout": Fault("a gateway answers 504; the request is not processed", instead=_GATEWAY_TIMEOUT),
    "gateway-timeout-after": Fault(
        "a gateway answers 504 after the request was processed", afterwards=_GATEWAY_TIMEOUT
    ),
    # Content.
    "html": Fault("answers 200 with HTML", afterwards=_always(200, HTML, b"<html>Welcome!</html>")),
    "empty": Fault("answers 200 with an empty body", afterwards=_always(200, JSON, b"")),
    "not-json": Fault("answers 200 with malformed JSON", afterwards=_always(200, JSON, b'{"a": no')),
    "other-shape": Fault("answers 200 with a list", afterwards=_always(200, JSON, b'["success", 7, null]')),
    "deep": Fault("answers 200 with deeply nested lists", afterwards=_always(200, JSON, b"[" * _DEEP)),
    "huge": Fault(
        "answers 200 with 50 MB", afterwards=_always(200, JSON, b'"' + b"x" * (_CHUNK - 1), _HUGE_CHUNKS)
    ),
    "bomb": Fault("answers 200 with 50 MB, compressed", afterwards=_bomb),
    "missing-fields": Fault("leaves out fields", change=_fewer_fields),
    "extra-fields": Fault("adds unknown fields", change=_more_fields),
    "wrong-types": Fault("gives every field another type", change=_other_types),
    # Inside the service.
    "split": Fault("a mint fails between its two transactions", splits=True),
    "other-enclave": Fault("actions run with the keys of another enclave", other_enclave=True),
    "another-gate-key": Fault("reports a wrong public key for the gate", change=_another_key),
}
GOOD = Fault("none")


@dataclass(slots=True)
class ActiveFault:
    """An active fault.

    Attributes:
        name: Its name.
        fault: Its definition.
        call: Affected calls: an endpoint's name, ``*``, ``writes`` or ``reads``.
        seconds: Its duration.
        left: Number of requests it still affects; ``None`` for no limit.
    """

    name: str
    fault: Fault
    call: str = EVERY_CALL
    seconds: float = 0.0
    left: int | None = None

    @classmethod
    def of(cls, name: str, call: str, seconds: float | None, times: int | None) -> ActiveFault:
        """Create an active fault by name.

        Raises:
            ValueError: Unknown fault, missing or unexpected duration, or a number of requests below 1.
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
            raise ValueError(f"{name!r} must affect all calls, until it is removed")
        return cls(name, fault, call, seconds or 0.0, times)

    def is_about(self, name: str, *, changes: bool) -> bool:
        """Whether a call is affected."""
        return self.call in {EVERY_CALL, name, WRITES if changes else READS}

    def snapshot(self) -> dict[str, object]:
        """Return it as JSON."""
        return {"fault": self.name, "call": self.call, "seconds": self.seconds, "left": self.left}


class ActiveFaults:
    """All active faults."""

    def __init__(self) -> None:
        self._all: list[ActiveFault] = []

    def add(self, active: ActiveFault) -> None:
        """Activate a fault, replacing one for the same calls."""
        self.clear(active.call)
        self._all.append(active)

    def clear(self, call: str | None = None) -> None:
        """Remove the faults for some calls, or all with ``None``."""
        self._all = [] if call is None else [each for each in self._all if each.call != call]

    def take(self, name: str, *, changes: bool) -> ActiveFault:
        """Return the fault that affects a request, the newest of several."""
        for active in reversed(self._all):
            if active.is_about(name, changes=changes):
                if active.left is not None:
                    active.left -= 1
                    if active.left == 0:
                        self._all.remove(active)
                return active
        return ActiveFault("", GOOD)

    @property
    def listens(self) -> bool:
        """Whether the port accepts connections."""
        return all(each.fault.listens for each in self._all)

    def snapshot(self) -> list[dict[str, object]]:
        """Return all as JSON."""
        return [each.snapshot() for each in self._all]


def changed(answer: Answer, change: Change) -> Answer:
    """Change the content of a successful answer; leave others alone."""
    if answer.status != 200:  # noqa: PLR2004 - a good answer
        return answer
    return Answer(answer.status, Body.json(change(json.loads(answer.body.content))))

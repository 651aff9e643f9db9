"""The event log of a dstack machine: it must replay to the quote's RTMR3, and says which compose text was started.

RTMR3 starts with 48 zero bytes; each event with ``imr`` 3, in order, makes it SHA-384(register, digest). A runtime
event's digest is SHA-384(type as 4 bytes little endian, ":", name, ":", payload). Guests leave it out or give it; a
given one is compared, because the register binds the digest and not the payload beside it.

Source: docs/attestation.md; dstack's guest agent, tests/vectors/tdx.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from lit_airflow.errors import AttestationError
from lit_airflow.json_input import JsonInputError, parse
from lit_airflow.text import is_encodable

_REGISTER = 3
_RUNTIME_EVENT = 0x08000001
_BYTES = 48
_COMPOSE_HASH = "compose-hash"


@dataclass(frozen=True, slots=True)
class RuntimeEvent:
    """An event that RTMR3 was extended with.

    Attributes:
        name: Its name.
        payload: Its content.
    """

    name: str
    payload: bytes

    def digest(self) -> bytes:
        """Return what extends the register."""
        name = self.name.encode()
        return hashlib.sha384(b":".join((_RUNTIME_EVENT.to_bytes(4, "little"), name, self.payload))).digest()


def read_events(log: object) -> list[RuntimeEvent]:
    """Return the events of RTMR3, in order.

    Args:
        log: The log: a list, or its JSON text.

    Raises:
        AttestationError: It is malformed, or the digest of an event is not that of its content.
    """
    try:
        rows = parse(log) if isinstance(log, str) else log
        return [_event(row) for row in _rows(rows) if row["imr"] == _REGISTER]
    except (KeyError, TypeError, ValueError, JsonInputError):
        raise AttestationError("The event log is malformed.", check="event-log") from None


def check_replay(events: Sequence[RuntimeEvent], register: bytes) -> None:
    """Return nothing if the events make RTMR3 what the quote says it is.

    Raises:
        AttestationError: They do not.
    """
    replayed = bytes(_BYTES)
    for event in events:
        replayed = hashlib.sha384(replayed + event.digest()).digest()
    if not hmac.compare_digest(replayed, register):
        raise AttestationError("The event log does not replay to the quote's RTMR3.", check="event-log")


def compose_hash(events: Sequence[RuntimeEvent]) -> str:
    """Return the hash of the compose text that the machine started, 64 hex digits.

    The guest writes it once, when it boots. Applications can add events, so a second one is refused. So is a name
    that continues with a colon: the digest does not tell where the name ends, and a log that moves the colon would
    hide the guest's event behind one that the application added.

    Raises:
        AttestationError: There is none, or more than one.
    """
    found = [event.payload.hex() for event in events if event.name.partition(":")[0] == _COMPOSE_HASH]
    if len(found) != 1 or any(event.name.startswith(f"{_COMPOSE_HASH}:") for event in events):
        raise AttestationError("The event log does not name one compose text, once.", check="compose-hash")
    return found[0]


def _rows(log: Any) -> list[Any]:  # noqa: ANN401 - parsed JSON
    if not isinstance(log, list):
        raise TypeError("not a list")
    return log


def _event(row: Any) -> RuntimeEvent:  # noqa: ANN401 - parsed JSON
    name, given = row["event"], row["digest"]
    if not isinstance(name, str) or not is_encodable(name):
        raise TypeError("not a name")
    event = RuntimeEvent(name, bytes.fromhex(row["event_payload"]))
    if row["event_type"] != _RUNTIME_EVENT or (given and bytes.fromhex(given) != event.digest()):
        raise AttestationError("An event's digest is not that of its content.", check="event-log")
    return event

"""The only place that asks for the time or sleeps; everything else is given a clock.

Times are aware UTC ``datetime`` inside and ``YYYY-MM-DDTHH:MM:SS.mmmZ`` on the wire.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

Clock = Callable[[], datetime]
"""What tells the time: no argument, an aware UTC datetime."""


def now() -> datetime:
    """The time, UTC, aware."""
    return datetime.now(UTC)


def sleep(seconds: float) -> None:
    """Wait; negative counts as none."""
    time.sleep(max(0.0, seconds))


def iso(moment: datetime) -> str:
    """``YYYY-MM-DDTHH:MM:SS.mmmZ``: three decimals, cut and not rounded, as JavaScript's ``toISOString``."""
    text = moment.astimezone(UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")


def parse_iso(text: str) -> datetime:
    """Read an RFC 3339 time with a zone.

    Raises:
        ValueError: Not a time, or without a zone.
    """
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"{text!r} has no time zone")
    return moment.astimezone(UTC)


@dataclass(frozen=True, slots=True)
class Deadline:
    """A moment on the monotonic clock by which a whole operation must end, retries included."""

    at: float

    @classmethod
    def after(cls, seconds: float) -> Deadline:
        """The deadline that lies ``seconds`` ahead."""
        return cls(time.monotonic() + seconds)

    def left_s(self) -> float:
        """Seconds left, never negative."""
        return max(0.0, self.at - time.monotonic())

"""Time. The only module that asks for the time or sleeps; all others take a clock or a time as an argument.

Times are aware UTC ``datetime`` inside and ``YYYY-MM-DDTHH:MM:SS.mmmZ`` on the wire.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from lit_airflow.text import quoted

Clock = Callable[[], datetime]
"""A function without arguments that returns the time, an aware UTC datetime."""

LAST_SECOND = 253_402_300_799
"""Unix time of the last second that a ``datetime`` can have, at the end of the year 9999."""


def now() -> datetime:
    """Return the time, aware, UTC."""
    return datetime.now(UTC)


def sleep(seconds: float) -> None:
    """Sleep; a negative duration counts as zero."""
    time.sleep(max(0.0, seconds))


def iso(moment: datetime) -> str:
    """Return ``YYYY-MM-DDTHH:MM:SS.mmmZ``, truncated to milliseconds, as JavaScript's ``toISOString`` does."""
    text = moment.astimezone(UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")


def parse_iso(text: str) -> datetime:
    """Parse an RFC 3339 time with a time zone.

    Raises:
        ValueError: It is not a time, has no time zone, or lies outside of the years 1 to 9999 in UTC.
    """
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{quoted(text)} is not a time") from None
    if moment.tzinfo is None:
        raise ValueError(f"{quoted(text)} has no time zone")
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError(f"{quoted(text)} lies outside of the years 1 to 9999 in UTC") from None


@dataclass(frozen=True, slots=True)
class Deadline:
    """The time by which an operation must end, retries included.

    Attributes:
        at: Seconds on the monotonic clock.
    """

    at: float

    @classmethod
    def after(cls, seconds: float) -> Deadline:
        """Return the deadline that lies ``seconds`` ahead."""
        return cls(time.monotonic() + seconds)

    def left_s(self) -> float:
        """Return the seconds left; never negative."""
        return max(0.0, self.at - time.monotonic())

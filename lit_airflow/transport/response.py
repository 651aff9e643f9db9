"""What a server answered, and which failures may be answered by sending a request again. No I/O."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import Enum

from lit_airflow.errors import NodeError
from lit_airflow.json_input import try_parse

BUSY_STATUSES = frozenset({408, 429, 500, 502, 503, 504})
"""Statuses after which the same request may succeed a moment later."""

_SECONDS = re.compile(r"[0-9]{1,9}")


class Repeat(Enum):
    """Which failures of a request may be answered by sending it again."""

    NEVER = "never"
    """It changes something: sent twice, it may happen twice."""
    IF_UNSENT = "if unsent"
    """It changes something; repeat only what cannot have reached the server."""
    ALWAYS = "always"
    """It only reads: repeat it after any failure that may pass."""


@dataclass(frozen=True, slots=True)
class Response:
    """What a server answered.

    Attributes:
        status: The HTTP status.
        headers: The header fields; names in any case.
        body: The body, not decoded.
        took_s: Seconds from sending the request to the head of the answer. Earlier attempts do not count.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)
    took_s: float

    @property
    def succeeded(self) -> bool:
        """Whether the status is in the success class (RFC 9110, section 15.3)."""
        return 200 <= self.status < 300  # noqa: PLR2004 - that class

    @property
    def date(self) -> datetime | None:
        """The server's clock, cut to seconds; ``None`` if it did not say."""
        try:
            return parsedate_to_datetime(self.headers.get("Date", "")).astimezone(UTC)
        except (ValueError, OverflowError):
            return None

    @property
    def retry_after_s(self) -> float | None:
        """Seconds that the server asks to wait; ``None`` if it named none, or one that is too long to wait."""
        text = self.headers.get("Retry-After", "")
        return float(text) if _SECONDS.fullmatch(text) else None

    def json(self) -> object | None:
        """Return the body as JSON; ``None`` if its media type (RFC 9110, section 8.3.1) or its text is not."""
        media_type = self.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        if media_type != "application/json" and not media_type.endswith("+json"):
            return None
        found: object | None = try_parse(self.body)
        return found


def may_repeat(outcome: Response | NodeError, repeat: Repeat) -> bool:
    """Return whether an attempt that ended like this may be followed by another one."""
    if isinstance(outcome, Response):
        return repeat is Repeat.ALWAYS and outcome.status in BUSY_STATUSES
    if not outcome.retryable:
        return False
    return repeat is Repeat.ALWAYS or (repeat is Repeat.IF_UNSENT and not outcome.sent)

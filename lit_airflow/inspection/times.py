"""When something began and ends, read as nodes read it, and what is wrong with that."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta

from lit_airflow.clock import parse_iso
from lit_airflow.inspection.report import Finding

_RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)", re.ASCII)
_GRACE = timedelta(seconds=60)
_LONGEST = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Lifetime:
    """From when to when; ``None`` for what cannot be read."""

    issued_at: datetime | None
    expires_at: datetime | None

    def findings(self, now: datetime, nodes: tuple[str, ...] = ()) -> list[Finding]:
        """What nodes would say. They give 60 s of grace after the end; the client gives none."""
        found = []
        if self.issued_at is None or self.expires_at is None:
            found.append(
                Finding("unreadable-time", "When it began or ends is not a time with a zone.", nodes)
            )
        if self.expires_at is not None and now >= self.expires_at:
            found.append(Finding("expired", f"It ended at {self.expires_at:%Y-%m-%d %H:%M:%S} UTC.", nodes))
        if self.issued_at is not None and self.issued_at > now + _GRACE:
            found.append(Finding("issued-later", "It was issued in the future, by this clock.", nodes))
        if self.issued_at is None or self.expires_at is None:
            return found
        if self.expires_at < self.issued_at:
            found.append(Finding("ends-before-start", "It ends before it begins.", nodes))
        if self.expires_at - self.issued_at > _LONGEST:
            found.append(Finding("too-long", "It lasts more than the 30 days that nodes accept.", nodes))
        return found


def moment(text: object) -> datetime | None:
    """An RFC 3339 time with a zone, or ``None``."""
    if not isinstance(text, str) or not _RFC3339.fullmatch(text):
        return None
    try:
        return parse_iso(text.upper())
    except (ValueError, OverflowError):  # no such day, or beyond the calendar once it is UTC
        return None

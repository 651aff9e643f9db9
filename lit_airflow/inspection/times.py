"""Lifetimes: when something begins and expires, as nodes read it, and the problems with that."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta

from lit_airflow.clock import parse_iso
from lit_airflow.inspection.report import Problem

_RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)", re.ASCII)
_GRACE = timedelta(seconds=60)
_MAX_LIFETIME = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Lifetime:
    """When something begins and expires; ``None`` for a time that cannot be read."""

    issued_at: datetime | None
    expires_at: datetime | None

    def problems(self, now: datetime, nodes: tuple[str, ...] = ()) -> list[Problem]:
        """Return the problems that nodes find. They allow 60 s after the end; this package allows none."""
        found = []
        if self.issued_at is None or self.expires_at is None:
            found.append(
                Problem("unreadable-time", "The beginning or end is not a time with a time zone.", nodes)
            )
        if self.expires_at is not None and now >= self.expires_at:
            found.append(Problem("expired", f"It expired at {self.expires_at:%Y-%m-%d %H:%M:%S} UTC.", nodes))
        if self.issued_at is not None and self.issued_at > now + _GRACE:
            found.append(
                Problem("issued-later", "It was issued in the future, according to this clock.", nodes)
            )
        if self.issued_at is None or self.expires_at is None:
            return found
        if self.expires_at < self.issued_at:
            found.append(Problem("ends-before-start", "It expires before it begins.", nodes))
        if self.expires_at - self.issued_at > _MAX_LIFETIME:
            found.append(Problem("too-long", "It lasts longer than the 30 days that nodes accept.", nodes))
        return found


def moment(text: object) -> datetime | None:
    """Parse an RFC 3339 time with a time zone; return ``None`` for anything else."""
    if not isinstance(text, str) or not _RFC3339.fullmatch(text):
        return None
    try:
        return parse_iso(text.upper())
    except ValueError:  # a day that does not exist, or a year beyond 9999 in UTC
        return None

"""How long a session may last.

Source: docs/protocol/session-signatures.md: nodes refuse a session that ends over 30 days after its issue.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from lit_airflow.clock import iso, parse_iso
from lit_airflow.errors import SettingsError
from lit_airflow.text import quoted

LONGEST_SESSION_S = 30 * 24 * 3600


def checked_ttl(ttl_s: float) -> float:
    """Return the lifetime in seconds if nodes accept it.

    Raises:
        SettingsError: It is shorter than a second or longer than 30 days.
    """
    if not 1 <= ttl_s <= LONGEST_SESSION_S:
        raise SettingsError(
            f"The lifetime of a session must be between 1 second and 30 days, got {ttl_s:g} seconds.",
            field="ttl_s",
        )
    return ttl_s


def ending(now: datetime, *, ttl_s: float, expiration: str | None = None) -> str:
    """Return when a session ends, as the text to sign.

    Args:
        now: When it begins.
        ttl_s: Its lifetime in seconds; ignored if ``expiration`` is given.
        expiration: When it ends, RFC 3339 text; used unchanged.

    Raises:
        SettingsError: The end is not a time with a time zone, has passed, or is more than 30 days away.
    """
    end = expiration or iso(now + timedelta(seconds=checked_ttl(ttl_s)))
    try:
        lifetime_s = (parse_iso(end) - now).total_seconds()
    except ValueError:
        raise SettingsError(
            f"{quoted(end)} is not a time with a time zone.",
            field="expiration",
            hint="Write it as 2025-01-15T12:00:00Z.",
        ) from None
    if not 0 < lifetime_s <= LONGEST_SESSION_S:
        raise SettingsError(
            f"The expiration {quoted(end)} must be in the future, and at most 30 days away.",
            field="expiration",
        )
    return end

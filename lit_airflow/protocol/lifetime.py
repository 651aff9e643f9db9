"""How long a session may last.

Source: spec of the protocol, sections 8 and 13: nodes refuse a session that ends over 30 days after its issue.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from lit_airflow.clock import iso, parse_iso
from lit_airflow.errors import SettingsError

LONGEST_SESSION_S = 30 * 24 * 3600


def checked_ttl(ttl_s: float) -> float:
    """The lifetime, seconds, if nodes accept it.

    Raises:
        SettingsError: Shorter than a second, or longer than 30 days.
    """
    if not 1 <= ttl_s <= LONGEST_SESSION_S:
        raise SettingsError(
            f"A session lasts from 1 second to 30 days, not {ttl_s:g} seconds.", field="ttl_s"
        )
    return ttl_s


def ending(now: datetime, *, ttl_s: float, expiration: str | None = None) -> str:
    """When a session ends, as the text to sign.

    Args:
        now: When it begins.
        ttl_s: Its lifetime in seconds, where ``expiration`` is not given.
        expiration: RFC 3339 text; used unchanged.

    Raises:
        SettingsError: Not a time with a zone, past, or longer off than nodes accept.
    """
    end = expiration or iso(now + timedelta(seconds=checked_ttl(ttl_s)))
    try:
        lifetime_s = (parse_iso(end) - now).total_seconds()
    except ValueError:
        raise SettingsError(f"{end!r} is no time with a zone.", field="expiration") from None
    if not 0 < lifetime_s <= LONGEST_SESSION_S:
        raise SettingsError(
            f"A session lasts up to 30 days from now; {end} is not in that time.", field="expiration"
        )
    return end

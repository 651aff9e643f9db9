"""How this machine's clock compares with a server's, from the ``Date`` header of its answers."""

from __future__ import annotations

from datetime import datetime

# A slower answer says too little about the server's clock.
_MAX_TOOK_S = 2.0
_TOLERATED_S = 5.0


def skew_s(now: datetime, date: datetime | None, took_s: float) -> float | None:
    """Return by how many seconds this machine's clock is ahead of a server's.

    The result is good to half a second and half of ``took_s``.

    Args:
        now: This machine's clock when the answer arrived.
        date: The server's, cut to whole seconds; ``None`` if it did not say.
        took_s: Seconds until the answer; after more than two seconds the result is ``None``.
    """
    if date is None or took_s > _MAX_TOOK_S:
        return None
    return (now - date).total_seconds() - took_s / 2 - 0.5


def clock_warning(skew_s: float | None) -> str:
    """Return a warning if this machine's clock differs from the servers' by five seconds or more.

    Otherwise return an empty text.
    """
    if skew_s is None or abs(skew_s) < _TOLERATED_S:
        return ""
    return (
        f"This machine's clock is {abs(skew_s):.0f} s {'ahead of' if skew_s > 0 else 'behind'} the servers'."
    )


def odd_clock_warning(skew_s: float | None, usual_skew_s: float | None) -> str:
    """Return a warning if one server's clock differs from the other servers' by five seconds or more.

    Otherwise return an empty text.

    Args:
        skew_s: By how many seconds this machine's clock is ahead of that server's.
        usual_skew_s: The same for most servers.
    """
    if skew_s is None or usual_skew_s is None or abs(usual_skew_s - skew_s) < _TOLERATED_S:
        return ""
    ahead_s = usual_skew_s - skew_s
    return f"its clock is {abs(ahead_s):.0f} s {'ahead of' if ahead_s > 0 else 'behind'} the other servers'"


def clock_sentence(skew_s: float | None) -> str:
    """Say for people how this machine's clock compares with the servers'."""
    if skew_s is None:
        return "No server told the time."
    return (
        clock_warning(skew_s) or f"This machine's clock agrees with theirs to {max(1, round(abs(skew_s)))} s."
    )

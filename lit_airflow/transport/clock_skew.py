"""How this machine's clock compares with a server's, from the ``Date`` header of its answers."""

from __future__ import annotations

from datetime import datetime

# A slower answer says too little about the server's clock.
_MAX_TOOK_S = 2.0
_TOLERATED_S = 5.0


def skew_s(now: datetime, date: datetime | None, took_s: float) -> float | None:
    """Seconds by which our clock is ahead of a server's, to half a second and half the time the answer took.

    Args:
        now: Our clock, when the answer was there.
        date: The server's, cut to whole seconds.
        took_s: How long the answer took; after more than two seconds it tells nothing.
    """
    if date is None or took_s > _MAX_TOOK_S:
        return None
    return (now - date).total_seconds() - took_s / 2 - 0.5


def wrong_clock(skew_s: float | None) -> str:
    """That this machine's clock is wrong, if it is so far off the nodes' that it should be mended; else empty."""
    if skew_s is None or abs(skew_s) < _TOLERATED_S:
        return ""
    return f"This machine's clock is {abs(skew_s):.0f} s {'ahead of' if skew_s > 0 else 'behind'} the nodes'."

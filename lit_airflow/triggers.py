"""Waiting without a worker slot."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from lit_airflow import clock

_LONGEST_NAP_S = 30.0


class LitSessionExpiryTrigger(BaseTrigger):
    """Fires when a session is due for renewal. Carries times only: nothing that could open anything.

    Args:
        expires_at: When the session ends, RFC 3339 text: a ticket's ``expires_at``.
        lead_s: Fire so many seconds before.

    The event's payload is ``{"status": "due", "expires_at": …}``.
    """

    def __init__(self, expires_at: str, lead_s: float = 0.0) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.expires_at = expires_at
        self.lead_s = lead_s

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """The class path and the arguments, as Airflow stores them."""
        return (
            f"{type(self).__module__}.{type(self).__name__}",
            {"expires_at": self.expires_at, "lead_s": self.lead_s},
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Sleep in short naps, so that a clock that is set meanwhile is noticed.

        Raises:
            ValueError: ``expires_at`` is no time with a zone.
        """
        due = clock.parse_iso(self.expires_at) - timedelta(seconds=self.lead_s)
        while (left_s := (due - clock.now()).total_seconds()) > 0:  # noqa: ASYNC110 - the clock is no event
            await asyncio.sleep(min(left_s, _LONGEST_NAP_S))
        event = {"status": "due", "expires_at": self.expires_at}
        yield TriggerEvent(event)  # type: ignore[no-untyped-call]

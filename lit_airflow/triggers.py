"""Triggers: they wait without a worker slot, and hold only times and names, nothing secret."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from lit_airflow import clock

_MAX_SLEEP_S = 30.0
_FINISHED = frozenset({"success", "failed", "skipped", "upstream_failed", "removed"})


class LitMomentTrigger(BaseTrigger):
    """Fires at a moment, and hands back what the waiting task needs to go on.

    Args:
        moment: RFC 3339 text with a zone.
        carry: What the event hands back unchanged. Stored in clear.

    The event's payload is ``{"status": "due", "moment": …, "carry": …}``.
    """

    def __init__(self, moment: str, carry: Mapping[str, str | int] | None = None) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.moment = moment
        self.carry = dict(carry or {})

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class path and the arguments, as Airflow stores them."""
        return _path(self), {"moment": self.moment, "carry": self.carry}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Sleep in short steps, so that a change of the clock is noticed.

        Raises:
            ValueError: ``moment`` is not a time with a zone.
        """
        await _until(clock.parse_iso(self.moment))
        yield _event(status="due", moment=self.moment, carry=self.carry)


class LitSessionExpiryTrigger(BaseTrigger):
    """Fires when a session is due for renewal.

    Args:
        expires_at: When the session ends, RFC 3339 text: a ticket's ``expires_at``.
        lead_s: Fire this many seconds before.

    The event's payload is ``{"status": "due", "expires_at": …}``.
    """

    def __init__(self, expires_at: str, lead_s: float = 0.0) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.expires_at = expires_at
        self.lead_s = lead_s

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class path and the arguments, as Airflow stores them."""
        return _path(self), {"expires_at": self.expires_at, "lead_s": self.lead_s}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Sleep in short steps, so that a change of the clock is noticed.

        Raises:
            ValueError: ``expires_at`` is not a time with a zone.
        """
        await _until(clock.parse_iso(self.expires_at) - timedelta(seconds=self.lead_s))
        yield _event(status="due", expires_at=self.expires_at)


class LitKeepAliveTrigger(BaseTrigger):
    """Fires when a session is due for renewal, or when all tasks that need it have finished, whichever is first.

    Args:
        due_at: When to renew, RFC 3339 text.
        dag_id: The DAG whose tasks are watched.
        run_id: Its run.
        task_ids: The tasks; of a mapped one, every instance.
        poll_s: Seconds between two checks of their states.

    The event's payload is ``{"status": "due"}`` or ``{"status": "done"}``.
    """

    def __init__(
        self, due_at: str, dag_id: str, run_id: str, task_ids: Sequence[str], poll_s: float = 10.0
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.due_at = due_at
        self.dag_id = dag_id
        self.run_id = run_id
        self.task_ids = list(task_ids)
        self.poll_s = poll_s

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class path and the arguments, as Airflow stores them."""
        return _path(self), {
            "due_at": self.due_at,
            "dag_id": self.dag_id,
            "run_id": self.run_id,
            "task_ids": self.task_ids,
            "poll_s": self.poll_s,
        }

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Check the tasks, sleep, and check again.

        Raises:
            ValueError: ``due_at`` is not a time with a zone.
        """
        due = clock.parse_iso(self.due_at)
        while not await self._done():
            left_s = (due - clock.now()).total_seconds()
            if left_s <= 0:
                yield _event(status="due")
                return
            await asyncio.sleep(min(left_s, self.poll_s))
        yield _event(status="done")

    async def _done(self) -> bool:
        from airflow.sdk.execution_time.task_runner import (  # noqa: PLC0415 - only a triggerer watches
            RuntimeTaskInstance,
        )
        from asgiref.sync import sync_to_async  # noqa: PLC0415 - the same

        ask = sync_to_async(RuntimeTaskInstance.get_task_states)
        runs = await ask(dag_id=self.dag_id, task_ids=self.task_ids, run_ids=[self.run_id])
        return set(runs.get(self.run_id, {"": None}).values()) <= _FINISHED


def _path(trigger: BaseTrigger) -> str:
    return f"{type(trigger).__module__}.{type(trigger).__name__}"


def _event(**payload: object) -> TriggerEvent:
    return TriggerEvent(payload)  # type: ignore[no-untyped-call]


async def _until(moment: datetime) -> None:
    while (left_s := (moment - clock.now()).total_seconds()) > 0:  # noqa: ASYNC110 - the clock sends no event
        await asyncio.sleep(min(left_s, _MAX_SLEEP_S))

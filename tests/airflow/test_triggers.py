"""The trigger that fires when a session is due, run by asyncio itself."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from airflow.sdk.module_loading import import_string

from lit_airflow.clock import iso
from lit_airflow.triggers import LitSessionExpiryTrigger


async def first(trigger: LitSessionExpiryTrigger) -> Any:  # noqa: ANN401 - the event's payload
    async for event in trigger.run():
        return event.payload
    return None


def in_seconds(seconds: float) -> str:
    return iso(datetime.now(UTC) + timedelta(seconds=seconds))


def test_it_fires_when_only_the_lead_is_left() -> None:
    expires_at = in_seconds(3600.4)
    trigger = LitSessionExpiryTrigger(expires_at, lead_s=3600)
    started = datetime.now(UTC)
    assert asyncio.run(first(trigger)) == {"status": "due", "expires_at": expires_at}
    assert 0.2 < (datetime.now(UTC) - started).total_seconds() < 5


def test_it_waits_while_there_is_time() -> None:
    with pytest.raises(TimeoutError):
        asyncio.run(asyncio.wait_for(first(LitSessionExpiryTrigger(in_seconds(60), lead_s=5)), timeout=0.3))


def test_a_session_that_is_over_is_due_at_once() -> None:
    assert asyncio.run(first(LitSessionExpiryTrigger(in_seconds(-5))))["status"] == "due"


def test_a_triggerer_makes_the_same_of_what_is_stored() -> None:
    path, arguments = LitSessionExpiryTrigger(in_seconds(9), lead_s=2.5).serialize()
    again = import_string(path)(**arguments)
    assert again.serialize() == (path, arguments)
    assert set(arguments) == {"expires_at", "lead_s"}


def test_a_time_without_zone_is_an_error() -> None:
    with pytest.raises(ValueError, match="no time zone"):
        asyncio.run(first(LitSessionExpiryTrigger("2026-01-01T00:00:00")))

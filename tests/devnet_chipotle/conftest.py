"""Local Chipotles of both profiles, on the real clock and on one that the test moves."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from lit_airflow.devnet.chipotle import Chipotle, Settings
from tests.devnet_chipotle.client import Client, owner
from tests.devnet_chipotle.warm_engine import WarmEngine, warm

__all__ = ["warm"]


class HandClock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.at = datetime(2026, 11, 27, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.at

    def move(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)


@pytest.fixture
def hand_clock() -> HandClock:
    return HandClock()


@pytest.fixture
def june(warm: WarmEngine) -> Iterator[Client]:
    with Chipotle("june") as net:
        yield owner(warm.serve(net))


@pytest.fixture
def april(warm: WarmEngine) -> Iterator[Client]:
    with Chipotle("april") as net:
        yield owner(warm.serve(net))


@pytest.fixture(params=["april", "june"])
def either(request: pytest.FixtureRequest, warm: WarmEngine) -> Iterator[Client]:
    with Chipotle(request.param) as net:
        yield owner(warm.serve(net))


@pytest.fixture(params=["april", "june"])
def still(request: pytest.FixtureRequest, hand_clock: HandClock, warm: WarmEngine) -> Iterator[Client]:
    """As ``either``, on the clock that the test moves."""
    with Chipotle(request.param, settings=Settings(clock=hand_clock)) as net:
        yield owner(warm.serve(net))

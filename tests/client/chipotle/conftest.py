from __future__ import annotations

from collections.abc import Iterator

import pytest

from lit_airflow.devnet.chipotle import Chipotle, Settings
from tests.client.chipotle.local import Local, MovedClock
from tests.client.chipotle.warm_engine import WarmEngine


@pytest.fixture(scope="session")
def warm() -> Iterator[WarmEngine]:
    """The Deno process of all tests."""
    engine = WarmEngine()
    yield engine
    engine.end()


@pytest.fixture(params=["april", "june"])
def local(request: pytest.FixtureRequest, warm: WarmEngine) -> Iterator[Local]:
    clock = MovedClock()
    with Chipotle(request.param, settings=Settings(clock=clock)) as net:
        yield Local(warm.serve(net), clock)

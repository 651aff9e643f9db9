from __future__ import annotations

from collections.abc import Iterator

import pytest

from lit_airflow.devnet.chipotle import Chipotle, Settings
from tests.client.chipotle.local import Local, MovedClock
from tests.devnet_chipotle.warm_engine import WarmEngine


@pytest.fixture(params=["april", "june"])
def local(request: pytest.FixtureRequest, warm: WarmEngine) -> Iterator[Local]:
    clock = MovedClock()
    with Chipotle(request.param, settings=Settings(clock=clock)) as net:
        yield Local(warm.serve(net), clock)

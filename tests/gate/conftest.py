from __future__ import annotations

from collections.abc import Iterator

import pytest

from lit_airflow.devnet.deno import DenoRunner
from tests.gate.engine import Gate, gate_text


@pytest.fixture(scope="session")
def gate() -> Iterator[Gate]:
    with DenoRunner(runs_per_worker=100_000) as runner:
        yield Gate(runner, gate_text())

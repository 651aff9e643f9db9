"""The gate that the vectors are put to: the shipped one, or the file that ``--gate`` names."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from lit_airflow.devnet.deno import DenoRunner, Limits
from tests.gate.engine import Gate, gate_text


@pytest.fixture(scope="session")
def gate(pytestconfig: pytest.Config) -> Iterator[Gate]:
    """The gate's text in a warm Deno."""
    given = pytestconfig.getoption("gate")
    path = None if given is None else pytestconfig.invocation_params.dir / Path(given)
    # Every run leaves its compiled text behind in the shared isolate: more memory than one run may have.
    with DenoRunner(runs_per_worker=100_000, limits=Limits(memory_mb=512)) as runner:
        yield Gate(runner, gate_text() if path is None else path.read_bytes().decode("ascii"))

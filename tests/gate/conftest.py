from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from lit_airflow.devnet.deno import DenoRunner, Limits
from tests.gate.engine import Gate, gate_text

# What looks inside the shipped text has nothing to say about another one.
collect_ignore = (
    ["test_text.py", "test_internals.py", "test_hpke.py", "test_mutants.py"]
    if os.environ.get("GATE_TEXT")
    else []
)


@pytest.fixture(scope="session")
def gate() -> Iterator[Gate]:
    # Every run leaves its compiled text behind in the shared isolate: more memory than one run may have.
    with DenoRunner(runs_per_worker=100_000, limits=Limits(memory_mb=512)) as runner:
        yield Gate(runner, gate_text())

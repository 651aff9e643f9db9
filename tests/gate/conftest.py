from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from lit_airflow.devnet.deno import DenoRunner, Limits
from tests.gate.engine import Gate, gate_text

_HERE = Path(__file__).parent
# What looks inside the shipped text has nothing to say about another one.
collect_ignore = (
    ["test_text.py", "test_internals.py", "test_hpke.py", "test_mutants.py"]
    if os.environ.get("GATE_TEXT")
    else []
)


@pytest.fixture(scope="session")
def gate() -> Iterator[Gate]:
    # Every run leaves its compiled text behind in the shared isolate: more memory than one run may have.
    with DenoRunner(runs_per_worker=2_000, limits=Limits(memory_mb=512)) as runner:
        yield Gate(runner, gate_text())


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave out what another folder of vectors has no cases for, rather than skip it."""
    items[:] = [item for item in items if not (item.path.parent == _HERE and _is_empty(item))]


def _is_empty(item: pytest.Item) -> bool:
    reasons = [str(marker.kwargs.get("reason")) for marker in item.iter_markers("skip")]
    return any("empty parameter set" in reason for reason in reasons)

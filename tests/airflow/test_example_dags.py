"""What the example DAGs in ``dags/`` are; tests/installation runs them, and tests/pipelines on Chipotle."""

import ast
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import pytest

from lit_airflow.sandbox.examples import example_dags

FOLDER = example_dags()
ORDERS = FOLDER / "data" / "orders.csv"


def example(file: str) -> Any:  # noqa: ANN401 - a DAG's module
    """What an example file defines."""
    spec = spec_from_file_location(file, FOLDER / f"{file}.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_consumer_waits_for_what_refresh_announces() -> None:
    module = example("lit_session_refresh")
    [outlet] = module.lit_session_refresh().get_task("session").outlets
    consumer = module.lit_session_consumer()
    assert consumer.timetable.asset_condition == outlet


@pytest.mark.parametrize("file", sorted(FOLDER.glob("*.py")), ids=lambda file: file.stem)
def test_each_example_says_what_it_is(file: Path) -> None:
    """That reading one loads nothing heavy: tests/airflow/test_imports.py."""
    assert len((ast.get_docstring(ast.parse(file.read_text())) or "").split()) > 40

"""Every vector for the gate, in a warm Deno; the first of each file also in a fresh one, as a plain script."""

from __future__ import annotations

import json
from typing import Any

import pytest

from lit_airflow.devnet.deno import DenoRunner
from tests.gate.engine import REQUESTS, Gate, cases, disagreements, gate_text

ALL = [(f"{file}: {case['name']}", case) for file in REQUESTS for case in cases(file)]
SCRIPTS = [*(cases(file)[0] for file in REQUESTS if cases(file)), *(c for _, c in ALL if "params_text" in c)]


@pytest.mark.parametrize("case", [case for _, case in ALL], ids=[name for name, _ in ALL])
def test_outcome(gate: Gate, case: dict[str, Any]) -> None:
    assert disagreements(gate.run_case(case), case) == []


@pytest.mark.parametrize("case", cases("keys"), ids=lambda case: case["name"])
def test_key(gate: Gate, case: dict[str, Any]) -> None:
    answer = gate.answer(case["secret"], json.dumps(case["params"]), now_ms=case["now"])
    assert answer == case["expected"]
    assert case["audience"] == f"lit:gate:{answer['publicKey']}"


@pytest.mark.parametrize("case", SCRIPTS, ids=lambda case: case["name"])
def test_outcome_as_a_plain_script(script: Gate, case: dict[str, Any]) -> None:
    assert disagreements(script.run_case(case), case) == []


@pytest.fixture(scope="module")
def script() -> Any:  # noqa: ANN401 (an iterator of Gate)
    with DenoRunner() as runner:
        yield Gate(runner, gate_text())

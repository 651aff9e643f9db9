"""Every rule of the gate, on both sides of its boundary."""

from __future__ import annotations

from typing import Any

import pytest

from tests.gate.engine import Gate, disagreements
from tests.gate.rules import all_cases, in_batches

CASES = all_cases()
BATCHES = list(in_batches(CASES))


@pytest.mark.parametrize("case", BATCHES, ids=lambda case: f"{case['names'][0]} ({len(case['names'])})")
def test_rule(gate: Gate, case: dict[str, Any]) -> None:
    assert disagreements(gate.run_case(case), case) == []


def test_names_are_unique() -> None:
    assert len({case["name"] for case in CASES}) == len(CASES)

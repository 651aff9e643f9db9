"""Every rule of the gate, on both sides of its boundary."""

from __future__ import annotations

import pytest

from tests.gate.engine import Gate, disagreements
from tests.gate.rules import TOPICS, cases_of, in_batches


@pytest.mark.parametrize("topic", TOPICS)
def test_rules(gate: Gate, topic: str) -> None:
    cases = cases_of(topic)
    assert len({case["name"] for case in cases}) == len(cases) > 10
    wrong = [disagreements(gate.run_case(case), case) for case in in_batches(cases)]
    assert [told for each in wrong for told in each] == []

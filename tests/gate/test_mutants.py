"""Every mutant of the gate's text is noticed, or cannot be: then it stands here, with the reason."""

from __future__ import annotations

import pytest

from tests.gate.engine import gate_text
from tests.gate.justified import JUSTIFIED
from tests.gate.mutants import mutants, survivors


@pytest.mark.soak
@pytest.mark.timeout(6 * 3600)
def test_mutants_are_noticed() -> None:
    found = {f"{mutant.line}:{mutant.change}" for mutant in survivors()}
    justified = {mutant for group in JUSTIFIED.values() for mutant in group}
    assert sorted(found ^ justified) == []


def test_what_is_justified_are_mutants_of_the_text() -> None:
    existing = {f"{mutant.line}:{mutant.change}" for mutant in mutants(gate_text())}
    assert [key for group in JUSTIFIED.values() for key in group if key not in existing] == []

"""Every mutant of the gate's text is noticed, or cannot be: then it stands here, with the reason."""

from __future__ import annotations

import pytest
from tests.gate.justified import JUSTIFIED

from tests.gate.mutants import survivors


@pytest.mark.soak
@pytest.mark.timeout(6 * 3600)
def test_mutants_are_noticed() -> None:
    found = {f"{mutant.line}:{mutant.change}" for mutant in survivors()}
    assert sorted(found ^ set(JUSTIFIED)) == []

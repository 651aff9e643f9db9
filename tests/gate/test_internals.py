"""Parts of the shipped gate that the run time would cover for."""

from __future__ import annotations

import pytest

from tests.gate.engine import Gate
from tests.gate.rules.internals import INTERNALS


@pytest.mark.parametrize(
    ("code", "expected"), [row[1:] for row in INTERNALS], ids=[row[0] for row in INTERNALS]
)
def test_internals(gate: Gate, code: str, expected: object) -> None:
    assert gate.evaluate(code) == expected

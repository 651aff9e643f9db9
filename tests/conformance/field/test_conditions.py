"""Conditions of real projects, in the shape of ``datil/acc.json``."""

from __future__ import annotations

from typing import Any

from tests.conformance.datil.test_acc import check


def test_case(case: dict[str, Any]) -> None:
    check(case)

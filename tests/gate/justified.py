"""Mutants that no case can notice, each with the reason: ``line:column: change`` of the published text."""

from __future__ import annotations

JUSTIFIED: dict[str, str] = {}

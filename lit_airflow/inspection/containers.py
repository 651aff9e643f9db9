"""Containers: who may decrypt them, and who may without meeting any condition."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from lit_airflow.errors import LitError
from lit_airflow.inspection.report import DocumentKind, Problem, Report
from lit_airflow.protocol.container import Container
from lit_airflow.protocol.humanize import humanize
from lit_airflow.text import quoted

_UNOPENED = ("The ciphertext: verifying that requires decrypting it.",)


def looks_like(document: Mapping[str, Any]) -> bool:
    """Return whether a document is meant to be a container."""
    return "ciphertext" in document


def report(fields: Mapping[str, Any], now: datetime) -> Report:
    """Return the report on a container."""
    problems, conditions = [], None
    try:
        container = Container.parse(fields)
        conditions = humanize(container.conditions)
        container.scope()
    except LitError as error:
        problems.append(Problem("container", error.message))
    recovery = fields.get("recovery")
    if recovery is not None:
        key = recovery.get("key") if isinstance(recovery, Mapping) else None
        text = (
            f"Who has the secret half of the recovery key {quoted(str(key))} decrypts without any condition."
        )
        problems.append(Problem("recovery-copy", text, wrong=False))
    network = fields.get("network")
    return Report(
        kind=DocumentKind.CONTAINER,
        now=now,
        network=network if isinstance(network, str) and network else None,
        problems=tuple(problems),
        unchecked=_UNOPENED,
        conditions=conditions,
    )

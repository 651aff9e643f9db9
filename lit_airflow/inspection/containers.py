"""Containers: who may decrypt them, and who may without meeting any condition."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from lit_airflow.errors import LitError
from lit_airflow.inspection.report import DocumentKind, Problem, Report
from lit_airflow.protocol.container import Container
from lit_airflow.protocol.humanize import humanize
from lit_airflow.text import listed, quoted

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
    problems += _servers(fields.get("rpc"))
    network = fields.get("network")
    return Report(
        kind=DocumentKind.CONTAINER,
        now=now,
        gate=_text(fields.get("gate")),
        lock=_text(fields.get("lock")),
        network=network if isinstance(network, str) and network else None,
        problems=tuple(problems),
        unchecked=_UNOPENED,
        conditions=conditions,
    )


def _servers(rpc: object) -> Iterator[Problem]:
    """Yield a warning for each chain whose state a gate asks for: of which servers."""
    for chain, urls in rpc.items() if isinstance(rpc, Mapping) else ():
        named = listed(list(map(str, urls))) if isinstance(urls, list) else quoted(str(urls))
        text = f"Each of these servers alone decides what the chain {quoted(str(chain))} says: {named}."
        yield Problem("chain-servers", text, wrong=False)


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None

"""Explain tickets, session sigs and containers for people: facts and problems, without secrets.

Only the document and the given time are used: nothing is sent, opened or decrypted.

Source: design of this package (tickets); docs/protocol/scope.md, docs/protocol/siwe.md and
docs/protocol/session-signatures.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from lit_airflow.errors import ConditionError, SessionError
from lit_airflow.inspection import containers, signatures, tickets
from lit_airflow.inspection.report import DocumentKind, NodeReport, Permission, Problem, Report
from lit_airflow.protocol.conditions import Conditions
from lit_airflow.protocol.humanize import humanize
from lit_airflow.protocol.scope import ACCESS_CONTROL_CONDITION

__all__ = ["DocumentKind", "NodeReport", "Permission", "Problem", "Report", "inspect"]


def inspect(document: object, *, now: datetime, conditions: Conditions | None = None) -> Report:
    """Explain a ticket, session sigs or a container.

    Args:
        document: The parsed JSON: a ticket, session sigs with or without the session key, or a container.
        now: The time, aware.
        conditions: Conditions to explain, and to compare with the session's scope; not used for a container.

    Raises:
        SessionError: The document is none of these.
    """
    inner = document.get("sessionSigs") if isinstance(document, Mapping) else None
    has_key = isinstance(inner, Mapping)
    document = inner if has_key else document
    if isinstance(document, Mapping) and tickets.looks_like(document):
        report = tickets.report(document, now)
    elif isinstance(document, Mapping) and signatures.looks_like(document):
        report = signatures.report(document, now)
    elif isinstance(document, Mapping) and containers.looks_like(document):
        return containers.report(document, now)
    else:
        raise SessionError(
            "The document is neither a ticket, nor session sigs, nor a container.",
            hint="Give the JSON that a session task pushed, that getSessionSigs returned, or that was encrypted.",
        )
    if has_key:
        text = "The document contains the session key: its readers can use the session until it expires."
        problem = Problem("session-key-inside", text, wrong=False)
        report = replace(report, problems=(*report.problems, problem))
    return report if conditions is None else _with_conditions(report, conditions)


def _with_conditions(report: Report, conditions: Conditions) -> Report:
    reached = (f"{ACCESS_CONTROL_CONDITION}://*", f"{ACCESS_CONTROL_CONDITION}://{conditions.hash}/")
    problems = list(report.problems)
    if not any(p.resource == reached[0] or p.resource.startswith(reached[1]) for p in report.scope):
        problems.append(
            Problem(
                "other-conditions",
                f"The session cannot decrypt data with these conditions, whose hash is {conditions.hash}.",
                wrong=False,
            )
        )
    problems += _doubts(conditions, report.now)
    return replace(report, conditions=humanize(conditions), problems=tuple(problems))


def _doubts(conditions: Conditions, now: datetime) -> list[Problem]:
    """Return a warning for each reason why these conditions may never be met."""
    try:
        conditions.check_schema()
    except ConditionError as error:
        return [
            Problem("conditions", f"Nothing can be encrypted under these conditions. {error}", wrong=False)
        ]
    return [
        Problem("conditions", f"{doubt.field}: {doubt.message}.", wrong=False)
        for doubt in conditions.doubts(now=now)
    ]

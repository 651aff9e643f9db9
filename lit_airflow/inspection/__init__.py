"""What a ticket or a session-sigs map is, and what is wrong with it; for people, and without its secrets.

Everything is judged from the document and the time given: nothing is sent, opened or decrypted.

Source: design of this package (tickets); docs/protocol/scope.md, docs/protocol/siwe.md and
docs/protocol/session-signatures.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from lit_airflow.errors import SessionError
from lit_airflow.inspection import signatures, tickets
from lit_airflow.inspection.report import Finding, NodeReport, Permission, Report
from lit_airflow.protocol.conditions import Conditions
from lit_airflow.protocol.humanize import humanize
from lit_airflow.protocol.scope import ACCESS_CONTROL_CONDITION

__all__ = ["Finding", "NodeReport", "Permission", "Report", "inspect"]


def inspect(document: object, *, now: datetime, conditions: Conditions | None = None) -> Report:
    """Look at a ticket or at session sigs.

    Args:
        document: Its JSON, parsed.
        now: The time to judge by, aware.
        conditions: Say these in words, and whether the session reaches what they protect.

    Raises:
        SessionError: The document is neither of the two.
    """
    with_key = isinstance(document, Mapping) and isinstance(document.get("sessionSigs"), Mapping)
    if isinstance(document, Mapping) and with_key:
        document = document["sessionSigs"]
    if isinstance(document, Mapping) and tickets.looks_like(document):
        report = tickets.report(document, now)
    elif isinstance(document, Mapping) and signatures.looks_like(document):
        report = signatures.report(document, now)
    else:
        raise SessionError(
            "This is neither a ticket nor a map of session sigs.",
            hint="Give what a session task pushed, or what getSessionSigs returned, as JSON.",
        )
    if with_key:
        text = "The session key is in this file: its holder can decrypt and sign until the session ends."
        report = replace(
            report, findings=(*report.findings, Finding("session-key-inside", text, wrong=False))
        )
    return report if conditions is None else _with_conditions(report, conditions)


def _with_conditions(report: Report, conditions: Conditions) -> Report:
    reached = (f"{ACCESS_CONTROL_CONDITION}://*", f"{ACCESS_CONTROL_CONDITION}://{conditions.hash}/")
    findings = list(report.findings)
    if not any(p.resource == reached[0] or p.resource.startswith(reached[1]) for p in report.scope):
        findings.append(
            Finding(
                "other-conditions",
                f"The session does not reach data under these conditions, whose hash is {conditions.hash}.",
                wrong=False,
            )
        )
    return replace(report, conditions=humanize(conditions), findings=tuple(findings))

"""A ticket: its public facts. Whether they are true, only opening the seal can tell."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from lit_airflow.errors import LitError
from lit_airflow.handoff import ticket as handoff
from lit_airflow.inspection.report import Finding, Report, permissions, wildcard_warnings
from lit_airflow.inspection.times import Lifetime, moment

KIND = "ticket"

_ADDRESS = re.compile(r"0x[0-9a-fA-F]{40}")
_PUBLIC_KEY = re.compile(r"[0-9a-f]{64}")
_SEALS: Mapping[str, tuple[str, ...]] = {"transit": ("transit_mount", "transit_key"), "fernet": ()}
_FIELDS = frozenset(
    {"v", "network", "wallet", "session_public_key", "scope", "issued_at", "expires_at", "seal", "sealed"}
)
_OPTIONAL = frozenset({"kind", "made_by", "dag_id", "run_id", "name"})
_VERSIONS = (1, handoff.VERSION)
_UNOPENED = (
    "The session inside, and whether these facts were altered: only whoever may open the seal can tell.",
)


def looks_like(document: Mapping[str, Any]) -> bool:
    """Whether this is meant to be a ticket."""
    return "sealed" in document or {"v", "seal"} <= document.keys()


def report(ticket: Mapping[str, Any], now: datetime) -> Report:
    """What the ticket says, and what is wrong with it."""
    lifetime = Lifetime(moment(ticket.get("issued_at")), moment(ticket.get("expires_at")))
    wallet, key = ticket.get("wallet"), ticket.get("session_public_key")
    findings = [*_shape(ticket), *lifetime.findings(now)]
    scope = None
    try:
        scope = handoff.ticket_scope(dict(ticket))
        findings += wildcard_warnings(scope)
    except LitError:
        findings.append(Finding("scope", "What the session may do is unreadable."))
    network = ticket.get("network")
    return Report(
        kind=KIND,
        now=now,
        network=network if isinstance(network, str) and network else None,
        wallet=wallet if isinstance(wallet, str) and _ADDRESS.fullmatch(wallet) else None,
        session_public_key=key if isinstance(key, str) and _PUBLIC_KEY.fullmatch(key) else None,
        scope=permissions(scope) if scope else (),
        issued_at=lifetime.issued_at,
        expires_at=lifetime.expires_at,
        seal=_seal(ticket),
        findings=tuple(findings),
        unchecked=_UNOPENED,
    )


def _shape(ticket: Mapping[str, Any]) -> list[Finding]:
    found = []
    version = ticket.get("v")
    if version not in _VERSIONS or isinstance(version, bool):
        found.append(Finding("version", f"This package reads versions 1 and {handoff.VERSION} of tickets."))
    seal = ticket.get("seal")
    known = isinstance(seal, str) and seal in _SEALS
    if not known:
        found.append(Finding("seal", "It is sealed in a way that this package does not know."))
    places = _SEALS[str(seal)] if known else ()
    kind = {"kind"} if version == handoff.VERSION else set[str]()
    found += [
        Finding("missing-field", f"{name} is missing, or no text.")
        for name in sorted({*_FIELDS, *places, *kind} - {"v", "seal", "scope"})
        if not isinstance(ticket.get(name), str) or not ticket[name]
    ]
    wallet, key = ticket.get("wallet"), ticket.get("session_public_key")
    if isinstance(wallet, str) and not _ADDRESS.fullmatch(wallet):
        found.append(Finding("wallet", "The wallet is no address."))
    if isinstance(key, str) and not _PUBLIC_KEY.fullmatch(key):
        found.append(Finding("session-key", "The session's public key is not 64 hex digits."))
    unknown = sorted(map(str, ticket.keys() - _FIELDS - _OPTIONAL - set(places)))
    if unknown:
        found.append(Finding("unknown-field", f"No ticket has: {', '.join(unknown)}."))
    return found


def _seal(ticket: Mapping[str, Any]) -> str | None:
    if ticket.get("seal") == "transit":
        return f"Vault Transit, mount {ticket.get('transit_mount')!r}, key {ticket.get('transit_key')!r}"
    return "Fernet" if ticket.get("seal") == "fernet" else None

"""Tickets: their public facts. Whether these are true can only be verified by opening the seal."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from lit_airflow.errors import LitError
from lit_airflow.handoff import ticket as handoff
from lit_airflow.inspection.report import DocumentKind, Problem, Report, permissions, wildcard_warnings
from lit_airflow.inspection.times import Lifetime, moment
from lit_airflow.keys.address import is_address
from lit_airflow.text import as_json, listed

_PUBLIC_KEY = re.compile(r"[0-9a-f]{64}")
_SEALS: Mapping[str, tuple[str, ...]] = {"transit": ("transit_mount", "transit_key"), "fernet": ()}
_FIELDS = frozenset(
    {"v", "network", "wallet", "session_public_key", "scope", "issued_at", "expires_at", "seal", "sealed"}
)
_OPTIONAL = frozenset({"kind", "made_by", "dag_id", "run_id", "name"})
_VERSIONS = (1, handoff.VERSION)
_UNOPENED = (
    "The session inside, and whether these facts were altered: verifying that requires opening the seal.",
)


def looks_like(document: Mapping[str, Any]) -> bool:
    """Return whether a document is meant to be a ticket."""
    return "sealed" in document or {"v", "seal"} <= document.keys()


def report(ticket: Mapping[str, Any], now: datetime) -> Report:
    """Return the report on a ticket."""
    lifetime = Lifetime(moment(ticket.get("issued_at")), moment(ticket.get("expires_at")))
    wallet, key = ticket.get("wallet"), ticket.get("session_public_key")
    problems = [*_shape(ticket), *lifetime.problems(now)]
    scope = None
    try:
        scope = handoff.ticket_scope(dict(ticket))
        problems += wildcard_warnings(scope)
    except LitError:
        problems.append(Problem("scope", "The scope is unreadable, empty or unknown."))
    network = ticket.get("network")
    return Report(
        kind=DocumentKind.TICKET,
        now=now,
        network=network if isinstance(network, str) and network else None,
        wallet=wallet if is_address(wallet) else None,
        session_public_key=key if isinstance(key, str) and _PUBLIC_KEY.fullmatch(key) else None,
        scope=permissions(scope) if scope else (),
        issued_at=lifetime.issued_at,
        expires_at=lifetime.expires_at,
        seal=_seal(ticket),
        problems=tuple(problems),
        unchecked=_UNOPENED,
    )


def _shape(ticket: Mapping[str, Any]) -> list[Problem]:
    found = []
    version = ticket.get("v")
    if version not in _VERSIONS or isinstance(version, bool):
        found.append(
            Problem(
                "version", f"The version is unknown; this package reads versions 1 and {handoff.VERSION}."
            )
        )
    seal = ticket.get("seal")
    known = isinstance(seal, str) and seal in _SEALS
    if not known:
        found.append(Problem("seal", "The seal is unknown."))
    places = _SEALS[str(seal)] if known else ()
    kind = {"kind"} if version == handoff.VERSION else set[str]()
    found += [
        Problem("missing-field", f"{name} is missing or not a text.")
        for name in sorted({*_FIELDS, *places, *kind} - {"v", "seal", "scope"})
        if not isinstance(ticket.get(name), str) or not ticket[name]
    ]
    wallet, key = ticket.get("wallet"), ticket.get("session_public_key")
    if isinstance(wallet, str) and not is_address(wallet):
        found.append(Problem("wallet", "The wallet is not an address."))
    if isinstance(key, str) and not _PUBLIC_KEY.fullmatch(key):
        found.append(Problem("session-key", "The public key of the session key is not 64 hex digits."))
    unknown = sorted(map(str, ticket.keys() - _FIELDS - _OPTIONAL - set(places)))
    if unknown:
        found.append(Problem("unknown-field", f"Tickets do not have the fields {listed(unknown)}."))
    return found


def _seal(ticket: Mapping[str, Any]) -> str | None:
    if ticket.get("seal") == "transit":
        mount, key = as_json(ticket.get("transit_mount")), as_json(ticket.get("transit_key"))
        return f"Vault Transit, mount {mount}, key {key}"
    return "Fernet" if ticket.get("seal") == "fernet" else None

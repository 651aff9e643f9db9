"""Session sigs: node by node, whether the nodes' entries agree, and the capabilities inside.

Source: docs/protocol/session-signatures.md.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from lit_airflow.errors import ScopeError
from lit_airflow.inspection import capabilities
from lit_airflow.inspection.capabilities import Capability
from lit_airflow.inspection.report import Finding, NodeReport, Report, permissions, wildcard_warnings
from lit_airflow.inspection.times import Lifetime, moment
from lit_airflow.protocol.scope import Scope

KIND = "session sigs"

_FIELDS = ("sig", "derivedVia", "signedMessage", "address", "algo")
_SIGNED = ("sessionKey", "resourceAbilityRequests", "capabilities", "issuedAt", "expiration", "nodeAddress")
_PUBLIC_KEY = re.compile(r"[0-9a-fA-F]{64}")
_SIGNATURE = re.compile(r"[0-9a-fA-F]{128}")
# Which part of the signed texts has to be the same for all nodes.
_SHARED = {
    "sessionKey": ("disagree-key", "session key"),
    "resourceAbilityRequests": ("disagree-scope", "scope"),
    "capabilities": ("disagree-capabilities", "capabilities"),
}


@dataclass(slots=True)
class _Entry:
    """One node's entry, as far as it can be read."""

    node: str
    findings: list[Finding] = field(default_factory=list)
    signed: Mapping[str, Any] = field(default_factory=dict)
    lifetime: Lifetime = field(default_factory=lambda: Lifetime(None, None))

    def add(self, name: str, text: str, *, wrong: bool = True) -> None:
        self.findings.append(Finding(name, text, (self.node,), wrong))

    @property
    def good(self) -> bool:
        return not any(finding.wrong for finding in self.findings)


def looks_like(document: Mapping[str, Any]) -> bool:
    """Whether this is meant to be session sigs."""
    return any(isinstance(entry, Mapping) and "signedMessage" in entry for entry in document.values())


def report(session_sigs: Mapping[str, Any], now: datetime) -> Report:
    """What the session sigs say, and what is wrong with them."""
    entries = [_read(str(node), found, now) for node, found in session_sigs.items()]
    _compare(entries)
    signed = [entry for entry in entries if entry.signed]
    starts = [entry.lifetime.issued_at for entry in signed if entry.lifetime.issued_at is not None]
    ends = [entry.lifetime.expires_at for entry in signed if entry.lifetime.expires_at is not None]
    key = _most(signed, "sessionKey")
    key = key if _is(key, _PUBLIC_KEY) else None
    scope = _scope(_most(signed, "resourceAbilityRequests"))
    inside = _capabilities(_most(signed, "capabilities"), now)
    delegation = capabilities.delegation_of(inside, key) or Capability("The wallet's delegation")
    findings = _merged(finding for entry in entries for finding in entry.findings)
    findings += [finding for capability in inside for finding in capability.findings]
    findings += capabilities.check_delegation(delegation, key, scope, max(ends, default=None))
    if signed and scope is None:
        findings.append(Finding("scope", "What the session may do is unreadable, empty, or not known here."))
    if signed and not inside:
        findings.append(Finding("no-capability", "No wallet's delegation is inside."))
    return Report(
        kind=KIND,
        now=now,
        wallet=delegation.message.address if delegation.message else None,
        session_public_key=key,
        scope=permissions(scope) if scope else (),
        issued_at=min(starts, default=None),
        expires_at=min((end for end in (*ends, delegation.ends_at) if end is not None), default=None),
        nodes=tuple(NodeReport(e.node, e.lifetime.expires_at, e.good) for e in entries),
        lenders=tuple(dict.fromkeys(c.lender for c in inside if c.lender)),
        findings=(*findings, *(wildcard_warnings(scope) if scope else ())),
        unchecked=tuple(text for capability in inside for text in capability.unchecked),
    )


def _read(node: str, found: object, now: datetime) -> _Entry:
    entry = _Entry(node)
    if not isinstance(found, Mapping) or not all(isinstance(found.get(key), str) for key in _FIELDS):
        entry.add("missing-field", f"The entry lacks one of the texts {', '.join(_FIELDS)}.")
        return entry
    unknown = sorted(map(str, found.keys() - set(_FIELDS)))
    if unknown:
        entry.add("unknown-field", f"Nodes refuse an entry that has: {', '.join(unknown)}.")
    if (found["derivedVia"], found["algo"]) != ("litSessionSignViaNacl", "ed25519"):
        entry.add("signature-kind", "derivedVia and algo are not those of a session signature.")
    if not _verifies(found["address"], found["sig"], found["signedMessage"]):
        entry.add("session-signature", "The session key, as the entry names it, did not sign this text.")
    signed = _json(found["signedMessage"])
    if signed is None or not set(_SIGNED) <= signed.keys():
        entry.add("signed-message", f"The signed text is no JSON object with {', '.join(_SIGNED)}.")
        return entry
    entry.signed = signed
    ignored = sorted(signed.keys() - set(_SIGNED))
    if ignored:
        entry.add("ignored-field", f"Nodes ignore in the signed text: {', '.join(ignored)}.", wrong=False)
    if signed["sessionKey"] != found["address"]:
        entry.add("session-key", "The signed text names another session key than the entry.")
    entry.lifetime = Lifetime(moment(signed["issuedAt"]), moment(signed["expiration"]))
    entry.findings += entry.lifetime.findings(now, (node,))
    _check_address(entry)
    return entry


def _check_address(entry: _Entry) -> None:
    named = entry.signed["nodeAddress"]
    if not isinstance(named, str) or _host(named) != _host(entry.node):
        entry.add("node-address", "It is signed for another node than the one it is listed under.")
    elif named != entry.node:
        text = "It is signed for this node in another spelling, which nodes accept."
        entry.add("node-spelling", text, wrong=False)


def _host(node: str) -> str:
    """What nodes compare."""
    bare = node.strip().removeprefix("https://").removeprefix("http://")
    return bare.replace("localhost", "127.0.0.1")


def _verifies(public_key: str, signature: str, text: str) -> bool:
    if not _is(public_key, _PUBLIC_KEY) or not _is(signature, _SIGNATURE):
        return False
    try:
        key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(public_key))
        key.verify(bytes.fromhex(signature), text.encode())
    except (InvalidSignature, ValueError):  # a key off the curve, half of a character in the text
        return False
    return True


def _compare(entries: list[_Entry]) -> None:
    """Entries that differ from most others in what has to be the same."""
    readable = [entry for entry in entries if entry.signed]
    for name, (finding, words) in _SHARED.items():
        common = json.dumps(_most(readable, name))
        for entry in readable:
            if json.dumps(entry.signed[name]) != common:
                entry.add(finding, f"Its {words} differs from that of most entries, or of the first one.")


def _most(entries: list[_Entry], name: str) -> Any:  # noqa: ANN401 - JSON
    """The value that most entries have; of equals the first."""
    texts = Counter(json.dumps(entry.signed[name]) for entry in entries)
    return json.loads(texts.most_common(1)[0][0]) if texts else None


def _merged(findings: Iterable[Finding]) -> list[Finding]:
    """One finding where several entries have the same."""
    nodes: dict[Finding, list[str]] = {}
    for finding in findings:
        nodes.setdefault(replace(finding, nodes=()), []).extend(finding.nodes)
    return [replace(finding, nodes=tuple(found)) for finding, found in nodes.items()]


def _capabilities(found: object, now: datetime) -> list[Capability]:
    items = found if isinstance(found, list) else []
    names = [f"Capability {index + 1}" for index in range(len(items) - 1)] + ["The wallet's delegation"]
    return [capabilities.read(item, name, now) for item, name in zip(items, names, strict=False)]


def _scope(requests: object) -> Scope | None:
    try:
        return Scope.from_json(requests) if isinstance(requests, list) else None
    except ScopeError:
        return None


def _json(text: str) -> Mapping[str, Any] | None:
    try:
        found = json.loads(text)
        json.dumps(found)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _is(text: object, pattern: re.Pattern[str]) -> bool:
    return isinstance(text, str) and pattern.fullmatch(text) is not None

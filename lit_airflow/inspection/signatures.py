"""Session sigs: the entry of each node, whether the entries agree, and the capabilities inside.

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
from lit_airflow.inspection.report import (
    DocumentKind,
    NodeReport,
    Problem,
    Report,
    permissions,
    wildcard_warnings,
)
from lit_airflow.inspection.times import Lifetime, moment
from lit_airflow.json_input import try_parse
from lit_airflow.protocol.scope import Scope
from lit_airflow.text import listed

_FIELDS = ("sig", "derivedVia", "signedMessage", "address", "algo")
_SIGNED = ("sessionKey", "resourceAbilityRequests", "capabilities", "issuedAt", "expiration", "nodeAddress")
_REPLY_KEY = "replyKey"
_GATE = "lit:gate:"
"""How the name of a gate begins, the only server of a network that seals its answers to the session."""
_PUBLIC_KEY = re.compile(r"[0-9a-fA-F]{64}")
_SIGNATURE = re.compile(r"[0-9a-fA-F]{128}")
# The fields of the signed texts that must be the same for all nodes: name of the problem, name of the field.
_SHARED = {
    "sessionKey": ("disagree-key", "session key"),
    "resourceAbilityRequests": ("disagree-scope", "scope"),
    "capabilities": ("disagree-capabilities", "list of capabilities"),
}


@dataclass(slots=True)
class _Entry:
    """The entry of one node, as far as it can be read."""

    node: str
    problems: list[Problem] = field(default_factory=list)
    signed: Mapping[str, Any] = field(default_factory=dict)
    lifetime: Lifetime = field(default_factory=lambda: Lifetime(None, None))

    def add(self, name: str, text: str, *, wrong: bool = True) -> None:
        self.problems.append(Problem(name, text, (self.node,), wrong))

    @property
    def good(self) -> bool:
        return not any(problem.wrong for problem in self.problems)


def looks_like(document: Mapping[str, Any]) -> bool:
    """Return whether a document is meant to be session sigs."""
    return any(isinstance(entry, Mapping) and "signedMessage" in entry for entry in document.values())


def report(session_sigs: Mapping[str, Any], now: datetime) -> Report:
    """Return the report on session sigs."""
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
    problems = _merged(problem for entry in entries for problem in entry.problems)
    problems += [problem for capability in inside for problem in capability.problems]
    problems += capabilities.check_delegation(delegation, key, scope, max(ends, default=None))
    if signed and scope is None:
        problems.append(Problem("scope", "The scope is unreadable, empty or unknown."))
    if signed and not inside:
        problems.append(Problem("no-capability", "There is no wallet's delegation."))
    return Report(
        kind=DocumentKind.SESSION_SIGS,
        now=now,
        wallet=delegation.message.address if delegation.message else None,
        session_public_key=key,
        scope=permissions(scope) if scope else (),
        issued_at=min(starts, default=None),
        expires_at=min((end for end in (*ends, delegation.ends_at) if end is not None), default=None),
        nodes=tuple(NodeReport(e.node, e.lifetime.expires_at, e.good) for e in entries),
        lenders=tuple(dict.fromkeys(c.lender for c in inside if c.lender)),
        problems=(*problems, *(wildcard_warnings(scope) if scope else ())),
        unchecked=tuple(text for capability in inside for text in capability.unchecked),
    )


def _read(node: str, found: object, now: datetime) -> _Entry:
    entry = _Entry(node)
    if not isinstance(found, Mapping) or not all(isinstance(found.get(key), str) for key in _FIELDS):
        entry.add("missing-field", f"The entry lacks one of {', '.join(_FIELDS)}.")
        return entry
    unknown = sorted(map(str, found.keys() - set(_FIELDS)))
    if unknown:
        entry.add("unknown-field", f"Nodes refuse the unknown fields {listed(unknown)}.")
    if (found["derivedVia"], found["algo"]) != ("litSessionSignViaNacl", "ed25519"):
        entry.add("signature-kind", "derivedVia and algo are not those of a session signature.")
    if not _verifies(found["address"], found["sig"], found["signedMessage"]):
        entry.add("session-signature", "The signature of the session key that the entry names is not valid.")
    signed = _json(found["signedMessage"])
    if signed is None or not set(_SIGNED) <= signed.keys():
        entry.add("signed-message", f"The signed text is not a JSON object with {', '.join(_SIGNED)}.")
        return entry
    entry.signed = signed
    is_gate = node.startswith(_GATE)
    if is_gate and not _is(signed.get(_REPLY_KEY), _PUBLIC_KEY):
        entry.add("reply-key", f"The signed text has no {_REPLY_KEY}, and the gate refuses it.")
    ignored = sorted(signed.keys() - set(_SIGNED) - ({_REPLY_KEY} if is_gate else set()))
    if ignored:
        entry.add(
            "ignored-field", f"Nodes ignore these fields of the signed text: {listed(ignored)}.", wrong=False
        )
    if signed["sessionKey"] != found["address"]:
        entry.add("session-key", "The signed text names another session key than the entry.")
    entry.lifetime = Lifetime(moment(signed["issuedAt"]), moment(signed["expiration"]))
    entry.problems += entry.lifetime.problems(now, (node,))
    _check_address(entry)
    return entry


def _check_address(entry: _Entry) -> None:
    named = entry.signed["nodeAddress"]
    if entry.node.startswith(_GATE):
        if named != entry.node:
            entry.add("node-address", "The signed text is for another gate than the entry.")
    elif not isinstance(named, str) or _host(named) != _host(entry.node):
        entry.add("node-address", "The signed text is for another node than the entry.")
    elif named != entry.node:
        text = "The signed text spells the node's URL differently, which nodes accept."
        entry.add("node-spelling", text, wrong=False)


def _host(node: str) -> str:
    """Return the part of a URL that nodes compare."""
    bare = node.strip().removeprefix("https://").removeprefix("http://")
    return bare.replace("localhost", "127.0.0.1")


def _verifies(public_key: str, signature: str, text: str) -> bool:
    if not _is(public_key, _PUBLIC_KEY) or not _is(signature, _SIGNATURE):
        return False
    try:
        key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(public_key))
        key.verify(bytes.fromhex(signature), text.encode())
    except (
        InvalidSignature,
        ValueError,
    ):  # a key that is not on the curve, or a text with an unpaired surrogate
        return False
    return True


def _compare(entries: list[_Entry]) -> None:
    """Report entries that differ from most others in a field that must be the same."""
    readable = [entry for entry in entries if entry.signed]
    for name, (problem, words) in _SHARED.items():
        common = json.dumps(_most(readable, name))
        for entry in readable:
            if json.dumps(entry.signed[name]) != common:
                entry.add(problem, f"The {words} differs from that of most entries.")


def _most(entries: list[_Entry], name: str) -> Any:  # noqa: ANN401 - JSON
    """Return the value that most entries have; of equally frequent ones the first."""
    values = {json.dumps(entry.signed[name]): entry.signed[name] for entry in entries}
    texts = Counter(json.dumps(entry.signed[name]) for entry in entries)
    return values[texts.most_common(1)[0][0]] if texts else None


def _merged(problems: Iterable[Problem]) -> list[Problem]:
    """Combine equal problems of several entries into one."""
    nodes: dict[Problem, list[str]] = {}
    for problem in problems:
        nodes.setdefault(replace(problem, nodes=()), []).extend(problem.nodes)
    return [replace(problem, nodes=tuple(found)) for problem, found in nodes.items()]


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
    found = try_parse(text)
    return found if isinstance(found, dict) else None


def _is(text: object, pattern: re.Pattern[str]) -> bool:
    return isinstance(text, str) and pattern.fullmatch(text) is not None

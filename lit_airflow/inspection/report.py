"""The report: facts and findings, as an object, as JSON, and as text for people."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from lit_airflow.clock import iso
from lit_airflow.protocol.scope import (
    ACCESS_CONTROL_CONDITION,
    DECRYPTION,
    LIT_ACTION,
    PKP,
    RATE_LIMIT_INCREASE,
    ResourceAbility,
    Scope,
)

COLUMNS = 100
_LABEL = 12


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that somebody should know.

    Attributes:
        name: Which kind, such as ``session-signature``; stable.
        text: A sentence.
        nodes: The entries it is about; empty for all of them.
        wrong: Whether it keeps the session from working everywhere; else it is a warning.
    """

    name: str
    text: str
    nodes: tuple[str, ...] = ()
    wrong: bool = True


@dataclass(frozen=True, slots=True)
class Permission:
    """One thing a session may do.

    Attributes:
        ability: Lit's name for it.
        resource: The resource's key, ``prefix://id``.
        words: The same in English.
    """

    ability: str
    resource: str
    words: str


@dataclass(frozen=True, slots=True)
class NodeReport:
    """One node's entry.

    Attributes:
        node: The map's key.
        expires_at: When this entry ends; ``None`` if that cannot be read.
        good: Whether nothing is wrong with it.
    """

    node: str
    expires_at: datetime | None
    good: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What a document is. Holds no signature, no sealed text and no key but the session's public one.

    Attributes:
        kind: ``ticket`` or ``session sigs``.
        now: The time it was judged by.
        network: The network's name; ``None`` where the document does not name one.
        wallet: Who delegated; ``None`` if that cannot be read.
        session_public_key: 64 hex digits; ``None`` if that cannot be read.
        scope: What the session may do.
        issued_at: When it began.
        expires_at: When it ends, the wallet's delegation counted in.
        nodes: The entries, in order; none for a ticket.
        lenders: Whose capacity credits the session carries.
        seal: How a ticket is sealed.
        findings: What is wrong, and warnings.
        unchecked: What could not be looked at, and why.
        conditions: The conditions in words, if they were given.
    """

    kind: str
    now: datetime
    network: str | None = None
    wallet: str | None = None
    session_public_key: str | None = None
    scope: tuple[Permission, ...] = ()
    issued_at: datetime | None = None
    expires_at: datetime | None = None
    nodes: tuple[NodeReport, ...] = ()
    lenders: tuple[str, ...] = ()
    seal: str | None = None
    findings: tuple[Finding, ...] = ()
    unchecked: tuple[str, ...] = ()
    conditions: str | None = None

    @property
    def good(self) -> bool:
        """Whether nothing is wrong; there may be warnings."""
        return not any(finding.wrong for finding in self.findings)

    @property
    def left_s(self) -> float | None:
        """Seconds until the end; negative when it is over."""
        return None if self.expires_at is None else (self.expires_at - self.now).total_seconds()

    def to_json(self) -> dict[str, Any]:
        """The report for machines; times as ``YYYY-MM-DDTHH:MM:SS.mmmZ``."""
        return {
            "kind": self.kind,
            "good": self.good,
            "network": self.network,
            "wallet": self.wallet,
            "session_public_key": self.session_public_key,
            "scope": [{"ability": p.ability, "resource": p.resource, "words": p.words} for p in self.scope],
            "conditions": self.conditions,
            "issued_at": _iso(self.issued_at),
            "expires_at": _iso(self.expires_at),
            "left_s": self.left_s,
            "seal": self.seal,
            "lenders": list(self.lenders),
            "nodes": [{"node": n.node, "expires_at": _iso(n.expires_at), "good": n.good} for n in self.nodes],
            "wrong": [_finding(f) for f in self.findings if f.wrong],
            "warnings": [_finding(f) for f in self.findings if not f.wrong],
            "unchecked": list(self.unchecked),
        }

    def text(self) -> str:
        """The report for people: ASCII, at most 100 columns wide."""
        wrong = [f for f in self.findings if f.wrong]
        lines = [*self._facts(), *_listed("Wrong", [self._sentence(f) for f in wrong])]
        lines += _listed("Warnings", [self._sentence(f) for f in self.findings if not f.wrong])
        lines += _listed("Not checked", self.unchecked)
        return "\n".join([*lines, "", f"Wrong: {len(wrong)}." if wrong else "Nothing is wrong."])

    def _sentence(self, finding: Finding) -> str:
        everywhere = len(finding.nodes) == len(self.nodes) > 1
        where = "all nodes" if everywhere else ", ".join(finding.nodes)
        return f"{finding.name}: {finding.text}" + (f" ({where})" if where else "")

    def _facts(self) -> Iterator[str]:
        yield self.kind.capitalize()
        yield from _row("Network", self.network or f"not named in {self.kind}")
        yield from _row("Wallet", self.wallet or "unreadable")
        yield from _row("Session key", f"{self.session_public_key or 'unreadable'} (public half)")
        for index, permission in enumerate(self.scope):
            yield from _row("" if index else "May", permission.words)
        if not self.scope:
            yield from _row("May", "unreadable")
        if self.conditions is not None:
            yield from _row("Conditions", self.conditions)
        yield from _row("Issued", _moment(self.issued_at))
        left = "" if self.left_s is None else f", {_span(self.left_s)}"
        yield from _row("Expires", _moment(self.expires_at) + left)
        if self.seal is not None:
            yield from _row("Sealed with", self.seal)
        for lender in self.lenders:
            yield from _row("Credits of", lender)
        for index, entry in enumerate(self.nodes):
            state = "" if entry.good else "  WRONG"
            yield from _row(
                "" if index else "Nodes", f"{entry.node}  until {_moment(entry.expires_at)}{state}"
            )


def permissions(scope: Scope) -> tuple[Permission, ...]:
    """A scope in words."""
    return tuple(Permission(r.ability, r.resource.key, _in_words(r)) for r in scope.requests)


def in_words(scope: Scope, most: int = 3) -> str:
    """A scope in one sentence's worth of words, of a long one the beginning.

    Args:
        scope: What a session may do.
        most: How many of its permissions to name.
    """
    said = [_in_words(request) for request in scope.requests[:most]]
    more = len(scope.requests) - len(said)
    return "; ".join([*said, f"and {more} things more"] if more > 0 else said)


def wildcard_warnings(scope: Scope) -> list[Finding]:
    """One warning per request for everything of a kind."""
    return [
        Finding("wildcard", f"The session may {_in_words(r)}; ask for less if you can.", wrong=False)
        for r in scope.wildcards
    ]


_ALL = {
    (ACCESS_CONTROL_CONDITION, DECRYPTION): "decrypt anything, under whatever conditions",
    (ACCESS_CONTROL_CONDITION, "access-control-condition-signing"): "have any conditions signed for",
    (PKP, "pkp-signing"): "sign with any PKP",
    (RATE_LIMIT_INCREASE, "rate-limit-increase-auth"): "use any capacity credit",
    (LIT_ACTION, "lit-action-execution"): "run any Lit Action",
}
_ONE = {
    (ACCESS_CONTROL_CONDITION, DECRYPTION): "decrypt what is encrypted as {}",
    (ACCESS_CONTROL_CONDITION, "access-control-condition-signing"): "have conditions signed for as {}",
    (PKP, "pkp-signing"): "sign with the PKP {}",
    (RATE_LIMIT_INCREASE, "rate-limit-increase-auth"): "use the capacity credit {}",
    (LIT_ACTION, "lit-action-execution"): "run the Lit Action {}",
}


def _in_words(request: ResourceAbility) -> str:
    kind = (request.resource.prefix, request.ability)
    data_of, separator, data_hash = request.resource.id.partition("/")
    if request.resource.id == "*":
        words = _ALL[kind]
    elif kind == (ACCESS_CONTROL_CONDITION, DECRYPTION) and separator:
        words = f"decrypt the data {data_hash} under the conditions {data_of}"
    else:
        words = _ONE[kind].format(request.resource.id or '""')
    return f"{words}, with restrictions" if request.data else words


def _row(label: str, value: str) -> list[str]:
    """A label and its value, wrapped; a long hash gets a line of its own."""
    return textwrap.wrap(
        _ascii(value),
        COLUMNS,
        initial_indent=f"  {label:<{_LABEL}}",
        subsequent_indent=" " * (_LABEL + 2),
        break_on_hyphens=False,
    ) or [f"  {label}"]


def _listed(title: str, texts: Sequence[str]) -> list[str]:
    lines = ["", title] if texts else []
    for text in texts:
        lines += textwrap.wrap(
            _ascii(text), COLUMNS, initial_indent="  - ", subsequent_indent="    ", break_on_hyphens=False
        )
    return lines


def _finding(finding: Finding) -> dict[str, Any]:
    return {"name": finding.name, "text": finding.text, "nodes": list(finding.nodes)}


def _ascii(text: str) -> str:
    """One column per character, and nothing that a terminal acts on."""
    return "".join(
        c if c.isascii() and c.isprintable() else c.encode("unicode_escape").decode() for c in text
    )


def _iso(moment: datetime | None) -> str | None:
    return None if moment is None else iso(moment)


def _moment(moment: datetime | None) -> str:
    return "an unreadable time" if moment is None else f"{moment:%Y-%m-%d %H:%M:%S} UTC"


def _span(seconds: float) -> str:
    """``in 9 min 12 s`` or ``3 h 2 min ago``: the two largest units."""
    rest, parts = int(abs(seconds)), []
    for unit, size in (
        ("d", timedelta(days=1)),
        ("h", timedelta(hours=1)),
        ("min", timedelta(minutes=1)),
        ("s", timedelta(seconds=1)),
    ):
        count, rest = divmod(rest, int(size.total_seconds()))
        if count:
            parts.append(f"{count} {unit}")
    span = " ".join(parts[:2]) or "0 s"
    return f"in {span}" if seconds > 0 else f"{span} ago"

"""Reports: facts and problems, as an object, as JSON, and as text for people."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
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
from lit_airflow.text import cut, word

COLUMNS = 100
_LABEL = 12
_MAX_ID_CHARS = 200
_MAX_TEXT_CHARS = 8000


class DocumentKind(StrEnum):
    """The kind of a document."""

    TICKET = "ticket"
    SESSION_SIGS = "session sigs"
    CONTAINER = "container"


@dataclass(frozen=True, slots=True)
class Problem:
    """A problem of the document, or a warning.

    Attributes:
        name: The kind of problem, such as ``session-signature``; stable.
        text: A sentence.
        nodes: The entries with this problem; empty if it concerns the whole document.
        wrong: Whether nodes refuse the session because of it; otherwise it is a warning.
    """

    name: str
    text: str
    nodes: tuple[str, ...] = ()
    wrong: bool = True


@dataclass(frozen=True, slots=True)
class Permission:
    """A request in a session's scope.

    Attributes:
        ability: The Lit ability.
        resource: The resource's key, ``prefix://id``.
        words: The request in English.
    """

    ability: str
    resource: str
    words: str


@dataclass(frozen=True, slots=True)
class NodeReport:
    """The entry of one node.

    Attributes:
        node: The node's URL, as the document has it.
        expires_at: When the entry expires; ``None`` if that cannot be read.
        good: Whether it has no problems except warnings.
    """

    node: str
    expires_at: datetime | None
    good: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The facts and problems of a document. Contains no signature, no sealed text and no secret key.

    Attributes:
        kind: The kind of document.
        now: The time for which the report was made.
        network: The network's name; ``None`` if the document has none.
        wallet: The address of the wallet that delegated; ``None`` if it cannot be read.
        session_public_key: 64 hex digits; ``None`` if it cannot be read.
        scope: What the session may do.
        issued_at: When the session began; ``None`` if that cannot be read.
        expires_at: When the session or the wallet's delegation expires; ``None`` if that cannot be read.
        nodes: The entries of the nodes, in order; none for a ticket.
        lenders: The addresses of the owners whose capacity credits the session may use.
        seal: How a ticket is sealed; ``None`` for session sigs.
        problems: Problems and warnings.
        unchecked: What could not be verified, and why.
        conditions: The given conditions in English, or a container's own; ``None`` if there are none.
        gate: The public key of the gate that a container is sealed to; ``None`` for other networks.
        lock: The public key of the lock that it is sealed to before; ``None`` if there is none.
    """

    kind: DocumentKind
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
    problems: tuple[Problem, ...] = ()
    unchecked: tuple[str, ...] = ()
    conditions: str | None = None
    gate: str | None = None
    lock: str | None = None

    @property
    def good(self) -> bool:
        """Whether there are no problems except warnings."""
        return not any(problem.wrong for problem in self.problems)

    @property
    def left_s(self) -> float | None:
        """Seconds until it expires; negative afterwards."""
        return None if self.expires_at is None else (self.expires_at - self.now).total_seconds()

    def to_json(self) -> dict[str, Any]:
        """Return the report for programs; times as ``YYYY-MM-DDTHH:MM:SS.mmmZ``."""
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
            "wrong": [_problem(f) for f in self.problems if f.wrong],
            "warnings": [_problem(f) for f in self.problems if not f.wrong],
            "unchecked": list(self.unchecked),
            **({"gate": self.gate, "lock": self.lock} if self.gate else {}),
        }

    def text(self) -> str:
        """Return the report for people: ASCII, at most 100 columns wide."""
        wrong = [f for f in self.problems if f.wrong]
        lines = [*self._facts(), *_listed("Wrong", [self._sentence(f) for f in wrong])]
        lines += _listed("Warnings", [self._sentence(f) for f in self.problems if not f.wrong])
        lines += _listed("Not checked", self.unchecked)
        return "\n".join([*lines, "", f"Wrong: {len(wrong)}." if wrong else "Nothing is wrong."])

    def _sentence(self, problem: Problem) -> str:
        everywhere = len(problem.nodes) == len(self.nodes) > 1
        where = "all nodes" if everywhere else ", ".join(problem.nodes)
        return f"{problem.name}: {problem.text}" + (f" ({where})" if where else "")

    def _facts(self) -> Iterator[str]:
        yield self.kind.capitalize()
        yield from _row("Network", self.network or f"not named in {self.kind}")
        if self.kind is DocumentKind.CONTAINER:
            yield from _row("Conditions", self.conditions or "unreadable")
            if self.gate:
                yield from _row("Gate", self.gate)
                yield from _row("Lock", self.lock or "none: the gate's key alone decrypts")
            return
        yield from _row("Wallet", self.wallet or "unreadable")
        yield from _row("Session key", f"{self.session_public_key or 'unreadable'} (public key)")
        for index, permission in enumerate(self.scope):
            yield from _row("" if index else "Scope", permission.words)
        if not self.scope:
            yield from _row("Scope", "unreadable")
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
    """Return the requests of a scope, each with its meaning in English."""
    return tuple(Permission(r.ability, r.resource.key, _in_words(r)) for r in scope.requests)


def in_words(scope: Scope, most: int = 3) -> str:
    """Return a scope in English, or the beginning of a long one.

    Args:
        scope: The scope.
        most: How many of its requests to name.
    """
    said = [_in_words(request) for request in scope.requests[:most]]
    more = len(scope.requests) - len(said)
    return "; ".join([*said, f"and {more} more"] if more > 0 else said)


def wildcard_warnings(scope: Scope) -> list[Problem]:
    """Return a warning for each request for all resources of a kind."""
    return [
        Problem("wildcard", f"The session may {_in_words(r)}. Request less if possible.", wrong=False)
        for r in scope.wildcards
    ]


_ALL = {
    (ACCESS_CONTROL_CONDITION, DECRYPTION): "decrypt any data, with any conditions",
    (ACCESS_CONTROL_CONDITION, "access-control-condition-signing"): "obtain signatures for any conditions",
    (PKP, "pkp-signing"): "sign with any PKP",
    (RATE_LIMIT_INCREASE, "rate-limit-increase-auth"): "use any capacity credit",
    (LIT_ACTION, "lit-action-execution"): "run any Lit Action",
}
_ONE = {
    (ACCESS_CONTROL_CONDITION, DECRYPTION): "decrypt the resource {}",
    (ACCESS_CONTROL_CONDITION, "access-control-condition-signing"): "obtain signatures for the resource {}",
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
        words = f"decrypt the data {_id(data_hash)} with the conditions {_id(data_of)}"
    else:
        words = _ONE[kind].format(_id(request.resource.id))
    return f"{words}, with restrictions" if request.data else words


def _id(text: str) -> str:
    return word(text, _MAX_ID_CHARS)


def _row(label: str, value: str) -> list[str]:
    """Return a label and its value in wrapped lines."""
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


def _problem(problem: Problem) -> dict[str, Any]:
    return {"name": problem.name, "text": problem.text, "nodes": list(problem.nodes)}


def _ascii(text: str) -> str:
    """Escape everything that is not one column wide, or that a terminal interprets, and cut the text."""
    return "".join(
        c if c.isascii() and c.isprintable() else c.encode("unicode_escape").decode()
        for c in cut(text, _MAX_TEXT_CHARS)
    )


def _iso(moment: datetime | None) -> str | None:
    return None if moment is None else iso(moment)


def _moment(moment: datetime | None) -> str:
    return "an unreadable time" if moment is None else f"{moment:%Y-%m-%d %H:%M:%S} UTC"


def _span(seconds: float) -> str:
    """Return ``in 9 min 12 s`` or ``3 h 2 min ago``: the two largest units."""
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

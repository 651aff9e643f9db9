"""Tickets: a session sealed for XCom, with public facts that are bound to the seal.

A flat JSON object, a plain dict because Airflow reads those back anywhere:

    v                    2 (version 1 is still read)
    kind                 what is sealed, such as ``session-sigs/1``
    network, wallet      which network it is for, and which wallet delegated
    session_public_key   the session's public id
    scope                list of ``{resource, ability}``
    issued_at            when it began, ``YYYY-MM-DDTHH:MM:SS.mmmZ``
    expires_at           when it ends
    dag_id, run_id       where it may be used; a published ticket has a ``name`` instead of ``run_id``
    made_by              the task that opened the session, ``dag_id.task_id``
    seal, …, sealed      see :mod:`lit_airflow.handoff.seal`

Source: ``docs/adr/0002-what-crosses-xcom.md``.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from lit_airflow.clock import iso, parse_iso
from lit_airflow.errors import SessionExpiredError, TicketError
from lit_airflow.handoff.origin import Origin
from lit_airflow.handoff.seal import RUN_AGAIN, Seal, is_sealed_by, open_with_facts, seal_with_facts
from lit_airflow.json_input import JsonInputError, parse_object
from lit_airflow.keys.secret import Secret
from lit_airflow.protocol.scope import Resource, ResourceAbility, Scope
from lit_airflow.text import quoted

if TYPE_CHECKING:
    from collections.abc import Callable

    from lit_airflow.networks.contract import Session

VERSION = 2
KIND_OF_VERSION_1 = "session-sigs/1"
Ticket = dict[str, Any]
"""The JSON object above."""

_TEXTS = ("network", "wallet", "session_public_key", "issued_at", "expires_at", "seal", "sealed")
_OPTIONAL_TEXTS = ("made_by", "dag_id", "run_id", "name")
_MAX_BYTES = 16 * 1024 * 1024
_MAX_SHOWN_VERSION = 10**6


def make_ticket(session: Session, seal: Seal, *, network: str, origin: Origin, name: str = "") -> Ticket:
    """Seal a session into a ticket.

    Args:
        session: The session, its secrets included.
        seal: How to seal.
        network: The network's name as the connection gives it; only connections to the same one open it.
        origin: The task that makes it. Only tasks of the same DAG run may use the ticket, unless it has a name.
        name: The name under which it will be published; any DAG may then use it.

    Raises:
        SecretError: Vault cannot be used, or this role may not seal.
    """
    facts = {
        "v": VERSION,
        "kind": session.kind,
        "network": network,
        "wallet": session.wallet,
        "session_public_key": session.public_key,
        "scope": [{"resource": r.resource.key, "ability": r.ability} for r in session.scope.requests],
        "issued_at": session.issued_at,
        "expires_at": iso(session.expires_at),
        "made_by": origin.task,
        "dag_id": origin.dag_id,
        "run_id": "" if name else origin.run_id,
        "name": name,
    }
    given = {key: value for key, value in facts.items() if value != ""}
    return seal_with_facts(given, _packed(session), seal)


def open_ticket(  # noqa: PLR0913 - each is needed
    ticket: object,
    seal: Seal,
    load: Callable[[str, Mapping[str, Any]], Session],
    *,
    network: str,
    now: datetime,
    origin: Origin,
    name: str = "",
) -> Session:
    """Open a ticket.

    Args:
        ticket: What came through XCom, or was published.
        seal: How this side opens.
        load: Makes a session of a ticket's kind and contents.
        network: The network that this side uses.
        now: The time.
        origin: The run that uses it; one without a DAG is not checked.
        name: The name that it was published under; empty for one that came through XCom.

    Raises:
        TicketError: Not a ticket, altered, of another version, network, DAG run or name, or sealed in another way.
        SessionExpiredError: The session has ended.
        SecretError: Vault cannot be used, or this role may not open.
    """
    checked = check_ticket(ticket, seal, network=network)
    _check_origin(checked, origin, name)
    if now >= (expires_at := parse_iso(checked["expires_at"])):
        raise expired(expires_at, now=now, made_by=checked.get("made_by", ""))
    session = load(checked.get("kind", KIND_OF_VERSION_1), _unpacked(open_with_facts(checked, seal)))
    session.check_alive(now)
    return session


def expired(expired_at: datetime, *, now: datetime, made_by: str = "") -> SessionExpiredError:
    """Return the error for a session that has ended; it names the task that opened it."""
    maker = f"the task {quoted(made_by)}" if made_by else "the session task"
    return SessionExpiredError(
        f"The session of {maker} ended at {iso(expired_at)}.",
        expired_at=expired_at,
        now=now,
        hint=f"Run {maker} again, with a longer ttl_s if the work takes longer.",
    )


def _no_ticket(given: object) -> TicketError:
    if isinstance(given, Sequence) and not isinstance(given, str | bytes):
        count = len(given)
        kind = f"{type(given).__name__} of {'one' if count else 'none'}"
        return TicketError(
            f"There are {count} tickets, and one is needed."
            if count > 1
            else f"Expected a ticket, a JSON object, and got {kind}.",
            hint="A mapped session task has one for each instance: pick one, or map this task over its output.",
        )
    return TicketError(
        f"Expected a ticket, a JSON object, and got {type(given).__name__}.",
        hint="Pass session=session_task.output, and check that this task succeeded in this run.",
    )


def _instead(given: Mapping[str, Any]) -> str:
    """Return what an object is that was given for a ticket, as far as its keys show it."""
    if "ciphertext" in given:
        return "; it is a container"
    if "session_sigs" in given or any(
        isinstance(each, dict) and "signedMessage" in each for each in given.values()
    ):
        return "; it is session sigs"
    return ""


def check_ticket(ticket: object, seal: Seal, *, network: str) -> Ticket:
    """Return the ticket if its shape, version, network and seal are the expected ones. Opens nothing.

    Raises:
        TicketError: They are not.
    """
    if not isinstance(ticket, dict):
        raise _no_ticket(ticket)
    version = ticket.get("v")
    if "v" not in ticket and "sealed" not in ticket:
        raise TicketError(
            f"This is not a ticket{_instead(ticket)}.", hint="Pass session=session_task.output, a ticket."
        )
    if isinstance(version, bool) or version not in (1, VERSION):
        raise TicketError(
            f"Unknown ticket version{_shown(version)}; this package reads 1 and {VERSION}.",
            hint="Run the same version of lit-airflow on all workers.",
        )
    texts = (*_TEXTS, "kind") if version == VERSION else _TEXTS
    optional = dict.fromkeys(_OPTIONAL_TEXTS, "") | ticket
    if not all(isinstance(optional.get(key), str) for key in (*texts, *_OPTIONAL_TEXTS)):
        raise TicketError("The ticket is incomplete.", hint=RUN_AGAIN)
    try:
        parse_iso(ticket["expires_at"])
    except (ValueError, OverflowError):
        raise TicketError("The ticket's expires_at is not a time.", hint=RUN_AGAIN) from None
    if ticket["network"] != network:
        raise TicketError(
            f"The ticket is for the network {quoted(ticket['network'])}, this connection for {network}.",
            hint="Use Lit connections to the same network in both tasks.",
        )
    if not is_sealed_by(ticket, seal):
        raise TicketError(
            f"The ticket is sealed with {quoted(ticket['seal'])}, or under another key, which this connection does "
            "not open.",
            hint="Give both Lit connections the same seal, transit_mount and transit_key.",
        )
    return ticket


def ticket_scope(ticket: Mapping[str, Any]) -> Scope:
    """Return what a ticket's session may do, by its public facts.

    Raises:
        ScopeError: The facts name something unknown.
        TicketError: They are malformed.
    """
    try:
        requests = [ResourceAbility(Resource.parse(s["resource"]), s["ability"]) for s in ticket["scope"]]
    except (KeyError, TypeError, AttributeError):
        raise TicketError("The ticket's scope is malformed.", hint=RUN_AGAIN) from None
    return Scope(tuple(requests))


def _shown(version: object) -> str:
    """Return a version for a message; nothing of what cannot be one, such as a number of thousands of digits."""
    if isinstance(version, str):
        return f" {quoted(version)}"
    return f" {version}" if isinstance(version, int) and abs(version) <= _MAX_SHOWN_VERSION else ""


def _check_origin(ticket: Ticket, origin: Origin, name: str) -> None:
    """Check that a ticket is used where its maker meant it to be. Version 1 does not say."""
    if ticket["v"] == 1:
        return
    published_as = ticket.get("name", "")
    if name and published_as != name:
        raise TicketError(
            f"The ticket was published as {quoted(published_as)}, and is not {quoted(name)}."
            if published_as
            else f"The ticket was not made to be published as {quoted(name)}.",
            hint="Run the task that publishes it again.",
        )
    if published_as or not origin.dag_id:
        return
    if (ticket.get("dag_id", ""), ticket.get("run_id", "")) != (origin.dag_id, origin.run_id):
        where = f"run {quoted(ticket.get('run_id', ''))} of the DAG {quoted(ticket.get('dag_id', ''))}"
        raise TicketError(
            f"The ticket belongs to {where}, not to this DAG run.",
            hint="Pass session=session_task.output of a task in the same DAG, or publish the session with a name.",
        )


def _packed(session: Session) -> Secret:
    # One node's signed text is much like another's: compressed, a session for 100 nodes fits XCom easily.
    return Secret(zlib.compress(json.dumps(session.to_json(), separators=(",", ":")).encode()))


def _unpacked(contents: Secret) -> dict[str, Any]:
    found = _decompressed(contents)
    try:
        return parse_object(found or b"")
    except JsonInputError:
        raise TicketError("The ticket's contents are not a session.", hint=RUN_AGAIN) from None


def _decompressed(contents: Secret) -> Secret | None:
    try:
        return Secret(zlib.decompressobj().decompress(contents.reveal(), _MAX_BYTES))
    except zlib.error:
        return None

"""5: Session -> Ticket -> Session: all that may cross XCom.

A ticket is a flat JSON object: public facts in clear, the session sealed. The facts are bound to the seal, so a
ticket whose facts were changed does not open. It is a plain dict because Airflow reads those back anywhere.

Source: design of this package, ``docs/adr/0002-what-crosses-xcom.md``.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol

from lit_airflow.clock import iso, parse_iso
from lit_airflow.errors import SessionExpiredError, SettingsError, TicketError
from lit_airflow.keys.secret import Secret
from lit_airflow.protocol.scope import Resource, ResourceAbility, Scope

if TYPE_CHECKING:
    from lit_airflow.keys.vault import Vault
    from lit_airflow.protocol.session import Session

VERSION = 1
Ticket = dict[str, Any]
"""``v, network, wallet, session_public_key, scope, issued_at, expires_at, seal, …, sealed``; JSON types only.

``made_by`` says which task made it (``dag_id.task_id``); it may be missing.
"""

_TEXTS = ("network", "wallet", "session_public_key", "issued_at", "expires_at", "seal", "sealed")
_MOST_BYTES = 16 * 1024 * 1024
_AGAIN = "Delete the XCom of the session task's last run, and run it again."


class Seal(Protocol):
    """A way to seal a session."""

    @property
    def facts(self) -> dict[str, str]:
        """What the ticket says about the seal: ``seal``, and where its key is."""
        ...

    def seal(self, plaintext: bytes, bound: bytes) -> str:
        """Seal; opening will need the same ``bound``."""
        ...

    def open(self, sealed: str, bound: bytes) -> bytes:
        """Open what :meth:`seal` made.

        Raises:
            TicketError: Altered, bound to something else, or sealed under another key.
        """
        ...


@dataclass(frozen=True, slots=True)
class TransitSeal:
    """A key that never leaves Vault; policies say who may seal and who may open.

    Attributes:
        vault: The server, as this role sees it.
        mount: The Transit engine's mount.
        key: The Transit key's name.
    """

    vault: Vault
    mount: str
    key: str

    @property
    def facts(self) -> dict[str, str]:
        """``seal``, ``transit_mount`` and ``transit_key``."""
        return {"seal": "transit", "transit_mount": self.mount, "transit_key": self.key}

    def seal(self, plaintext: bytes, bound: bytes) -> str:
        """Seal with Transit, ``bound`` as associated data."""
        return self.vault.seal(plaintext, bound, mount=self.mount, key=self.key)

    def open(self, sealed: str, bound: bytes) -> bytes:
        """Open with Transit.

        Raises:
            TicketError: Altered, bound to something else, or sealed under another key.
            SecretError: Vault cannot be used.
        """
        return self.vault.open(sealed, bound, mount=self.mount, key=self.key)


class FernetSeal:
    """A key that both sides hold. Whoever can open can also seal.

    Args:
        key: 32 bytes in URL-safe base64.

    Raises:
        SettingsError: The key is not that.
    """

    def __init__(self, key: Secret) -> None:
        from cryptography.fernet import Fernet  # noqa: PLC0415 - only where this seal is chosen

        try:
            self._fernet = Fernet(key.reveal())
        except ValueError:
            raise SettingsError(
                "The Fernet key is not 32 bytes in URL-safe base64.",
                field="seal_secret",
                hint="Make one with cryptography.fernet.Fernet.generate_key().",
            ) from None

    @property
    def facts(self) -> dict[str, str]:
        """``seal`` alone."""
        return {"seal": "fernet"}

    def seal(self, plaintext: bytes, bound: bytes) -> str:
        """Seal; Fernet knows no associated data, so the hash of ``bound`` goes inside."""
        return self._fernet.encrypt(hashlib.sha256(bound).digest() + plaintext).decode()

    def open(self, sealed: str, bound: bytes) -> bytes:
        """Open.

        Raises:
            TicketError: Altered, bound to something else, or sealed under another key.
        """
        from cryptography.fernet import InvalidToken  # noqa: PLC0415 - see __init__

        try:
            opened = self._fernet.decrypt(sealed.encode())
        except (InvalidToken, UnicodeEncodeError):
            raise TicketError(
                "The ticket does not open: it was altered, or sealed under another key.", hint=_AGAIN
            ) from None
        digest = hashlib.sha256(bound).digest()
        if not hmac.compare_digest(opened[: len(digest)], digest):
            raise TicketError("The ticket's public facts were altered.", hint=_AGAIN)
        return opened[len(digest) :]


def make_ticket(session: Session, seal: Seal, *, network: str, made_by: str = "") -> Ticket:
    """Seal a session into a ticket.

    Args:
        session: The session, its key included if it holds one.
        seal: How to seal.
        network: The network's name as the connection gives it; whoever opens must be on the same.
        made_by: The task that makes it, for whoever finds the session at its end.

    Raises:
        SecretError: Vault cannot be used.
    """
    ticket: Ticket = {
        "v": VERSION,
        "network": network,
        "wallet": session.wallet,
        "session_public_key": session.public_key,
        "scope": [{"resource": r.resource.key, "ability": r.ability} for r in session.scope.requests],
        "issued_at": session.issued_at,
        "expires_at": iso(session.expires_at),
        **seal.facts,
        **({"made_by": made_by} if made_by else {}),
    }
    contents = json.dumps(session.to_json(), separators=(",", ":")).encode()
    # One node's signed text is much like another's: compressed, a session for 100 nodes fits XCom easily.
    return {**ticket, "sealed": seal.seal(zlib.compress(contents), _bound(ticket))}


def open_ticket(ticket: object, seal: Seal, *, network: str, now: datetime | None) -> Session:
    """Open a ticket.

    Args:
        ticket: What came through XCom.
        seal: How this side opens.
        network: The network this side is on.
        now: The time; ``None`` opens also what is over, for its scope.

    Raises:
        TicketError: No ticket, altered, of another version or network, or sealed in another way.
        SessionExpiredError: The session's time is over.
        SecretError: Vault cannot be used.
    """
    from lit_airflow.protocol.session import Session  # noqa: PLC0415 - brings the signing library

    checked = check_ticket(ticket, seal.facts, network=network)
    if now is not None and now >= (expires_at := parse_iso(checked["expires_at"])):
        raise expired(expires_at, now=now, made_by=checked.get("made_by", ""))
    public = {key: value for key, value in checked.items() if key != "sealed"}
    contents = seal.open(checked["sealed"], _bound(public))
    try:
        return Session.from_json(json.loads(zlib.decompressobj().decompress(contents, _MOST_BYTES)))
    except (ValueError, RecursionError, zlib.error) as error:
        raise TicketError("The ticket's contents are not a session.", hint=_AGAIN) from error


def expired(expired_at: datetime, *, now: datetime, made_by: str = "") -> SessionExpiredError:
    """The error for a session that is over and cannot be renewed here; names the task to look at."""
    maker = f"the task {made_by}" if made_by else "the session task"
    return SessionExpiredError(
        f"The session of {maker} ended at {iso(expired_at)}.",
        expired_at=expired_at,
        now=now,
        hint=f"Look at {maker}: run it again, with a longer lifetime if the work takes longer.",
    )


def check_ticket(ticket: object, seal_facts: Mapping[str, str], *, network: str) -> Ticket:
    """The ticket, if its shape, version, network and seal are the expected ones. Opens nothing.

    Raises:
        TicketError: They are not.
    """
    if not isinstance(ticket, dict):
        raise TicketError(
            "There is no ticket: a session task hands on a JSON object.",
            hint="Pass session=session_task.output, and check that that task succeeded in this run.",
        )
    if ticket.get("v") != VERSION:
        raise TicketError(
            f"The ticket has version {ticket.get('v')!r}, this package reads {VERSION}.",
            hint="Run the same version of lit-airflow on all workers.",
        )
    if not all(isinstance(({"made_by": ""} | ticket).get(key), str) for key in (*_TEXTS, "made_by")):
        raise TicketError("The ticket is incomplete.", hint=_AGAIN)
    try:
        parse_iso(ticket["expires_at"])
    except ValueError:
        raise TicketError("The ticket's times are unreadable.", hint=_AGAIN) from None
    if ticket["network"] != network:
        raise TicketError(
            f"The ticket is for the network {ticket['network']}, this connection for {network}.",
            hint="Use Lit connections of one network for both tasks.",
        )
    if any(ticket.get(key) != value for key, value in seal_facts.items()):
        raise TicketError(
            f"The ticket is sealed in another way ({ticket['seal']}) than this connection opens.",
            hint="Give both Lit connections the same seal, transit_mount and transit_key.",
        )
    return ticket


def ticket_scope(ticket: Ticket) -> Scope:
    """What a ticket's session may do, by its public facts.

    Raises:
        ScopeError: The facts name something unknown.
        TicketError: They are malformed.
    """
    try:
        requests = [ResourceAbility(Resource.parse(s["resource"]), s["ability"]) for s in ticket["scope"]]
    except (KeyError, TypeError, AttributeError) as error:
        raise TicketError("The ticket's scope is unreadable.", hint=_AGAIN) from error
    return Scope(tuple(requests))


def _bound(facts: Mapping[str, Any]) -> bytes:
    return json.dumps(facts, sort_keys=True, separators=(",", ":")).encode()

"""Sessions for tasks: opened, handed on, reused, renewed, published.

XCom decides nothing here. A ticket's public facts only say whether opening it is worth the call; what counts
is inside the seal, and before a session is passed on or renewed, its delegation is verified: signed by this
connection's wallet, for this session key, for all that the session may do.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Protocol

from lit_airflow import clock
from lit_airflow.errors import (
    SessionError,
    SessionExpiredError,
    SessionNotFoundError,
    TicketError,
    VaultDeniedError,
)
from lit_airflow.handoff.names import checked_name
from lit_airflow.handoff.origin import Origin
from lit_airflow.handoff.renewal import Asked, RenewableSession
from lit_airflow.handoff.seal import Seal
from lit_airflow.handoff.ticket import Ticket, check_ticket, make_ticket, open_ticket
from lit_airflow.protocol.lifetime import checked_ttl
from lit_airflow.protocol.scope import Scope

if TYPE_CHECKING:
    from lit_airflow.handoff.ticket_store import TicketStore
    from lit_airflow.keys.wallet import Signer
    from lit_airflow.networks.contract import Session
    from lit_airflow.protocol.auth_sig import AuthSig

log = logging.getLogger(__name__)

_NOTHING = ("", "None", "null")
"""What a template renders where there is no XCom."""

_MOMENT = timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionPolicy:
    """What a connection says of sessions.

    Attributes:
        network: The network's name as the connection gives it.
        ttl_s: Lifetime of sessions, seconds; of renewed ones the longest.
        lead_s: Renew when less than this is left, seconds.
        domain: The domain that the wallet's message names.
        wallet_address: The address of the only acceptable wallet; empty for any.
        has_wallet: Whether the connection may open sessions.
    """

    network: str
    ttl_s: float
    lead_s: float
    domain: str
    wallet_address: str
    has_wallet: bool


class Client(Protocol):
    """What is needed of :class:`lit_airflow.LitClient`."""

    def open_session(
        self,
        wallet: Signer,
        scope: Scope,
        *,
        ttl_s: float,
        domain: str | None,
        capabilities: Sequence[AuthSig] = (),
    ) -> Session:
        """Open a session."""
        ...

    def load_session(self, kind: str, contents: Mapping[str, Any]) -> Session:
        """Return the session that a ticket holds."""
        ...

    def health(self) -> object:
        """Ask the network how it is."""
        ...


def _ignore(session: Session) -> None:
    """Do nothing with a session."""


def _nothing_lent(_wallet: str) -> Sequence[AuthSig]:
    return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionBroker:
    """One connection's sessions. Nothing is read or sent before it is needed.

    Attributes:
        policy: What the connection says.
        client: Returns the client.
        seal: Returns the seal.
        store: Returns where sessions are published.
        wallet: Returns the wallet, read afresh.
        origin: Returns the run that it works for.
        on_session: Called with every session that is opened here, such as to mask its secrets in logs.
        opening: A context in which each session is opened, such as for metrics.
        lent: Returns the AuthSigs of others that this wallet's sessions carry, such as a capacity delegation.
    """

    policy: SessionPolicy
    client: Callable[[], Client]
    seal: Callable[[], Seal]
    store: Callable[[], TicketStore]
    wallet: Callable[[], Signer]
    origin: Callable[[], Origin] = Origin
    on_session: Callable[[Session], None] = _ignore
    opening: Callable[[], AbstractContextManager[object]] = nullcontext
    lent: Callable[[str], Sequence[AuthSig]] = _nothing_lent

    def open(self, scope: Scope, *, ttl_s: float | None = None) -> Session:
        """Open a session with the connection's wallet: one login, one read, one wallet signature.

        Args:
            scope: What it may do. A wildcard is logged as a warning.
            ttl_s: Lifetime in seconds; the connection's by default.

        Raises:
            SettingsError: The connection or the lifetime cannot be right.
            SecretError: Vault cannot be used, has no key there, or not this wallet's.
            NetworkError: The network does not answer.
        """
        lifetime_s = checked_ttl(self.policy.ttl_s if ttl_s is None else ttl_s)
        with self.opening():
            log.info("%s", self.client().health())  # if the network is away, the key need not leave Vault
            return self._open(self.wallet(), scope, lifetime_s)

    def _open(self, wallet: Signer, scope: Scope, ttl_s: float) -> Session:
        for request in scope.wildcards:
            log.warning("This session asks for all of %s; narrow it if you can.", request.resource.key)
        lent = self.lent(wallet.address)
        session = self.client().open_session(
            wallet,
            scope,
            ttl_s=ttl_s,
            domain=self.policy.domain,
            **({"capabilities": lent} if lent else {}),
        )
        self.on_session(session)
        return session

    def make_ticket(self, session: Session, *, name: str = "") -> Ticket:
        """Seal a session for XCom, or to be published under a name.

        Raises:
            SecretError: Vault cannot be used, or this role may not seal.
        """
        return make_ticket(session, self.seal(), network=self.policy.network, origin=self.origin(), name=name)

    def hold(self, session: object) -> RenewableSession:
        """Open a session that was handed on.

        Args:
            session: A ticket, or the name that a session is published under.

        Raises:
            TicketError: Not a ticket, altered, of another version, network, DAG run or wallet, or sealed in
                another way.
            SessionExpiredError: The session has ended.
            SessionNotFoundError: None is published under that name, or it has ended.
            SecretError: Vault cannot be used, or this role may not open.
        """
        if isinstance(session, str):
            if session.lstrip().startswith(("{", "[")):
                raise TicketError(
                    "The session is a ticket as text, as a template renders it.",
                    hint="Pass session=session_task.output, or set render_template_as_native_obj=True in the DAG.",
                )
            if session in _NOTHING:
                raise TicketError(
                    f"The session is the text {session!r}: a template has rendered no ticket.",
                    hint="Check that the session task succeeded in this run, and pass session=session_task.output.",
                )
            return self.fetch(checked_name(session))
        return self._renewable(session, self._opened(session))

    def fetch(self, name: str) -> RenewableSession:
        """Open the session that is published under a name.

        Raises:
            LitError: As :meth:`hold`.
        """
        hint = f"Check the task that publishes it, with name={name!r}."
        ticket = self.store().fetch(name)
        if ticket is None:
            raise SessionNotFoundError(
                f"No session is published as {name!r}, or it has ended.", name=name, hint=hint
            )
        if not isinstance(ticket, dict):
            raise TicketError(f"What is published as {name!r} is not a ticket.", hint=hint)
        try:
            return self._renewable(ticket, self._opened(ticket, name=name), name=name)
        except SessionExpiredError as error:
            raise SessionNotFoundError(error.message, name=name, hint=hint) from None

    def renew(self, session: Session, asked: Asked) -> Session | None:
        """Open a session in place of one, for what is asked; ``None`` if this connection has no wallet.

        The new one lasts no longer than the connection allows, nor than the one before.

        Raises:
            SessionError: The connection's wallet has not delegated ``session``.
            LitError: As :meth:`open`.
        """
        if not self.policy.has_wallet:
            return None
        with self.opening():
            wallet = self.wallet()
            # A task may have held it for longer than it lasts; it was alive when the task opened it.
            alive = min(clock.now(), session.expires_at - _MOMENT)
            session.check_delegation(wallet.address, alive)
            log.info("The session ends at %s; opening another.", clock.iso(session.expires_at))
            lifetime = session.expires_at - clock.parse_iso(session.issued_at)
            return self._open(wallet, asked(), min(self.policy.ttl_s, lifetime.total_seconds()))

    def reuse_or_open(
        self,
        held: object,
        scope: Scope,
        *,
        ttl_s: float | None = None,
        lead_s: float | None = None,
        name: str = "",
    ) -> tuple[Ticket, bool, str]:
        """Pass on the session of an earlier run while it fits; otherwise open one and seal it.

        Two tasks that open a session at the same time do no harm: each then has a good one.

        Args:
            held: The ticket of an earlier run, or what is published under ``name``; ``None`` if there is none.
            scope: What is asked for now.
            ttl_s: Lifetime in seconds; the connection's by default.
            lead_s: Renew when less than this is left; the connection's by default.
            name: The name that it is published under.

        Returns:
            The ticket, whether its session is new, and why.

        Raises:
            LitError: As :meth:`open` and :meth:`make_ticket`.
        """
        lead = self.policy.lead_s if lead_s is None else lead_s
        try:
            session = self._reusable(held, scope, lead, name)
        except (
            SessionError,
            VaultDeniedError,
        ) as error:  # the role may only seal, or no longer open that ticket
            opened = self.open(scope, ttl_s=ttl_s)
            return self.make_ticket(opened, name=name), True, error.message
        if name and isinstance(held, dict):
            return dict(held), False, ""
        # Sealed again: the ticket is bound to the run that may use it.
        return self.make_ticket(session), False, ""

    def _reusable(self, held: object, scope: Scope, lead_s: float, name: str) -> Session:
        """Return the session inside a ticket if it can be passed on.

        Raises:
            SessionError: It cannot; says why.
        """
        if held is None:
            raise SessionError("There is no session of an earlier run.")
        check_ticket(held, self.seal(), network=self.policy.network)
        session = self._opened(held, name=name, same_run=False)
        session.check_covers(scope)
        left_s = (session.expires_at - clock.now()).total_seconds()
        if left_s <= lead_s:
            raise SessionError(f"The earlier session has {max(0, left_s):.0f} s left.")
        lent = self.lent(session.wallet)
        if lent and not {each.sig for each in lent} <= set(session.secrets()):
            raise SessionError("The earlier session does not carry the capacity delegation.")
        if not self.policy.wallet_address:  # then only the key itself can tell whose session to pass on
            session.check_delegation(self.wallet().address, clock.now())
        return session

    def _opened(self, ticket: object, *, name: str = "", same_run: bool = True) -> Session:
        opened = open_ticket(
            ticket,
            self.seal(),
            self.client().load_session,
            network=self.policy.network,
            now=clock.now(),
            origin=self._origin_of(ticket) if not same_run else self.origin(),
            name=name,
        )
        self.on_session(opened)
        self._check_wallet(opened)
        return opened

    def _check_wallet(self, session: Session) -> None:
        """Check that the expected wallet has signed: what a session says of itself proves nothing."""
        expected = self.policy.wallet_address
        try:
            if expected:
                session.check_delegation(expected, clock.now())
        except SessionError as error:
            raise TicketError(
                f"The session is not one of the wallet {expected}, which the connection expects: {error.message}",
                hint="Check wallet_address in the Lit connections of both tasks.",
            ) from None

    def _origin_of(self, ticket: object) -> Origin:
        """Return where an earlier run's ticket of this task comes from: the same DAG, any run."""
        here = self.origin()
        run_id = ticket.get("run_id", "") if isinstance(ticket, dict) else ""
        return Origin(here.dag_id, run_id if isinstance(run_id, str) else "", here.task_id)

    def _renewable(self, ticket: object, session: Session, *, name: str = "") -> RenewableSession:
        made_by = ticket.get("made_by", "") if isinstance(ticket, dict) else ""
        return RenewableSession(session=session, lead_s=self.policy.lead_s, name=name, made_by=made_by)

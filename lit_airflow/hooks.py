"""Steps 1 to 7 inside Airflow: a Lit connection becomes a client, a wallet, sessions and tickets.

Everything heavy is imported when it is used: DAG files that only name these classes parse quickly.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import BaseHook

from lit_airflow import clock
from lit_airflow.errors import (
    LitError,
    ScopeError,
    SessionExpiredError,
    SessionNotFoundError,
    SettingsError,
    TicketError,
    VaultDeniedError,
    WalletKeyError,
)
from lit_airflow.protocol.lifetime import checked_ttl
from lit_airflow.provider import telemetry
from lit_airflow.provider.airflow_compat import VaultHookLogin, lit_connection, mask_key, mask_session
from lit_airflow.provider.settings import Settings, seal_secret
from lit_airflow.provider.xcom_facts import NodeStats

if TYPE_CHECKING:
    from datetime import datetime

    from lit_airflow.client import LitClient
    from lit_airflow.handoff.renewal import RenewableSession
    from lit_airflow.handoff.sealed_plaintext import SealedPlaintext
    from lit_airflow.handoff.ticket import Seal, Ticket
    from lit_airflow.handoff.ticket_store import PublishedSessions
    from lit_airflow.keys.vault import Vault
    from lit_airflow.keys.wallet import Signer, Wallet
    from lit_airflow.networks.contract import Committee
    from lit_airflow.protocol.conditions import Conditions
    from lit_airflow.protocol.scope import Scope
    from lit_airflow.protocol.session import Session, SessionSigs
    from lit_airflow.transport.batch import Decrypted


class LitHook(BaseHook):
    """A Lit connection at work. Nothing is read or sent before it is needed.

    Args:
        lit_conn_id: A connection of type ``lit``.
    """

    conn_name_attr = "lit_conn_id"
    default_conn_name = "lit_default"
    conn_type = "lit"
    hook_name = "Lit"

    def __init__(self, lit_conn_id: str = default_conn_name) -> None:
        super().__init__()
        self.lit_conn_id = lit_conn_id
        self.tally = NodeStats()

    @functools.cached_property
    def settings(self) -> Settings:
        """The connection's fields, checked.

        Raises:
            SettingsError: No such connection, or a field that cannot be right.
        """
        return Settings.from_connection(lit_connection(self.lit_conn_id))

    @functools.cached_property
    def client(self) -> LitClient:
        """The client of the connection's network; kept, so that connections are reused."""
        from lit_airflow.client import LitClient  # noqa: PLC0415 - see the module's docstring

        return LitClient(self.settings.description(), timeout_s=self.settings.timeout_s, on_report=self.tally)

    def get_conn(self) -> LitClient:
        """The client, under the name that Airflow's hooks give it."""
        return self.client

    @property
    def has_wallet(self) -> bool:
        """Whether the connection names a wallet, and so may open sessions."""
        return self.settings.has_wallet

    def get_wallet(self) -> Signer:
        """The wallet: its key fresh from Vault, or whoever signs for it.

        Raises:
            SettingsError: The connection names no wallet.
            SecretError: Vault or the signer cannot be used, or it is not the expected wallet.
        """
        settings = self.settings
        if not settings.has_wallet:
            raise SettingsError(
                f"The connection {self.lit_conn_id} names no path in Vault, so it holds no wallet.",
                field="vault_path",
                hint="A task that opens sessions needs a connection of the renewer's role.",
            )
        if settings.signer == "key":
            return self._key_wallet()
        from lit_airflow.provider.wallets import remote_wallet  # noqa: PLC0415 - see the module's docstring

        return remote_wallet(settings, self.vault)

    def _key_wallet(self) -> Wallet:
        from lit_airflow.keys.wallet import Wallet  # noqa: PLC0415 - see the module's docstring

        settings, login = self.settings, self._login
        mount = settings.vault_mount or login.default_mount
        key = self.vault.read(
            mount=mount,
            path=settings.vault_path,
            field=settings.vault_field,
            kv_version=login.kv_version,
        )
        mask_key(key)
        try:
            return Wallet.from_key(key).expect(settings.wallet_address)
        except WalletKeyError as error:
            where = f"{mount}/{settings.vault_path} in {login.where}, field {settings.vault_field}"
            raise WalletKeyError(f"{error.message} It was read from {where}.", hint=error.hint) from None

    def tried_wallet(self) -> Signer:
        """The wallet, after it has signed a text that permits nothing: a signer's word alone proves little.

        Raises:
            LitError: As :meth:`get_wallet`, or as the signer refuses.
        """
        wallet = self.get_wallet()
        wallet.sign("lit_airflow tries whether this wallet can sign. This text permits nothing.")
        return wallet

    @telemetry.making_session()
    def open_session(self, scope: Scope, *, ttl_s: float | None = None) -> Session:
        """Open a session with the connection's wallet: one login, one read, one wallet signature.

        Args:
            scope: What it may do. A wildcard is logged as a warning.
            ttl_s: Lifetime in seconds; the connection's by default.

        Raises:
            SettingsError: The connection or the lifetime cannot be right.
            SecretError: Vault cannot be used, has no key there, or not this wallet's.
            NetworkError: The chain or too many nodes do not answer.
        """
        settings = self.settings
        ttl_s = checked_ttl(settings.session_ttl_s if ttl_s is None else ttl_s)
        for request in scope.wildcards:
            self.log.warning("This session asks for all of %s; narrow it if you can.", request.resource.key)
        committee = self.client.survey()  # if the network is away, the key need not leave Vault
        self.log.info("%s", _clock_of(committee))
        session = self.client.open_session(self.get_wallet(), scope, ttl_s=ttl_s, domain=settings.siwe_domain)
        mask_session(session)
        return session

    def get_session_sigs(self, scope: Scope, *, ttl_s: float | None = None) -> SessionSigs:
        """Session sigs for every node: the mapping that the SDK's ``getSessionSigs`` returns.

        Args:
            scope: What they are good for.
            ttl_s: Lifetime in seconds; the connection's by default.

        Raises:
            LitError: As :meth:`open_session`.
        """
        return self.open_session(scope, ttl_s=ttl_s).session_sigs

    def make_ticket(self, session: Session, *, made_by: str = "") -> Ticket:
        """Seal a session for XCom.

        Args:
            session: The session.
            made_by: The task that opened it, ``dag_id.task_id``.

        Raises:
            SecretError: Vault cannot be used, or this role may not seal.
        """
        from lit_airflow.handoff.ticket import make_ticket  # noqa: PLC0415 - see the module's docstring

        return make_ticket(session, self.seal, network=self.settings.network, made_by=made_by)

    def open_ticket(self, ticket: object) -> Session:
        """Open a ticket that came through XCom.

        Raises:
            TicketError: No ticket, altered, of another version or network, or sealed in another way.
            SessionExpiredError: The session's time is over.
            SecretError: Vault cannot be used, or this role may not open.
        """
        return self._held(ticket, now=clock.now()).session

    def hold(self, session: object) -> RenewableSession:
        """Open a session that was handed on, to be looked after from then on: see :meth:`fresh`.

        Args:
            session: A ticket, or the name that one is published under.

        Raises:
            TicketError: No ticket, altered, of another version or network, or sealed in another way.
            SessionExpiredError: The session's time is over, and this connection names no wallet to renew it with.
            SessionNotFoundError: None is published under that name, or no longer.
            SecretError: Vault cannot be used, or this role may not open.
        """
        if isinstance(session, str):
            return self.open_published(session)
        # Whoever can open a new session needs of an old one no more than its scope, if the seal vouches for it.
        return self._held(session, now=None if self.has_wallet else clock.now())

    def open_published(self, name: str) -> RenewableSession:
        """Open the session that is published under a name.

        Raises:
            LitError: As :meth:`hold`.
        """
        hint = f"Look at the task that publishes it, with name={name!r}."
        ticket = self.published(name)
        if ticket is None:
            raise SessionNotFoundError(
                f"No session is published as {name!r}, or its time is over.", name=name, hint=hint
            )
        try:
            return self._held(ticket, now=clock.now(), name=name)
        except SessionExpiredError as error:
            raise SessionNotFoundError(error.message, name=name, hint=hint) from None

    def fresh(self, held: Session | RenewableSession) -> Session:
        """The session at hand, renewed if it is due and can be; a bare session as it is.

        One with a name is fetched again. Else, or if nothing newer is published, a new one of the same scope and
        lifetime is opened where this connection names the wallet's key. What cannot be renewed is used to its end.

        Raises:
            SessionExpiredError: It is over and cannot be renewed here; names the task that made it.
            LitError: It is over, and what would renew it does not work at the moment.
        """
        from lit_airflow.protocol.session import Session  # noqa: PLC0415 - see the module's docstring

        return held if isinstance(held, Session) else held.fresh(self)

    def publish(self, name: str, ticket: Ticket) -> None:
        """Publish a ticket under a name, in Vault, for as long as its session lasts.

        Raises:
            SettingsError: No session can have this name.
            SecretError: Vault cannot be used, or this role may not publish.
        """
        self._published.publish(name, ticket, clock.now())

    def published(self, name: str) -> object | None:
        """The ticket that is published under a name, unchecked; ``None`` if there is none, or no longer.

        Raises:
            SettingsError: No session can have this name.
            TicketError: What lies there is no JSON.
            SecretError: Vault cannot be used, or this role may not fetch.
        """
        return self._published.fetch(name)

    def reuse_or_open(
        self,
        held: object,
        scope: Scope,
        *,
        ttl_s: float | None = None,
        lead_s: float | None = None,
        made_by: str = "",
    ) -> tuple[Ticket, bool]:
        """The rule of renewal: pass on the ticket at hand while it fits, else open a session and seal it.

        Two tasks that come to a new session at once do no harm: each then has one that is good.

        Args:
            held: The ticket of an earlier run, or ``None``.
            scope: What is asked for now.
            ttl_s: Lifetime in seconds; the connection's by default.
            lead_s: Renew when less than this is left; the connection's by default.
            made_by: The task that asks, ``dag_id.task_id``.

        Returns:
            The ticket, and whether it is new.

        Raises:
            LitError: As :meth:`open_session` and :meth:`make_ticket`.
        """
        from lit_airflow.inspection.report import in_words  # noqa: PLC0415 - see the module's docstring

        why = self.why_renew(held, scope, lead_s=lead_s)
        if not why and isinstance(held, dict):
            self.log.info(
                "Passing on the session of %s; it lasts until %s.", held["wallet"], held["expires_at"]
            )
            telemetry.session_reused()
            return dict(held), False
        session = self.open_session(scope, ttl_s=ttl_s)
        self.log.info(
            "Opened a session of %s until %s: %s. It may %s.",
            session.wallet,
            session.expiration,
            why,
            in_words(scope),
        )
        return self.make_ticket(session, made_by=made_by), True

    def why_renew(self, ticket: object, scope: Scope, *, lead_s: float | None = None) -> str:
        """Why a ticket of an earlier run cannot be passed on; empty if it can.

        Judged by its public facts alone; whoever opens it will notice if they were altered.

        Args:
            ticket: The ticket, or ``None``.
            scope: What is asked for now.
            lead_s: Renew when less than this is left; the connection's by default.
        """
        from lit_airflow.handoff.ticket import check_ticket, ticket_scope  # noqa: PLC0415 - see the docstring above

        if ticket is None:
            return "there is none of an earlier run"
        settings = self.settings
        try:
            held = check_ticket(ticket, self.seal.facts, network=settings.network)
            granted = ticket_scope(held)
        except (TicketError, ScopeError) as error:
            return str(error.message)
        if settings.wallet_address and _bare(held["wallet"]) != _bare(settings.wallet_address):
            return f"the held one is of the wallet {held['wallet']}"
        if not granted.covers(scope):
            return "the held one does not cover what is asked for"
        left_s = (clock.parse_iso(held["expires_at"]) - clock.now()).total_seconds()
        if left_s <= (settings.renewal_lead_s if lead_s is None else lead_s):
            return f"the held one has {max(0, left_s):.0f} s left"
        return ""

    def encrypt(self, plaintext: bytes, conditions: Mapping[str, Any]) -> dict[str, Any]:
        """Encrypt for whoever meets the conditions.

        Returns:
            The container that :meth:`decrypt` takes: ``ciphertext``, ``dataToEncryptHash``, the conditions under
            their own name, and ``chain``.

        Raises:
            ConditionError: The conditions do not validate.
            NetworkError: The network's key cannot be learnt.
        """
        from lit_airflow.protocol.humanize import humanize  # noqa: PLC0415 - see the module's docstring

        parsed = self._conditions(conditions)
        self.log.info("The conditions of what is encrypted: %s", humanize(parsed))
        return {**self.client.encrypt(plaintext, parsed), **parsed.to_json()}

    def decrypt(self, encrypted: Mapping[str, Any], session: Session | RenewableSession) -> bytes:
        """Decrypt a container with a session.

        Args:
            encrypted: What :meth:`encrypt` returned.
            session: An open one, or one that is looked after and so renewed when it is due.

        Raises:
            LitError: As :meth:`lit_airflow.LitClient.decrypt`.
        """
        from lit_airflow.protocol.humanize import humanize  # noqa: PLC0415 - see the module's docstring

        conditions = self._conditions(encrypted)
        self.log.info("The conditions of what is decrypted: %s", humanize(conditions))
        ready = self.fresh(session)
        with telemetry.decrypting(ready.expires_at):
            return self.client.decrypt(encrypted, conditions, ready)

    def grants(self, encrypted: Mapping[str, Any], session: Session | RenewableSession) -> bool:
        """Whether the nodes would let this session decrypt a container now.

        Raises:
            LitError: As :meth:`lit_airflow.LitClient.grants`.
        """
        return self.client.grants(encrypted, self._conditions(encrypted), self.fresh(session))

    def opens_at(self, encrypted: Mapping[str, Any]) -> datetime | None:
        """The moment before which a container's time lock keeps it closed; ``None`` if it has none.

        Raises:
            ConditionError: The conditions have no canonical form.
        """
        from lit_airflow.protocol.time_lock import opens_at  # noqa: PLC0415 - see the module's docstring

        return opens_at(self._conditions(encrypted))

    def decrypt_many(
        self,
        containers: Iterable[str | Mapping[str, Any]],
        session: Session | RenewableSession,
        *,
        at_once: int | None = None,
    ) -> Iterator[Decrypted]:
        """Decrypt many containers with one session; what fails does so by itself.

        Args:
            containers: Themselves, or paths of files that hold or begin with one; fetched as they are needed.
            session: One whose scope covers them, open or looked after.
            at_once: How many are in work, or done and not yet taken.

        Returns:
            The outcomes in the containers' order, as they are taken.

        Raises:
            LitError: As :meth:`lit_airflow.LitClient.decrypt_many`.
        """
        from lit_airflow.provider import files  # noqa: PLC0415 - see the module's docstring
        from lit_airflow.transport.batch import AT_ONCE, each  # noqa: PLC0415 - the same

        client = self.client

        def decrypt(given: str | Mapping[str, Any]) -> bytes:
            encrypted = files.read_container(given)
            ready = self.fresh(session)
            with telemetry.decrypting(ready.expires_at):
                return client.decrypt(encrypted, self._conditions(encrypted), ready, log_level=logging.DEBUG)

        def counted(given: str | Mapping[str, Any]) -> bytes:
            try:
                return decrypt(given)
            except LitError as error:
                telemetry.failed(error)
                self.tally.failed(error)
                raise

        def told() -> Iterator[Decrypted]:
            yield from outcomes
            if nodes := str(self.tally):
                self.log.info("How the nodes answered: %s.", nodes)

        work = telemetry.within_task(counted)
        outcomes = each(work, containers, AT_ONCE if at_once is None else at_once)
        client.survey()
        return told()

    def seal_plaintext(self, plaintext: bytes) -> SealedPlaintext:
        """Seal up to a mebibyte of plaintext for XCom, with this connection's seal.

        Raises:
            SettingsError: It is longer.
            SecretError: Vault cannot be used, or this role may not seal.
        """
        from lit_airflow.handoff.sealed_plaintext import seal_plaintext  # noqa: PLC0415 - see the module's docstring

        try:
            return seal_plaintext(plaintext, self.seal)
        except VaultDeniedError as error:
            key = f"{self.settings.transit_mount}/encrypt/{self.settings.transit_key}"
            hint = f"Whoever seals plaintext needs update on {key}, which a role that only decrypts lacks."
            raise VaultDeniedError(error.message, hint=hint) from error

    def open_plaintext(self, sealed: object) -> bytes:
        """Open what :meth:`seal_plaintext` returned, in the task that was handed it.

        Raises:
            CiphertextError: No sealed plaintext, altered, or sealed in another way.
            SecretError: Vault cannot be used, or this role may not open.
        """
        from lit_airflow.handoff.sealed_plaintext import open_plaintext  # noqa: PLC0415 - see the module's docstring

        return open_plaintext(sealed, self.seal)

    def scope_of(self, encrypted: Mapping[str, Any]) -> Scope:
        """The narrowest scope that decrypts this one container.

        Raises:
            ConditionError: The conditions have no canonical form, or the hash is none.
        """
        return self.client.scope_of(encrypted, self._conditions(encrypted))

    def test_connection(self) -> tuple[bool, str]:
        """Walk the connection: fields, Vault, key and address, then the network's nodes.

        Returns:
            Whether it works, and a sentence for people; never a secret.
        """
        try:
            wallet = "No wallet (no KV path)"
            if self.settings.has_wallet:
                wallet = f"Wallet {self.tried_wallet().address}"
            committee = self.client.survey()
        except LitError as error:
            return False, str(error)
        present = len(committee.nodes) - len(committee.absent)
        return True, (
            f"{wallet}. Network {self.settings.network}: {present} of {len(committee.nodes)} nodes answered, "
            f"{committee.threshold} are needed. {_clock_of(committee)}"
        )

    @classmethod
    def get_connection_form_widgets(cls) -> dict[str, Any]:
        """The form of Airflow 3.1, drawn from the same ``provider.yaml`` that later releases read."""
        from flask_babel import lazy_gettext  # noqa: PLC0415 - the API server provides it
        from wtforms import IntegerField, PasswordField, StringField  # noqa: PLC0415 - the same

        widgets = {}
        for name, field in _form()["conn-fields"].items():
            schema = field["schema"]
            if "integer" in schema["type"]:
                kind = IntegerField
            else:
                kind = PasswordField if schema.get("format") == "password" else StringField
            widgets[name] = kind(
                lazy_gettext(field["label"]), description=field["description"], default=schema.get("default")
            )
        return widgets

    @classmethod
    def get_ui_field_behaviour(cls) -> dict[str, Any]:
        """Which of Airflow's own fields the form of 3.1 hides."""
        return {
            "hidden_fields": _form()["ui-field-behaviour"]["hidden-fields"],
            "relabeling": {},
            "placeholders": {},
        }

    def _conditions(self, source: Mapping[str, Any]) -> Conditions:
        from lit_airflow.protocol.conditions import Conditions  # noqa: PLC0415 - see the module's docstring

        return Conditions.parse(source, default_chain=self.settings.chain)

    def _held(self, ticket: object, *, now: datetime | None, name: str = "") -> RenewableSession:
        from lit_airflow.handoff.renewal import RenewableSession  # noqa: PLC0415 - the same
        from lit_airflow.handoff.ticket import open_ticket  # noqa: PLC0415 - see the module's docstring

        settings = self.settings
        opened = open_ticket(ticket, self.seal, network=settings.network, now=now)
        mask_session(opened)
        made_by = ticket.get("made_by", "") if isinstance(ticket, dict) else ""
        return RenewableSession(session=opened, lead_s=settings.renewal_lead_s, name=name, made_by=made_by)

    @functools.cached_property
    def _published(self) -> PublishedSessions:
        from lit_airflow.handoff.ticket_store import PublishedSessions  # noqa: PLC0415 - see the module's docstring

        login, settings = self._login, self.settings
        mount = settings.vault_mount or login.default_mount
        return PublishedSessions(self.vault, mount, settings.sessions_path, login.kv_version)

    @functools.cached_property
    def _login(self) -> VaultHookLogin:
        return VaultHookLogin(self.settings.vault_conn_id, timeout_s=self.settings.timeout_s)

    @functools.cached_property
    def vault(self) -> Vault:
        """Vault as this connection's role sees it."""
        from lit_airflow.keys.vault import Vault  # noqa: PLC0415 - see the module's docstring

        return Vault(self._login)

    @functools.cached_property
    def seal(self) -> Seal:
        """How this connection seals and opens tickets.

        Raises:
            SettingsError: The seal is ``fernet`` and there is no good key for it.
        """
        from lit_airflow.handoff.ticket import FernetSeal, TransitSeal  # noqa: PLC0415 - see the docstring above

        if self.settings.seal == "fernet":
            return FernetSeal(seal_secret(lit_connection(self.lit_conn_id)))
        return TransitSeal(self.vault, self.settings.transit_mount, self.settings.transit_key)


def _bare(address: str) -> str:
    return address.lower().removeprefix("0x")


def _clock_of(committee: Committee) -> str:
    """How this machine's clock stands to the nodes', a sentence for people."""
    from lit_airflow.transport.clock_skew import wrong_clock  # noqa: PLC0415 - see the module's docstring

    skew_s = committee.skew_s
    if skew_s is None:
        return "No node told the time."
    return (
        wrong_clock(skew_s) or f"This machine's clock agrees with theirs to {max(1, round(abs(skew_s)))} s."
    )


def _form() -> dict[str, Any]:
    from lit_airflow import get_provider_info  # noqa: PLC0415 - reads a file; only the API server asks

    form: dict[str, Any] = get_provider_info()["connection-types"][0]
    return form

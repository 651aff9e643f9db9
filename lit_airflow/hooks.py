"""The hook: a Lit connection as a client, a wallet, sessions and tickets.

Its parts can be used and tested alone: :mod:`lit_airflow.provider.settings`, :mod:`lit_airflow.provider.wallets`,
:mod:`lit_airflow.handoff.broker`. Everything heavy is imported when it is used, so that DAG files parse quickly.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import BaseHook

from lit_airflow import clock
from lit_airflow.errors import ActionFailedError, LitError, SettingsError, VaultDeniedError
from lit_airflow.provider import telemetry
from lit_airflow.provider.airflow_compat import (
    VaultHookLogin,
    handed_out,
    lit_connection,
    mask_fields,
    mask_key,
    mask_session,
    mask_text,
    running_task,
)
from lit_airflow.provider.lineage import Lineage
from lit_airflow.provider.spending import Spending, check_budget, dollars
from lit_airflow.provider.xcom_facts import NodeStats
from lit_airflow.text import printable

if TYPE_CHECKING:
    from datetime import datetime
    from types import TracebackType
    from typing import Self

    from lit_airflow.client import LitClient
    from lit_airflow.handoff.broker import SessionBroker
    from lit_airflow.handoff.renewal import RenewableSession
    from lit_airflow.handoff.seal import Seal
    from lit_airflow.handoff.sealed_plaintext import SealedPlaintext
    from lit_airflow.handoff.ticket import Ticket
    from lit_airflow.handoff.ticket_store import TicketStore
    from lit_airflow.keys.secret import Secret
    from lit_airflow.keys.vault import Vault
    from lit_airflow.keys.wallet import Signer
    from lit_airflow.networks.actions import ActionRun
    from lit_airflow.networks.api_keys import KeyRotation
    from lit_airflow.networks.contract import Cost, Decrypted, DecryptionReport, Load, Session
    from lit_airflow.protocol.auth_sig import AuthSig
    from lit_airflow.protocol.capacity_delegation import CapacityDelegation
    from lit_airflow.protocol.container import Container
    from lit_airflow.protocol.scope import Scope
    from lit_airflow.protocol.session import SessionSigs
    from lit_airflow.protocol.signing import Signed
    from lit_airflow.provider.settings import Settings
    from lit_airflow.provider.wallets import Wallets


class LitHook(BaseHook):
    """A Lit connection. Nothing is read or sent before it is needed.

    Args:
        lit_conn_id: A connection of type ``lit``.
        capacity_delegation: The path of a secret with a capacity delegation, instead of the connection's
            ``capacity_path``; or the delegation itself, an authSig.
    """

    conn_name_attr = "lit_conn_id"
    default_conn_name = "lit_default"
    conn_type = "lit"
    hook_name = "Lit"

    def __init__(
        self,
        lit_conn_id: str = default_conn_name,
        *,
        capacity_delegation: str | Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        self.lit_conn_id = lit_conn_id
        self._capacity_delegation = capacity_delegation
        self.node_stats = NodeStats()
        self.spending = Spending(
            dag_id=lambda: running_task().dag_id,
            credit_cents=lambda: self.client.credit_cents(),  # noqa: PLW0108 - the client is not made yet
            low_balance_cents=lambda: self.settings.low_balance_cents,
        )
        self.lineage = Lineage(lambda: self.settings.description().network, self.container)

    @functools.cached_property
    def settings(self) -> Settings:
        """The connection's fields, checked.

        Raises:
            SettingsError: No such connection, or a field that cannot be right.
        """
        from lit_airflow.provider.settings import Settings  # noqa: PLC0415 - see the docstring above

        def warn(sentence: str) -> None:
            self.log.warning("Connection %s: %s", self.lit_conn_id, sentence)

        # Not in a variable: no frame of an error may hold its secrets.
        return Settings.from_connection(lit_connection(self.lit_conn_id), on_unknown=warn)

    @property
    def unknown_fields(self) -> list[str]:
        """A sentence for each field of the connection's extra that no Lit connection has.

        Raises:
            SettingsError: No such connection, or an extra that is not a JSON object.
        """
        from lit_airflow.provider.settings import unknown_fields  # noqa: PLC0415 - see the module's docstring

        return unknown_fields(lit_connection(self.lit_conn_id))

    def lent_capacity(self) -> CapacityDelegation | None:
        """Return the capacity delegation that every session of this connection carries; ``None`` without one.

        Raises:
            SettingsError: What is configured is not one.
            SecretError: Vault cannot be used, or has nothing at that path.
        """
        from lit_airflow.protocol.capacity_delegation import CapacityDelegation  # noqa: PLC0415 - few networks need it

        given = self._capacity_delegation or self.settings.capacity_path
        if not given:
            return None
        found = CapacityDelegation.read(self._read_fields(given) if isinstance(given, str) else given)
        mask_text(found.auth_sig.sig)
        return found

    def _lent(self, wallet: str) -> Sequence[AuthSig]:
        lent = self.lent_capacity()
        if lent is None:
            return ()
        lent.check(wallet, clock.now())
        return (lent.auth_sig,)

    @functools.cached_property
    def client(self) -> LitClient:
        """The client of the connection's network; kept, so that its connections are reused."""
        from lit_airflow.client import LitClient  # noqa: PLC0415 - see the module's docstring

        settings = self.settings
        description = settings.description(self._read_network_secret)
        return LitClient(description, timeout_s=settings.timeout_s, on_report=self._count)

    def get_conn(self) -> LitClient:
        """Return the client, under the name that Airflow's hooks give it."""
        return self.client

    @functools.cached_property
    def wallets(self) -> Wallets:
        """The connection's wallet, as a part."""
        from lit_airflow.provider.settings import wallet_secret  # noqa: PLC0415 - see the module's docstring
        from lit_airflow.provider.wallets import Wallets  # noqa: PLC0415 - the same

        return Wallets(
            self.settings,
            self.lit_conn_id,
            vault=lambda: self.vault,
            login=lambda: self._login,
            secret=lambda: wallet_secret(lit_connection(self.lit_conn_id)),
            on_key=mask_key,
        )

    def get_wallet(self) -> Signer:
        """Return the wallet: its key fresh from Vault, or a remote signer.

        Raises:
            SettingsError: The connection has no wallet.
            SecretError: Vault or the signer cannot be used, or it is not the expected wallet.
        """
        return self.wallets.get()

    @functools.cached_property
    def sessions(self) -> SessionBroker:
        """The connection's sessions, as a part: opened, reused, renewed, published."""
        from lit_airflow.handoff.broker import SessionBroker, SessionPolicy  # noqa: PLC0415 - see the docstring above

        settings = self.settings
        policy = SessionPolicy(
            network=settings.network,
            ttl_s=settings.session_ttl_s,
            lead_s=settings.renewal_lead_s,
            domain=settings.siwe_domain,
            wallet_address=settings.wallet_address,
            has_wallet=settings.has_wallet,
        )
        return SessionBroker(
            policy=policy,
            client=lambda: self.client,
            seal=lambda: self.seal,
            store=lambda: self._ticket_store,
            wallet=self.get_wallet,
            origin=running_task,
            on_session=mask_session,
            opening=telemetry.making_session,
            lent=self._lent,
        )

    def open_session(self, scope: Scope, *, ttl_s: float | None = None) -> Session:
        """Open a session with the connection's wallet: one login, one read, one wallet signature.

        Args:
            scope: What it may do. A wildcard is logged as a warning.
            ttl_s: Lifetime in seconds; the connection's by default.

        Raises:
            SettingsError: The connection or the lifetime cannot be right.
            SecretError: Vault cannot be used, has no key there, or not this wallet's.
            NetworkError: The network does not answer.
        """
        return handed_out(self.sessions.open(scope, ttl_s=ttl_s))

    def get_session_sigs(self, scope: Scope, *, ttl_s: float | None = None) -> SessionSigs:
        """Return session sigs for every node: the mapping that the SDK's ``getSessionSigs`` returns.

        Args:
            scope: What they are good for.
            ttl_s: Lifetime in seconds; the connection's by default.

        Raises:
            LitError: As :meth:`open_session`.
        """
        sigs: SessionSigs = self.open_session(scope, ttl_s=ttl_s).to_json()["session_sigs"]
        return sigs

    def make_ticket(self, session: Session) -> Ticket:
        """Seal a session for XCom; only tasks of the same DAG run may use it.

        Raises:
            SecretError: Vault cannot be used, or this role may not seal.
        """
        return self.sessions.make_ticket(session)

    def open_ticket(self, ticket: object) -> Session:
        """Open a ticket that came through XCom.

        Raises:
            TicketError: Not a ticket, altered, of another version, network or DAG run, or sealed in another way.
            SessionExpiredError: The session has ended.
            SecretError: Vault cannot be used, or this role may not open.
        """
        return handed_out(self.sessions.hold(ticket).session)

    def hold(self, session: object) -> RenewableSession:
        """Open a session that was handed on: a ticket, or the name that one is published under.

        Raises:
            LitError: As :meth:`lit_airflow.handoff.broker.SessionBroker.hold`.
        """
        return self.sessions.hold(session)

    def encrypt(self, plaintext: bytes, conditions: Mapping[str, Any]) -> dict[str, Any]:
        """Encrypt for wallets that meet the conditions.

        Returns:
            The container that :meth:`decrypt` takes: ``ciphertext``, ``dataToEncryptHash``, the conditions
            under their own name, ``chain`` and ``network``.

        Raises:
            ConditionError: The conditions do not validate.
            NetworkError: The network's key cannot be learnt.
        """
        from lit_airflow.keys.secret import Secret  # noqa: PLC0415 - see the module's docstring
        from lit_airflow.protocol.conditions import Conditions  # noqa: PLC0415 - the same
        from lit_airflow.protocol.humanize import humanize  # noqa: PLC0415 - the same

        secret = Secret(plaintext)
        del plaintext  # no frame of an error may hold it
        parsed = Conditions.parse(conditions, default_chain=self.settings.chain)
        self.log.info("Encrypting under these conditions: %s", humanize(parsed))
        return self.client.make_container(secret.reveal(), parsed)

    def decrypt(
        self,
        encrypted: Mapping[str, Any],
        session: Session | RenewableSession,
        *,
        data_key: bool = False,
    ) -> bytes:
        """Decrypt a container.

        Args:
            encrypted: What :meth:`encrypt` returned.
            session: An open session, or one that is renewed when it is due.
            data_key: See :meth:`lit_airflow.LitClient.decrypt`.

        Raises:
            LitError: As :meth:`lit_airflow.LitClient.decrypt`.
        """
        from lit_airflow.protocol.humanize import humanize  # noqa: PLC0415 - see the module's docstring

        container = self.container(encrypted)
        asked = self.client.scope_of(container.fields, container.conditions)
        ready = self._session_for(lambda: asked, session)
        ready.check_covers(asked)
        self.log.info("Decrypting under these conditions: %s", humanize(container.conditions))
        with telemetry.decrypting(ready.expires_at):
            return self.client.decrypt(container.fields, container.conditions, ready, data_key=data_key)

    def decrypt_many(  # noqa: PLR0913 - all but two optional
        self,
        containers: Iterable[Load | Mapping[str, Any]],
        session: Session | RenewableSession,
        *,
        at_once: int | None = None,
        processes: int = 1,
        asked: Callable[[], Scope] | None = None,
        data_keys: bool = False,
    ) -> Iterator[Decrypted]:
        """Decrypt many containers with one session; one that fails costs the others nothing.

        Args:
            containers: Containers, or functions that read one; fetched as they are needed.
            session: One whose scope covers them, open or renewed when it is due.
            at_once: How many are in work, or done and not yet taken.
            processes: How many processes decrypt; see :meth:`lit_airflow.LitClient.decrypt_many`.
            asked: Returns what a renewed session may do; by default to decrypt the one container that is next.
            data_keys: See :meth:`lit_airflow.LitClient.decrypt_loads`.

        Returns:
            The outcomes in the containers' order, as they are taken.

        Raises:
            LitError: As :meth:`lit_airflow.LitClient.decrypt_many`.
        """
        client = self.client

        def ready(container: Container) -> Session:
            found = self._session_for(
                asked or (lambda: client.scope_of(container.fields, container.conditions)), session
            )
            telemetry.session_used(found.expires_at)
            return found

        def loads() -> Iterator[Load]:
            for each in containers:
                yield each if callable(each) else functools.partial(self.container, each)

        given = list(loads()) if isinstance(containers, list | tuple) else loads()
        outcomes = client.decrypt_loads(
            given,
            ready,
            at_once=at_once,
            processes=processes,
            data_keys=data_keys,
        )

        def counted() -> Iterator[Decrypted]:
            with telemetry.decrypting_many():
                for outcome in outcomes:
                    if outcome.error is None:
                        telemetry.decrypted()
                    else:
                        telemetry.failed(outcome.error)
                        self.node_stats.failed(outcome.error)
                    yield outcome
            if servers := str(self.node_stats):
                self.log.info("How the servers answered: %s.", servers)

        return counted()

    def run_action(  # noqa: PLR0913 - all optional
        self,
        code: str = "",
        params: Any = None,  # noqa: ANN401 - JSON
        *,
        gate: str = "",
        expected_cid: str = "",
        repeatable: bool = False,
        timeout_s: float | None = None,
    ) -> ActionRun:
        """Run an action with this connection's API key; its console goes to the task's log.

        Args:
            code: See :meth:`lit_airflow.LitClient.run_action`, for this and the others.
            params: Any JSON, without secrets in clear.
            gate: The public key of a gate instead of a text.
            expected_cid: Refuse any text with another CID.
            repeatable: Whether it may run again when the answer to a run was lost.
            timeout_s: Seconds to wait; the connection's by default.

        Raises:
            LitError: As :meth:`lit_airflow.LitClient.run_action`.
        """
        try:
            with telemetry.running_action():
                run = self.client.run_action(
                    code,
                    params,
                    gate=gate,
                    expected_cid=expected_cid,
                    repeatable=repeatable,
                    timeout_s=timeout_s,
                )
        except ActionFailedError as error:
            self.spending(_cost_of(error))
            raise
        self.spending(run.cost)
        for line in run.logs.splitlines():
            self.log.info("Action: %s", printable(line))
        name = f"the action {run.cid}" if run.cid else f"the gate {gate}"
        self.log.info("Ran %s in %.1f s for about %s.", name, run.cost.seconds, dollars(run.cost.cents))
        if run.note:
            self.log.warning("%s", run.note)
        return run

    def sign(
        self,
        *,
        message: str | None = None,
        typed_data: Mapping[str, Any] | None = None,
        transaction: Mapping[str, Any] | None = None,
    ) -> Signed:
        """Have the connection's PKP sign, for its chain and address only, and verify the signature.

        Args:
            message: A text (EIP-191).
            typed_data: ``types``, ``primaryType``, ``domain``, ``message`` (EIP-712).
            transaction: The fields of a transaction of type 2 (EIP-1559).

        Raises:
            SettingsError: Not exactly one of them, malformed, or not what the connection permits.
            SignatureError: What came back is not the signature that was asked for.
            LitError: As :meth:`lit_airflow.LitClient.sign`.
        """
        from lit_airflow.protocol.signing import SigningRequest  # noqa: PLC0415 - see the module's docstring

        request = SigningRequest.of(message=message, typed_data=typed_data, transaction=transaction)
        policy = self.settings.signing_policy()
        try:
            with telemetry.signing():
                signed = self.client.sign(request, policy, on_cost=self.spending)
        except ActionFailedError as error:
            self.spending(_cost_of(error))
            raise
        self.log.info(
            "%s signed a %s; the signature is verified.", signed.signer, signed.kind.replace("_", " ")
        )
        return signed

    def check_budget(self, budget_cents: int | None, expected_s: float, *, runs: int = 1) -> None:
        """Return nothing if runs are expected to cost no more than the budget.

        Args:
            budget_cents: The budget, US cents; ``None`` is none.
            expected_s: How long one run is expected to take, seconds.
            runs: How many runs.

        Raises:
            BudgetError: They are expected to cost more.
            SettingsError: The network's runs are not paid for, or no run takes that long.
        """
        if budget_cents is not None:
            estimate = check_budget(self.client.price_cents, expected_s, budget_cents, runs=runs)
            what = "A run is" if runs == 1 else f"{runs:,} runs are"
            self.log.info("%s expected to cost %s, at %g s.", what, dollars(estimate), expected_s)

    def grants(self, encrypted: Mapping[str, Any], session: Session | RenewableSession) -> bool:
        """Return whether the network would let this session decrypt a container now.

        Raises:
            LitError: As :meth:`lit_airflow.LitClient.grants`.
        """
        container = self.container(encrypted)
        asked = self.client.scope_of(container.fields, container.conditions)
        return self.client.grants(
            container.fields, container.conditions, self._session_for(lambda: asked, session)
        )

    def opens_at(self, encrypted: Mapping[str, Any]) -> datetime | None:
        """Return the moment before which a container's time lock keeps it closed; ``None`` if it has none.

        Raises:
            ConditionError: The conditions have no canonical form.
        """
        from lit_airflow.protocol.time_lock import opens_at  # noqa: PLC0415 - see the module's docstring

        return opens_at(self.container(encrypted).conditions)

    def scope_of(self, encrypted: Mapping[str, Any]) -> Scope:
        """Return the narrowest scope that decrypts this one container.

        Raises:
            CiphertextError: It has no ``dataToEncryptHash``, or is for another network.
            ConditionError: The conditions have no canonical form, or the hash is malformed.
        """
        container = self.container(encrypted)
        return self.client.scope_of(container.fields, container.conditions)

    def seal_plaintext(self, plaintext: bytes | Secret, *, data_hash: str = "") -> SealedPlaintext:
        """Seal up to a mebibyte of plaintext for XCom, with this connection's seal.

        Args:
            plaintext: The bytes.
            data_hash: The ``dataToEncryptHash`` of the container that it comes from.

        Raises:
            SettingsError: It is too long.
            SecretError: Vault cannot be used, or this role may not seal.
        """
        from lit_airflow.handoff.sealed_plaintext import seal_plaintext  # noqa: PLC0415 - see the docstring above
        from lit_airflow.keys.secret import Secret  # noqa: PLC0415 - the same

        secret = plaintext if isinstance(plaintext, Secret) else Secret(plaintext)
        del plaintext  # no frame of an error may hold it
        try:
            return seal_plaintext(
                secret, self.seal, data_hash=data_hash, origin=running_task(), now=clock.now()
            )
        except VaultDeniedError as error:
            key = f"{self.settings.transit_mount}/encrypt/{self.settings.transit_key}"
            hint = f"Sealing plaintext needs update on {key}, which the policy of a decrypting role does not grant."
            raise VaultDeniedError(error.message, hint=hint) from None

    def open_plaintext(
        self, sealed: object, *, data_hash: str | None = None, made_by: str | None = None
    ) -> bytes:
        """Open what :meth:`seal_plaintext` returned, in a later task of the same DAG run.

        Args:
            sealed: The output of a task with ``seal_plaintext=True``.
            data_hash: The ``dataToEncryptHash`` that it must come from; any if ``None``.
            made_by: The id of the task that must have sealed it; any of this run if ``None``.

        Raises:
            CiphertextError: Not sealed plaintext, altered, from elsewhere, or sealed in another way.
            SecretError: Vault cannot be used, or this role may not open.
        """
        from lit_airflow.handoff.sealed_plaintext import open_plaintext  # noqa: PLC0415 - see the docstring above

        opened = open_plaintext(
            sealed, self.seal, origin=running_task(), data_hash=data_hash, made_by=made_by
        )
        return opened.reveal()

    def test_connection(self) -> tuple[bool, str]:
        """Check the connection: fields, Vault, key and address, then the network's servers.

        Returns:
            Whether it works, and a sentence for people; never a secret.
        """
        try:
            wallet = "No wallet (vault_path is empty)"
            if self.settings.has_wallet:
                wallet = f"Wallet {self.wallets.tried().address}"
            health = self.client.health()
        except LitError as error:
            return False, str(error)
        notes = "".join(f" {sentence}" for sentence in self.unknown_fields)
        return True, f"{wallet}. Network {self.settings.network}: {health}{notes}"

    @classmethod
    def get_connection_form_widgets(cls) -> dict[str, Any]:
        """Return the fields of Airflow 3.1's form."""
        from lit_airflow.provider import form  # noqa: PLC0415 - only the API server asks

        return form.widgets()

    @classmethod
    def get_ui_field_behaviour(cls) -> dict[str, Any]:
        """Return which of Airflow's own fields the form of 3.1 hides."""
        from lit_airflow.provider import form  # noqa: PLC0415 - only the API server asks

        return form.field_behaviour()

    def close(self) -> None:
        """Close the client's connections."""
        if "client" in self.__dict__:
            self.client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def container(self, source: Mapping[str, Any]) -> Container:
        """Read a container; the connection's chain is used where it names none.

        Raises:
            ConditionError: It has no conditions, or they have no canonical form.
        """
        from lit_airflow.protocol.container import Container  # noqa: PLC0415 - see the module's docstring

        return Container.parse(source, default_chain=self.settings.chain)

    def _count(self, report: DecryptionReport) -> None:
        self.node_stats(report)
        if report.cost is not None:
            self.spending(report.cost)

    def _session_for(self, asked: Callable[[], Scope], session: Session | RenewableSession) -> Session:
        from lit_airflow.handoff.renewal import RenewableSession  # noqa: PLC0415 - see the module's docstring

        if isinstance(session, RenewableSession):
            return session.current(self.sessions, asked)
        return session

    @functools.cached_property
    def _ticket_store(self) -> TicketStore:
        from lit_airflow.handoff.ticket_store import TicketStore  # noqa: PLC0415 - see the module's docstring

        login, settings = self._login, self.settings
        mount = settings.vault_mount or login.default_mount
        return TicketStore(self.vault, mount, settings.sessions_path, login.kv_version)

    def _read_network_secret(self) -> Mapping[str, Any]:
        from lit_airflow.json_input import parse_object  # noqa: PLC0415 - see the module's docstring

        return parse_object(self._read_fields(self.settings.api_key_path))

    def _read_fields(self, path: str) -> Secret:
        login = self._login
        mount = self.settings.vault_mount or login.default_mount
        fields = self.vault.read_fields(mount=mount, path=path, kv_version=login.kv_version)
        mask_fields(fields)
        return fields

    def api_key_rotation(self) -> KeyRotation:
        """Return the rotation of the API key that decrypting roles pay with. Reads the account's key.

        Raises:
            SettingsError: The connection is not one for rotating, or the network needs no API key.
            SecretError: Vault cannot be used, or this role may not read the account's key.
        """
        from lit_airflow.keys.vault_fields import VaultFields  # noqa: PLC0415 - see the module's docstring
        from lit_airflow.networks.api_keys import ManagedSecrets, open_rotation  # noqa: PLC0415 - the same

        login, settings = self._login, self.settings
        for name in ("api_key_path", "account_key_path"):
            if not getattr(settings, name):
                raise SettingsError(
                    f"The connection {self.lit_conn_id} has no {name}, so it cannot rotate API keys.",
                    field=name,
                    hint="Use the connection of the role that has the account's key.",
                )
        if login.kv_version == 1:
            raise SettingsError(
                "API keys are rotated with check-and-set, which a KV engine of version 1 does not have.",
                field="kv_engine_version",
                hint="Upgrade the engine: `bao kv enable-versioning`.",
            )
        mount = settings.vault_mount or login.default_mount
        account_key = self.vault.read_secret(mount=mount, path=settings.account_key_path, field="account_key")
        mask_key(account_key)
        store = VaultFields(self.vault, mount, settings.api_key_path, on_read=mask_fields)
        description = settings.description(self._read_network_secret)
        return open_rotation(
            description, ManagedSecrets(account_key, store, clock.now, clock.sleep, mask_key)
        )

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
        from lit_airflow.handoff.seal import FernetSeal, TransitSeal  # noqa: PLC0415 - see the docstring above
        from lit_airflow.provider.settings import seal_secret  # noqa: PLC0415 - the same

        if self.settings.seal == "fernet":
            return FernetSeal(seal_secret(lit_connection(self.lit_conn_id)))
        return TransitSeal(self.vault, self.settings.transit_mount, self.settings.transit_key)


def _cost_of(error: ActionFailedError) -> Cost:
    from lit_airflow.networks.contract import Cost  # noqa: PLC0415 - see the module's docstring

    return Cost(error.seconds, error.cents)

"""What set-up and rotation of a deployment share: new API keys, from the mint to the secret in Vault.

A process may end at any point. What it has made by then is found again: keys and groups by their names, a gate's
text and the lock in Vault, where they were written before anything was sent.

Source: docs/protocol/chipotle.md#what-may-be-repeated, #waiting-for-a-new-key and #a-key-that-may-only-decrypt.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta

from lit_airflow.clock import Deadline
from lit_airflow.errors import (
    LitError,
    PaymentError,
    ProtocolError,
    SettingsError,
    VaultUnavailableError,
)
from lit_airflow.keys.secret import Secret
from lit_airflow.keys.vault_answers import Version
from lit_airflow.networks.api_keys import ManagedSecrets, Swept
from lit_airflow.networks.chipotle import api_calls, gate_requests, gate_runs, setup_checks
from lit_airflow.networks.chipotle.account import Account, Minted
from lit_airflow.networks.chipotle.account_answers import UsageKey
from lit_airflow.networks.chipotle.api import Api
from lit_airflow.networks.chipotle.api_calls import ApiCall
from lit_airflow.networks.chipotle.api_errors import ApiFailure, ApiFailureKind
from lit_airflow.networks.chipotle.credentials import GateEntry
from lit_airflow.networks.chipotle.deployment import Deployment
from lit_airflow.networks.chipotle.gate_answers import GateKey
from lit_airflow.networks.chipotle.identifiers import key_hash
from lit_airflow.networks.chipotle.readiness import wait_until_ready
from lit_airflow.networks.chipotle.usage_key_name import usage_key_name

log = logging.getLogger(__name__)

WITHIN_S = 120.0
"""Seconds for one call of the API, repetitions included."""
NEW_KEY_S = 15 * 60.0
"""Seconds that making a key may take; an unused key that is older is left over."""

_RANDOM_BYTES = 16
_TRIES = 5
_RUN_S = 60.0
# The service's processes learn of a new key one after another; the next task may be served by any of them.
_OTHERS_LEARN_S = 10.0
_REFUND_HINT = "Top the account up; the key in use keeps working while there is credit."


@dataclass(frozen=True, slots=True)
class KnownGate:
    """A gate that was asked for its key.

    Attributes:
        entry: Which text it has.
        address: The address of its action's wallet.
    """

    entry: GateEntry
    address: str


@dataclass(frozen=True, slots=True)
class Manager:
    """One deployment, as the account's owner manages it.

    Attributes:
        api: The service.
        managed: The account's key, the deployment's secret, and the time.
        api_key_field: The secret's field with the API key.
    """

    api: Api
    managed: ManagedSecrets
    api_key_field: str

    @property
    def account(self) -> Account:
        """The account."""
        return Account(self._send, self.managed.wait)

    def _send(self, call: ApiCall) -> object:
        return self.api.send(call, self.managed.account_key, Deadline.after(WITHIN_S))

    def load(self) -> tuple[Deployment, Version]:
        """Read the deployment's secret.

        Raises:
            SecretError: It cannot be read, or is malformed.
            SettingsError: It was deleted.
        """
        store = self.managed.store
        fields, version = store.read()
        return Deployment.parse(fields, where=store.where, api_key_field=self.api_key_field), version

    def check_credit(self, cents: int) -> None:
        """Check that the account can pay.

        Raises:
            PaymentError: It cannot.
            LitError: The service does not answer, or does not know the account's key.
        """
        credit = self.account.credit_cents()
        if credit < cents:
            raise PaymentError(
                f"The account has a credit of ${credit / 100:.2f}, and this takes ${cents / 100:.2f}.",
                hint=_REFUND_HINT,
            )

    def check_group(self, deployment: Deployment, group: int) -> None:
        """Check that the group contains the deployment's gates and nothing else. Free.

        Raises:
            SettingsError: It does not.
            LitError: The service does not answer.
        """
        account = self.account
        setup_checks.check_group(account.actions(group), account.wallets(group), *deployment.cid_hashes())

    def new_key(
        self,
        deployment: Deployment,
        group: int,
        look: Callable[[Mapping[str, KnownGate]], None] = lambda _gates: None,
    ) -> tuple[Minted, dict[str, GateEntry]]:
        """Mint an API key, and wait until it runs the deployment's gates, and nothing else.

        Costs $0.01, and $0.01 for each gate. A key that fails a check is revoked.

        Args:
            deployment: The deployment.
            group: The group whose actions it may run.
            look: Called with every gate, as it was asked, before the key is used. What it raises revokes the key.

        Returns:
            The key, and every gate under the public key that it answered with.

        Raises:
            LitError: The service refuses, or a check failed.
        """
        minted = self.account.mint(lambda: self._new_name(deployment.tag), group)
        self.managed.on_key(minted.key)
        try:
            self._check_scopes(minted, group)
            known = self.ask_gates(deployment, minted.key)
            look(known)
            self.managed.wait(_OTHERS_LEARN_S)
            self.check_runs_nothing_else(minted.key)
        except LitError:
            self.give_up(minted)
            raise
        return minted, {public_key: gate.entry for public_key, gate in known.items()}

    def ask_gates(self, deployment: Deployment, key: Secret) -> dict[str, KnownGate]:
        """Ask each gate for its key, a pending one's included, with an API key that may be new; $0.01 each.

        Returns:
            Each gate under its public key.

        Raises:
            ProtocolError: A gate answers with another key than it is registered under.
            LitError: The service refuses or does not answer.
        """
        known: dict[str, KnownGate] = {}
        registered = [*deployment.gates.items(), *([("", deployment.pending)] if deployment.pending else [])]
        for public_key, entry in registered:
            asked = self._asked(key, entry)
            setup_checks.check_gate_key(asked, public_key or asked.public_key, entry.version)
            known[asked.public_key] = KnownGate(entry, asked.address)
        return known

    def check_runs_nothing_else(self, key: Secret) -> None:
        """Check that the service refuses to run another action with an API key. Free.

        Raises:
            SettingsError: It runs it, or it is not known why it does not.
        """
        other = setup_checks.other_action(secrets.token_bytes(_RANDOM_BYTES))
        call = api_calls.run(other, {}, timeout_s=_RUN_S)
        outcomes: list[ApiFailure | None] = []

        def unclear() -> ApiFailure | None:
            failure = self.api.probe(call, key, Deadline.after(_RUN_S))
            outcomes.append(failure)
            if failure is None or failure.kind is ApiFailureKind.PERMISSION:
                return None
            return replace(failure, retryable=True)

        wait_until_ready(unclear, self.managed.wait)
        setup_checks.check_runs_nothing_else(outcomes[-1])

    def publish(
        self, minted: Minted, change: Callable[[Deployment], Deployment], before: Secret | None
    ) -> None:
        """Write a new key for decrypting roles. If that fails, the key is revoked.

        Args:
            minted: The key.
            change: Returns the deployment with the key, from what Vault has now.
            before: The key that it replaces. If another one is there, somebody else was faster.

        Raises:
            SecretError: Vault cannot be used.
            SettingsError: Somebody else has replaced the key meanwhile.
        """
        try:
            self._write(minted, change, before)
        except _MaybeWrittenError as error:
            # Revoking could take the key that is in use. The next sweep sees in Vault which one that is.
            raise error.error from None
        except LitError:
            self.give_up(minted)
            raise

    def give_up(self, minted: Minted) -> None:
        """Revoke a key that is not used; if that fails, it is left for the next sweep."""
        try:
            self.account.revoke(key_hash(minted.key.reveal().decode()))
        except LitError as error:
            log.warning("The key %s is not used and could not be revoked now: %s", minted.name, error)

    def sweep(self) -> Swept:
        """Revoke keys that are drained, and those that failed runs have left; $0.01 each.

        Raises:
            LitError: Vault or the list of keys cannot be read.
        """
        deployment, _ = self.load()
        now = self.managed.clock()
        in_use = deployment.in_use(now)
        removed: list[str] = []
        unsure: list[str] = []
        drained = set(deployment.draining) - in_use
        current = ""
        for key in self.account.usage_keys():
            if key.key_hash == deployment.api_key_hash:
                current = key.name
            if key.key_hash in drained:
                (removed if self._revoked(key) else unsure).append(key.name)
        rest = self.account.sweep(deployment.tag, deployment.group, in_use=in_use | drained, now=now)
        return Swept(current, [*removed, *rest.removed], [*unsure, *rest.unsure], rest.too_wide)

    def _revoked(self, key: UsageKey) -> bool:
        try:
            self.account.revoke(key.key_hash)
        except LitError as error:
            log.warning("The drained key %s could not be revoked now: %s", key.name, error)
            return False
        return True

    def _new_name(self, tag: str) -> str:
        ends_at = self.managed.clock() + timedelta(seconds=NEW_KEY_S)
        return usage_key_name(tag, ends_at, secrets.token_bytes(_RANDOM_BYTES))

    def _check_scopes(self, minted: Minted, group: int) -> None:
        """Check what the service lists of a new key: it may run one group, and nothing else."""
        hashed, account = key_hash(minted.key.reveal().decode()), self.account
        listed = account.seen(
            "add_usage_api_key",
            lambda: next((key for key in account.usage_keys() if key.key_hash == hashed), None),
        )
        if not listed.may_only_run(group):
            raise ProtocolError("The service gave a new API key other permissions than were asked for.")

    def _asked(self, key: Secret, entry: GateEntry) -> GateKey:
        """Ask a gate for its key as soon as the service takes the new API key."""
        call = api_calls.run(entry.text(), gate_requests.ASK_KEY, timeout_s=WITHIN_S)
        return gate_runs.ask_key_when_ready(self.api, key, call, self.managed.wait)

    def _write(
        self, minted: Minted, change: Callable[[Deployment], Deployment], before: Secret | None
    ) -> None:
        store = self.managed.store
        for _ in range(_TRIES):
            deployment, version = self.load()
            if deployment.api_key != before:
                raise SettingsError(
                    f"The API key at {store.where} was replaced while a new one was made.",
                    field="api_key",
                    hint="Let one run at a time rotate keys: max_active_runs=1.",
                )
            new = change(replace(deployment, api_key=minted.key))
            try:
                if store.write(new.fields(), version):
                    return
            except VaultUnavailableError as error:
                if self._was_written(minted, error):
                    return
                raise
        raise VaultUnavailableError(
            f"Others keep changing {store.where}.", hint="Find out what else writes this secret."
        )

    def _was_written(self, minted: Minted, error: VaultUnavailableError) -> bool:
        try:
            deployment, _ = self.load()
        except LitError:
            raise _MaybeWrittenError(error) from None
        return deployment.api_key == minted.key


class _MaybeWrittenError(Exception):
    """The secret may have been written, and cannot be read now."""

    def __init__(self, error: LitError) -> None:
        super().__init__(error.message)
        self.error = error


def checked_ready(deployment: Deployment) -> Deployment:
    """Return the deployment if set-up has finished.

    Raises:
        SettingsError: It has not.
    """
    if deployment.api_key is None or not deployment.gates or not deployment.tag or not deployment.group:
        raise SettingsError(
            f"{deployment.where} is not a deployment that was set up.",
            field="api_key_path",
            hint="Run `lit-airflow chipotle setup`. It takes over a secret that was written by hand.",
        )
    return deployment

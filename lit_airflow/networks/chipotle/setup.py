"""Setting up a deployment on an account: gate, lock, group, API key, and the secret in Vault.

It may be run again at any time: what is there is checked and kept, what is missing is made, and what a run that
failed has left is removed. The gate's salt and the lock are in Vault before anything is sent.

Source: docs/protocol/gate.md#the-services-key-namespace and #what-a-client-does;
docs/protocol/chipotle.md#a-key-that-may-only-decrypt and #what-may-be-repeated.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from lit_airflow.clock import Deadline
from lit_airflow.errors import VaultUnavailableError
from lit_airflow.json_input import parse_object
from lit_airflow.keys.secret import Secret
from lit_airflow.keys.vault_answers import Version
from lit_airflow.networks.chipotle import api_calls, gate_runs, setup_checks
from lit_airflow.networks.chipotle.account_answers import UsageKey
from lit_airflow.networks.chipotle.api_calls import WRITE_CENTS
from lit_airflow.networks.chipotle.credentials import GateEntry
from lit_airflow.networks.chipotle.deployment import Deployment, cid_of
from lit_airflow.networks.chipotle.description import ChipotleDescription
from lit_airflow.networks.chipotle.gates import NEWEST
from lit_airflow.networks.chipotle.identifiers import key_hash
from lit_airflow.networks.chipotle.managing import WITHIN_S, Manager
from lit_airflow.networks.chipotle.network import ChipotleNetwork
from lit_airflow.networks.chipotle.probe import seal_and_open
from lit_airflow.networks.chipotle.sealing import generate_secret_key, public_key_of
from lit_airflow.networks.chipotle.usage_key_name import UsageKeyName, group_name

Say = Callable[[str], None]
"""Shows a line of progress."""

_SALT_BYTES = 32
_TAG_BYTES = 8
_EVER = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a set-up.

    Attributes:
        what: What it does, a sentence.
        cents: What it costs, US cents.
    """

    what: str
    cents: int = 0


@dataclass(frozen=True, slots=True)
class State:
    """What an account and Vault have of a deployment.

    Attributes:
        build: The service's version.
        credit_cents: The account's credit.
        deployment: The secret in Vault.
        version: The secret's version.
        unlabelled: CIDs of gates without a label.
        groups: Numbers of the groups that have the deployment's name, or the one that its key may run.
        key: The API key in Vault as the account lists it; ``None`` if it does not, or there is none.
        left_over: Names of the deployment's keys that are not in Vault and not draining.
    """

    build: str
    credit_cents: int
    deployment: Deployment
    version: Version
    unlabelled: tuple[str, ...]
    groups: tuple[int, ...]
    key: UsageKey | None
    left_over: tuple[str, ...]

    @property
    def group(self) -> int:
        """The number of the deployment's group; 0 if there is none."""
        if self.key is not None and len(self.key.groups) == 1 and self.key.groups[0] in self.groups:
            return self.key.groups[0]
        if self.deployment.group in self.groups:
            return self.deployment.group
        return self.groups[0] if self.groups else 0

    @property
    def has_key(self) -> bool:
        """Whether the API key in Vault works, and may run the deployment's group alone."""
        return self.key is not None and self.group > 0 and self.key.may_only_run(self.group)

    @property
    def is_new(self) -> bool:
        """Whether nothing was set up yet."""
        return not self.deployment.entries()

    def steps(self) -> list[Step]:
        """Return what a set-up has to do."""
        deployment, steps = self.deployment, []
        if self.is_new:
            steps.append(Step(f"draw a gate's salt and a lock, and write them to {deployment.where}"))
        unlabelled = 1 if self.is_new else len(self.unlabelled)
        steps += [Step("label the gate's CID in the account", WRITE_CENTS)] * unlabelled
        if not self.group:
            steps.append(Step("make a group with the gate's CID alone", WRITE_CENTS))
        steps += [
            Step(f"remove group {number}, which a run that failed has left", WRITE_CENTS)
            for number in self.groups
            if number != self.group
        ]
        if not deployment.api_key:
            steps += [
                Step(f"revoke {name}, which a run that failed has left", WRITE_CENTS)
                for name in self.left_over
            ]
        if not self.has_key:
            steps.append(
                Step(
                    "mint an API key that may run this group, and nothing else; wait until it works",
                    WRITE_CENTS,
                )
            )
        asked = max(1, len(deployment.entries()))
        steps.append(Step("ask the gate for its key and compare it with Vault", asked * WRITE_CENTS))
        steps.append(Step("check that the service refuses to run another action with the API key"))
        if not self.has_key:
            steps.append(Step(f"write the API key and the gate to {deployment.where}"))
            if self.key is not None:
                steps.append(Step(f"revoke the API key before it, {self.key.name}", WRITE_CENTS))
        steps.append(Step("seal a small container, and have the gate open it", WRITE_CENTS))
        return steps


@dataclass(frozen=True, slots=True)
class Finished:
    """A deployment that is set up. Nothing here is secret.

    Attributes:
        gate_key: What data is sealed to.
        lock_key: The public half of the lock.
        group: The number of the gate's group.
        tag: Marks the names of keys and group.
    """

    gate_key: str
    lock_key: str
    group: int
    tag: str


@dataclass(frozen=True, slots=True)
class Setup:
    """The set-up of one deployment.

    Attributes:
        manager: The deployment.
        description: The network's.
    """

    manager: Manager
    description: ChipotleDescription

    def look(self) -> State:
        """Find out what is there. Changes nothing and costs nothing.

        Raises:
            LitError: The service or Vault does not answer, refuses, or the secret there is malformed.
        """
        manager, account = self.manager, self.manager.account
        answer = manager.api.send(api_calls.version(), None, Deadline.after(WITHIN_S))
        build = answer.get("version") if isinstance(answer, dict) else None
        deployment, version = manager.load()
        credit_cents = account.credit_cents()
        cids = {cid_of(entry) for entry in deployment.entries()}
        labelled = {str(row.get("id")).lower() for row in account.actions()}
        keys = account.usage_keys()
        key = next((key for key in keys if key.key_hash == deployment.api_key_hash), None)
        groups = account.groups()
        named = {
            group.number for group in groups if deployment.tag and group.name == group_name(deployment.tag)
        }
        used = {*(key.groups if key else ()), deployment.group} & {group.number for group in groups}
        in_use = deployment.in_use(manager.managed.clock())
        return State(
            build=str(build),
            credit_cents=credit_cents,
            deployment=deployment,
            version=version,
            unlabelled=tuple(sorted(cid for cid in cids if key_hash(cid) not in labelled)),
            groups=tuple(sorted(named or used)),
            key=key,
            left_over=tuple(
                key.name for key in keys if key.key_hash not in in_use and _is_ours(key, deployment.tag)
            ),
        )

    def run(self, say: Say) -> Finished:
        """Set the deployment up, or check one that is.

        Args:
            say: Called with a line before each step; some take up to a minute.

        Raises:
            PaymentError: The account cannot pay for it. Nothing was changed.
            LitError: A step failed. Run it again: it continues where it ended.
        """
        manager = self.manager
        state = self.look()
        manager.check_credit(sum(step.cents for step in state.steps()))
        deployment = self._drawn(state, say)
        for entry in deployment.entries():
            self._check_cid(entry, group_name(deployment.tag), say)
        group = self._group(state, deployment, say)
        deployment = self._with_key(state, replace(deployment, group=group), say)
        say("Sealing a small container, and having the gate open it.")
        finished = Finished(
            gate_key=deployment.credentials(Secret(b"")).newest_gate(),
            lock_key=next(reversed([*deployment.locks]), ""),
            group=group,
            tag=deployment.tag,
        )
        seal_and_open(self._network(finished), Deadline.after(WITHIN_S))
        return finished

    def _drawn(self, state: State, say: Say) -> Deployment:
        """Return the deployment with a gate, a lock and a tag, which are in Vault."""
        deployment = state.deployment
        if not state.is_new and deployment.tag:
            return deployment
        if state.is_new:
            say(f"Drawing the gate's salt and a lock, and writing them to {deployment.where}.")
            lock = generate_secret_key()
            deployment = replace(
                deployment,
                pending=GateEntry(NEWEST, Secret(secrets.token_hex(_SALT_BYTES).encode())),
                locks=deployment.locks or {public_key_of(lock): lock},
            )
        deployment = replace(deployment, tag=secrets.token_hex(_TAG_BYTES))
        if not self.manager.managed.store.write(deployment.fields(), state.version):
            raise VaultUnavailableError(
                f"Somebody else has changed {deployment.where} meanwhile.", hint="Run it again."
            )
        return deployment

    def _check_cid(self, entry: GateEntry, label: str, say: Say) -> None:
        """Compare the CID with the service's, and label it."""
        account, cid, api = self.manager.account, cid_of(entry), self.manager.api
        setup_checks.check_cid(
            cid, api.send(api_calls.action_cid(entry.text()), None, Deadline.after(WITHIN_S))
        )
        if not account.is_labelled(key_hash(cid)):
            say("Labelling the gate's CID in the account.")
            account.label(cid, key_hash(cid), label)

    def _group(self, state: State, deployment: Deployment, say: Say) -> int:
        """Return the number of the group, made if need be; others of its name are removed."""
        account, name = self.manager.account, group_name(deployment.tag)
        group = state.group
        if not group:
            say("Making a group with the gate's CID alone. This takes up to a minute.")
            account.create_group(name, *deployment.cid_hashes())
            group = account.seen("add_group", lambda: min(account.groups_named(name), default=None))
        for number in state.groups:
            if number != group:
                say(f"Removing group {number}, which a run that failed has left.")
                account.remove_group(number)
        self.manager.check_group(deployment, group)
        return group

    def _with_key(self, state: State, deployment: Deployment, say: Say) -> Deployment:
        """Return the deployment with an API key that was tried and is in Vault."""
        manager = self.manager
        if state.has_key and deployment.api_key is not None and deployment.pending is None:
            say("Asking the gate for its key, and checking that the API key runs nothing else.")
            for public_key, entry in deployment.gates.items():
                asked = gate_runs.ask_key(
                    manager.api, deployment.api_key, entry.text(), Deadline.after(WITHIN_S)
                )
                setup_checks.check_gate_key(asked, public_key, entry.version)
            manager.check_runs_nothing_else(deployment.api_key)
            if state.deployment.group != deployment.group:
                self._remember_group(deployment.group)
            return deployment
        if deployment.api_key is None and state.left_over:
            say("Revoking keys that a run that failed has left.")
            swept = manager.account.sweep(deployment.tag, deployment.group, in_use=(), now=_EVER)
            for name in swept.unsure:
                say(f"It is not known whether {name} is revoked. Run this again.")
        say("Minting an API key, and waiting until it works. This takes up to two minutes.")
        minted, gates = manager.new_key(deployment, deployment.group)
        say(f"Writing the API key and the gate to {deployment.where}.")
        old = {} if deployment.api_key is None else {deployment.api_key_hash: manager.managed.clock()}

        def finished(now: Deployment) -> Deployment:
            return replace(
                now,
                gates={**now.gates, **gates},
                pending=None,
                tag=deployment.tag,
                group=deployment.group,
                draining={**now.draining, **old},
            )

        manager.publish(minted, finished, deployment.api_key)
        if state.key is not None:
            say(f"Revoking the API key before it, {state.key.name}.")
            manager.sweep()
        return finished(replace(deployment, api_key=minted.key))

    def _remember_group(self, group: int) -> None:
        deployment, version = self.manager.load()
        self.manager.managed.store.write(replace(deployment, group=group).fields(), version)

    def _network(self, finished: Finished) -> ChipotleNetwork:
        """Return the network as a decrypting role will see it, with the secret as it is in Vault."""

        def read_secret() -> Mapping[str, Any]:
            return parse_object(self.manager.managed.store.read()[0])

        description = replace(
            self.description,
            gate_key=finished.gate_key,
            lock_key=finished.lock_key,
            recovery_key="",
            read_secret=read_secret,
        )
        return ChipotleNetwork(description, self.manager.api.http, self.manager.managed.clock)


def _is_ours(key: UsageKey, tag: str) -> bool:
    name = UsageKeyName.parse(key.name)
    return name is not None and bool(tag) and name.tag == tag

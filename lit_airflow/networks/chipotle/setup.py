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
from lit_airflow.errors import SettingsError, VaultUnavailableError
from lit_airflow.json_input import parse_object
from lit_airflow.keys.secret import Secret
from lit_airflow.keys.vault_answers import Version
from lit_airflow.networks.chipotle import api_calls, registrations, setup_checks
from lit_airflow.networks.chipotle.account_answers import UsageKey
from lit_airflow.networks.chipotle.api_calls import WRITE_CENTS
from lit_airflow.networks.chipotle.credentials import GateEntry
from lit_airflow.networks.chipotle.deployment import Deployment, cid_of
from lit_airflow.networks.chipotle.description import ChipotleDescription
from lit_airflow.networks.chipotle.gates import NEWEST
from lit_airflow.networks.chipotle.identifiers import key_hash
from lit_airflow.networks.chipotle.managing import WITHIN_S, KnownGate, Manager
from lit_airflow.networks.chipotle.network import ChipotleNetwork
from lit_airflow.networks.chipotle.probe import seal_and_open
from lit_airflow.networks.chipotle.sealing import generate_secret_key, public_key_of
from lit_airflow.networks.chipotle.usage_key_name import UsageKeyName, group_name
from lit_airflow.networks.contract import Verdict
from lit_airflow.transport.chain import Chain

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
        version_answer: What the service says of its version.
        credit_cents: The account's credit.
        deployment: The secret in Vault.
        version: The secret's version.
        unlabelled: CIDs of gates without a label.
        groups: Numbers of the groups that have the deployment's name, or the one that its key may run.
        key: The API key in Vault as the account lists it; ``None`` if it does not, or there is none.
        left_over: Names of the deployment's keys that are not in Vault and not draining.
        pending_in_group: Whether the group lists the gate whose key is not known yet.
        new_gate: Whether a further gate was asked for.
    """

    version_answer: object
    credit_cents: int
    deployment: Deployment
    version: Version
    unlabelled: tuple[str, ...]
    groups: tuple[int, ...]
    key: UsageKey | None
    left_over: tuple[str, ...]
    pending_in_group: bool = False
    new_gate: bool = False

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

    @property
    def draws_gate(self) -> bool:
        """Whether a gate has to be drawn: the first, or a further one, unless one is pending already."""
        return self.is_new or (self.new_gate and self.deployment.pending is None)

    @property
    def adds_gate(self) -> bool:
        """Whether a gate has to be added to a group that is there."""
        pending = self.deployment.pending is not None and not self.pending_in_group
        return self.group > 0 and (self.draws_gate or pending)

    def steps(self) -> list[Step]:
        """Return what a set-up has to do."""
        deployment, steps = self.deployment, []
        if self.draws_gate:
            what = "a gate's salt and a lock, and write them" if self.is_new else "a salt, and write it"
            steps.append(Step(f"draw {what} to {deployment.where}"))
        unlabelled = len(self.unlabelled) + self.draws_gate
        steps += [Step("label the gate's CID in the account", WRITE_CENTS)] * unlabelled
        if not self.group:
            steps.append(Step("make a group with the gate's CID alone", WRITE_CENTS))
        elif self.adds_gate:
            steps.append(Step(f"add the new gate's CID to group {self.group}", WRITE_CENTS))
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
        asked = len(deployment.entries()) + self.draws_gate
        steps.append(Step("ask the gate for its key and compare it with Vault", asked * WRITE_CENTS))
        steps.append(Step("check that the service refuses to run another action with the API key"))
        if not self.has_key:
            steps.append(Step(f"write the API key and the gate to {deployment.where}"))
            if self.key is not None:
                steps.append(Step(f"revoke the API key before it, {self.key.name}", WRITE_CENTS))
        elif self.draws_gate or deployment.pending is not None:
            steps.append(Step(f"write the new gate to {deployment.where}"))
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
        description: The network's. Where its ``rpc`` has a server for the account contract's chain, registrations
            of strangers are looked for.
        new_gate: Whether to make a further gate, which new data is encrypted to. Earlier ones keep working.
    """

    manager: Manager
    description: ChipotleDescription
    new_gate: bool = False

    def look(self) -> State:
        """Find out what is there. Changes nothing and costs nothing.

        Raises:
            LitError: The service or Vault does not answer, refuses, or the secret there is malformed.
        """
        manager, account = self.manager, self.manager.account
        version_answer = manager.api.send(api_calls.version(), None, Deadline.after(WITHIN_S))
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
        state = State(
            version_answer=version_answer,
            credit_cents=credit_cents,
            deployment=deployment,
            version=version,
            unlabelled=tuple(sorted(cid for cid in cids if key_hash(cid) not in labelled)),
            groups=tuple(sorted(named or used)),
            key=key,
            left_over=tuple(
                key.name for key in keys if key.key_hash not in in_use and _is_ours(key, deployment.tag)
            ),
            new_gate=self.new_gate,
        )
        if deployment.pending is None or not state.group:
            return state
        hashed = key_hash(cid_of(deployment.pending))
        listed = {str(row.get("id")).lower() for row in account.actions(state.group)}
        return replace(state, pending_in_group=hashed in listed)

    def run(self, say: Say) -> Finished:
        """Set the deployment up, or check one that is.

        Args:
            say: Called with a line before each step; some take up to a minute.

        Raises:
            PaymentError: The account cannot pay for it. Nothing was changed.
            SettingsError: A stranger has registered a gate's path or address with the account contract, or the
                group or the API key may do more than they should.
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
        if not state.draws_gate and deployment.tag:
            return deployment
        if state.draws_gate:
            what = (
                "the gate's salt and a lock, and writing them" if state.is_new else "a salt, and writing it"
            )
            say(f"Drawing {what} to {deployment.where}.")
            salt = Secret(secrets.token_hex(_SALT_BYTES).encode())
            deployment = replace(deployment, pending=GateEntry(NEWEST, salt))
        if state.is_new:
            lock = generate_secret_key()
            deployment = replace(deployment, locks=deployment.locks or {public_key_of(lock): lock})
        deployment = replace(deployment, tag=deployment.tag or secrets.token_hex(_TAG_BYTES))
        self._write(deployment, state.version)
        return deployment

    def _write(self, deployment: Deployment, replaces: Version) -> None:
        """Write the secret, unless somebody else has changed it."""
        if not self.manager.managed.store.write(deployment.fields(), replaces):
            raise VaultUnavailableError(
                f"Somebody else has changed {deployment.where} meanwhile.", hint="Run it again."
            )

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
        elif deployment.pending is not None and not state.pending_in_group:
            cid = cid_of(deployment.pending)
            say("Adding the gate's CID to the group.")
            account.add_to_group(group, cid, key_hash(cid))
        for number in state.groups:
            if number != group:
                say(f"Removing group {number}, which a run that failed has left.")
                account.remove_group(number)
        self.manager.check_group(deployment, group)
        return group

    def _with_key(self, state: State, deployment: Deployment, say: Say) -> Deployment:
        """Return the deployment with an API key that was tried and is in Vault."""
        manager = self.manager
        if state.has_key and deployment.api_key is not None:
            say("Asking the gate for its key, and checking that the API key runs nothing else.")
            known = manager.ask_gates(deployment, deployment.api_key)
            self._check_registrations(deployment, known, say)
            manager.check_runs_nothing_else(deployment.api_key)
            if deployment.pending is not None or state.deployment.group != deployment.group:
                self._register(known, deployment)
            return replace(deployment, gates={key: gate.entry for key, gate in known.items()}, pending=None)
        if deployment.api_key is None and state.left_over:
            say("Revoking keys that a run that failed has left.")
            swept = manager.account.sweep(deployment.tag, deployment.group, in_use=(), now=_EVER)
            for name in swept.unsure:
                say(f"It is not known whether {name} is revoked. Run this again.")
        say("Minting an API key, and waiting until it works. This takes up to two minutes.")
        minted, gates = manager.new_key(
            deployment, deployment.group, lambda known: self._check_registrations(deployment, known, say)
        )
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

    def _register(self, known: Mapping[str, KnownGate], asked: Deployment) -> None:
        """Write the pending gate under its key, and the group's number, beside what Vault has now."""
        now, version = self.manager.load()
        pending = None if now.pending == asked.pending else now.pending
        gates = {**now.gates, **{public_key: gate.entry for public_key, gate in known.items()}}
        self._write(replace(now, gates=gates, pending=pending, group=asked.group), version)

    def _check_registrations(self, deployment: Deployment, known: Mapping[str, KnownGate], say: Say) -> None:
        """Look whether a stranger has registered what would be encrypted to, where there is a server to ask.

        Raises:
            SettingsError: Somebody has registered its path or address.
        """
        servers = self.description.rpc.get(registrations.CHAIN)
        if not servers:
            return
        gates = {key: gate.entry for key, gate in known.items()}
        newest = replace(deployment, gates=gates).credentials(Secret(b"")).newest_gate()
        gate = known[newest]
        deadline, api = Deadline.after(WITHIN_S), self.manager.api
        contract, number = registrations.read_contract(api.send(api_calls.chain_config(), None, deadline))
        look = {newest: (cid_of(gate.entry), gate.address)}
        found = registrations.look(Chain(api.http, servers[0], number), contract, look, deadline)
        say(f"Looked at the account contract's registrations: {found.found}.")
        if found.verdict is Verdict.BAD and found.advice != registrations.TAKEN_ADVICE:
            raise SettingsError(
                f"The registrations could not be read: {found.found}.", field="rpc", hint=found.advice
            )
        if found.verdict is Verdict.BAD:
            advice = f"{found.advice} `lit-airflow chipotle setup --new-gate` makes one."
            if gate.entry == deployment.pending:
                advice = (
                    f"Nothing was encrypted to it yet. Remove pending_gate from {deployment.where}, and its CID "
                    f"from group {deployment.group}; then run this again, and another gate is drawn."
                )
            raise SettingsError(f"The gate cannot be used: {found.found}.", field="rpc", hint=advice)

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

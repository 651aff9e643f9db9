"""The Chipotle network behind the contract: containers are sealed to a gate, and the gate opens them for sessions.

Source: docs/protocol/gate.md#what-a-client-does.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from lit_airflow.clock import Clock, Deadline
from lit_airflow.errors import CiphertextError, LitError, SessionError
from lit_airflow.keys.secret import Secret
from lit_airflow.networks import contract
from lit_airflow.networks.actions import Action, ActionRun, OnCost
from lit_airflow.networks.chipotle import (
    action_runs,
    api_calls,
    batching,
    diagnosis,
    gate_conditions,
    gate_runs,
    gate_sessions,
)
from lit_airflow.networks.chipotle.account_answers import read_credit_cents
from lit_airflow.networks.chipotle.action_runs import price_cents
from lit_airflow.networks.chipotle.api import Api, Reply
from lit_airflow.networks.chipotle.batching import LIMITS
from lit_airflow.networks.chipotle.bulk import BulkDecryption
from lit_airflow.networks.chipotle.cid import cid_v0
from lit_airflow.networks.chipotle.description import ChipotleDescription
from lit_airflow.networks.chipotle.enclave import Guard
from lit_airflow.networks.chipotle.gate_answers import Outcome
from lit_airflow.networks.chipotle.gate_container import GateContainer, SealingKeys, seal_container
from lit_airflow.networks.chipotle.gate_runs import Job
from lit_airflow.networks.chipotle.guarded import open_api, open_guard
from lit_airflow.networks.chipotle.key_ring import KeyRing
from lit_airflow.networks.chipotle.sealing import OVERHEAD_BYTES, Rpc
from lit_airflow.networks.chipotle.signer import read_answer, signer_params, signer_text
from lit_airflow.networks.contract import (
    Attestation,
    Check,
    Cost,
    Decrypted,
    DecryptionReport,
    Health,
    Load,
    NetworkTraits,
    OnReport,
    SessionOptions,
)
from lit_airflow.protocol.condition_doubts import Doubt, Severity, refuse_hopeless
from lit_airflow.protocol.container import Container
from lit_airflow.protocol.scope import Scope
from lit_airflow.protocol.session import SESSION_SIGS, Session
from lit_airflow.text import quoted
from lit_airflow.transport.clock_skew import clock_sentence, skew_s
from lit_airflow.transport.http import Http

if TYPE_CHECKING:
    from lit_airflow.keys.wallet import Signer
    from lit_airflow.protocol.conditions import Conditions
    from lit_airflow.protocol.signing import Signed, SigningPolicy, SigningRequest

log = logging.getLogger(__name__)

TRAITS = NetworkTraits(
    single_server=True,
    encrypts_offline=True,
    condition_fields=frozenset(gate_conditions.FIELDS),
    max_plaintext_bytes=batching.largest_given() - OVERHEAD_BYTES,
    needs_api_key=True,
    answers_to_session_key=True,
    proves_build=True,
    runs_actions=True,
    signs=True,
)

_JUDGED = 64
"""How many conditions are remembered that were found good."""


@dataclass(slots=True)
class ChipotleNetwork:
    """One Chipotle network.

    Attributes:
        description: Which network.
        http: How to send requests.
        clock: Tells the time.
        on_report: Called with each decryption's report.
        root_ca: What quotes must lead to, DER; ``None`` for Intel's own. Only tests give another.
    """

    description: ChipotleDescription
    http: Http
    clock: Clock
    on_report: OnReport | None = None
    root_ca: bytes | None = field(default=None, repr=False)
    api: Api = field(init=False, repr=False)
    keys: KeyRing = field(init=False, repr=False)
    guard: Guard = field(init=False, repr=False)
    _judged: Callable[[Conditions, int], tuple[Rpc, Sequence[Doubt]]] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._judged = functools.lru_cache(maxsize=_JUDGED)(self._judge)
        self.guard = open_guard(self.description, self.http, self.clock, self.root_ca)
        self.api = open_api(self.description, self.http, self.guard)
        self.keys = KeyRing(self.description, self.api)

    @property
    def name(self) -> str:
        """The network's name."""
        return self.description.network

    @property
    def traits(self) -> NetworkTraits:
        """What Chipotle with a gate can do."""
        return TRAITS

    def scope_of(self, container: Container) -> Scope:
        """Return the narrowest scope that decrypts this container.

        Raises:
            CiphertextError: It is incomplete, or for another network.
            ConditionError: The conditions cannot be hashed.
        """
        self._read(container)
        return container.scope()

    def check_conditions(self, conditions: Conditions) -> None:
        """Return nothing if the gate can judge these conditions with the connection's RPC servers.

        Raises:
            ConditionError: It cannot, or nobody can ever meet them.
        """
        self._judged_rpc(conditions)

    def _judged_rpc(self, conditions: Conditions) -> Rpc:
        """Check the conditions, and return the RPC URLs that belong into their container."""
        rpc, doubts = self._judged(conditions, int(self.clock().timestamp()))
        refuse_hopeless(doubts)
        return rpc

    def _judge(self, conditions: Conditions, second: int) -> tuple[Rpc, Sequence[Doubt]]:
        """Check whether a gate can judge the conditions; remembered, since many data have the same conditions.

        Args:
            conditions: The conditions.
            second: The time, Unix seconds; times before it are over.
        """
        description = self.description
        rpc = gate_conditions.judged_rpc(conditions, description.rpc, local=description.local)
        # What a gate can read has been checked; it reads more than nodes do, such as negative numbers.
        doubts = conditions.doubts(now=datetime.fromtimestamp(second, UTC))
        return rpc, [doubt for doubt in doubts if doubt.severity is not Severity.UNREADABLE]

    def load_session(self, kind: str, contents: Mapping[str, Any]) -> Session:
        """Return the session that a ticket holds.

        Raises:
            SessionError: It is incomplete, of another kind, or came without its key.
        """
        if kind != SESSION_SIGS:
            raise SessionError(f"The ticket holds {quoted(kind)}; this network uses {SESSION_SIGS}.")
        return gate_sessions.usable_session(Session.from_json(contents))

    def health(self, deadline: Deadline) -> Health:
        """Ask the service for its version.

        Raises:
            NetworkError: It does not answer.
        """
        reply = self.api.reply(api_calls.version(), None, deadline)
        ahead_s = skew_s(self.clock(), reply.date, reply.took_s)
        return Health({self.description.api_url: reply.took_s}, 1, clock_sentence(ahead_s))

    @property
    def attestation(self) -> Attestation:
        """What this process knows of the service's build. Asks nobody."""
        return self.guard.attestation

    def attest(self, deadline: Deadline) -> Attestation:
        """Have the service prove its build now.

        Raises:
            AttestationError: It did not; ``check`` names the link that is broken.
            NodesUnavailableError: It, or the server of the collateral, does not answer.
            SettingsError: The extra is missing, or the collateral's file cannot be read.
        """
        return self.guard.attest(deadline)

    def diagnose(self, deadline: Deadline) -> Iterator[Check]:
        """Check service, clock, secret, API key, credit, the gate's CID and key, and each RPC server."""
        return diagnosis.diagnose(self, deadline)

    def open_session(
        self, signer: Signer, scope: Scope, options: SessionOptions, deadline: Deadline
    ) -> Session:
        """Have the wallet delegate to a session key, and sign for the gate. Offline where ``gate_key`` is set.

        Raises:
            SettingsError: A lifetime that gates do not accept.
            SessionError: A scope, domain, statement or resource that cannot be signed for.
            AttestationError: The description requires attestation, and the service does not prove its build.
            LitError: As :meth:`KeyRing.gate_key`.
        """
        self.guard.session_opens(deadline)
        request = gate_sessions.delegation_request(scope, options, self.clock())
        gate = self.keys.gate_key(deadline)
        return gate_sessions.open_gate_session(signer, request, options, network=self.name, gate=gate)

    def encrypt(self, plaintext: bytes, conditions: Conditions, deadline: Deadline) -> dict[str, Any]:
        """Seal to the gate, and to the lock where there is one. Offline where ``gate_key`` is set.

        Returns:
            ``ciphertext``, ``dataToEncryptHash``, ``gate``; where there is one, ``lock``, ``rpc``, ``recovery``.

        Raises:
            ConditionError: As :meth:`check_conditions`.
            SettingsError: The plaintext is too long for one container.
            LitError: As :meth:`KeyRing.gate_key`.
        """
        secret = Secret(plaintext)
        del plaintext  # no frame of an error may hold it
        description = self.description
        rpc = self._judged_rpc(conditions)
        batching.check_size(len(secret), locked=bool(description.lock_key))
        keys = SealingKeys(
            gate=self.keys.gate_key(deadline), lock=description.lock_key, recovery=description.recovery_key
        )
        return seal_container(secret.reveal(), conditions, keys, rpc)

    def decrypt(
        self,
        container: Container,
        session: contract.Session,
        deadline: Deadline,
        *,
        log_level: int = logging.INFO,
    ) -> bytes:
        """Have the gate open the container for the session, and open its answer.

        Raises:
            CiphertextError: Malformed, altered, for another network, or not opened by gate and lock.
            ScopeError: The session does not cover it.
            SessionExpiredError: The session has ended.
            SecretError: The gate or the lock that it names is not known here, or this role has no API key.
            AccessDeniedError: The gate or the service refuses.
            NetworkError: The service does not answer.
        """
        job = self.job(container, session)
        batching.check_weight(job.weight(self.description.rpc), batching.LIMITS, job.frame_bytes())
        try:
            (outcome,), reply = self.run([job], deadline)
        except batching.RunFailed as failure:
            error: LitError | None = failure.error
        else:
            error = None
        if error is not None:
            raise error
        plaintext = job.open(outcome)
        log.log(
            log_level,
            "Decrypted the %d bytes of %s. %s",
            len(plaintext),
            container.fields["dataToEncryptHash"],
            self.reported(reply),
        )
        return plaintext

    def decrypt_many(
        self,
        items: Iterable[Load],
        session: Callable[[Container], contract.Session],
        *,
        timeout_s: float,
        at_once: int,
    ) -> Iterator[Decrypted]:
        """Decrypt many containers, up to a hundred in one run: it costs as much as one.

        Raises:
            SettingsError: ``at_once`` is not positive.
        """
        return BulkDecryption(self, session, timeout_s).outcomes(items, at_once)

    def job(self, container: Container, session: contract.Session) -> Job:
        """Return all that opening a container takes. Sends nothing.

        Raises:
            LitError: As :meth:`decrypt`, for what can be known before anything is sent.
        """
        found = self._read(container)
        session.check_alive(self.clock())
        session.check_covers(container.scope())
        return Job.of(found, gate_sessions.usable_session(session), self.keys.credentials())

    def run(self, jobs: Sequence[Job], deadline: Deadline) -> tuple[list[Outcome], Reply]:
        """Run a gate for jobs of one group; once more if the API key was rotated meanwhile.

        Raises:
            RunFailed: As :func:`lit_airflow.networks.chipotle.gate_runs.run_jobs`.
            LitError: The same.
        """
        return self.keys.paid(deadline, lambda key: gate_runs.run_jobs(self.api, key, jobs, deadline))

    def reported(self, reply: Reply) -> DecryptionReport:
        """Pass on how a run of a gate was answered and what it cost, and return that."""
        cost = Cost(reply.took_s, price_cents(reply.took_s))
        report = DecryptionReport({self.description.api_url: reply.took_s}, cost=cost)
        if self.on_report:
            self.on_report(report)
        return report

    def run_action(self, action: Action, params: Any, deadline: Deadline) -> ActionRun:  # noqa: ANN401 - JSON
        """Run an action of the user's own, or a gate by its key.

        Raises:
            LitError: As :meth:`lit_airflow.networks.actions.ActingNetwork.run_action`.
        """
        text = action_runs.text_of(action, self.keys.credentials)
        return self.keys.paid(
            deadline,
            lambda key: action_runs.run_action(
                self.api, key, text, params, deadline, repeatable=action.repeatable
            ),
        )

    def action_cid(self, code: str) -> str:
        """Return the CID of an action's text. Sends nothing.

        Raises:
            SettingsError: The text is blank, or no text.
        """
        return action_runs.text_of(Action(code=code), self.keys.credentials).cid

    def signing_code(self, policy: SigningPolicy) -> tuple[str, str]:
        """Return the signer's text for a policy, and its CID. Sends nothing.

        Raises:
            SettingsError: The installed text is not the published one.
        """
        text = signer_text(policy)
        return text, cid_v0(text)

    def sign(
        self, request: SigningRequest, policy: SigningPolicy, deadline: Deadline, on_cost: OnCost
    ) -> Signed:
        """Have the signer sign with the policy's PKP, and verify what it answers.

        Raises:
            LitError: As :meth:`lit_airflow.networks.actions.ActingNetwork.sign`.
        """
        request.check(policy)
        # Signing the same again has the same outcome: ethers' signatures are deterministic (RFC 6979).
        action = Action(code=signer_text(policy), repeatable=True)
        run = self.run_action(action, signer_params(request), deadline)
        on_cost(run.cost)
        return request.verified(read_answer(run.response), policy)

    def credit_cents(self, deadline: Deadline) -> int:
        """Return the account's credit in US cents; free.

        Raises:
            SecretError: This role has no API key.
            NetworkError: The service does not answer, or does not know the key.
        """
        return read_credit_cents(
            self.keys.paid(deadline, lambda key: self.api.send(api_calls.balance(), key, deadline))
        )

    def price_cents(self, seconds: float) -> int:
        """Return what a run of that many seconds costs, in US cents."""
        return price_cents(seconds)

    def decryption_runs(self, containers: int) -> int:
        """Return how many runs decrypt that many containers, if they are small and share gate and session."""
        return -(-containers // LIMITS.items)

    def close(self) -> None:
        """Close all connections."""
        self.api.http.close()
        self.http.close()

    def _read(self, container: Container) -> GateContainer:
        # Only this generation's containers name a gate, so that one need not name the network too.
        container.check_network(self.name, unnamed=container.fields.get("gate") is not None)
        found = GateContainer.read(container)
        if self.description.lock_key and not found.lock and not self.description.allow_unlocked:
            raise CiphertextError(
                "The container has no lock, and this connection demands one.",
                hint="Set allow_unlocked in the connection if containers without one are expected.",
            )
        return found

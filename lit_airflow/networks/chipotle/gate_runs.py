"""Running a gate: what it takes to open containers, one run for many of them, and what comes back.

Source: docs/protocol/gate.md#request-and-answer, #batches-limits-and-costs and #what-a-client-does.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, replace

from lit_airflow.clock import Deadline
from lit_airflow.errors import ConditionError, FailureKind, ProtocolError
from lit_airflow.keys.secret import Secret
from lit_airflow.networks.chipotle import api_calls
from lit_airflow.networks.chipotle.account_answers import read_credit_cents
from lit_airflow.networks.chipotle.api import Api, CallFailedError, Reply
from lit_airflow.networks.chipotle.api_calls import ApiCall
from lit_airflow.networks.chipotle.api_errors import ApiFailure, ApiFailureKind
from lit_airflow.networks.chipotle.batching import RunFailed, Weight
from lit_airflow.networks.chipotle.credentials import Credentials
from lit_airflow.networks.chipotle.gate_answers import GateKey, Outcome, read_key, read_outcomes
from lit_airflow.networks.chipotle.gate_conditions import chain_reads, fetches
from lit_airflow.networks.chipotle.gate_container import GateContainer
from lit_airflow.networks.chipotle.gate_requests import ASK_KEY, decrypt_params, frame_bytes
from lit_airflow.networks.chipotle.gate_sessions import signature_for
from lit_airflow.networks.chipotle.readiness import wait_until_ready
from lit_airflow.networks.chipotle.sealing import Rpc, reply_secret_key
from lit_airflow.protocol.recap import canonical_json
from lit_airflow.protocol.session import Session

# The service ends an action after 15 minutes; what ends a run sooner is the caller's deadline.
RUN_TIMEOUT_S = 15 * 60 + 15.0
# Failures of a run as a whole, which fewer containers may avoid.
_LOST_RUNS = (ApiFailureKind.ACTION, ApiFailureKind.SERVER)
# The service cannot be reached, or is too slow: smaller runs would fare no better, and would wait one by one.
_NO_ANSWER = (FailureKind.TIMEOUT, FailureKind.UNREACHABLE)


@dataclass(frozen=True, slots=True)
class Job:
    """One container, with all that opening it takes.

    Attributes:
        container: The container.
        session: A session that covers it.
        text: The gate's text.
        version: The gate's version.
        lock: The secret half of its lock; ``None`` where it has none.
    """

    container: GateContainer
    session: Session
    text: Secret
    version: int
    lock: Secret | None

    @classmethod
    def of(cls, container: GateContainer, session: Session, credentials: Credentials) -> Job:
        """Look up the gate's text and the lock. Sends nothing.

        Raises:
            SecretNotFoundError: The gate or the lock is not listed.
            SettingsError: This package does not ship the gate's version.
        """
        entry = credentials.gate(container.gate)
        lock = credentials.lock(container.lock) if container.lock else None
        return cls(container, session, entry.text(), entry.version, lock)

    @property
    def audience_signature(self) -> Mapping[str, str]:
        """The session's signature for the container's gate."""
        return signature_for(self.session, self.container.gate)

    def open(self, outcome: Outcome) -> bytes:
        """Return the plaintext behind a gate's outcome.

        Raises:
            LitError: The gate's refusal.
            CiphertextError: The answer is not what the container promises.
        """
        reply_secret = reply_secret_key(self.session.key, version=self.version)
        size = self.container.given_bytes
        return self.container.unlock(outcome.open(reply_secret, size, version=self.version), self.lock)

    def weight(self, trusted: Rpc) -> Weight:
        """Return what it adds to a run.

        Args:
            trusted: The connection's own RPC servers. A container that names others shares a run only with those
                that name the same: a hostile server can use a run up.
        """
        rpc = self.container.rpc
        foreign = any(set(urls) - set(trusted.get(chain, ())) for chain, urls in rpc.items())
        group: Hashable = (
            self.container.gate,
            self.session.public_key,
            self.session.issued_at,
            canonical_json(rpc) if foreign else "",
        )
        item = json.dumps(self.container.request_item(), ensure_ascii=False)
        try:
            reads = chain_reads(self.container.conditions)
        except ConditionError:
            reads = frozenset()  # the gate refuses it before it asks any chain
        return Weight(group, self.container.given_bytes, len(item.encode()), fetches(reads, rpc))

    def frame_bytes(self) -> int:
        """Return what a request of such jobs takes beside its containers."""
        return frame_bytes(self.text.reveal().decode(), self.audience_signature)


def run_jobs(api: Api, key: Secret, jobs: Sequence[Job], deadline: Deadline) -> tuple[list[Outcome], Reply]:
    """Run a gate once for jobs of one group; return their outcomes in order, and the answer's times.

    Args:
        api: The service.
        key: The API key.
        jobs: At least one, all of one group.
        deadline: When the run must have ended.

    Raises:
        RunFailed: The run was lost as a whole, and fewer jobs may succeed.
        LitError: The service refuses, whatever the jobs are; or what it answers is not a gate's.
    """
    call = _call(jobs)
    try:
        reply = api.ask(call, key, deadline) if len(jobs) == 1 else _ask_for_many(api, call, key, deadline)
    except CallFailedError as error:
        failure = settled(api, error.failure, key, deadline)
    else:
        return read_outcomes(_response(reply.content), len(jobs)), reply
    if failure.kind in _LOST_RUNS and failure.reason not in _NO_ANSWER:
        raise RunFailed(api.error(call, failure))
    raise api.error(call, failure)


def _ask_for_many(api: Api, call: ApiCall, key: Secret, deadline: Deadline) -> Reply:
    """As :meth:`Api.ask`, but repeat only a connection that broke: after other failures a smaller run is tried."""
    try:
        return api.ask_once(call, key, deadline)
    except CallFailedError as error:
        if error.failure.reason is not FailureKind.UNREACHABLE:
            raise
    return api.ask(call, key, deadline)


def settled(api: Api, failure: ApiFailure, key: Secret, deadline: Deadline) -> ApiFailure:
    """Return what a refusal means that stands for two things: no credit, or a key that is not known.

    Asking for the balance is free and tells which.
    """
    if failure.kind is not ApiFailureKind.CREDIT_OR_KEY:
        return failure
    try:
        reply = api.ask(api_calls.balance(), key, deadline)
    except CallFailedError as error:
        known = error.failure.kind is not ApiFailureKind.AUTHENTICATION
        return failure if known else error.failure
    try:
        cents = read_credit_cents(reply.content)
    except ProtocolError:
        return failure
    return failure if cents else replace(failure, kind=ApiFailureKind.CREDIT)


def ask_key(api: Api, key: Secret, text: Secret, deadline: Deadline) -> GateKey:
    """Ask a gate for its key; $0.01.

    Raises:
        LitError: The service refuses, or what it answers is not a gate's.
    """
    call = api_calls.run(text, ASK_KEY, timeout_s=RUN_TIMEOUT_S)
    return read_key(_response(api.send(call, key, deadline)))


def ask_key_when_ready(api: Api, key: Secret, call: ApiCall, wait: Callable[[float], None]) -> GateKey:
    """Ask a gate for its key with an API key that was minted seconds ago, as soon as the service takes it; $0.01.

    Args:
        api: The service.
        key: The new key.
        call: The question: a run of the gate's text with ``ASK_KEY``.
        wait: Waits so many seconds; a minute in all at most.

    Raises:
        LitError: The service does not take the key in time, or refuses, or what it answers is not a gate's.
    """
    replies: list[Reply] = []

    def probe() -> ApiFailure | None:
        try:
            replies.append(api.ask_once(call, key, Deadline.after(call.timeout_s), new_key=True))
        except CallFailedError as error:
            return error.failure
        return None

    failure = wait_until_ready(probe, wait)
    if failure is not None:
        raise api.error(call, failure)
    return read_key(_response(replies[-1].content))


def _call(jobs: Sequence[Job]) -> ApiCall:
    """Return the call; apart, so that no frame of an error holds the session signature."""
    params = decrypt_params([job.container for job in jobs], jobs[0].audience_signature)
    return api_calls.run(jobs[0].text, params, timeout_s=RUN_TIMEOUT_S)


def _response(answer: object) -> object:
    return answer.get("response") if isinstance(answer, dict) else None

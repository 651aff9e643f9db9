"""Surveys: the nodes that the chain lists, and what their handshakes agree on; reused while they are fresh.

Source: docs/protocol/discovery.md and docs/protocol/handshake.md.
"""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, TypeVar

from lit_airflow.clock import Clock, Deadline
from lit_airflow.errors import (
    ConditionsNotMetError,
    Failure,
    FailureKind,
    NetworkError,
    NodesUnavailableError,
    PaymentError,
    RateLimitedError,
)
from lit_airflow.networks.committee import Committee, Handshake
from lit_airflow.networks.datil import discovery, wire
from lit_airflow.networks.datil.consensus import consensus, unavailable, votes
from lit_airflow.networks.datil.description import CREDITS, DatilDescription
from lit_airflow.networks.datil.ended import explained
from lit_airflow.networks.datil.wire import ListedValidators
from lit_airflow.transport.addresses import check_private_transport, check_public
from lit_airflow.transport.clock_skew import clock_warning, skew_s
from lit_airflow.transport.fan_out import FanOut
from lit_airflow.transport.http import Http, Repeat

if TYPE_CHECKING:
    from lit_airflow.networks.datil.attestation import AttestationVerifier

log = logging.getLogger(__name__)

# After enough nodes agree, the rest get this much longer to be counted as present.
_STRAGGLERS_S = 0.5
# The same where AMD may have to be asked about each of them.
_STRAGGLERS_ATTESTED_S = 5.0
# How much of the time may go to the nodes of a survey that was handed on, before others are looked for.
_FIRST_TRY = 0.5
# How long a survey may be reused: as long as a block hash is good as a nonce.
_FRESH_S = 30.0

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey(Committee):
    """A committee, and what the chain listed when it was surveyed.

    Attributes:
        listed: What the chain listed.
    """

    listed: ListedValidators

    def at(self, now_s: float) -> Survey:
        """Return the same survey later: an epoch is named in requests only once it has settled in."""
        epoch = self.listed.epoch.current(now_s)
        return self if epoch == self.epoch else replace(self, epoch=epoch)


@dataclass(slots=True)
class Surveyor:
    """Surveys one network. Safe to use from several threads: one of them surveys, the others wait for its result.

    Attributes:
        description: The network.
        http: How to send requests.
        clock: Tells the time.
        verifier: Checks nodes' proofs of their hardware; ``None`` where the network does not require them.
    """

    description: DatilDescription
    http: Http
    clock: Clock
    verifier: AttestationVerifier | None = None
    _latest: tuple[float, Survey] | None = field(default=None, repr=False)
    _public_key: str = field(default="", repr=False)
    _handed_on: tuple[float, Survey] | None = field(default=None, repr=False)
    _surveying: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def listed(self, deadline: Deadline) -> ListedValidators:
        """Return the validators listed on the chain. Contacts no node.

        Raises:
            ChainUnavailableError: The chain does not answer.
            ProtocolError: The chain lists too few nodes, or has no such contract.
        """
        with explained(self.description):
            return discovery.listed(self.description, self.http, deadline)

    def survey(self, deadline: Deadline) -> Survey:
        """Find the nodes and what they agree on; a survey younger than 30 s is reused.

        Where the network requires attestation, a node that does not prove its hardware counts as absent, with the
        failed check as its cause: it has no vote and is not asked for anything else.

        Raises:
            ChainUnavailableError: The chain does not answer.
            NodesUnavailableError: Fewer handshakes than the threshold; names every node and why.
            ProtocolError: The chain lists too few nodes, or the nodes disagree, or deny the key that is pinned or
                that they named before: a network's key never changes.
        """
        fresh = self._fresh()
        if fresh is not None:
            return fresh
        # A thread whose time has run out while another one surveyed has none left to survey itself.
        alone = self._surveying.acquire(timeout=deadline.left_s())
        try:
            return self._fresh() or self._survey(deadline)
        finally:
            if alone:
                self._surveying.release()

    def with_nodes(self, work: Callable[[Survey], Result], deadline: Deadline) -> Result:
        """Do what needs the nodes; if they fail and the chain by now lists others, once more with those.

        Raises:
            NetworkError: As :meth:`survey`, or what ``work`` raises.
        """
        survey = self.survey(deadline)
        try:
            return work(survey)
        except NodesUnavailableError as error:
            try:
                listed = self.listed(deadline)
            except NetworkError:
                raise error from None  # it says more than the chain's failure
            if survey.listed == listed:
                raise
            log.info("The chain lists other nodes or a new epoch now; asking those. %s", error)
        latest = self._latest
        if latest and latest[1].listed != listed:  # else another thread has noticed already
            self._latest = None
        return work(self.survey(deadline))

    def hand_on(self, survey: Survey, seconds: float) -> None:
        """Take a survey of another process, good for so many seconds; :meth:`with_known_nodes` uses the newest."""
        until, latest = time.monotonic() + seconds, self._handed_on
        if latest is None or until > latest[0]:
            self._handed_on = (until, survey)

    def with_known_nodes(self, work: Callable[[Survey, Deadline], Result], deadline: Deadline) -> Result:
        """Do what needs nodes that are known, first with the survey handed on; if that fails, survey and repeat it.

        Args:
            work: Gets the nodes, and when it must have ended: the first time sooner than at the deadline, so that
                nodes which do not answer leave time for others.
            deadline: When all must have ended.

        Raises:
            NetworkError: As :meth:`with_nodes`.
        """

        def until_the_deadline(survey: Survey) -> Result:
            return work(survey, deadline)

        handed_on = self._usable()
        if handed_on is None:
            return self.with_nodes(until_the_deadline, deadline)
        try:
            return work(handed_on, Deadline.after(deadline.left_s() * _FIRST_TRY))
        except (ConditionsNotMetError, RateLimitedError, PaymentError):
            raise  # other nodes would say the same
        except NetworkError as error:
            if not deadline.left_s():
                raise
            log.info("The nodes that were found when the session was opened failed; looking again. %s", error)
        self._handed_on = None
        return self.with_nodes(until_the_deadline, deadline)

    def ready(self, deadline: Deadline) -> None:
        """Survey now, unless :meth:`with_known_nodes` can begin without.

        Raises:
            NetworkError: As :meth:`survey`.
        """
        if self._usable() is None:
            self.survey(deadline)

    def _usable(self) -> Survey | None:
        """Return the survey that was handed on, while it is good and this process has made none itself."""
        handed_on = self._handed_on
        if handed_on is None or self._latest is not None or time.monotonic() >= handed_on[0]:
            return None
        return handed_on[1].at(self.clock().timestamp())

    def _fresh(self) -> Survey | None:
        latest = self._latest
        if latest is None or time.monotonic() - latest[0] >= _FRESH_S:
            return None
        return latest[1].at(self.clock().timestamp())

    def _survey(self, deadline: Deadline) -> Survey:
        survey = self._shake_hands(self.listed(deadline), deadline)
        if survey.absent:
            absent = "; ".join(f"{node}: {cause}" for node, cause in survey.absent.items())
            log.warning("Lit nodes missing at the handshake: %s", absent)
        if warning := clock_warning(survey.skew_s):
            log.warning("%s Lit nodes refuse sessions that begin over a minute ahead of their time.", warning)
        self._latest = (time.monotonic(), survey)
        return survey

    def _shake_hands(self, listed: ListedValidators, deadline: Deadline) -> Survey:
        epoch = listed.epoch.current(self.clock().timestamp())
        only = self.description.network_public_key or self._public_key
        handshakes, absent = self._handshakes(listed, epoch, only, deadline)
        if len(handshakes) < listed.threshold:
            with explained(self.description):
                raise unavailable("Connecting", listed.threshold, len(handshakes), absent)
        agreed = consensus([*handshakes.values()], listed.threshold, only)
        self._public_key = agreed.public_key
        other_key = Failure(FailureKind.UNTRUSTED, "it names another network key")
        absent |= {
            node: other_key for node, shake in handshakes.items() if shake.public_key != agreed.public_key
        }
        return Survey(
            nodes=listed.nodes,
            threshold=listed.threshold,
            epoch=epoch,
            public_key=agreed.public_key,
            nonce=agreed.nonce,
            absent=absent,
            handshakes=handshakes,
            credit_contract=self.description.contracts.get(CREDITS, ""),
            attested=self.verifier is not None,
            public=self.description.public,
            listed=listed,
        )

    def _handshakes(
        self, listed: ListedValidators, epoch: int, only: str, deadline: Deadline
    ) -> tuple[dict[str, Handshake], dict[str, Failure]]:
        """Return each node's handshake, and why the others gave none."""
        stragglers_s = _STRAGGLERS_ATTESTED_S if self.verifier else _STRAGGLERS_S
        headers = wire.headers()

        def shake(node: str, cancelled: threading.Event) -> Handshake:
            return self._handshake(node, epoch, headers, deadline, cancelled)

        handshakes: dict[str, Handshake] = {}
        absent: dict[str, Failure] = {}
        with FanOut(listed.nodes, shake, deadline) as fan_out:
            while outcome := fan_out.next(
                stragglers_s if votes(handshakes.values(), only) >= listed.threshold else None
            ):
                if outcome.answer is None:
                    absent[outcome.server] = wire.failure(outcome.error)
                else:
                    handshakes[outcome.server] = replace(outcome.answer, took_s=outcome.took_s)
            late = (
                f"no handshake within {stragglers_s:g} s of the others"
                if deadline.left_s()
                else "no answer in time"
            )
            absent |= dict.fromkeys(fan_out.waiting, Failure(FailureKind.TIMEOUT, late))
        return handshakes, absent

    def _handshake(
        self,
        node: str,
        epoch: int,
        headers: dict[str, str],
        deadline: Deadline,
        cancelled: threading.Event,
    ) -> Handshake:
        if self.description.public:
            check_public(node)
        elif not self.description.plain_http:
            check_private_transport(node)
        challenge = secrets.token_bytes(32)
        body = {"clientPublicKey": "test", "challenge": challenge.hex(), "epoch": epoch}
        response = self.http.post(
            node + wire.HANDSHAKE,
            wire.compact(body),
            deadline=deadline,
            repeat=Repeat.ALWAYS,
            headers=headers,
            cancelled=cancelled,
        )
        ahead_s = skew_s(self.clock(), response.date, response.took_s)
        answer = wire.read_answer(response)
        handshake = wire.read_handshake(answer)
        if self.verifier and isinstance(answer, dict):
            self.verifier.check(answer.get("attestation"), node, challenge, deadline, cancelled)
        return replace(handshake, skew_s=ahead_s)

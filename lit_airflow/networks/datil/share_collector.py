"""Collecting signature shares of one message until a threshold of good ones makes a signature."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from lit_airflow.clock import Deadline
from lit_airflow.errors import BadShareError, Failure, FailureKind, LitError, NodeError
from lit_airflow.networks.committee import Committee
from lit_airflow.networks.contract import DecryptionReport
from lit_airflow.networks.datil.consensus import unavailable
from lit_airflow.networks.datil.wire import bill, denial, failure, overload, why_not_judged
from lit_airflow.threshold import shares
from lit_airflow.threshold.curve import Signature
from lit_airflow.threshold.shares import Recovered, Share
from lit_airflow.transport.fan_out import FanOut, Outcome

log = logging.getLogger(__name__)

_STRAGGLERS_S = 0.5


@dataclass(frozen=True, slots=True, eq=False)
class SignedShare:
    """What one node answered.

    Attributes:
        message: What it signed.
        share: Its share of the signature.
    """

    message: bytes
    share: Share


class ShareCollector:
    """Collects shares until a threshold of good ones, all of one message, has arrived.

    Args:
        committee: The nodes to ask.
        purpose: What the shares are for, as the error for too few answers begins.
    """

    def __init__(self, committee: Committee, purpose: str) -> None:
        self._committee = committee
        self._purpose = purpose
        self._given: dict[str, SignedShare] = {}
        self._took_s: dict[str, float] = {}
        self._failures: dict[str, Exception] = {}

    def collect(
        self, ask: Callable[[str, threading.Event], SignedShare], deadline: Deadline
    ) -> tuple[bytes, Recovered]:
        """Ask every node that may be asked; return the message and its signature as soon as one is proved right.

        Args:
            ask: Gets one node's share.
            deadline: When to stop waiting.

        Raises:
            AccessDeniedError: So many nodes refused that the threshold cannot be reached.
            RateLimitedError: The same, because they are too busy.
            PaymentError: The same, because requests are unpaid.
            NodesUnavailableError: Too few usable answers; names every node and why.
        """

        def ask_if_allowed(node: str, cancelled: threading.Event) -> SignedShare:
            self._committee.check_may_ask(node)
            return ask(node, cancelled)

        with FanOut(self._committee.nodes, ask_if_allowed, deadline) as fan_out:
            # Once the threshold cannot be reached any more, the rest gets a moment, so that the error names
            # their causes.
            while outcome := fan_out.next(_STRAGGLERS_S if self._hopeless() else None):
                # One share more can save trying many subsets of those that have arrived.
                found = self._take(outcome, lambda: fan_out.ready or deadline.left_s() <= 0)
                if found is not None:
                    return found
            late = NodeError("no answer in time", kind=FailureKind.TIMEOUT)
            self._failures |= dict.fromkeys(fan_out.waiting, late)
        raise self._error()

    def _take(
        self, outcome: Outcome[SignedShare], over: Callable[[], bool]
    ) -> tuple[bytes, Recovered] | None:
        """Note an outcome; return a message and its signature once a subset of the shares makes one."""
        if outcome.answer is None:
            self._failures[outcome.server] = outcome.error or NodeError("no answer")
        else:
            self._given[outcome.server] = outcome.answer
            self._took_s[outcome.server] = outcome.took_s
        for message in {each.message: None for each in self._given.values()}:
            recovered = shares.recover(
                [each.share for each in self._given.values() if each.message == message],
                self._committee.threshold,
                bytes.fromhex(self._committee.public_key),
                message,
                opens=self._opens,
                over=over,
            )
            if recovered is not None:
                self._blame(message, recovered.bad)
                for node, error in self._failures.items():
                    if isinstance(error, BadShareError):
                        log.warning("Lit node %s gave a wrong answer: %s.", node, error)
                return message, recovered
        return None

    def _blame(self, message: bytes, bad: Sequence[Share]) -> None:
        for node, each in self._given.items():
            if each.message != message:
                self._failures[node] = BadShareError("it signed another message than the others")
            elif each.share in bad:
                self._failures[node] = BadShareError("its share is wrong")

    def _opens(self, _candidate: Signature) -> bool:
        """Return whether something cheaper than verification proves a signature right; by default nothing does."""
        return False

    def _hopeless(self) -> bool:
        nodes, needed = len(self._committee.nodes), self._committee.threshold
        return nodes - len(self._failures) < needed

    def report(self) -> DecryptionReport:
        """Return which nodes answered how fast, which did not, and which were not waited for."""
        answered = {node: s for node, s in self._took_s.items() if node not in self._failures}
        failed = {node: cause for node, cause in self._committee.absent.items() if node not in answered}
        failed |= {node: failure(error) for node, error in self._failures.items()}
        left_out = (node for node in self._committee.nodes if node not in answered and node not in failed)
        return DecryptionReport(answered, failed, tuple(left_out))

    def _error(self) -> LitError:
        needed, nodes = self._committee.threshold, self._committee.nodes
        causes = {node: failure(error) for node, error in self._failures.items()}
        good = [node for node in self._given if node not in self._failures]
        if len(good) >= needed:
            causes |= dict.fromkeys(good, Failure(FailureKind.UNPROVEN, "its share may be wrong"))
            good = []
        unpaid = partial(bill, contract=self._committee.credit_contract)
        denied = partial(denial, skew_s=self._committee.skew_s)
        for kind in (denied, overload, unpaid):
            errors = [error for error in map(kind, self._failures.values()) if error is not None]
            if len(errors) > len(nodes) - needed:
                return errors[0]
        found = unavailable(self._purpose, needed, len(good), causes)
        hints = [hint for hint in map(why_not_judged, self._failures.values()) if hint]
        if len(hints) > len(nodes) - needed:
            found.hint = hints[0]
        return found

"""One question to the committee: who answered what, and whether it suffices for a signature."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from lit_airflow.clock import Deadline
from lit_airflow.errors import BadShareError, LitError, NodeError
from lit_airflow.networks.contract import UNPROVEN, Committee, DecryptionReport
from lit_airflow.networks.datil.consensus import unavailable
from lit_airflow.networks.datil.wire import bill, denial, overload
from lit_airflow.threshold import shares
from lit_airflow.threshold.curve import Signature
from lit_airflow.threshold.shares import Recovered, Share
from lit_airflow.transport.fan_out import FanOut, Outcome


@dataclass(frozen=True, slots=True, eq=False)
class SignedShare:
    """What one node gave.

    Attributes:
        message: What it signed.
        share: Its share of the signature.
    """

    message: bytes
    share: Share


class ShareCollector:
    """Collects shares until a threshold of good ones, all of one message, is in hand.

    Args:
        committee: Whom to ask.
        doing: What it is for, as the error for too few answers begins.
    """

    def __init__(self, committee: Committee, doing: str) -> None:
        self._committee = committee
        self._doing = doing
        self._given: dict[str, SignedShare] = {}
        self._took_s: dict[str, float] = {}
        self._failures: dict[str, Exception] = {}

    def gather(
        self, ask: Callable[[str, threading.Event], SignedShare], deadline: Deadline
    ) -> tuple[bytes, Recovered]:
        """Ask all nodes that may be; the message and its group signature, as soon as one is proved right.

        Args:
            ask: Gets one node's share.
            deadline: When to stop waiting.

        Raises:
            AccessDeniedError: So many nodes refused that the threshold cannot be reached.
            RateLimitedError: The same, because they are too busy.
            PaymentError: The same, because nobody pays.
            NodesUnavailableError: Too few usable answers; names every node and why.
        """

        def ask_if_allowed(node: str, cancelled: threading.Event) -> SignedShare:
            self._committee.check_may_ask(node)
            return ask(node, cancelled)

        with FanOut(self._committee.nodes, ask_if_allowed, deadline) as asking:
            while outcome := asking.next():
                # One share more spares trying many subsets of those in hand.
                found = self._take(outcome, lambda: asking.ready or deadline.left_s() <= 0)
                if found is not None:
                    return found
                if outcome.answer is not None and self._hopeless():
                    break
            self._failures |= {node: NodeError("no answer in time") for node in asking.waiting}
        raise self._error()

    def _take(
        self, outcome: Outcome[SignedShare], over: Callable[[], bool]
    ) -> tuple[bytes, Recovered] | None:
        """Note an outcome; a message and its signature, once a subset of the shares of one message makes it."""
        if outcome.answer is None:
            self._failures[outcome.node] = outcome.error or NodeError("no answer")
        else:
            self._given[outcome.node] = outcome.answer
            self._took_s[outcome.node] = outcome.took_s
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
                return message, recovered
        return None

    def _blame(self, message: bytes, bad: Sequence[Share]) -> None:
        for giver, each in self._given.items():
            if each.message != message:
                self._failures[giver] = BadShareError("it signed something else than the others")
            elif each.share in bad:
                self._failures[giver] = BadShareError("its share is wrong")

    def _opens(self, _candidate: Signature) -> bool:
        """Whether something cheaper than verifying proves a signature right; by default nothing does."""
        return False

    def _hopeless(self) -> bool:
        nodes, needed = len(self._committee.nodes), self._committee.threshold
        return nodes - len(self._failures) < needed

    def turnout(self) -> DecryptionReport:
        """Who answered how fast, who did not, and who was not waited for."""
        answered = {node: s for node, s in self._took_s.items() if node not in self._failures}
        failed = {node: cause for node, cause in self._committee.absent.items() if node not in answered}
        failed |= {node: str(error).rstrip(".") for node, error in self._failures.items()}
        left_out = (node for node in self._committee.nodes if node not in answered and node not in failed)
        return DecryptionReport(answered, failed, tuple(left_out))

    def _error(self) -> LitError:
        needed, nodes = self._committee.threshold, self._committee.nodes
        good = [node for node in self._given if node not in self._failures]
        if len(good) >= needed:
            causes = dict.fromkeys(good, UNPROVEN)
            self._failures |= {node: BadShareError(cause) for node, cause in causes.items()}
            good = []
        unpaid = partial(bill, contract=self._committee.credit_contract)
        denied = partial(denial, skew_s=self._committee.skew_s)
        for kind in (denied, overload, unpaid):
            errors = [error for error in map(kind, self._failures.values()) if error is not None]
            if len(errors) > len(nodes) - needed:
                return errors[0]
        causes = {node: str(error).rstrip(".") for node, error in self._failures.items()}
        return unavailable(self._doing, needed, len(good), causes)

"""One question to the committee: who answered what, and whether it suffices."""

from __future__ import annotations

import threading
from collections.abc import Callable

from lit_airflow.clock import Deadline
from lit_airflow.errors import BadShareError, LitError, NodeError
from lit_airflow.networks.base import Committee
from lit_airflow.networks.committee import unavailable
from lit_airflow.networks.datil.wire import bill, denial, overload
from lit_airflow.networks.quorum import Asking
from lit_airflow.threshold import shares
from lit_airflow.threshold.shares import Recovered, Share


class Decryption:
    """Collects shares until a threshold of good ones is in hand.

    Args:
        committee: Whom to ask.
        identity: What the nodes are asked to sign.
    """

    def __init__(self, committee: Committee, identity: bytes) -> None:
        self._committee = committee
        self._identity = identity
        self._shares: list[Share] = []
        self._answered: dict[str, float] = {}
        self._failures: dict[str, Exception] = {}

    def run(self, ask: Callable[[str, threading.Event], Share], deadline: Deadline) -> Recovered:
        """Ask all nodes; the verified group signature, as soon as there is one.

        Args:
            ask: Gets one node's share.
            deadline: When to stop waiting.

        Raises:
            AccessDeniedError: So many nodes refused that the threshold cannot be reached.
            NodesUnavailableError: Too few usable answers; names every node and why.
        """
        with Asking(self._committee.nodes, ask, deadline) as asking:
            while outcome := asking.next():
                if outcome.answer is None:
                    self._failures[outcome.node] = outcome.error or NodeError("no answer")
                elif (recovered := self._take(outcome.node, outcome.took_s, outcome.answer)) is not None:
                    return recovered
                elif self._hopeless():
                    break
            self._failures |= {node: NodeError("no answer in time") for node in asking.waiting}
        raise self._error()

    def _take(self, node: str, took_s: float, share: Share) -> Recovered | None:
        """Add a share; the signature, once a subset of them verifies."""
        if share.identifier in {held.identifier for held in self._shares}:
            self._failures[node] = BadShareError("its share bears another node's number")
            return None
        self._shares.append(share)
        self._answered[node] = took_s
        recovered = shares.recover(
            self._shares,
            self._committee.threshold,
            bytes.fromhex(self._committee.public_key),
            self._identity,
        )
        for identifier in recovered.bad if recovered else ():
            liar = list(self._answered)[[s.identifier for s in self._shares].index(identifier)]
            self._failures[liar] = BadShareError("its share is wrong")
        return recovered

    def _hopeless(self) -> bool:
        nodes, needed = len(self._committee.nodes), self._committee.threshold
        return nodes - len(self._failures) < needed

    def report(self) -> str:
        """Who answered how fast and who did not, for the log."""
        answered = ", ".join(
            f"{node} ({took * 1000:.0f} ms)"
            for node, took in self._answered.items()
            if node not in self._failures
        )
        failed = ", ".join(f"{node} ({error})" for node, error in self._failures.items())
        return f"Answered: {answered}. Failed: {failed or 'none'}."

    def _error(self) -> LitError:
        needed, nodes = self._committee.threshold, self._committee.nodes
        good = [node for node in self._answered if node not in self._failures]
        if len(good) >= needed:
            causes = dict.fromkeys(good, "its share may be wrong")
            self._failures |= {node: BadShareError(cause) for node, cause in causes.items()}
            good = []
        for kind in (denial, overload, bill):
            errors = [error for error in map(kind, self._failures.values()) if error is not None]
            if len(errors) > len(nodes) - needed:
                return errors[0]
        causes = {node: str(error).rstrip(".") for node, error in self._failures.items()}
        return unavailable("Decrypting", needed, len(good), causes)

"""What tasks leave in XCom for people to look at: public facts of sessions, and how the nodes answered.

Under keys of their own, so that whoever shows them never touches a ticket, and finds them by an index.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol
from weakref import WeakSet

from lit_airflow.errors import LitError, NodesUnavailableError

if TYPE_CHECKING:
    from lit_airflow.handoff.ticket import Ticket
    from lit_airflow.networks.contract import DecryptionReport

SESSION = "lit_session"
"""XCom key of a session task's facts: the ticket's public ones, ``name`` and ``renewed``."""
NODES = "lit_nodes"
"""XCom key of a decrypting task's facts: node URL -> ``{answered, took_ms, left_out, failed, cause}``."""

_PUBLIC = ("network", "wallet", "session_public_key", "scope", "issued_at", "expires_at")


class XCom(Protocol):
    """As much of a task instance as is needed."""

    def xcom_push(self, key: str, value: Any) -> None:  # noqa: ANN401 - Airflow's
        """Store something of this task under a key."""
        ...


def push_session_facts(task: XCom, ticket: Ticket, *, renewed: bool, name: str) -> None:
    """Leave a session's public facts.

    Args:
        task: The task instance.
        ticket: What the task hands on.
        renewed: Whether it is new.
        name: What it is published as; empty if it is not.
    """
    facts = {key: ticket[key] for key in _PUBLIC}
    task.xcom_push(key=SESSION, value={**facts, "name": name, "renewed": renewed})


@dataclass(slots=True)
class NodeStats:
    """How often each node did what; a witness of decryptions, in however many threads."""

    _nodes: dict[str, dict[str, Any]] = field(default_factory=dict)
    _counted: WeakSet[NodesUnavailableError] = field(default_factory=WeakSet, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def __call__(self, turnout: DecryptionReport) -> None:
        """Count one decryption's answers."""
        with self._lock:
            for node, took_s in turnout.answered.items():
                self._add(node, "answered")["took_ms"] += round(took_s * 1000)
            for node in turnout.left_out:
                self._add(node, "left_out")
            self._blame(turnout.failed)

    def failed(self, error: LitError) -> None:
        """Count the nodes that an error blames, if it blames any; once, also if it goes on to end the task."""
        with self._lock:
            if isinstance(error, NodesUnavailableError) and error not in self._counted:
                self._counted.add(error)
                self._blame(error.failures)

    def __str__(self) -> str:
        """A line for the log: each node's tally, those in trouble in front; empty if nobody was asked."""
        with self._lock:
            nodes = sorted(self._nodes.items(), key=lambda node: (-node[1]["failed"], -node[1]["left_out"]))
            return "; ".join(f"{url} {_in_words(**counts)}" for url, counts in nodes)

    def to_json(self) -> dict[str, dict[str, Any]]:
        """See :data:`NODES`; ``took_ms`` is the sum over the good answers."""
        return self._nodes

    def _blame(self, causes: Mapping[str, str]) -> None:
        for node, cause in causes.items():
            self._add(node, "failed")["cause"] = cause

    def _add(self, node: str, what: str) -> dict[str, Any]:
        counts = self._nodes.setdefault(
            node, {"answered": 0, "took_ms": 0, "left_out": 0, "failed": 0, "cause": ""}
        )
        counts[what] += 1
        return counts


def _in_words(*, answered: int, took_ms: int, left_out: int, failed: int, cause: str) -> str:
    mean = f" ({took_ms / answered:.0f} ms on average)" if answered else ""
    why = f" (the last time: {cause})" if failed else ""
    return f"answered {answered:,}{mean}, was not waited for {left_out:,}, failed {failed:,}{why}"


@contextmanager
def push_node_stats(task: XCom, tally: NodeStats) -> Iterator[None]:
    """Leave at the end of a task how the nodes answered it, also if too few of them did."""
    try:
        yield
    except LitError as error:
        tally.failed(error)
        _leave(task, tally)
        raise
    _leave(task, tally)


def _leave(task: XCom, tally: NodeStats) -> None:
    if found := tally.to_json():
        task.xcom_push(key=NODES, value=found)

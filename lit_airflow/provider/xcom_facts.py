"""Public facts that tasks push to XCom for the page "Lit sessions": their session, and how the servers answered.

Under keys of their own, so that the page never reads a ticket and finds them by an index.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any, Protocol
from weakref import WeakSet

from lit_airflow.errors import Failure, LitError, NodesUnavailableError

if TYPE_CHECKING:
    from lit_airflow.handoff.ticket import Ticket
    from lit_airflow.networks.contract import Attestation, DecryptionReport

SESSION = "lit_session"
"""XCom key of a session task's facts: the ticket's public ones, ``name``, ``renewed``, ``label`` (what the author
calls the session's purpose), ``files`` (resource -> the path that it was asked for), and ``attestation`` with
``attestation_found`` where the server can prove its build."""
NODES = "lit_nodes"
"""XCom key of a decrypting task's facts: server -> ``{answered, took_ms, left_out, failed, cause, kind}``."""

MAX_FILES = 20
_PUBLIC = ("network", "wallet", "session_public_key", "scope", "issued_at", "expires_at")


class XCom(Protocol):
    """What is needed of a task instance."""

    def xcom_push(self, key: str, value: Any) -> None:  # noqa: ANN401 - Airflow's
        """Push a value under a key."""
        ...


def push_session_facts(  # noqa: PLR0913 - each is needed
    task: XCom,
    ticket: Ticket,
    *,
    renewed: bool,
    name: str,
    attestation: Attestation | None = None,
    label: str = "",
    files: Mapping[str, str] | None = None,
) -> None:
    """Push a session's public facts.

    Args:
        task: The task instance.
        ticket: The ticket that the task returns.
        renewed: Whether its session is new.
        name: The name that it is published under; empty if it is not.
        attestation: What the server had proved when the session was opened; ``None`` if it can prove nothing, or if
            an earlier run opened the session.
        label: What the DAG's author calls its purpose; empty for none.
        files: Resource -> the path that it was asked for; the first :data:`MAX_FILES` are pushed.
    """
    facts: dict[str, Any] = {key: ticket[key] for key in _PUBLIC}
    if attestation is not None:
        facts |= {"attestation": attestation.state.value, "attestation_found": attestation.found}
    named = dict(islice((files or {}).items(), MAX_FILES))
    task.xcom_push(
        key=SESSION, value={**facts, "name": name, "renewed": renewed, "label": label, "files": named}
    )


@dataclass(slots=True)
class NodeStats:
    """How often each server answered, failed or was not waited for; an ``on_report`` for any number of threads."""

    _nodes: dict[str, dict[str, Any]] = field(default_factory=dict)
    _counted: WeakSet[NodesUnavailableError] = field(default_factory=WeakSet, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def __call__(self, turnout: DecryptionReport) -> None:
        """Count one decryption."""
        with self._lock:
            for node, took_s in turnout.answered.items():
                self._add(node, "answered")["took_ms"] += round(took_s * 1000)
            for node in turnout.left_out:
                self._add(node, "left_out")
            self._blame(turnout.failed)

    def failed(self, error: LitError) -> None:
        """Count the servers that an error names, if any; each error once, even if it also ends the task."""
        with self._lock:
            if isinstance(error, NodesUnavailableError) and error not in self._counted:
                self._counted.add(error)
                self._blame(error.failures)

    def __str__(self) -> str:
        """A line for the log: each server's counts, those that failed first; empty if none was asked."""
        with self._lock:
            nodes = sorted(self._nodes.items(), key=lambda node: (-node[1]["failed"], -node[1]["left_out"]))
            return "; ".join(f"{url} {_in_words(**counts)}" for url, counts in nodes)

    def to_json(self) -> dict[str, dict[str, Any]]:
        """Return the counts, as :data:`NODES` describes them; ``took_ms`` is the sum over the good answers."""
        return self._nodes

    def _blame(self, failures: Mapping[str, Failure]) -> None:
        for server, failure in failures.items():
            self._add(server, "failed").update(cause=failure.message, kind=failure.kind.value)

    def _add(self, node: str, what: str) -> dict[str, Any]:
        counts = self._nodes.setdefault(
            node, {"answered": 0, "took_ms": 0, "left_out": 0, "failed": 0, "cause": "", "kind": ""}
        )
        counts[what] += 1
        return counts


def _in_words(*, answered: int, took_ms: int, left_out: int, failed: int, cause: str, **_: str) -> str:
    mean = f" ({took_ms / answered:.0f} ms on average)" if answered else ""
    why = f" (last: {cause})" if failed else ""
    return f"answered {answered:,}{mean}, not waited for {left_out:,}, failed {failed:,}{why}"


@contextmanager
def push_node_stats(task: XCom, tally: NodeStats) -> Iterator[None]:
    """Push at the end of a task how the servers answered, also if too few of them did."""
    try:
        yield
    except LitError as error:
        tally.failed(error)
        _push(task, tally)
        raise
    _push(task, tally)


def _push(task: XCom, tally: NodeStats) -> None:
    if found := tally.to_json():
        task.xcom_push(key=NODES, value=found)

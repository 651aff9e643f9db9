"""Ask many at once and take the answers as they come.

Every node is asked in a thread of its own: what is asked blocks on a socket, and nobody may wait for the
slowest. The threads come from :mod:`lit_airflow.transport.threads`, which keeps them for the next question; they
are daemons, so that a silent node delays neither the caller nor the process's end.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from types import TracebackType
from typing import Generic, Self, TypeVar, cast

from lit_airflow.clock import Deadline
from lit_airflow.errors import LitError, NodeError
from lit_airflow.transport import threads

Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class Outcome(Generic[Answer]):
    """What became of one node's request: either an answer or an error.

    Attributes:
        node: The node's URL.
        answer: What it said.
        error: Why it said nothing usable.
        took_s: Seconds from asking to this outcome.
    """

    node: str
    took_s: float
    answer: Answer | None = None
    error: Exception | None = None


class FanOut(Generic[Answer]):
    """A question that is out with many nodes; use as a context manager.

    Args:
        nodes: Whom to ask, all at once.
        ask: Called with a node's URL and an event that is set when the answer is no longer wanted.
        deadline: When to stop waiting.
    """

    def __init__(
        self, nodes: Sequence[str], ask: Callable[[str, threading.Event], Answer], deadline: Deadline
    ) -> None:
        self._ask = ask
        self._deadline = deadline
        self._outcomes: queue.SimpleQueue[Outcome[Answer]] = queue.SimpleQueue()
        self._over = threading.Event()
        self._waiting = dict.fromkeys(nodes)

    def __enter__(self) -> Self:
        for node in self._waiting:
            threads.do(partial(self._run, node))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()

    @property
    def waiting(self) -> tuple[str, ...]:
        """The nodes that have not answered yet."""
        return tuple(self._waiting)

    @property
    def ready(self) -> bool:
        """Whether the next outcome is there already."""
        return not self._outcomes.empty()

    def next(self, within_s: float | None = None) -> Outcome[Answer] | None:
        """The next outcome; ``None`` when all are in, the deadline is over, or ``within_s`` passed first."""
        if not self._waiting:
            return None
        limit = self._deadline.left_s()
        try:
            outcome = self._outcomes.get(timeout=limit if within_s is None else min(limit, within_s))
        except queue.Empty:
            return None
        del self._waiting[outcome.node]
        return outcome

    def _run(self, node: str) -> None:
        started = time.monotonic()
        answer, error = None, None
        try:
            answer = self._ask(node, self._over)
        except LitError as failure:
            error = failure
        except Exception as failure:  # noqa: BLE001 - a thread must report, whatever happened in it
            error = NodeError(f"the request failed ({type(failure).__name__})")
            error.__cause__ = failure
        self._outcomes.put(Outcome(node, time.monotonic() - started, answer, error))


def ask_one(url: str, ask: Callable[[str, threading.Event], Answer], deadline: Deadline) -> Answer:
    """Ask one server, in a thread of its own: neither a slow name server nor dripping headers hold the caller up.

    Raises:
        NodeError: No answer in time, or whatever the request raised.
    """
    with FanOut((url,), ask, deadline) as asking:
        outcome = asking.next()
    if outcome is None:
        raise NodeError("no answer in time")
    if outcome.error is not None:
        raise outcome.error
    return cast("Answer", outcome.answer)


def if_waited(*causes: str) -> str:
    """A hint that says who decides how long is waited, if one of these causes is about that; else empty."""
    waited = any(cause.endswith("in time") for cause in causes)
    return "How long is waited is timeout_s, of the connection or the client." if waited else ""

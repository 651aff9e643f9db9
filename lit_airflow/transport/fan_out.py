"""A request sent to many servers in parallel; the answers come as they arrive.

Each server is asked in a thread of its own, so that nobody waits for the slowest. The threads are daemons from
:mod:`lit_airflow.transport.threads`: a silent server delays neither the caller nor the end of the process.
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
from lit_airflow.errors import FailureKind, LitError, NodeError
from lit_airflow.transport import threads

Answer = TypeVar("Answer")

TIMEOUT_HINT = "Raise timeout_s, in the connection or the client, to wait longer."
"""What to do where a server did not answer in time."""


@dataclass(frozen=True, slots=True)
class Outcome(Generic[Answer]):
    """How one server's request ended: with an answer or an error.

    Attributes:
        server: Its URL.
        answer: Its answer.
        error: Why there is none.
        took_s: Seconds from sending to this outcome.
    """

    server: str
    took_s: float
    answer: Answer | None = None
    error: Exception | None = None


class FanOut(Generic[Answer]):
    """A request sent to many servers in parallel; use as a context manager.

    Args:
        servers: URLs, all asked at once.
        ask: Called with a URL and an event that is set when the answer is no longer wanted.
        deadline: When to stop waiting.
    """

    def __init__(
        self, servers: Sequence[str], ask: Callable[[str, threading.Event], Answer], deadline: Deadline
    ) -> None:
        self._ask = ask
        self._deadline = deadline
        self._outcomes: queue.SimpleQueue[Outcome[Answer]] = queue.SimpleQueue()
        self._over = threading.Event()
        self._waiting = dict.fromkeys(servers)

    def __enter__(self) -> Self:
        for server in self._waiting:
            threads.start(partial(self._run, server))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()

    @property
    def waiting(self) -> tuple[str, ...]:
        """The servers that have not answered yet."""
        return tuple(self._waiting)

    @property
    def ready(self) -> bool:
        """Whether the next outcome has arrived."""
        return not self._outcomes.empty()

    def next(self, within_s: float | None = None) -> Outcome[Answer] | None:
        """Return the next outcome.

        It is ``None`` if all have arrived, the deadline is over, or ``within_s`` passes first.
        """
        if not self._waiting:
            return None
        limit = self._deadline.left_s()
        try:
            outcome = self._outcomes.get(timeout=limit if within_s is None else min(limit, within_s))
        except queue.Empty:
            return None
        del self._waiting[outcome.server]
        return outcome

    def _run(self, server: str) -> None:
        started = time.monotonic()
        answer, error = None, None
        try:
            answer = self._ask(server, self._over)
        except LitError as failure:
            error = failure
        except Exception as failure:  # noqa: BLE001 - a thread must report, whatever happened in it
            error = NodeError(f"the request failed ({type(failure).__name__})")
        self._outcomes.put(Outcome(server, time.monotonic() - started, answer, error))


def ask_one(url: str, ask: Callable[[str, threading.Event], Answer], deadline: Deadline) -> Answer:
    """Ask one server in a thread of its own: a slow name server or dripping headers do not block the caller.

    Raises:
        NodeError: No answer in time, or what the request raised.
    """
    with FanOut((url,), ask, deadline) as asking:
        outcome = asking.next()
    if outcome is None:
        raise NodeError("no answer in time", kind=FailureKind.TIMEOUT)
    if outcome.error is not None:
        raise outcome.error
    return cast("Answer", outcome.answer)

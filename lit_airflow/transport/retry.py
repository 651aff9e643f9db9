"""What to do after a request's first failure, if it may pass: how often, how soon, and when to give up.

Apart from ``http.py`` because ``tenacity`` takes longer to import than ten requests to send.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception,
    sleep_using_event,
    stop_after_attempt,
    stop_before_delay,
    stop_when_event_set,
    wait_exponential,
    wait_random,
)

from lit_airflow.clock import Deadline
from lit_airflow.errors import NodeError

_ATTEMPTS = 3

Answer = TypeVar("Answer")


def again(
    once: Callable[[], Answer], failure: NodeError, deadline: Deadline, cancelled: threading.Event
) -> Answer:
    """Try what has failed once again, until it works, is refused for good, or may no longer be tried.

    Args:
        once: One attempt.
        failure: How the first one ended; it counts.
        deadline: By when all attempts must end.
        cancelled: Set when the answer is no longer wanted.

    Raises:
        NodeError: How the last attempt ended.
    """
    ended: list[NodeError] = [failure]

    def attempt() -> Answer:
        if ended:
            raise ended.pop()
        return once()

    retrying = Retrying(
        stop=(
            stop_after_attempt(_ATTEMPTS)
            | stop_when_event_set(cancelled)
            | stop_before_delay(deadline.left_s())
        ),
        wait=_wait,
        retry=retry_if_exception(lambda e: isinstance(e, NodeError) and e.retryable),
        sleep=sleep_using_event(cancelled),
        reraise=True,
    )
    return retrying(attempt)


_jitter = wait_exponential(multiplier=0.1, max=2) + wait_random(0, 0.1)


def _wait(state: RetryCallState) -> float:
    """What the server asked for, else a short and growing pause."""
    error = state.outcome.exception() if state.outcome else None
    asked = getattr(error, "retry_after_s", None)
    return float(asked) if asked is not None else _jitter(state)

"""Sending a request again: how often, how soon, and when to stop.

Apart from ``http.py`` because importing ``tenacity`` takes longer than sending ten requests.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, TypeVar

from tenacity import (
    RetryCallState,
    Retrying,
    sleep_using_event,
    stop_after_attempt,
    stop_before_delay,
    stop_when_event_set,
    wait_exponential,
    wait_random,
)

from lit_airflow.clock import Deadline
from lit_airflow.errors import NodeError
from lit_airflow.transport.response import Repeat, Response, may_repeat

_ATTEMPTS = 3

Answer = TypeVar("Answer")


def send_again(
    once: Callable[[], Response],
    first: Response | NodeError,
    repeat: Repeat,
    deadline: Deadline,
    cancelled: threading.Event,
) -> Response:
    """Repeat a request until it succeeds, fails for good, or must not be repeated any more.

    Args:
        once: Makes one attempt.
        first: How the first attempt ended; it counts.
        repeat: Which failures may be followed by another attempt.
        deadline: When all attempts must end.
        cancelled: Set when the answer is no longer wanted.

    Returns:
        The last attempt's answer.

    Raises:
        NodeError: The last attempt got no answer.
    """
    earlier: list[Response | NodeError] = [first]

    def attempt() -> Response:
        outcome = earlier.pop() if earlier else once()
        if isinstance(outcome, NodeError):
            raise outcome
        return outcome

    def again(state: RetryCallState) -> bool:
        outcome = _outcome(state)
        return isinstance(outcome, Response | NodeError) and may_repeat(outcome, repeat)

    return _retrying(again, deadline, cancelled)(attempt)


def try_again(
    once: Callable[[], Answer], first: NodeError, deadline: Deadline, cancelled: threading.Event
) -> Answer:
    """Repeat what has failed once until it succeeds, or its error is not retryable, or it must end.

    Args:
        once: Makes one attempt.
        first: How the first attempt ended; it counts.
        deadline: When all attempts must end.
        cancelled: Set when the answer is no longer wanted.

    Raises:
        NodeError: How the last attempt ended.
    """
    earlier = [first]

    def attempt() -> Answer:
        if earlier:
            raise earlier.pop()
        return once()

    def again(state: RetryCallState) -> bool:
        outcome = _outcome(state)
        return isinstance(outcome, NodeError) and outcome.retryable

    return _retrying(again, deadline, cancelled)(attempt)


def _retrying(
    again: Callable[[RetryCallState], bool], deadline: Deadline, cancelled: threading.Event
) -> Retrying:
    return Retrying(
        stop=(
            stop_after_attempt(_ATTEMPTS)
            | stop_when_event_set(cancelled)
            | stop_before_delay(deadline.left_s())
        ),
        wait=_wait_s,
        retry=again,
        sleep=sleep_using_event(cancelled),
        retry_error_callback=_last,
    )


_backoff = wait_exponential(multiplier=0.1, max=2) + wait_random(0, 0.1)


def _wait_s(state: RetryCallState) -> float:
    """Return the seconds that the server asked for, else a short and growing pause."""
    asked = getattr(_outcome(state), "retry_after_s", None)
    return float(asked) if asked is not None else _backoff(state)


def _outcome(state: RetryCallState) -> object:
    if state.outcome is None:
        return None
    return state.outcome.exception() or state.outcome.result()


def _last(state: RetryCallState) -> Any:  # noqa: ANN401 - what the attempts return
    """Hand on how the last attempt ended, once there is to be no other."""
    assert state.outcome is not None  # noqa: S101 - tenacity calls this after an attempt
    return state.outcome.result()

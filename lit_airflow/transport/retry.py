"""Sending a request again: how often, how soon, and when to stop.

Apart from ``http.py`` because importing ``tenacity`` takes longer than sending ten requests.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

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
from lit_airflow.transport.http import Repeat, Response, may_repeat

_ATTEMPTS = 3


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

    retrying = Retrying(
        stop=(
            stop_after_attempt(_ATTEMPTS)
            | stop_when_event_set(cancelled)
            | stop_before_delay(deadline.left_s())
        ),
        wait=_wait_s,
        retry=lambda state: (outcome := _outcome(state)) is not None and may_repeat(outcome, repeat),
        sleep=sleep_using_event(cancelled),
        retry_error_callback=_last,
    )
    return retrying(attempt)


_backoff = wait_exponential(multiplier=0.1, max=2) + wait_random(0, 0.1)


def _wait_s(state: RetryCallState) -> float:
    """Return the seconds that the server asked for, else a short and growing pause."""
    asked = getattr(_outcome(state), "retry_after_s", None)
    return float(asked) if asked is not None else _backoff(state)


def _outcome(state: RetryCallState) -> Response | NodeError | None:
    if state.outcome is None:
        return None
    error = state.outcome.exception()
    if error is None:
        found = state.outcome.result()
        return found if isinstance(found, Response) else None
    return error if isinstance(error, NodeError) else None


def _last(state: RetryCallState) -> Response:
    """Hand on how the last attempt ended, once there is to be no other."""
    assert state.outcome is not None  # noqa: S101 - tenacity calls this after an attempt
    answer: Response = state.outcome.result()
    return answer

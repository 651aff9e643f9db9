"""Waiting for a usage key that was just minted: the service's processes learn of it one after another.

Source: docs/protocol/chipotle.md#statuses, #what-may-be-repeated and #waiting-for-a-new-key.
"""

from __future__ import annotations

from collections.abc import Callable

from lit_airflow.networks.chipotle.api_errors import ApiFailure

LONGEST_WAIT_S = 60.0
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.5, 4.0


def wait_until_ready(
    probe: Callable[[], ApiFailure | None], wait: Callable[[float], None]
) -> ApiFailure | None:
    """Try a new key until the service takes it; return the last failure, ``None`` if it does.

    Args:
        probe: Tries the key once, as :meth:`lit_airflow.networks.chipotle.api.Api.probe` does of a new one.
        wait: Waits so many seconds; a minute in all at most.
    """
    from tenacity import RetryCallState, Retrying, retry_if_result, wait_exponential  # noqa: PLC0415 - only set-up waits

    def last(state: RetryCallState) -> ApiFailure | None:
        return state.outcome.result() if state.outcome else None

    waiting = Retrying(
        stop=lambda state: state.idle_for >= LONGEST_WAIT_S,
        wait=wait_exponential(multiplier=_FIRST_PAUSE_S, max=_LONGEST_PAUSE_S),
        retry=retry_if_result(lambda failure: failure is not None and failure.retryable),
        retry_error_callback=last,
        sleep=wait,
    )
    return waiting(probe)

"""What is counted and traced: Airflow's own metrics, and spans where its tracing is on.

Counters: ``lit.session.made``, ``lit.session.reused``, ``lit.decrypts``, and ``lit.failures.<cause>``, the cause
being the error's class (``NodesUnavailableError`` counts as ``nodes_unavailable``). Timing:
``lit.session.time_to_make``. Gauge: ``lit.session.seconds_left``, of the session last decrypted with. Spans:
``lit.open_session``, ``lit.decrypt``.
Where metrics or tracing are off, all of this does nothing.
"""

from __future__ import annotations

import contextvars
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, TypeVar

from lit_airflow import clock
from lit_airflow.provider.airflow_compat import stats

if TYPE_CHECKING:
    from datetime import datetime

    from lit_airflow.errors import LitError

Item = TypeVar("Item")
Made = TypeVar("Made")


@contextmanager
def making_session() -> Iterator[None]:
    """Around the making of a session; also a decorator. Only one that succeeds is counted and timed."""
    started = time.monotonic()
    with _span("lit.open_session"):
        yield
    stats().incr("lit.session.made")
    stats().timing("lit.session.time_to_make", timedelta(seconds=time.monotonic() - started))


def session_reused() -> None:
    """A session of an earlier run was passed on."""
    stats().incr("lit.session.reused")


@contextmanager
def decrypting(expires_at: datetime) -> Iterator[None]:
    """Around one decryption.

    Args:
        expires_at: When the session that is used ends.
    """
    stats().gauge("lit.session.seconds_left", (expires_at - clock.now()).total_seconds())
    with _span("lit.decrypt"):
        yield
    stats().incr("lit.decrypts")


def failed(error: LitError) -> None:
    """A task, or one item of many, ended with this error."""
    stats().incr(f"lit.failures.{cause(error)}")


def within_task(work: Callable[[Item], Made]) -> Callable[[Item], Made]:
    """The same work, for other threads: what it traces stands within the span of whoever asks for this."""
    context = contextvars.copy_context()
    return lambda item: context.copy().run(work, item)  # one context is for one thread at a time


def cause(error: LitError) -> str:
    """``vault_denied`` for a ``VaultDeniedError``."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", type(error).__name__.removesuffix("Error")).lower()


@contextmanager
def _span(name: str) -> Iterator[None]:
    """A span within the task's own; none where there is no such."""
    try:
        from opentelemetry import trace  # noqa: PLC0415 - loaded already wherever a task runs
    except ImportError:
        yield
        return
    if not trace.get_current_span().get_span_context().is_valid:
        yield
        return
    with trace.get_tracer("lit_airflow").start_as_current_span(name):
        yield

"""Metrics and spans, through Airflow's own facilities.

Counters: ``lit.session.made``, ``lit.session.reused``, ``lit.decrypts``, and ``lit.failures.<cause>``, the cause
being the error's class (``NodesUnavailableError`` counts as ``nodes_unavailable``). Timing:
``lit.session.time_to_make``. Gauge: ``lit.session.seconds_left``, of the session last decrypted with.

Where runs are paid for: counters ``lit.cost.runs``, ``lit.cost.seconds`` and ``lit.cost.cents``, each with the tag
``dag_id``; gauge ``lit.cost.balance_cents``, where the connection has ``low_balance_cents``.

Spans:
``lit.open_session``, ``lit.decrypt``, ``lit.decrypt_many``, ``lit.run_action``, ``lit.sign``. Where metrics or
tracing are off, all of this does nothing.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

from lit_airflow import clock
from lit_airflow.provider.airflow_compat import stats

if TYPE_CHECKING:
    from datetime import datetime

    from lit_airflow.errors import LitError
    from lit_airflow.networks.contract import Cost


@contextmanager
def making_session() -> Iterator[None]:
    """Count, time and trace the opening of a session. Only one that succeeds is counted and timed."""
    started = time.monotonic()
    with _span("lit.open_session"):
        yield
    stats().incr("lit.session.made")
    stats().timing("lit.session.time_to_make", timedelta(seconds=time.monotonic() - started))


def session_reused() -> None:
    """Count a session of an earlier run that is passed on."""
    stats().incr("lit.session.reused")


@contextmanager
def decrypting(expires_at: datetime) -> Iterator[None]:
    """Count and trace one decryption.

    Args:
        expires_at: When the session that is used ends.
    """
    session_used(expires_at)
    with _span("lit.decrypt"):
        yield
    stats().incr("lit.decrypts")


def session_used(expires_at: datetime) -> None:
    """Note how long the session that is used still lasts."""
    stats().gauge("lit.session.seconds_left", (expires_at - clock.now()).total_seconds())


@contextmanager
def decrypting_many() -> Iterator[None]:
    """Trace many decryptions; :func:`decrypted` counts each.

    The span is not the current one: between two outcomes, the caller's own code runs.
    """
    with _span("lit.decrypt_many", current=False):
        yield


def decrypted() -> None:
    """Count one decryption of many."""
    stats().incr("lit.decrypts")


@contextmanager
def running_action() -> Iterator[None]:
    """Trace the run of an action."""
    with _span("lit.run_action"):
        yield


@contextmanager
def signing() -> Iterator[None]:
    """Trace a signature by a key that the network holds."""
    with _span("lit.sign"):
        yield


def spent(cost: Cost, dag_id: str) -> None:
    """Count a run that was paid for.

    Args:
        cost: What it cost.
        dag_id: The DAG whose task it was for; empty outside any.
    """
    tags = {"dag_id": dag_id} if dag_id else {}
    facade = stats()
    facade.incr("lit.cost.runs", tags=tags)
    facade.incr("lit.cost.seconds", max(1, round(cost.seconds)), tags=tags)
    facade.incr("lit.cost.cents", cost.cents, tags=tags)


def balance(cents: int) -> None:
    """Note the account's credit, US cents."""
    stats().gauge("lit.cost.balance_cents", cents)


def failed(error: LitError) -> None:
    """Count an error that ended a task or one item of many."""
    stats().incr(f"lit.failures.{cause(error)}")


def cause(error: LitError) -> str:
    """Return the metric's name for an error, such as ``vault_denied`` for a ``VaultDeniedError``."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", type(error).__name__.removesuffix("Error")).lower()


@contextmanager
def _span(name: str, *, current: bool = True) -> Iterator[None]:
    """Open a span within the task's own; does nothing if there is none."""
    try:
        from opentelemetry import trace  # noqa: PLC0415 - loaded already wherever a task runs
    except ImportError:
        yield
        return
    if not trace.get_current_span().get_span_context().is_valid:
        yield
        return
    tracer = trace.get_tracer("lit_airflow")
    if current:
        with tracer.start_as_current_span(name):
            yield
        return
    span = tracer.start_span(name)
    try:
        yield
    finally:
        span.end()

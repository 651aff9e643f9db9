"""What Airflow's metrics and tracing get to see of DAG runs, by OpenTelemetry's own readers."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from lit_airflow import errors
from lit_airflow.devnet import Devnet
from lit_airflow.hooks import LitHook
from lit_airflow.provider import airflow_compat, telemetry
from tests.airflow.running import run_dag
from tests.airflow.test_operators import whole_job
from tests.vault.parts import Bao
from tests.versions import AIRFLOW

pytestmark = pytest.mark.usefixtures("database", "connections")


class Metrics:
    """A reader behind Airflow's facade."""

    def __init__(self) -> None:
        self.reader = InMemoryMetricReader()
        self.provider = MeterProvider([self.reader])

    def read(self) -> dict[str, Any]:
        """Name, without Airflow's prefix -> the value; of a timing, how many there were and their sum in ms."""
        found: dict[str, Any] = {}
        data = self.reader.get_metrics_data()
        for metric in (m for r in data.resource_metrics for s in r.scope_metrics for m in s.metrics):
            if metric.name.startswith("airflow.lit."):
                [point] = metric.data.data_points
                value = point.value if hasattr(point, "value") else (point.count, point.sum)
                found[metric.name.removeprefix("airflow.")] = value
        return found


@pytest.fixture
def metrics() -> Iterator[Metrics]:
    metrics = Metrics()
    with sending_to(metrics.provider):
        yield metrics
    metrics.provider.shutdown()


@contextmanager
def sending_to(provider: MeterProvider) -> Iterator[None]:
    """Airflow's facade, where its release has it, with its own OpenTelemetry logger behind it."""
    if AIRFLOW < (3, 3):
        facade = airflow_compat.stats()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(facade, "instance", _logger_of_old(provider))
            patch.setattr(facade, "_instance_pid", os.getpid())
            # Airflow 3.2 does so at its first DAG run in a process, and with that drops what is there.
            patch.setattr(type(facade), "initialize", lambda *_, **__: None, raising=False)
            yield
        return
    from airflow.sdk._shared.observability.metrics.otel_logger import SafeOtelLogger
    from airflow.sdk.observability import stats
    from airflow.sdk.observability.metrics.stats_utils import get_stats_factory

    stats.initialize(factory=lambda: SafeOtelLogger(provider), export_legacy_names=False)
    yield
    stats.initialize(factory=get_stats_factory(), export_legacy_names=True)


def _logger_of_old(provider: MeterProvider) -> object:
    if AIRFLOW < (3, 2):
        from airflow.metrics.otel_logger import SafeOtelLogger
    else:
        from airflow.sdk._shared.observability.metrics.otel_logger import SafeOtelLogger
    return SafeOtelLogger(provider)


@pytest.fixture(scope="module")
def exporter() -> InMemorySpanExporter:
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    trace.set_tracer_provider(provider)  # once per process; nobody else here asks for one
    return exporter


@pytest.fixture
def spans(exporter: InMemorySpanExporter) -> InMemorySpanExporter:
    exporter.clear()
    return exporter


def test_a_session_is_made_used_and_reused(container: dict[str, Any], metrics: Metrics) -> None:
    dag = whole_job("metrics_of_two_runs", container)
    assert run_dag(dag).state == "success"
    first = metrics.read()
    took_ms = first.pop("lit.session.time_to_make")
    if AIRFLOW >= (3, 3):  # before, a timing was a gauge
        times, took_ms = took_ms
        assert times == 1
    assert 5 < took_ms < 60_000
    assert 3000 < first.pop("lit.session.seconds_left") <= 7200
    assert first == {"lit.session.made": 1, "lit.decrypts": 1}

    assert run_dag(dag).state == "success"
    second = metrics.read()
    assert second["lit.session.made"] == 1
    assert second["lit.session.reused"] == 1
    assert second["lit.decrypts"] == 2


def test_a_failure_is_counted_by_its_cause_for_every_try(
    container: dict[str, Any], metrics: Metrics, net: Devnet
) -> None:
    dag = whole_job("metrics_of_failures", container)
    assert run_dag(dag).state == "success"
    net.stop_node(0)
    net.stop_node(2)
    assert run_dag(dag).states()["decrypt"] == "failed"
    counted = metrics.read()
    assert counted["lit.failures.nodes_unavailable"] == 2
    assert counted["lit.decrypts"] == 1


def test_spans_stand_in_the_task_and_name_no_secret(
    container: dict[str, Any], spans: InMemorySpanExporter
) -> None:
    with trace.get_tracer("test").start_as_current_span("task") as task:
        assert run_dag(whole_job("spans", container)).state == "success"
    ours = [span for span in spans.get_finished_spans() if span.name.startswith("lit.")]
    assert [span.name for span in ours] == ["lit.open_session", "lit.decrypt"]
    assert {span.context.trace_id for span in ours if span.context} == {task.get_span_context().trace_id}
    assert [dict(span.attributes or {}) for span in ours] == [{}, {}]


def test_many_are_counted_one_by_one_and_traced_as_a_whole(
    bao: Bao, container: dict[str, Any], metrics: Metrics, spans: InMemorySpanExporter
) -> None:
    assert bao
    hook = LitHook("lit_renewer")
    with trace.get_tracer("test").start_as_current_span("task") as task:
        session = hook.open_session(hook.scope_of(container))
        good = []
        for outcome in hook.decrypt_many([container, {}, container], session):
            good.append(outcome.error is None)
            assert trace.get_current_span() is task  # between two of them, the caller's own code runs
    assert good == [True, False, True]
    counted = metrics.read()
    assert counted["lit.decrypts"] == 2
    assert counted["lit.failures.condition"] == 1
    [ours] = [span for span in spans.get_finished_spans() if span.name.startswith("lit.decrypt")]
    assert ours.name == "lit.decrypt_many"
    assert ours.parent is not None
    assert ours.parent.span_id == task.get_span_context().span_id


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (errors.VaultDeniedError("x"), "vault_denied"),
        (errors.SiweError("x"), "siwe"),
        (errors.NodesUnavailableError("x", needed=2, reached=1, failures={}), "nodes_unavailable"),
    ],
)
def test_causes(error: errors.LitError, cause: str) -> None:
    assert telemetry.cause(error) == cause


# What Airflow's task runner does before it runs a task.
SETS_UP = {
    (3, 1): "",
    (3, 2): """
from airflow.sdk.observability.metrics.stats_utils import get_stats_factory
from airflow.sdk.observability.stats import Stats
Stats.initialize(factory=get_stats_factory(Stats))
""",
    (3, 3): """
from airflow.sdk.observability import stats
from airflow.sdk.observability.metrics.stats_utils import get_stats_factory
stats.initialize(factory=get_stats_factory(), export_legacy_names=True)
""",
}
FAILS = """
from lit_airflow import errors
from lit_airflow.provider import telemetry
telemetry.failed(errors.VaultDeniedError("no"))
"""


def test_statsd_gets_them_in_a_datagram() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", 0))
        receiver.settimeout(60)
        host, port = receiver.getsockname()
        settings = {"STATSD_ON": "True", "STATSD_HOST": host, "STATSD_PORT": str(port)}
        environment = os.environ | {f"AIRFLOW__METRICS__{name}": value for name, value in settings.items()}
        script = SETS_UP[AIRFLOW] + FAILS
        subprocess.run([sys.executable, "-c", script], env=environment, check=True, timeout=900)
        while (datagram := receiver.recv(1000)) != b"airflow.lit.failures.vault_denied:1|c":
            assert datagram.startswith(b"airflow.serde.")

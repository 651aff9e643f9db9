"""What Airflow's metrics and tracing get to see of DAG runs, by OpenTelemetry's own readers."""

from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from lit_airflow import errors, telemetry
from lit_airflow.devnet import Devnet
from tests.airflow.running import run_dag
from tests.airflow.test_operators import whole_job

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
    from airflow.sdk._shared.observability.metrics.otel_logger import SafeOtelLogger
    from airflow.sdk.observability import stats
    from airflow.sdk.observability.metrics.stats_utils import get_stats_factory

    metrics = Metrics()
    stats.initialize(factory=lambda: SafeOtelLogger(metrics.provider), export_legacy_names=False)
    yield metrics
    stats.initialize(factory=get_stats_factory(), export_legacy_names=True)
    metrics.provider.shutdown()


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
    times, total_ms = first.pop("lit.session.time_to_make")
    assert times == 1
    assert 5 < total_ms < 60_000
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

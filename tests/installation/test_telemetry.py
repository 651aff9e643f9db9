"""What leaves a real Airflow's task processes for a monitoring system."""

from tests.installation.collector import Collector
from tests.installation.server import Installation


def test_spans_of_both_tasks_arrive_in_the_runs_trace(
    collector: Collector, after_the_demo: Installation
) -> None:
    after_the_demo.wait_until(lambda: {"lit.open_session", "lit.decrypt"} <= collector.spans.keys())
    runs = collector.spans["lit.open_session"] & collector.spans["lit.decrypt"]
    assert runs
    assert runs <= collector.spans["worker.session"]
    assert runs <= collector.spans["worker.decrypt"]


def test_metrics_arrive_and_no_secret_does(collector: Collector, after_the_demo: Installation) -> None:
    expected = {
        f"airflow.lit.{name}"
        for name in ("session.made", "session.time_to_make", "session.seconds_left", "decrypts")
    }
    after_the_demo.wait_until(lambda: expected <= collector.metrics)
    everything = b"".join(collector.bodies)
    assert after_the_demo.parts.airflow.password.reveal() not in everything
    assert b"vault:v1:" not in everything

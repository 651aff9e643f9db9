"""What leaves a real Airflow's task processes for a monitoring system."""

import pytest

from lit_airflow.sandbox.environment import Sandbox
from tests.installation.collector import Collector
from tests.installation.server import wait_until


@pytest.mark.usefixtures("after_the_demo")
def test_spans_of_both_tasks_arrive_in_the_runs_trace(collector: Collector) -> None:
    wait_until(lambda: {"lit.open_session", "lit.decrypt"} <= collector.spans.keys())
    runs = collector.spans["lit.open_session"] & collector.spans["lit.decrypt"]
    assert runs
    assert runs <= collector.spans["worker.session"]
    assert runs <= collector.spans["worker.decrypt"]


@pytest.mark.usefixtures("after_the_demo")
def test_metrics_arrive_and_no_secret_does(collector: Collector, sandbox: Sandbox) -> None:
    expected = {
        f"airflow.lit.{name}"
        for name in ("session.made", "session.time_to_make", "session.seconds_left", "decrypts")
    }
    wait_until(lambda: expected <= collector.metrics)
    everything = b"".join(collector.bodies)
    assert sandbox.airflow.password.reveal() not in everything
    assert b"vault:v1:" not in everything

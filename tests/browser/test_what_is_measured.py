"""What leaves a real Airflow's task processes for a monitoring system."""

import time

import pytest

from lit_airflow.sandbox.environment import Sandbox
from tests.browser.collector import Collector

ARRIVES_S = 30


@pytest.mark.usefixtures("sandbox_after_a_run")
def test_spans_of_both_tasks_arrive_in_the_runs_trace(collector: Collector) -> None:
    end = time.monotonic() + ARRIVES_S
    while not {"lit.open_session", "lit.decrypt"} <= collector.spans.keys():
        assert time.monotonic() < end, collector.spans.keys()
        time.sleep(0.2)
    [run] = collector.spans["lit.open_session"]
    assert collector.spans["lit.decrypt"] == {run}
    assert {run} <= collector.spans["worker.session"]
    assert {run} <= collector.spans["worker.decrypt"]


def test_metrics_arrive_and_no_secret_does(collector: Collector, sandbox_after_a_run: Sandbox) -> None:
    expected = {
        f"airflow.lit.{name}"
        for name in ("session.made", "session.time_to_make", "session.seconds_left", "decrypts")
    }
    end = time.monotonic() + ARRIVES_S
    while missing := expected - collector.metrics:
        assert time.monotonic() < end, (missing, sorted(name for name in collector.metrics if "lit" in name))
        time.sleep(0.2)
    everything = b"".join(collector.bodies)
    assert sandbox_after_a_run.airflow.password.reveal() not in everything
    assert b"vault:v1:" not in everything

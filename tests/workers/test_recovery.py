"""What Airflow goes through costs a retry at most: tasks killed, XCom gone or altered, servers restarted."""

import signal
from contextlib import ExitStack
from typing import Any

import psutil
import pytest

from lit_airflow.sandbox import watchdog
from lit_airflow.sandbox.examples import DAG_ID
from lit_airflow.sandbox.report import expected_report
from tests.vault.parts import KEY_READ, LOGIN, OPENED, SEALED, asked
from tests.workers.parts import Cluster, waited_for

pytestmark = pytest.mark.soak

STAGES = {"session": ["login", "key", "seal"], "decrypt": ["login", "open", "nodes", "write"]}
"""Where a task is killed: before Vault, in Vault, between Vault and XCom; and on the way to the plaintext."""


def test_a_task_killed_at_each_stage_costs_a_retry_each_time(cluster: Cluster) -> None:
    """By the kernel, or politely: a polite kill ends it too, where it is."""
    numbers = {"hurt_by_sigkill": signal.SIGKILL, "hurt_by_sigterm": signal.SIGTERM}
    cluster.parts.plaintext.unlink(missing_ok=True)
    with ExitStack() as stack:
        brakes = {
            (task_id, stage, dag_id): stack.enter_context(cluster.brake(dag_id, task_id, stage))
            for task_id, stages in STAGES.items()
            for stage in stages
            for dag_id in numbers
        }
        runs = {dag_id: cluster.trigger(dag_id) for dag_id in numbers}
        for (_, _, dag_id), brake in brakes.items():
            held = psutil.Process(brake.held())
            assert not cluster.parts.plaintext.exists()
            held.send_signal(numbers[dag_id])
            waited_for(lambda: not watchdog.alive([held]))  # noqa: B023 - called at once
            brake.release()
    tries = {task_id: len(stages) + 1 for task_id, stages in STAGES.items()}
    for dag_id, run_id in runs.items():
        assert cluster.finish(dag_id, run_id) == "success"
        assert cluster.tries(dag_id, run_id) == {**tries, "report": 1}
    cluster.assert_the_plaintext_alone_is_there()


def test_an_xcom_row_that_is_missing_or_edited_fails_the_consumer_and_says_why(cluster: Cluster) -> None:
    dag_id = "edited"
    run_id = cluster.trigger(dag_id)
    assert cluster.finish(dag_id, run_id) == "success"
    xcom = f"/api/v2/dags/{dag_id}/dagRuns/{run_id}/taskInstances/session/xcomEntries/return_value"
    ticket = cluster.api.xcom(dag_id, run_id, "session")
    assert isinstance(ticket, dict)

    def decrypt_again(value: dict[str, Any]) -> str:
        cluster.api._call("PATCH", xcom, {"value": value, "map_index": -1})
        return failing()

    def failing() -> str:
        cluster.clear(dag_id, run_id, "decrypt", "report")
        assert cluster.finish(dag_id, run_id) == "failed"
        return cluster.log(dag_id, run_id, "decrypt")

    cluster.parts.plaintext.unlink()
    assert "TicketError" in (told := decrypt_again(ticket | {"expires_at": "2036-01-01T00:00:00Z"}))
    assert "altered" in told
    assert "TicketError" in (told := decrypt_again(ticket | {"sealed": ticket["sealed"][:-8]}))
    cluster.api._request("DELETE", xcom)
    assert "TicketError" in failing()
    assert not cluster.parts.plaintext.exists()

    with asked(cluster.parts.vault) as paths:
        cluster.clear(dag_id, run_id, "session", "decrypt", "report")
        assert cluster.finish(dag_id, run_id) == "success"
    assert paths.count(KEY_READ) == 1
    cluster.assert_the_plaintext_alone_is_there()


def test_a_run_that_is_cleared_and_rerun_reuses_the_ticket_of_an_earlier_run(cluster: Cluster) -> None:
    first, second = cluster.trigger("rerun"), cluster.trigger("rerun")
    assert [cluster.finish("rerun", run_id) for run_id in (first, second)] == ["success", "success"]
    ticket = cluster.api.xcom("rerun", first, "session")
    with asked(cluster.parts.vault) as paths:
        cluster.clear("rerun", second, "session", "decrypt", "report")
        assert cluster.finish("rerun", second) == "success"
    # The session task opens the earlier ticket and seals it for its own run; the other opens that.
    assert paths == [LOGIN, OPENED, SEALED, LOGIN, OPENED]
    again = cluster.api.xcom("rerun", second, "session")
    assert {name for name in again if again[name] != ticket[name]} == {"run_id", "sealed"}


def test_a_backfill_of_many_runs_at_once(cluster: Cluster) -> None:
    """All of them come right. Runs that begin before one of them has a ticket may each read the key, no more."""
    runs = 8
    cluster.api.wait_for_dag(DAG_ID, 1800)
    cluster.api.unpause(DAG_ID)
    with asked(cluster.parts.vault) as paths:
        body = {
            "dag_id": DAG_ID,
            "from_date": "2026-03-01T00:00:00Z",
            "to_date": f"2026-03-{runs:02}T00:00:00Z",
            "max_active_runs": runs,
        }
        backfill = cluster.api._call("POST", "/api/v2/backfills", body)["id"]
        waited_for(lambda: cluster.api._call("GET", f"/api/v2/backfills/{backfill}")["completed_at"])
    found = cluster.api._call("GET", f"/api/v2/dags/{DAG_ID}/dagRuns?limit=50")["dag_runs"]
    ours = [run for run in found if run["run_type"] == "backfill"]
    assert [run["state"] for run in ours] == ["success"] * runs
    for run in ours:
        assert cluster.tries(DAG_ID, run["dag_run_id"]) == {"session": 1, "decrypt": 1, "report": 1}
        report = cluster.api.xcom(DAG_ID, run["dag_run_id"], "report")
        assert report == expected_report(cluster.parts.dataset)
    assert paths.count(KEY_READ) <= runs
    cluster.assert_the_plaintext_alone_is_there()


def test_the_metadata_database_restarts_while_a_session_is_opened_and_while_nodes_are_asked(
    cluster: Cluster,
) -> None:
    """What of Airflow itself ends with its database is started again by whoever looks after it; the tasks go on."""
    dag_id = "interrupted"
    with (
        cluster.supervised(),
        cluster.brake(dag_id, "session", "seal") as seal,
        cluster.brake(dag_id, "decrypt", "nodes") as nodes,
    ):
        run_id = cluster.trigger(dag_id)
        for brake in (seal, nodes):
            brake.held()
            cluster.database.restart()
            brake.release()
        assert cluster.finish(dag_id, run_id) == "success"
    assert cluster.tries(dag_id, run_id) == {"session": 1, "decrypt": 1, "report": 1}
    cluster.assert_the_plaintext_alone_is_there()


def test_the_triggerer_is_killed_while_a_task_waits_in_it(cluster: Cluster) -> None:
    dag_id = "lit_time_lock"
    run_id = cluster.trigger(dag_id, opens_in_s=60, message="Not before its time.")
    waited_for(lambda: cluster.task(dag_id, run_id, "wait")["state"] == "deferred")
    with cluster.supervised():
        cluster.kill_component("airflow-triggerer")
        assert cluster.finish(dag_id, run_id) == "success"
    assert cluster.tries(dag_id, run_id) == {"lock": 1, "session": 1, "wait": 1, "decrypt": 1}
    assert cluster.api.xcom(dag_id, run_id, "decrypt") == "Not before its time."


def test_a_message_that_the_broker_delivers_twice_runs_nothing_twice(cluster: Cluster) -> None:
    """Longer than the broker's visibility time-out: to Celery the worker seems lost, Airflow knows better."""
    dag_id = "delivered_twice"
    with asked(cluster.parts.vault) as paths:
        with cluster.brake(dag_id, "session", "seal") as brake:
            run_id = cluster.trigger(dag_id)
            brake.held()
            cluster.deliver_again()
            log = cluster.workers["renewer"].log
            waited_for(lambda: "ignoring redelivered message" in log.read_text())
        assert cluster.finish(dag_id, run_id) == "success"
    assert cluster.tries(dag_id, run_id) == {"session": 1, "decrypt": 1, "report": 1}
    assert paths.count(KEY_READ) == 1
    cluster.assert_the_plaintext_alone_is_there()

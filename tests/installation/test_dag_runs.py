"""Many DAGs at once on a real Airflow: started by an asset, kept alive, waiting in the triggerer, racing."""

import json
from pathlib import Path

from lit_airflow.sandbox.examples import example_dags
from lit_airflow.sandbox.report import expected_report
from tests.installation.beside import ON_CHIPOTLE
from tests.installation.dags import ELSEWHERE, EXAMPLES, FAILURES, OWN, TIME_LOCK
from tests.installation.runs import Runs


def test_every_example_has_run_and_none_is_unknown(runs: Runs) -> None:
    """A new file in ``dags/`` says in ``EXAMPLES`` how it is run, or this fails."""
    installation = runs.installation
    assert installation.ask("GET", "/api/v2/importErrors")["import_errors"] == []
    assert installation.dag_ids() == {*EXAMPLES, *ELSEWHERE, *FAILURES, *OWN}
    files = {
        dag["fileloc"].rpartition("/")[2] for dag in installation.ask("GET", "/api/v2/dags?limit=100")["dags"]
    }
    assert files >= {path.name for path in example_dags().glob("*.py")}
    ended = {dag_id: installation.api.run_state(dag_id, runs.ids[dag_id][0]) for dag_id in EXAMPLES}
    assert ended == dict.fromkeys(EXAMPLES, "success")


def test_every_failure_failed_as_it_should(runs: Runs) -> None:
    for dag_id, failure in FAILURES.items():
        assert runs.states(dag_id)[0][failure.task_id] == "failed"
        assert failure.error in runs.log(dag_id, failure.task_id), dag_id


def test_the_refresh_starts_the_consumer(runs: Runs) -> None:
    assert runs.states("lit_session_refresh") == [{"session": "success"}]
    assert runs.states("lit_session_consumer") == [{"count": "success"}]
    assert runs.xcom("lit_session_consumer", "count") == runs.orders
    [run_id] = runs.ids["lit_session_consumer"]
    run = runs.installation.ask("GET", f"/api/v2/dags/lit_session_consumer/dagRuns/{run_id}")
    assert run["run_type"] == "asset_triggered"


def test_a_published_session_is_renewed_for_as_long_as_a_task_works_with_it(runs: Runs) -> None:
    [states] = runs.states("long_work")
    expected = dict.fromkeys(("session", "work", "keep_alive"), "success")
    assert states == expected, runs.log("long_work", "work")
    assert len(set(runs.xcom("long_work", "work"))) == 2
    ended = {task.task_id: task.ended for task in runs.tasks["long_work", runs.ids["long_work"][0]]}
    assert ended["keep_alive"] is not None
    assert ended["work"] is not None
    assert ended["keep_alive"] > ended["work"]


def test_a_time_lock_is_waited_for_without_a_slot(runs: Runs) -> None:
    assert set(runs.states(TIME_LOCK)[0].values()) == {"success"}
    assert runs.xcom(TIME_LOCK, "decrypt") == "Not before its time."


def test_the_demo_on_chipotle(runs: Runs) -> None:
    """Only its connections are others."""
    assert runs.states(ON_CHIPOTLE) == [dict.fromkeys(("session", "decrypt", "report"), "success")]
    assert runs.xcom(ON_CHIPOTLE, "report") == expected_report(runs.installation.parts.dataset)


def test_two_runs_at_once_do_no_harm(runs: Runs) -> None:
    expected = [dict.fromkeys(("session", "ticket", "name"), "success")] * 2
    assert runs.states("racing") == expected, runs.log("racing", "ticket")
    tickets = [runs.installation.api.xcom("racing", run_id, "session") for run_id in runs.ids["racing"]]
    assert all(isinstance(ticket, dict) and ticket["made_by"] == "racing.session" for ticket in tickets)


def test_what_waits_holds_no_slot_and_no_secret(runs: Runs) -> None:
    assert {"keep_alive", "wait"} <= runs.deferred
    triggers = [
        content.decode()
        for place, content in runs.stored
        if place.startswith(
            ("deferred: trigger.", "deferred: arguments of ", "deferred: task_instance.next_")
        )
    ]
    for name in ("LitKeepAliveTrigger", "LitMomentTrigger"):
        assert any(name in text for text in triggers)
    tickets = json.dumps([runs.xcom("long_work", "session"), runs.xcom("racing", "session")])
    assert '"sealed": "vault:v1:' in tickets
    assert any('"task_ids": ["work"]' in text for text in triggers)  # as they are, in clear
    for text in triggers:
        assert "vault:v1:" not in text  # not even the sealed ticket
        assert "sealed" not in text
        assert "session_public_key" not in text


def test_the_scheduler_has_loaded_what_its_tasks_need(runs: Runs) -> None:
    """Its LocalExecutor's tasks are forks of it; the processor of DAG files runs no task."""
    mapped = {
        child.name: "py_arkworks_bls12381" in Path(f"/proc/{child.process.pid}/maps").read_text()
        for child in runs.installation.parts.children._children
        if child.name in {"airflow-scheduler", "airflow-dag-processor"}
    }
    assert mapped == {"airflow-scheduler": True, "airflow-dag-processor": False}

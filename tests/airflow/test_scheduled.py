"""Several DAGs at once on a real Airflow with scheduler and triggerer: announced, kept alive, waited for, raced."""

import json
import sqlite3
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from lit_airflow.sandbox.airflow_rest import TaskState
from lit_airflow.sandbox.environment import Sandbox, SandboxOptions, open_sandbox
from lit_airflow.sandbox.examples import example_dags
from lit_airflow.sandbox.progress import Progress
from lit_airflow.sandbox.stop_signal import StopSignal

pytestmark = pytest.mark.timeout(900)  # the first test waits for everything; on two idle cores that is 90 s

OURS = """
    import time
    from datetime import UTC, datetime, timedelta
    from airflow.sdk import dag, task
    from lit_airflow.operators import LitKeepAliveOperator, LitSessionSigsOperator

    ENCRYPTED = "{{ var.value.lit_orders_encrypted }}"
    KEPT = {"encrypted": ENCRYPTED, "name": "kept", "ttl_s": 60, "lead_s": 45, "lit_conn_id": "lit_renewer"}


    @dag(schedule=None)
    def long_work():
        session = LitSessionSigsOperator(task_id="session", **KEPT)

        # Tried again where the machine is too busy to renew in time: then nothing is published for a while.
        @task.lit(session="kept", lit_conn_id="lit_consumer", retries=3, retry_delay=timedelta(seconds=1))
        def work(lit, path):
            keys, first = [], lit.session.expires_at
            while datetime.now(UTC) < first + timedelta(seconds=3):
                assert lit.decrypt(path)
                if lit.session.public_key not in keys:
                    keys.append(lit.session.public_key)
                time.sleep(0.5)
            return keys

        session >> [LitKeepAliveOperator(task_id="keep_alive", poll_s=1, **KEPT), work(ENCRYPTED)]


    @dag(schedule=None, max_active_runs=4)
    def racing():
        session = LitSessionSigsOperator(
            task_id="session", encrypted=ENCRYPTED, name="raced", lit_conn_id="lit_renewer"
        )

        @task.lit(session=session.output, lit_conn_id="lit_consumer")
        def ticket(lit, path):
            return len(lit.decrypt(path))

        @task.lit(session="raced", lit_conn_id="lit_consumer")
        def name(lit, path):
            return len(lit.decrypt(path))

        ticket(ENCRYPTED) >> name(ENCRYPTED)


    long_work()
    racing()
"""


@dataclass
class Watched:
    """What was seen while everything ran.

    Attributes:
        parts: The sandbox.
        runs: DAG id -> ids of its runs.
        tasks: (DAG id, run id) -> its tasks at the end.
        deferred: Ids of tasks that were seen deferred.
        triggers: What was stored of each trigger, and of tasks that wait for one.
    """

    parts: Sandbox
    runs: dict[str, list[str]] = field(default_factory=dict)
    tasks: dict[tuple[str, str], list[TaskState]] = field(default_factory=dict)
    deferred: set[str] = field(default_factory=set)
    triggers: set[str] = field(default_factory=set)

    def start(self, dag_id: str, conf: dict[str, object] | None = None) -> None:
        body = {"logical_date": None, "conf": conf or {}}
        run = self.parts.api._call("POST", f"/api/v2/dags/{dag_id}/dagRuns", body)
        self.runs.setdefault(dag_id, []).append(str(run["dag_run_id"]))

    def scheduled(self, dag_id: str) -> None:
        self.runs[dag_id] = [self.parts.api.wait_for_run(dag_id, 300)]

    def look(self) -> bool:
        """Look once; whether everything has ended."""
        for dag_id, runs in self.runs.items():
            for run_id in runs:
                found = self.parts.api.tasks(dag_id, run_id)
                self.tasks[dag_id, run_id] = found
                self.deferred |= {task.task_id for task in found if task.state == "deferred"}
        self.triggers |= stored_triggers(self.parts)
        return all(task.finished for tasks in self.tasks.values() for task in tasks)

    def states(self, dag_id: str) -> list[dict[str, str | None]]:
        return [{t.task_id: t.state for t in self.tasks[dag_id, run_id]} for run_id in self.runs[dag_id]]

    def log(self, dag_id: str, task_id: str) -> str:
        run_id = self.runs[dag_id][0]
        task = next(task for task in self.tasks[dag_id, run_id] if task.task_id == task_id)
        return "\n".join(self.parts.api.log_lines(dag_id, run_id, task))

    def xcom(self, dag_id: str, task_id: str) -> Any:  # noqa: ANN401 - whatever JSON it is
        return self.parts.api.xcom(dag_id, self.runs[dag_id][0], task_id)


def stored_triggers(parts: Sandbox) -> set[str]:
    """The rows of the trigger table as they are and what tasks keep for later."""
    with sqlite3.connect(f"file:{parts.airflow.database}?mode=ro", uri=True) as database:
        rows = database.execute("SELECT classpath, kwargs FROM trigger").fetchall()
        kept = database.execute(
            "SELECT next_method, next_kwargs FROM task_instance WHERE next_kwargs IS NOT NULL"
        ).fetchall()
    return {f"{name} {arguments}" for name, arguments in [*rows, *kept]}


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    dags = tmp_path_factory.mktemp("dags")
    (dags / "ours.py").write_text(dedent(OURS))
    with open_sandbox(StopSignal(), Progress(), SandboxOptions(dags=dags)) as parts:
        seen = Watched(parts)
        for dag_id in ("long_work", "racing", "lit_time_lock", "lit_session_consumer", "lit_session_refresh"):
            parts.api.wait_for_dag(dag_id, 180)
            parts.api.unpause(dag_id)
        seen.start("lit_time_lock", {"opens_in_s": 45, "message": "Good morning."})
        seen.start("racing")
        seen.start("racing")
        seen.start("long_work")
        for dag_id in ("lit_session_refresh", "lit_session_consumer"):
            seen.scheduled(dag_id)
        end = time.monotonic() + 400
        while not seen.look():
            assert time.monotonic() < end, seen.tasks
            time.sleep(0.5)
        yield seen


def test_every_example_is_read_without_error(watched: Watched) -> None:
    api = watched.parts.api
    assert api._call("GET", "/api/v2/importErrors")["import_errors"] == []
    found = {dag["fileloc"].rpartition("/")[2] for dag in api._call("GET", "/api/v2/dags")["dags"]}
    assert found >= {path.name for path in Path(example_dags()).glob("*.py")}


def test_the_refresh_starts_the_consumer(watched: Watched) -> None:
    assert watched.states("lit_session_refresh") == [{"session": "success"}]
    assert watched.states("lit_session_consumer") == [{"count": "success"}]
    assert watched.xcom("lit_session_consumer", "count") == 400
    run = watched.parts.api._call(
        "GET", f"/api/v2/dags/lit_session_consumer/dagRuns/{watched.runs['lit_session_consumer'][0]}"
    )
    assert run["run_type"] == "asset_triggered"


def test_a_session_is_kept_alive_for_longer_than_it_lasts(watched: Watched) -> None:
    [states] = watched.states("long_work")
    assert states == dict.fromkeys(("session", "work", "keep_alive"), "success"), watched.log(
        "long_work", "work"
    )
    assert len(watched.xcom("long_work", "work")) >= 2
    ended = {task.task_id: task.ended for task in watched.tasks["long_work", watched.runs["long_work"][0]]}
    assert ended["keep_alive"] is not None
    assert ended["work"] is not None
    assert ended["keep_alive"] > ended["work"]


def test_a_time_lock_is_waited_for_without_a_slot(watched: Watched) -> None:
    assert set(watched.states("lit_time_lock")[0].values()) == {"success"}
    assert watched.xcom("lit_time_lock", "decrypt") == "Good morning."


def test_two_runs_at_once_do_no_harm(watched: Watched) -> None:
    assert watched.states("racing") == [dict.fromkeys(("session", "ticket", "name"), "success")] * 2
    tickets = [watched.parts.api.xcom("racing", run, "session") for run in watched.runs["racing"]]
    assert all(isinstance(ticket, dict) and ticket["made_by"] == "racing.session" for ticket in tickets)


def test_what_waits_holds_no_slot_and_no_secret(watched: Watched) -> None:
    assert {"keep_alive", "wait"} <= watched.deferred
    kinds = {text.partition(" ")[0].rpartition(".")[2] for text in watched.triggers}
    assert {"LitKeepAliveTrigger", "LitMomentTrigger"} <= kinds
    tickets = json.dumps([watched.xcom("long_work", "session"), watched.xcom("racing", "session")])
    assert '"sealed": "vault:v1:' in tickets
    assert any('"task_ids": ["work"]' in text for text in watched.triggers)  # as they are, in clear
    for text in watched.triggers:
        assert "vault:v1:" not in text  # not even the sealed ticket
        assert "sealed" not in text
        assert "session_public_key" not in text

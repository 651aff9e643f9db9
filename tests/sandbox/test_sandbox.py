import signal
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
import requests

from lit_airflow.keys.secret import Secret
from lit_airflow.sandbox import watchdog
from lit_airflow.sandbox.airflow_rest import AirflowApi
from lit_airflow.sandbox.stop_signal import StopSignal
from tests.sandbox.running import Run, belonging_to

MY_DAG = """
import time
from airflow.sdk import BaseHook, dag, task

@dag(schedule="@once")
def mine():
    @task
    def look():
        ids = ["lit_renewer", "lit_consumer", "vault_renewer", "vault_consumer"]
        return {each: BaseHook.get_connection(each).conn_type for each in ids}
    look()

@dag(schedule="@once")
def endless():
    @task
    def work():
        time.sleep(3600)
    work()

mine()
endless()
"""


@pytest.mark.soak
def test_the_sandbox_runs_ones_own_dags_until_it_is_told_to_stop(
    start_sandbox: Callable[[Path], tuple[Run, dict[str, object]]], tmp_path: Path
) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "mine.py").write_text(MY_DAG)
    run, ready = start_sandbox(mine)
    assert set(ready) == {
        "airflow_url",
        "username",
        "password",
        "vault_addr",
        "lit_conn_id",
        "wallet",
        "network",
        "home",
    }
    assert ready["lit_conn_id"] == {"renewer": "lit_renewer", "consumer": "lit_consumer"}
    assert Path(str(ready["home"])).parent == run.folder

    url = str(ready["airflow_url"])
    api = AirflowApi(url, StopSignal())
    assert api.healthy("scheduler", "dag_processor", "triggerer")
    api.login(str(ready["username"]), Secret(str(ready["password"]).encode()))
    api.wait_for_dag("lit_decrypt_report", 1800)
    outcome = run_dag(api, "mine")
    assert outcome == {
        "lit_renewer": "lit",
        "lit_consumer": "lit",
        "vault_renewer": "vault",
        "vault_consumer": "vault",
    }
    assert requests.get(f"{url}/api/v2/connections", timeout=300).status_code == 401
    assert requests.get(f"{ready['vault_addr']}/v1/sys/health", timeout=300).status_code == 200
    private = [p for p in Path(str(ready["home"])).rglob("*") if p.name in {"airflow.cfg", "passwords.json"}]
    assert [oct(p.stat().st_mode & 0o777) for p in private] == ["0o600", "0o600"]

    # To stop while a task runs is the hardest: the task is in a process group of its own.
    api.unpause("endless")
    [number] = wait_for_tasks(api, "endless")
    endless = psutil.Process(number)
    run.process.send_signal(signal.SIGTERM)
    assert run.finish() == ""
    assert run.process.returncode == 0, run.log.read_text()
    run.assert_nothing_left()
    assert not watchdog.alive([endless])  # its number may be another's by now


def wait_for_tasks(api: AirflowApi, dag_id: str) -> list[int]:
    """The processes of a run's tasks, as soon as all run."""
    run_id = api.wait_for_run(dag_id, 1800)
    while not (running := [task.pid for task in api.tasks(dag_id, run_id) if task.pid]):
        StopSignal().wait(0.3)
    return running


def run_dag(api: AirflowApi, dag_id: str) -> object:
    api.wait_for_dag(dag_id, 1800)
    api.unpause(dag_id)
    run_id = api.wait_for_run(dag_id, 1800)
    while (state := api.run_state(dag_id, run_id)) not in {"success", "failed"}:
        StopSignal().wait(0.3)
    assert state == "success"
    return api.xcom(dag_id, run_id, "look")


def test_a_folder_that_is_not_there_is_said_before_anything_starts(start: Callable[[str], Run]) -> None:
    run = start(
        "import pathlib; from lit_airflow.sandbox import sandbox; exit(sandbox(pathlib.Path('/no/such')))"
    )
    assert run.finish() == ""
    assert run.process.returncode == 1
    assert "There is no folder /no/such." in run.log.read_text()
    assert belonging_to(run.folder) == []

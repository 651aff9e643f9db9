"""As much of Airflow's REST API (v2) as the sandbox needs, every wait open to a request to stop."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

import requests
from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_fixed

from lit_airflow.clock import Deadline, parse_iso
from lit_airflow.sandbox.processes import SandboxError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lit_airflow.keys.secret import Secret
    from lit_airflow.sandbox.stop_signal import StopSignal

_POLL_S = 0.3
_TIMEOUT_S = 60.0  # the first task makes the server load for seconds, on a busy machine for many
_NOT_FOUND = 404
_FINISHED: Final = {"success", "failed", "skipped", "upstream_failed", "removed"}


@dataclass(frozen=True, slots=True)
class TaskState:
    """Where a task of a run stands.

    Attributes:
        task_id: Its name in the DAG.
        state: Airflow's word for it; None before it is scheduled.
        started: When its process began (UTC).
        ended: When it ended (UTC).
        pid: Its process.
        try_number: 1 for the first try.
    """

    task_id: str
    state: str | None
    started: datetime | None
    ended: datetime | None
    pid: int | None
    try_number: int

    @property
    def finished(self) -> bool:
        """Whether it will not run again."""
        return self.state in _FINISHED

    @property
    def took_s(self) -> float:
        """Seconds from start to end; 0 unless it has both."""
        return (self.ended - self.started).total_seconds() if self.started and self.ended else 0.0


class AirflowApi:
    """A client of one Airflow, logged in as one user.

    Args:
        url: The API server's base URL.
        stopping: Asked at every wait.
    """

    def __init__(self, url: str, stopping: StopSignal) -> None:
        self.url = url
        self._stopping = stopping
        self._session = requests.Session()
        self._session.trust_env = False  # no proxy between us and loopback, no credentials from ~/.netrc

    def close(self) -> None:
        """Let go of the server, which otherwise waits for us before it stops."""
        self._session.close()

    def healthy(self, *components: str) -> bool:
        """Whether the server answers and knows these components (``scheduler``, …) to be alive."""
        try:
            answer = self._session.get(f"{self.url}/api/v2/monitor/health", timeout=5)
        except requests.RequestException:
            return False
        health = answer.json() if answer.ok else {}
        return all(health.get(name, {}).get("status") == "healthy" for name in ("metadatabase", *components))

    def login(self, username: str, password: Secret) -> None:
        """Get a token and use it from now on."""
        body = {"username": username, "password": password.reveal().decode()}
        token = self._call("POST", "/auth/token", body)["access_token"]
        self._session.headers["Authorization"] = f"Bearer {token}"

    def add_connection(self, connection: Mapping[str, object]) -> None:
        """Store a connection; ``extra`` may be a dict. Airflow encrypts password and extra at rest."""
        body = dict(connection)
        if isinstance(body.get("extra"), dict):
            body["extra"] = json.dumps(body["extra"])
        self._call("POST", "/api/v2/connections", body)

    def set_variable(self, key: str, value: str) -> None:
        """Store a Variable that does not exist yet."""
        self._call("POST", "/api/v2/variables", {"key": key, "value": value})

    def wait_for_dag(self, dag_id: str, timeout_s: float = 60.0) -> None:
        """Return as soon as the DAG has been read from its file.

        Raises:
            SandboxError: Its file does not import, or nobody reads it in time.
        """
        deadline = Deadline.after(timeout_s)
        while not self._exists(f"/api/v2/dags/{dag_id}"):
            errors = self._call("GET", "/api/v2/importErrors")["import_errors"]
            if errors:
                raise SandboxError(
                    f"{errors[0]['filename']} does not import.", details=str(errors[0]["stack_trace"])
                )
            if not deadline.left_s():
                raise SandboxError(f"The DAG {dag_id} did not appear within {timeout_s:.0f} s.")
            self._stopping.wait(_POLL_S)

    def unpause(self, dag_id: str) -> None:
        """Let the scheduler start the DAG's runs; the run of the last due time starts at once."""
        self._call("PATCH", f"/api/v2/dags/{dag_id}", {"is_paused": False})

    def wait_for_run(self, dag_id: str, timeout_s: float = 60.0) -> str:
        """The id of the DAG's latest run, as soon as there is one.

        Raises:
            SandboxError: There is none in time.
        """
        deadline = Deadline.after(timeout_s)
        path = f"/api/v2/dags/{dag_id}/dagRuns?order_by=-run_after&limit=1"
        while not (runs := self._call("GET", path)["dag_runs"]):
            if not deadline.left_s():
                raise SandboxError(f"The scheduler started no run of {dag_id} within {timeout_s:.0f} s.")
            self._stopping.wait(_POLL_S)
        return str(runs[0]["dag_run_id"])

    def run_state(self, dag_id: str, run_id: str) -> str:
        """``queued``, ``running``, ``success`` or ``failed``."""
        return str(self._call("GET", f"/api/v2/dags/{dag_id}/dagRuns/{run_id}")["state"])

    def tasks(self, dag_id: str, run_id: str) -> list[TaskState]:
        """All tasks of a run, those that started first in front."""
        path = f"/api/v2/dags/{dag_id}/dagRuns/{run_id}/taskInstances"
        found = [_task_state(each) for each in self._call("GET", path)["task_instances"]]
        return sorted(found, key=lambda task: (task.started is None, task.started))

    def xcom(self, dag_id: str, run_id: str, task_id: str) -> object:
        """What a task returned, or None."""
        path = f"/api/v2/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/xcomEntries/return_value"
        if not self._exists(path):
            return None
        value = self._call("GET", f"{path}?stringify=false&deserialize=false")["value"]
        return json.loads(value) if isinstance(value, str) and value[:1] in '{["' else value

    def log_lines(self, dag_id: str, run_id: str, task: TaskState) -> list[str]:
        """The messages that a task logged and the exceptions that ended it, in order."""
        path = f"/api/v2/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task.task_id}/logs/{task.try_number}"
        content = self._call("GET", f"{path}?full_content=true")["content"]
        return [text for line in content for text in _log_line(line)]

    def _exists(self, path: str) -> bool:
        return self._request("GET", path).status_code != _NOT_FOUND

    def _call(self, method: str, path: str, body: object = None) -> dict[str, Any]:
        answer = self._request(method, path, body)
        if not answer.ok:
            # Not the body: a refused connection comes back with what it held.
            raise SandboxError(f"Airflow answered {answer.status_code} to {method} {path}.")
        answered: dict[str, Any] = answer.json()
        return answered

    def _request(self, method: str, path: str, body: object = None) -> requests.Response:
        self._stopping.check()
        attempts = Retrying(
            # SQLite under several writers: "database is locked" shows as a 500 or a dropped connection.
            retry=retry_if_exception_type(requests.ConnectionError),
            stop=stop_after_attempt(4),
            wait=wait_fixed(_POLL_S),
            sleep=self._stopping.wait,
            reraise=True,
        )
        try:
            return attempts(
                self._session.request,
                method,
                self.url + path,
                json=body,
                timeout=_TIMEOUT_S,
                headers={"Accept": "application/json"},
            )
        except requests.RequestException as error:
            raise SandboxError(f"Airflow did not answer {method} {path} ({type(error).__name__}).") from error


def _log_line(line: str | dict[str, Any]) -> list[str]:
    if isinstance(line, str):
        return [line]
    if str(line["event"]).startswith("::"):  # where the page folds the log
        return []
    errors = line.get("error_detail") or ()
    return [str(line["event"]), *(f"{error['exc_type']}: {error['exc_value']}" for error in errors)]


def _task_state(entry: Mapping[str, object]) -> TaskState:
    start, end, pid = entry["start_date"], entry["end_date"], entry["pid"]
    return TaskState(
        task_id=str(entry["task_id"]),
        state=str(entry["state"]) if entry["state"] else None,
        started=parse_iso(str(start)) if start else None,
        ended=parse_iso(str(end)) if end else None,
        pid=int(str(pid)) if pid else None,
        try_number=int(str(entry["try_number"])),
    )

"""A client for the part of Airflow's REST API (v2) that the sandbox needs; a stop signal ends every wait."""

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
_TIMEOUT_S = 60.0  # the first task makes the server import modules, which can take long on a busy machine
_NOT_FOUND = 404
_FINISHED: Final = {"success", "failed", "skipped", "upstream_failed", "removed"}


@dataclass(frozen=True, slots=True)
class TaskState:
    """The state of a task of a DAG run.

    Attributes:
        task_id: The task's id.
        state: The state as Airflow names it; None before the task is scheduled.
        started: When its process started (UTC).
        ended: When it ended (UTC).
        pid: The process id.
        try_number: The number of the try, from 1.
    """

    task_id: str
    state: str | None
    started: datetime | None
    ended: datetime | None
    pid: int | None
    try_number: int

    @property
    def finished(self) -> bool:
        """Whether the task has ended and will not run again."""
        return self.state in _FINISHED

    @property
    def took_s(self) -> float:
        """Seconds from start to end; 0 before the task has ended."""
        return (self.ended - self.started).total_seconds() if self.started and self.ended else 0.0


class AirflowApi:
    """A client for one Airflow.

    Args:
        url: The API server's base URL.
        stop_signal: Checked before every request and during every wait.
    """

    def __init__(self, url: str, stop_signal: StopSignal) -> None:
        self.url = url
        self._stop_signal = stop_signal
        self._session = requests.Session()
        self._session.trust_env = False  # do not use a proxy for loopback, nor credentials from ~/.netrc

    def close(self) -> None:
        """Close the connection; otherwise the server waits for it before it stops."""
        self._session.close()

    def healthy(self, *components: str) -> bool:
        """Return whether the server answers and reports that these components are healthy.

        Args:
            components: Such as ``scheduler``.
        """
        try:
            answer = self._session.get(f"{self.url}/api/v2/monitor/health", timeout=5)
        except requests.RequestException:
            return False
        health = answer.json() if answer.ok else {}
        return all(health.get(name, {}).get("status") == "healthy" for name in ("metadatabase", *components))

    def login(self, username: str, password: Secret) -> None:
        """Log in and use the token for all further requests.

        Raises:
            SandboxError: Airflow refuses or does not answer.
        """
        body = {"username": username, "password": password.reveal().decode()}
        token = self._call("POST", "/auth/token", body)["access_token"]
        self._session.headers["Authorization"] = f"Bearer {token}"

    def add_connection(self, connection: Mapping[str, object]) -> None:
        """Store a connection. Airflow encrypts its password and extra.

        Args:
            connection: The connection in the API's format; ``extra`` may be a dict.

        Raises:
            SandboxError: Airflow refuses or does not answer.
        """
        body = dict(connection)
        if isinstance(body.get("extra"), dict):
            body["extra"] = json.dumps(body["extra"])
        self._call("POST", "/api/v2/connections", body)

    def set_variable(self, key: str, value: str) -> None:
        """Store a Variable that does not exist yet.

        Raises:
            SandboxError: Airflow refuses or does not answer.
        """
        self._call("POST", "/api/v2/variables", {"key": key, "value": value})

    def wait_for_dag(self, dag_id: str, timeout_s: float = 60.0) -> None:
        """Wait until Airflow has loaded a DAG.

        Raises:
            SandboxError: A DAG file cannot be imported, or the DAG is not loaded in time.
            StopRequestedError: While waiting.
        """
        deadline = Deadline.after(timeout_s)
        while not self._exists(f"/api/v2/dags/{dag_id}"):
            errors = self._call("GET", "/api/v2/importErrors")["import_errors"]
            if errors:
                raise SandboxError(
                    f"{errors[0]['filename']} cannot be imported.", details=str(errors[0]["stack_trace"])
                )
            if not deadline.left_s():
                raise SandboxError(f"Airflow did not load the DAG {dag_id} within {timeout_s:.0f} s.")
            self._stop_signal.wait(_POLL_S)

    def unpause(self, dag_id: str) -> None:
        """Unpause a DAG; the scheduler then starts its most recent due run.

        Raises:
            SandboxError: Airflow refuses or does not answer.
        """
        self._call("PATCH", f"/api/v2/dags/{dag_id}", {"is_paused": False})

    def wait_for_run(self, dag_id: str, timeout_s: float = 60.0) -> str:
        """Wait until a DAG has a run, and return the id of the latest one.

        Raises:
            SandboxError: There is no run in time.
            StopRequestedError: While waiting.
        """
        deadline = Deadline.after(timeout_s)
        path = f"/api/v2/dags/{dag_id}/dagRuns?order_by=-run_after&limit=1"
        while not (runs := self._call("GET", path)["dag_runs"]):
            if not deadline.left_s():
                raise SandboxError(f"The scheduler did not start a run of {dag_id} within {timeout_s:.0f} s.")
            self._stop_signal.wait(_POLL_S)
        return str(runs[0]["dag_run_id"])

    def run_state(self, dag_id: str, run_id: str) -> str:
        """Return the state of a run: ``queued``, ``running``, ``success`` or ``failed``."""
        return str(self._call("GET", f"/api/v2/dags/{dag_id}/dagRuns/{run_id}")["state"])

    def tasks(self, dag_id: str, run_id: str) -> list[TaskState]:
        """Return all tasks of a run by the time of their start; tasks that have not started come last."""
        path = f"/api/v2/dags/{dag_id}/dagRuns/{run_id}/taskInstances"
        found = [_task_state(each) for each in self._call("GET", path)["task_instances"]]
        return sorted(found, key=lambda task: (task.started is None, task.started))

    def xcom(self, dag_id: str, run_id: str, task_id: str) -> object:
        """Return what a task returned, or None."""
        path = f"/api/v2/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/xcomEntries/return_value"
        if not self._exists(path):
            return None
        value = self._call("GET", f"{path}?stringify=false&deserialize=false")["value"]
        return json.loads(value) if isinstance(value, str) and value[:1] in '{["' else value

    def log_lines(self, dag_id: str, run_id: str, task: TaskState) -> list[str]:
        """Return the messages of a task's log, including its exceptions, in order."""
        path = f"/api/v2/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task.task_id}/logs/{task.try_number}"
        content = self._call("GET", f"{path}?full_content=true")["content"]
        return [text for line in content for text in _log_line(line)]

    def _exists(self, path: str) -> bool:
        return self._request("GET", path).status_code != _NOT_FOUND

    def _call(self, method: str, path: str, body: object = None) -> dict[str, Any]:
        answer = self._request(method, path, body)
        if not answer.ok:
            # The body is left out: when Airflow refuses a connection, the body repeats its secrets.
            raise SandboxError(f"Airflow answered {answer.status_code} to {method} {path}.")
        answered: dict[str, Any] = answer.json()
        return answered

    def _request(self, method: str, path: str, body: object = None) -> requests.Response:
        self._stop_signal.check()
        attempts = Retrying(
            # If several processes write to SQLite, "database is locked" may drop the connection.
            retry=retry_if_exception_type(requests.ConnectionError),
            stop=stop_after_attempt(4),
            wait=wait_fixed(_POLL_S),
            sleep=self._stop_signal.wait,
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
    if str(line["event"]).startswith("::"):  # marks a collapsible group on Airflow's page
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

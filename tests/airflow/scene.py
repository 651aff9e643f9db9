"""Every example DAG, and the ways in which one fails, run at DEBUG on a whole Airflow; and all they leave."""

import json
import threading
import time
from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterator, Mapping
from configparser import ConfigParser
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from re import findall
from secrets import token_bytes, token_urlsafe
from typing import Any

import airflow
import pytest
import yaml
from cryptography.fernet import Fernet
from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_fixed

from lit_airflow.keys.secret import Secret
from lit_airflow.sandbox import watchdog
from lit_airflow.sandbox.airflow_rest import AirflowApi
from lit_airflow.sandbox.environment import Sandbox, SandboxOptions, open_sandbox
from lit_airflow.sandbox.examples import DAG_ID, example_dags
from lit_airflow.sandbox.processes import SandboxError, free_port
from lit_airflow.sandbox.progress import Progress
from lit_airflow.sandbox.stop_signal import StopSignal
from tests.airflow.leaks import cells_of_sqlite, files_below

HOW_TO_RUN: dict[str, dict[str, object] | None] = {
    DAG_ID: {},
    "lit_session_refresh": {},
    "lit_session_consumer": None,  # started by what the one above announces
    "lit_mapped_decryptions": {},
    "lit_time_lock": {"opens_in_s": 45, "message": "Not before its time."},
    "lit_large_file": {"megabytes": 2},
}
"""DAG of ``dags/`` -> what its run is given."""

FERNET = urlsafe_b64encode(token_bytes(32)).decode()
NO_SECRET_ID = token_urlsafe(24)
VIEWER = "viewer"


@dataclass(frozen=True)
class Failure:
    """A way in which the demo DAG fails: one of its connections is another.

    Attributes:
        role: Whose.
        error: What the log says.
        lit: Fields of the Lit connection that differ.
        vault: Of its Vault connection.
    """

    role: str
    error: str
    lit: Mapping[str, object] = field(default_factory=dict)
    vault: Mapping[str, object] = field(default_factory=dict)


FAILURES = {
    "denied": Failure("renewer", "VaultDeniedError", lit={"vault_conn_id": "vault_consumer"}),
    "another_wallet": Failure("renewer", "WalletKeyError", lit={"wallet_address": "0x" + "11" * 20}),
    "no_such_field": Failure("renewer", "SecretNotFoundError", lit={"vault_field": "nothing"}),
    "no_login": Failure("renewer", "VaultDeniedError", vault={"password": NO_SECRET_ID}),
    "vault_away": Failure("consumer", "VaultUnavailableError", vault={"port": free_port()}),
    "another_seal": Failure("consumer", "TicketError", lit={"seal": "fernet", "seal_secret": FERNET}),
    "another_network": Failure("consumer", "TicketError", lit={"network": "datil-dev", "rpc_url": None}),
}


@dataclass
class Scene:
    """A sandbox in which everything has run.

    Attributes:
        parts: The sandbox.
        connections: Those that it was given, by id.
        runs: DAG -> its run.
        told: Failing DAG -> what the task that failed logged.
        processes: Arguments and environments of all its processes, as sampled.
        deferred: What was stored while a task waited in the triggerer, the trigger's arguments decrypted.
    """

    parts: Sandbox
    connections: dict[str, dict[str, Any]]
    runs: dict[str, str] = field(default_factory=dict)
    told: dict[str, str] = field(default_factory=dict)
    processes: dict[bytes, str] = field(default_factory=dict)
    deferred: list[tuple[str, bytes]] = field(default_factory=list)

    @property
    def api(self) -> AirflowApi:
        return self.parts.api

    def start(self, dag_id: str, conf: Mapping[str, object]) -> str:
        body = {"logical_date": None, "conf": conf}
        return str(persistently(self.api, "POST", f"/api/v2/dags/{dag_id}/dagRuns", body)["dag_run_id"])

    def wait_for_task(self, dag_id: str, run_id: str, task_id: str, *states: str) -> None:
        waited_for(lambda: states_of(self.api, dag_id, run_id).get(task_id) in states)

    def log(self, dag_id: str, run_id: str, task_id: str) -> str:
        task = next(task for task in self.api.tasks(dag_id, run_id) if task.task_id == task_id)
        return "\n".join(self.api.log_lines(dag_id, run_id, task))

    def end(self, dag_id: str, run_id: str) -> None:
        persistently(self.api, "PATCH", f"/api/v2/dags/{dag_id}/dagRuns/{run_id}", {"state": "failed"})

    def everything(self) -> Iterator[tuple[str, bytes]]:
        """All files (database, logs, settings), the tables' cells, the processes; not where plaintext belongs."""
        for place, content in files_below(self.parts.home):
            if not place.startswith("data/"):
                yield place, content
        yield from cells_of_sqlite(self.parts.airflow.database)
        yield from self.deferred
        for content, place in list(self.processes.items()):
            yield place, content

    def answers(self, user: str) -> Iterator[tuple[str, bytes]]:
        """What the REST API and the pages' own API answer a user, to every question that can be asked of them."""
        api = AirflowApi(self.parts.airflow.url, StopSignal())
        passwords = json.loads((self.parts.airflow.home / "passwords.json").read_text())
        api.login(user, Secret(passwords[user].encode()))
        specifications = Path(airflow.__file__).parent / "api_fastapi" / "core_api" / "openapi"
        paths = {
            path
            for file in specifications.glob("*.yaml")
            for path, methods in yaml.safe_load(file.read_text())["paths"].items()
            if "get" in methods and not path.endswith(("/wait", "/logout"))
        }
        known = {name: sorted(values) for name, values in self._names().items()}
        for path in sorted(paths):
            for chosen in self._choices(path, known):
                query = "?full_content=true" if "/logs/" in path else ""
                answer = api._request("GET", path.format(**chosen) + query)
                if answer.ok:
                    yield f"{user}: {path.format(**chosen)}", answer.content
        api.close()

    def _names(self) -> dict[str, set[str]]:
        return {
            "connection_id": {str(each) for each in self.connections},
            "variable_key": {"lit_orders_encrypted"},
            "xcom_key": {"return_value"},
            "pool_name": {"default_pool"},
            "asset_id": {"1"},
            "map_index": {"-1"},
            "try_number": {"1"},
            "task_try_number": {"1"},
        }

    def _choices(self, path: str, known: Mapping[str, list[str]]) -> Iterator[dict[str, str]]:
        """Every way to fill in the path: a run of each DAG, each task of the run."""
        wanted = findall(r"\{(\w+)\}", path)
        runs = [name for name in wanted if name in {"dag_run_id", "run_id"}]
        others = [name for name in wanted if name not in {"dag_id", "task_id", *runs}]
        if not set(others) <= set(known):
            return
        places: list[dict[str, str]] = [{}]
        if "dag_id" in wanted:
            places = [
                {"dag_id": dag_id, **dict.fromkeys(runs, run_id)} for dag_id, run_id in self.runs.items()
            ]
        if "task_id" in wanted:
            places = [
                {**place, "task_id": task_id}
                for place in places
                for task_id in sorted(states_of(self.api, place["dag_id"], self.runs[place["dag_id"]]))
            ]
        for place, values in product(places, product(*(known[name] for name in others))):
            yield {**place, **dict(zip(others, values, strict=True))}

    def trigger_rows(self) -> Iterator[tuple[str, bytes]]:
        """What stands in the database now, and the triggers' arguments as the triggerer reads them."""
        settings = ConfigParser(interpolation=None)
        settings.read(self.parts.airflow.home / "airflow.cfg")
        fernet = Fernet(settings["core"]["fernet_key"])
        for place, content in cells_of_sqlite(self.parts.airflow.database):
            yield f"deferred: {place}", content
            if place.startswith("trigger.kwargs"):
                stored = content.splitlines()[0]  # Airflow may have them in clear, too
                arguments = stored if stored.startswith(b"{") else fernet.decrypt(stored)
                yield f"deferred: arguments of {place}", arguments


def persistently(api: AirflowApi, *request: Any) -> dict[str, Any]:  # noqa: ANN401 - method, path, body
    """An answer, although SQLite under several writers is locked now and then, and the server then says 500."""
    attempts = Retrying(
        retry=retry_if_exception_type(SandboxError), stop=stop_after_attempt(8), wait=wait_fixed(2)
    )
    return attempts(api._call, *request)


def states_of(api: AirflowApi, dag_id: str, run_id: str) -> dict[str, str | None]:
    return {task.task_id: task.state for task in api.tasks(dag_id, run_id)}


def waited_for(condition: Callable[[], bool], timeout_s: float = 240) -> None:
    end = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.3)


@contextmanager
def sampled(scene: Scene) -> Iterator[None]:
    """Look at the arguments and environments of all processes again and again while the block runs."""
    over = threading.Event()

    def look() -> None:
        while not over.wait(0.3):
            leaders = {child.leader for child in scene.parts.children._children}
            for process in watchdog.family(leaders):
                for part in ("cmdline", "environ"):
                    with suppress(OSError):
                        content = Path(f"/proc/{process.pid}/{part}").read_bytes()
                        scene.processes.setdefault(content, f"process {process.pid} {part}")

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join()


def variants(folder: Path) -> Path:
    """The demo DAG once for each failure, with the connection that fails."""
    text = (example_dags() / f"{DAG_ID}.py").read_text()
    folder.mkdir()
    for name, failure in FAILURES.items():
        renamed = text.replace(DAG_ID, name).replace(f'"lit_{failure.role}"', f'"lit_{name}"')
        (folder / f"{name}.py").write_text(
            renamed.replace('"@daily"', "None").replace('"retries": 2', '"retries": 0')
        )
    return folder


@contextmanager
def whole_scene(folder: Path, key: Secret) -> Iterator[Scene]:
    """Run everything, and leave it standing."""
    noted: dict[str, dict[str, Any]] = {}
    add = AirflowApi.add_connection

    def note(self: AirflowApi, connection: Mapping[str, object]) -> None:
        noted[str(connection["connection_id"])] = dict(connection)
        add(self, connection)

    options = SandboxOptions(
        dags=variants(folder / "variants"),
        log_level="DEBUG",
        wallet_key=key,
        airflow={"core": {"simple_auth_manager_users": f"admin:admin,{VIEWER}:viewer"}},
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(AirflowApi, "add_connection", note)
        with open_sandbox(StopSignal(), Progress(), options) as parts:
            scene = Scene(parts, noted)
            with sampled(scene):
                _run_everything(scene)
                yield scene


def _run_everything(scene: Scene) -> None:
    api = scene.api
    for name, failure in FAILURES.items():
        vault, lit = (dict(scene.connections[f"{kind}_{failure.role}"]) for kind in ("vault", "lit"))
        api.add_connection({**vault, **failure.vault, "connection_id": f"vault_{name}"})
        extra = {**lit["extra"], "vault_conn_id": f"vault_{name}", **failure.lit}
        api.add_connection({**lit, "connection_id": f"lit_{name}", "extra": extra})
    waited_for(lambda: dag_ids(api) >= {*HOW_TO_RUN, *FAILURES})
    for dag_id in [*HOW_TO_RUN, *FAILURES]:
        persistently(api, "PATCH", f"/api/v2/dags/{dag_id}", {"is_paused": False})
    # First, and before there is more to do: it must come to wait in the triggerer.
    scene.runs["lit_time_lock"] = scene.start("lit_time_lock", HOW_TO_RUN["lit_time_lock"] or {})
    scene.wait_for_task("lit_time_lock", scene.runs["lit_time_lock"], "wait", "deferred")
    scene.deferred += scene.trigger_rows()
    for dag_id, conf in {**HOW_TO_RUN, **{name: {} for name in FAILURES}}.items():
        if conf is not None and dag_id not in scene.runs:
            scheduled = dag_id in {DAG_ID, "lit_session_refresh"}
            scene.runs[dag_id] = api.wait_for_run(dag_id) if scheduled else scene.start(dag_id, conf)
    scene.runs["lit_session_consumer"] = api.wait_for_run("lit_session_consumer", 240)
    for dag_id in HOW_TO_RUN:
        waited_for(lambda: api.run_state(dag_id, scene.runs[dag_id]) in {"success", "failed"})  # noqa: B023
    for name, failure in FAILURES.items():
        task_id = "session" if failure.role == "renewer" else "decrypt"
        scene.wait_for_task(name, scene.runs[name], task_id, "failed")
        scene.told[name] = scene.log(name, scene.runs[name], task_id)


def dag_ids(api: AirflowApi) -> set[str]:
    return {dag["dag_id"] for dag in api._call("GET", "/api/v2/dags?limit=100")["dags"]}

"""Run everything on the shared installation, and keep what it leaves."""

from collections.abc import Iterator
from configparser import ConfigParser
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from re import findall
from typing import Any

import airflow
import yaml
from cryptography.fernet import Fernet

from lit_airflow.sandbox.airflow_rest import TaskState, _task_state
from lit_airflow.sandbox.examples import DAG_ID, encrypt_for_wallet
from tests.installation.beside import ON_CHIPOTLE
from tests.installation.dags import EXAMPLES, FAILURES, OWN, SCHEDULED, TIME_LOCK
from tests.installation.leaks import files_below
from tests.installation.server import Installation

DATASET = "lit_orders_encrypted"
"""The Variable that names it."""


ASKED_OF = (
    DAG_ID,
    "lit_mapped_decryptions",
    TIME_LOCK,
    "lit_large_file",
    "long_work",
    ON_CHIPOTLE,
    "no_login",
)
"""DAGs of which everything is asked over HTTP: each kind of task, and one that failed."""


@dataclass
class Runs:
    """The runs of all DAGs, and what was seen of them.

    Attributes:
        installation: Where they ran.
        ids: DAG -> ids of its runs.
        tasks: (DAG, run) -> its tasks, as seen last.
        deferred: Ids of tasks that were seen waiting in the triggerer.
        stored: What the database held while they waited, the triggers' arguments decrypted.
        orders: How many rows there are to decrypt.
    """

    installation: Installation
    orders: int = 0
    ids: dict[str, list[str]] = field(default_factory=dict)
    tasks: dict[tuple[str, str], list[TaskState]] = field(default_factory=dict)
    deferred: set[str] = field(default_factory=set)
    stored: list[tuple[str, bytes]] = field(default_factory=list)

    def states(self, dag_id: str) -> list[dict[str, str | None]]:
        """For each run, task -> state."""
        return [{t.task_id: t.state for t in self.tasks[dag_id, run_id]} for run_id in self.ids[dag_id]]

    def log(self, dag_id: str, task_id: str) -> str:
        return self.installation.log(dag_id, self.ids[dag_id][0], task_id)

    def xcom(self, dag_id: str, task_id: str) -> Any:  # noqa: ANN401 - whatever JSON it is
        return self.installation.api.xcom(dag_id, self.ids[dag_id][0], task_id)

    def look(self) -> bool:
        """Look once; whether everything has ended."""
        self.tasks = {(dag_id, run_id): [] for dag_id, ids in self.ids.items() for run_id in ids}
        # All in one question: one for each run keeps a server busy.
        answer = self.installation.ask("GET", "/api/v2/dags/~/dagRuns/~/taskInstances?limit=100")
        assert answer["total_entries"] <= 100
        for entry in answer["task_instances"]:
            if (key := (entry["dag_id"], entry["dag_run_id"])) in self.tasks:
                self.tasks[key].append(_task_state(entry))
        tasks = [task for each in self.tasks.values() for task in each]
        waiting = {task.task_id for task in tasks if task.state == "deferred"}
        if waiting - self.deferred:
            self.deferred |= waiting
            self.stored += self._stored_now()
        return all(self.tasks.values()) and all(task.finished for task in tasks)

    def have_ended(self) -> bool:
        """Whether the scheduler has ended every run."""
        states = (self.installation.api.run_state(dag_id, run_id) for dag_id, run_id in self.tasks)
        return all(state in {"success", "failed"} for state in states)

    def _stored_now(self) -> Iterator[tuple[str, bytes]]:
        """The database's cells, and the triggers' arguments as the triggerer reads them."""
        settings = ConfigParser(interpolation=None)
        settings.read(self.installation.parts.airflow.home / "airflow.cfg")
        fernet = Fernet(settings["core"]["fernet_key"])
        for place, content in self.installation.database.cells():
            yield f"deferred: {place}", content
            if place.startswith("trigger.kwargs"):
                stored = content.splitlines()[0]  # Airflow may have them in clear, too
                arguments = stored if stored.startswith(b"{") else fernet.decrypt(stored)
                yield f"deferred: arguments of {place}", arguments

    def everything_stored(self) -> Iterator[tuple[str, bytes]]:
        """All files (logs, settings), the tables' cells, a dump, the processes; not where secrets belong."""
        parts = self.installation.parts
        for place, content in files_below(parts.home):
            if not place.startswith(("data/", f"{ON_CHIPOTLE}/")) and place != "airflow/passwords.json":
                yield place, content
        yield from self.installation.database.cells()
        yield "dump", self.installation.database.dump()
        yield from self.stored
        for content, place in list(self.installation.processes.items()):
            yield place, content

    def rest_answers(self) -> Iterator[tuple[str, bytes]]:
        """What the REST API and the pages' own API answer to every question that can be asked of them."""
        api = self.installation.api
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
                    yield path.format(**chosen), answer.content

    def _names(self) -> dict[str, set[str]]:
        return {
            "connection_id": {str(each) for each in self.installation.connections},
            "variable_key": {DATASET},
            "xcom_key": {"return_value"},
            "pool_name": {"default_pool"},
            "asset_id": {"1"},
            "map_index": {"-1"},
            "try_number": {"1"},
            "task_try_number": {"1"},
        }

    def _choices(self, path: str, known: dict[str, list[str]]) -> Iterator[dict[str, str]]:
        """Every way to fill in the path: the first run of each DAG of ``ASKED_OF``, each task of the run."""
        wanted = findall(r"\{(\w+)\}", path)
        runs = [name for name in wanted if name in {"dag_run_id", "run_id"}]
        others = [name for name in wanted if name not in {"dag_id", "task_id", *runs}]
        if not set(others) <= set(known):
            return
        places: list[dict[str, str]] = [{}]
        if "dag_id" in wanted:
            places = [{"dag_id": dag_id, **dict.fromkeys(runs, self.ids[dag_id][0])} for dag_id in ASKED_OF]
        if "task_id" in wanted:
            places = [
                {**place, "task_id": task_id}
                for place in places
                for task_id, state in sorted(self.states(place["dag_id"])[0].items())
                if state != "upstream_failed"  # it has not begun, so there is nothing of it
            ]
        for place, values in product(places, product(*(known[name] for name in others))):
            yield {**place, **dict(zip(others, values, strict=True))}


def run_everything(installation: Installation) -> Runs:
    """Run every example, every failure and the tests' own DAGs side by side; return when all have ended."""
    api, runs = installation.api, Runs(installation)
    for name, failure in FAILURES.items():
        vault, lit = (dict(installation.connections[f"{kind}_{failure.role}"]) for kind in ("vault", "lit"))
        api.add_connection({**vault, **failure.vault, "connection_id": f"vault_{name}"})
        extra = {**lit["extra"], "vault_conn_id": f"vault_{name}", **failure.lit}
        api.add_connection({**lit, "connection_id": f"lit_{name}", "extra": extra})
    whole = installation.ask("GET", f"/api/v2/variables/{DATASET}")["value"]
    runs.orders = _shorten_the_dataset(installation)
    confs: dict[str, dict[str, object] | None] = {**EXAMPLES, **{dag_id: {} for dag_id in (*FAILURES, *OWN)}}
    installation.wait_until(lambda: installation.dag_ids() >= set(confs))
    for dag_id in confs:
        installation.unpause(dag_id)
    runs.ids["long_work"] = [installation.start("long_work")]
    _wait_for_a_time_lock(runs)
    for dag_id, conf in confs.items():
        if conf is not None and dag_id not in (*SCHEDULED, TIME_LOCK, "long_work"):
            runs.ids[dag_id] = [installation.start(dag_id, conf) for _ in range(OWN.get(dag_id, 1))]
    for dag_id in (*SCHEDULED, "lit_session_consumer"):
        installation.wait_until(lambda: bool(_runs_of(installation, dag_id)))  # noqa: B023 - called at once
        runs.ids[dag_id] = _runs_of(installation, dag_id)[:1]
    # The scheduler expands mapped tasks, and ends runs, some time after their last task has ended.
    installation.wait_until(lambda: runs.look() and runs.have_ended())
    _set_dataset(installation, whole)
    return runs


def _shorten_the_dataset(installation: Installation) -> int:
    """Three parts to decrypt in mapped tasks instead of thirty; the number of rows."""
    parts = installation.parts
    head, *rows = parts.dataset.read_text().splitlines()
    date, region = head.split(",").index("date"), head.split(",").index("region")
    months = [(row.split(",")[region], row.split(",")[date][:7]) for row in rows]
    first = sorted(set(months), key=months.index)[:3]
    kept = [row for row, month in zip(rows, months, strict=True) if month in first]
    dataset = parts.plaintext.parent / "few_orders.csv"
    dataset.write_text("\n".join([head, *kept, ""]))
    encrypted = encrypt_for_wallet(dataset, dataset.parent, parts.network.description, parts.wallet)
    _set_dataset(installation, str(encrypted))
    return len(kept)


def _set_dataset(installation: Installation, encrypted: str) -> None:
    installation.ask("PATCH", f"/api/v2/variables/{DATASET}", {"key": DATASET, "value": encrypted})


def _wait_for_a_time_lock(runs: Runs) -> None:
    """Come to wait in the triggerer before the lock opens: on a busy machine it must stay shut for longer."""
    for opens_in_s in (45, 180, 720):
        run_id = runs.installation.start(TIME_LOCK, {**(EXAMPLES[TIME_LOCK] or {}), "opens_in_s": opens_in_s})
        runs.ids[TIME_LOCK] = [run_id]
        runs.installation.wait_until(lambda: runs.look() or "wait" in runs.deferred)
        if "wait" in runs.deferred:
            return
    raise AssertionError("the task was never seen to wait")


def _runs_of(installation: Installation, dag_id: str) -> list[str]:
    found = installation.ask("GET", f"/api/v2/dags/{dag_id}/dagRuns?order_by=run_after")["dag_runs"]
    return [run["dag_run_id"] for run in found]

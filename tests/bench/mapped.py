"""What a mapped decryption costs more than an empty task, and than one that logs in to Vault, in a whole Airflow.

Four tasks run at once. The CPU time is that of the task's own process, which Airflow forks for it; the duration is
what Airflow notes of the task.
"""

from __future__ import annotations

import json
import shutil
import statistics
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lit_airflow.clock import Deadline
from lit_airflow.sandbox.environment import Sandbox, SandboxOptions, open_sandbox
from lit_airflow.sandbox.processes import Children
from lit_airflow.sandbox.progress import Progress
from lit_airflow.sandbox.stop_signal import StopSignal

if TYPE_CHECKING:
    from lit_airflow.sandbox.airflow_rest import AirflowApi

Json = dict[str, Any]

HERE = Path(__file__).parent
DAG_ID = "lit_bench_mapped"
KINDS = ("empty", "login", "decrypt")
EXECUTORS = ("LocalExecutor", "CeleryExecutor")
MORE = "decrypt, more than empty"
_PAGE = 100
_EACH_S = 10.0
_WORKERS = 2
_AT_ONCE = 2

Settings = Mapping[str, Mapping[str, object]]


def tasks(count: int, executor: str = EXECUTORS[0]) -> list[Json]:
    """Median and 90th percentile of each kind, and what a decryption adds to an empty task.

    Args:
        count: How many tasks of each kind run, four at once.
        executor: One of ``EXECUTORS``; with the second, two workers that run two each.
    """
    took: dict[str, dict[str, list[float]]] = {kind: defaultdict(list) for kind in KINDS}
    stopping = StopSignal()
    with tempfile.TemporaryDirectory() as temporary, ExitStack() as stack:
        folder = Path(temporary)
        notes_at = Path(shutil.copy(HERE / "plugins" / "stopwatch.py", folder)).with_suffix(".jsonl")
        dags = folder / "dags"
        dags.mkdir()
        text = (HERE / "dags" / f"{DAG_ID}.py").read_text()
        (dags / f"{DAG_ID}.py").write_text(text.replace("COUNT = 60", f"COUNT = {count}"))
        core = {"plugins_folder": folder, "max_map_length": max(1024, count), "executor": executor}
        settings, start = _celery(folder, stack) if executor == EXECUTORS[1] else ({}, _nothing)
        options = SandboxOptions(
            dags=dags, examples="none", triggerer=False, airflow={**settings, "core": core}
        )
        parts = stack.enter_context(open_sandbox(stopping, Progress(), options))
        start(parts)
        api = parts.api
        api.wait_for_dag(DAG_ID)
        api.unpause(DAG_ID)
        run_id = api.wait_for_run(DAG_ID)
        deadline = Deadline.after(120 + count * _EACH_S)
        while (state := api.run_state(DAG_ID, run_id)) not in {"success", "failed"} and deadline.left_s():
            stopping.wait(2)
        if state != "success":
            raise SystemExit(f"the run of {DAG_ID} is {state}")
        for each in _instances(api, run_id):
            if each["task_id"] in took:
                took[each["task_id"]]["duration_ms"].append(_ms(each["end_date"]) - _ms(each["start_date"]))
        for note in map(json.loads, notes_at.read_text().splitlines()):
            if note["what"] == "ends" and note["task"] in took:
                took[note["task"]]["cpu_ms"].append(note["cpu_s"] * 1000)
    label = {"executor": executor, "count": count}
    rows = [{"task": kind, **label, **_summary(took[kind])} for kind in KINDS]
    empty, decrypt = rows[0], rows[-1]
    more = {name: decrypt[name] - empty[name] for name in empty if name.endswith("_ms")}
    return [*rows, {"task": MORE, **label, **more}]


def _nothing(_parts: Sandbox) -> None:
    pass


def _celery(folder: Path, stack: ExitStack) -> tuple[Settings, Callable[[Sandbox], None]]:
    """Servers of PostgreSQL and Redis; Airflow's settings for them, and what starts the workers."""
    from tests.workers import parts as cluster

    database = stack.enter_context(cluster.postgres())
    redis_url = cluster.start_redis(folder, stack.enter_context(Children(folder)))

    def start(parts: Sandbox) -> None:
        for number in range(_WORKERS):
            name = f"worker-{number}"
            arguments = ("--concurrency", str(_AT_ONCE), "--celery-hostname", name, "--without-gossip")
            pid = str(parts.home / f"{name}.pid")
            parts.airflow.run(name, "celery", "worker", *arguments, "--skip-serve-logs", "--pid", pid)

    return cluster.settings(database, redis_url), start


def _summary(took: dict[str, list[float]]) -> Json:
    found: Json = {}
    for name in ("cpu_ms", "duration_ms"):
        found[name] = statistics.median(took[name])
        found[f"slow_{name}"] = statistics.quantiles(took[name], n=10)[-1]
    return found


def _instances(api: AirflowApi, run_id: str) -> Iterator[Json]:
    offset = 0
    while True:
        path = f"/api/v2/dags/{DAG_ID}/dagRuns/{run_id}/taskInstances?limit={_PAGE}&offset={offset}"
        found = api._call("GET", path)["task_instances"]
        yield from found
        offset += len(found)
        if not found:
            return


def _ms(text: str) -> float:
    return datetime.fromisoformat(text).timestamp() * 1000

"""Where the time of the demo DAG goes: in Airflow, and in our tasks' own work.

A whole Airflow runs the DAG, as ``make demo`` does, with a listener that notes when a task's work begins and ends.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import Any

from lit_airflow.sandbox.environment import SandboxOptions, open_sandbox
from lit_airflow.sandbox.progress import Progress
from lit_airflow.sandbox.report import DAG_ID, run_report
from lit_airflow.sandbox.stop_signal import StopSignal

Json = dict[str, Any]

PLUGIN = Path(__file__).parent / "plugins" / "stopwatch.py"


def of_the_demo() -> list[Json]:
    """Per task, in seconds: until its process is started, until its work begins, and the work; with CPU times."""
    stopping, progress = StopSignal(), Progress()
    with tempfile.TemporaryDirectory() as plugins, ExitStack() as stack:
        notes_at = Path(shutil.copy(PLUGIN, plugins)).with_suffix(".jsonl")
        options = SandboxOptions(
            examples="lit_decrypt_report.py",
            triggerer=False,
            airflow={"core": {"plugins_folder": plugins}},
        )
        parts = stack.enter_context(open_sandbox(stopping, progress, options))
        run_report(parts, stopping, progress)
        run_id = parts.api.wait_for_run(DAG_ID)
        path = f"/api/v2/dags/{DAG_ID}/dagRuns/{run_id}/taskInstances"
        tasks = parts.api._call("GET", path)["task_instances"]
        notes = [json.loads(line) for line in notes_at.read_text().splitlines()]
    rows = []
    for task in sorted(tasks, key=lambda task: task["start_date"]):
        at = {note["what"]: note for note in notes if note["task"] == task["task_id"]}
        began = at["begins"]["at"]
        rows.append(
            {
                "task": task["task_id"],
                "queued": _seconds(task["start_date"]) - _seconds(task["scheduled_when"]),
                "starting": began - _seconds(task["start_date"]),
                "starting_cpu": at["begins"]["cpu_s"],
                "work": _seconds(task["end_date"]) - began,
                "work_cpu": at["ends"]["cpu_s"] - at["begins"]["cpu_s"],
            }
        )
    return rows


def _seconds(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()

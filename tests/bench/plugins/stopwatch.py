"""An Airflow plugin that notes, in a file beside itself, when each task begins and ends its work.

``overhead.py`` gives Airflow a copy of it, and reads the notes.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from airflow.listeners import hookimpl
from airflow.plugins_manager import AirflowPlugin


def _note(what: str, task_instance: Any) -> None:  # noqa: ANN401 - Airflow's
    place = Path(__file__).with_suffix(".jsonl")
    note = {"task": task_instance.task_id, "what": what, "at": time.time(), "cpu_s": time.process_time()}
    with place.open("a") as sink:
        sink.write(json.dumps(note) + "\n")


class _Listener:
    @hookimpl
    def on_task_instance_running(self, task_instance: Any) -> None:  # noqa: ANN401 - Airflow's
        _note("begins", task_instance)

    @hookimpl
    def on_task_instance_success(self, task_instance: Any) -> None:  # noqa: ANN401 - Airflow's
        _note("ends", task_instance)


class Stopwatch(AirflowPlugin):
    """Only the listener."""

    name = "stopwatch"
    listeners = [_Listener()]  # noqa: RUF012 - Airflow's attribute

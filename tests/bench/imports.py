"""What our modules add to Airflow's own at import, beside modules of well-known providers."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.bench import providers

OURS = tuple(f"lit_airflow.{name}" for name in ("operators", "hooks", "decorators", "triggers"))
PROVIDERS = (
    "airflow.providers.standard.operators.bash",
    "airflow.providers.standard.operators.python",
    "airflow.providers.hashicorp.hooks.vault",
    *providers.MODULES,
)
DAGS = Path(__file__).parents[2] / "dags"
# The base classes and what every DAG file imports anyway come first and are not counted.
_PROGRAM = """
import json, runpy, sys, time
import airflow.sdk
from airflow.providers.common.compat.sdk import BaseHook, BaseOperator
from airflow.sdk import DAG, dag, task
import pendulum, datetime
before, started = len(sys.modules), time.process_time()
runpy.run_path(sys.argv[1]) if sys.argv[1].endswith(".py") else __import__(sys.argv[1])
print(json.dumps({"ms": (time.process_time() - started) * 1000, "modules": len(sys.modules) - before}))
"""


def added(repetitions: int) -> list[dict[str, Any]]:
    """CPU milliseconds (median) and modules that each adds, the repetitions in turn."""
    there = str(providers.installed())
    dags = [str(path) for path in sorted(DAGS.glob("*.py"))]
    candidates = [*OURS, *dags, *PROVIDERS]
    runs: dict[str, list[dict[str, float]]] = {candidate: [] for candidate in candidates}
    for _ in range(repetitions):
        for candidate, took in runs.items():
            took.append(_run(candidate, there))
    return [
        {
            "what": f"dags/{Path(candidate).name}" if candidate in dags else candidate,
            "ours": candidate not in PROVIDERS,
            "ms": statistics.median(run["ms"] for run in took),
            "modules": took[0]["modules"],
        }
        for candidate, took in runs.items()
    ]


def _run(candidate: str, path: str) -> dict[str, float]:
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM, candidate],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": path},
    )
    took: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return took

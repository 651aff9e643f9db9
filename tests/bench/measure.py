"""Repeating, taking medians, and saying on which machine."""

from __future__ import annotations

import os
import platform
import statistics
import subprocess
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

from lit_airflow.clock import now
from tests.interop import packages


def medians_ms(repetitions: int, **candidates: Callable[[], object]) -> dict[str, float]:
    """Median milliseconds of CPU time of each, run in turn, so that a busy machine slows all alike."""
    took: dict[str, list[float]] = {name: [] for name in candidates}
    for _ in range(repetitions):
        for name, candidate in candidates.items():
            started = time.process_time()
            candidate()
            took[name].append((time.process_time() - started) * 1000)
    return {name: statistics.median(times) for name, times in took.items()}


def machine() -> dict[str, str]:
    """What the figures depend on."""
    told = Path("/proc/cpuinfo").read_text()
    model = next(
        line.partition(":")[2].strip() for line in told.splitlines() if line.startswith("model name")
    )
    node = subprocess.run([packages.node(), "--version"], capture_output=True, text=True, check=True)
    return {
        "date": f"{now():%Y-%m-%d}",
        "machine": f"{model}, {os.cpu_count()} cores, {platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "node": node.stdout.strip(),
        "lit-airflow": version("lit-airflow"),
        "SDK": packages.wanted()[packages.SDK],
        "airflow": version("apache-airflow"),
        "py-arkworks-bls12381": version("py-arkworks-bls12381"),
        "cryptography": version("cryptography"),
        "eth-account": version("eth-account"),
        "load": f"{os.getloadavg()[0]:.1f} at the start",
    }

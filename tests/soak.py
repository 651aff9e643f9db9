"""The long runs, one after the other, each with a time limit: ``python -m tests.soak [PART …]``.

A part that is cut off at its limit says how far it came. All limits together are an hour at most.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

ROOT = Path(__file__).parents[1]
PROGRESS = "LIT_SOAK_PROGRESS"
"""The file into which a part writes how far it has come."""

_GRACE_S = 20


@dataclass(frozen=True)
class Part:
    """Some of the tests that are marked ``soak``.

    Attributes:
        name: For people.
        tests: What pytest is given.
        limit_s: How long it may take, in seconds.
    """

    name: str
    tests: tuple[str, ...]
    limit_s: int


PARTS = (
    Part("schedules", ("tests/faults/test_simulation.py::test_random_schedules_for_long",), 450),
    Part(
        "service-schedules",
        ("tests/faults/test_service_simulation.py::test_random_schedules_for_long",),
        160,
    ),
    Part("sockets", ("tests/faults/test_simulation.py::test_random_schedules_on_sockets_for_long",), 110),
    Part("load", ("tests/faults/test_load.py",), 320),
    Part("fuzzing", ("tests/fuzz",), 420),
    Part("mapped-tasks", ("tests/airflow/test_decorators.py",), 260),
    Part("short-sessions", ("tests/vault/test_soak.py",), 240),
    Part("gate", ("tests/gate/test_chains.py", "tests/gate/test_properties.py"), 220),
    Part("large-envelope", ("tests/unit/test_envelope.py",), 60),
    Part("workers", ("tests/workers",), 640),
    Part("compose", ("tests/compose",), 480),
    Part("commands", ("tests/sandbox",), 240),
)


class Outcome(StrEnum):
    """How a part ended."""

    PASSED = "passed"
    FAILED = "failed"
    CUT_OFF = "cut off"


def run(part: Part, limit_s: float) -> tuple[Outcome, str]:
    """Run one part; how it ended, and how far it had come."""
    argv = [sys.executable, "-m", "pytest", "-q", "--no-header", "-m", "soak", *part.tests]
    with tempfile.TemporaryDirectory() as folder:
        progress = Path(folder, "progress")
        process = subprocess.Popen(
            argv, cwd=ROOT, env={**os.environ, PROGRESS: str(progress)}, start_new_session=True
        )
        try:
            code = process.wait(limit_s)
        except subprocess.TimeoutExpired:
            end(process)
            return Outcome.CUT_OFF, progress.read_text() if progress.exists() else "it tells no progress"
        finally:
            if process.poll() is None:  # Ctrl-C
                end(process)
        told = progress.read_text() if progress.exists() else ""
        return (Outcome.FAILED if code else Outcome.PASSED), told


def end(process: subprocess.Popen[bytes]) -> None:
    """SIGINT, so that the part stops what it has started; SIGKILL if it does not."""
    os.killpg(process.pid, signal.SIGINT)
    try:
        process.wait(_GRACE_S)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def main(arguments: list[str]) -> int:
    """Run the parts; 1 if one failed, 3 if one was cut off."""
    names = [part.name for part in PARTS]
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(names)}")
    chosen = parser.parse_args(arguments).parts or names
    if unknown := set(chosen) - set(names):
        parser.error(f"unknown: {', '.join(sorted(unknown))}")
    outcomes: list[Outcome] = []
    lines: list[str] = []
    for part in (part for part in PARTS if part.name in chosen):
        print(f"\n== {part.name}, at most {part.limit_s} s", flush=True)  # noqa: T201 - a command's output
        began = time.monotonic()
        outcome, told = run(part, part.limit_s)
        outcomes.append(outcome)
        took = f"{outcome} after {time.monotonic() - began:.0f} of {part.limit_s} s"
        lines.append(f"{part.name}: {took}" + (f", {told.strip()}" if told else ""))
    print("\n".join(["", *lines]), flush=True)  # noqa: T201 - the same
    return 1 if Outcome.FAILED in outcomes else 3 if Outcome.CUT_OFF in outcomes else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

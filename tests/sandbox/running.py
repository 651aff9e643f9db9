"""Commands of the sandbox as processes, and what they leave behind."""

import os
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psutil

from lit_airflow.sandbox.examples import example_dags
from lit_airflow.sandbox.report import expected_report

STEPS = (["session"], ["decrypt"], ["report"])


def assert_shows_the_report(shown: str) -> None:
    """The report is the right one, and three processes made it."""
    report = expected_report(example_dags() / "data" / "orders.csv")
    assert isinstance(report["revenue"], dict)
    for expected in ("order_id,date,region", report["sha256"], "rows     400", *report["revenue"].values()):
        assert str(expected) in shown
    processes = [line.split()[1] for line in shown.splitlines() if line.split()[:1] in STEPS]
    assert len(set(processes)) == 3
    assert "\x1b" not in shown  # no terminal, no colours


def belonging_to(folder: Path) -> list[str]:
    """Processes that work in the folder, or have it in their environment or arguments."""
    found = []
    for process in psutil.process_iter():
        try:
            facts = [*process.cmdline(), *process.environ().values(), process.cwd()]
        except (psutil.Error, OSError):
            continue  # it has ended, or is another user's
        if process.pid != os.getpid() and any(str(folder) in fact for fact in facts):
            found.append(f"{process.pid} {process.cmdline()}")
    return found


@dataclass
class Run:
    """One command of the sandbox, its temporary files in a folder of the test."""

    process: subprocess.Popen[str]
    folder: Path
    log: Path

    def wait_for(self, text: str) -> None:
        self.wait_until(lambda: text in self.log.read_text())

    def wait_until(self, condition: Callable[[], object]) -> None:
        """Return as soon as the condition holds; the test's own time limit ends a wait in vain."""
        while not condition():
            assert self.process.poll() is None, self.log.read_text()
            time.sleep(0.05)

    def finish(self) -> str:
        """Standard output, after the end."""
        return self.process.communicate()[0]

    def left(self) -> list[str]:
        """Processes and files that are still there."""
        return [*belonging_to(self.folder), *(str(path) for path in self.folder.iterdir())]

    def assert_nothing_left(self) -> None:
        assert self.left() == []

    def wait_until_nothing_is_left(self) -> None:
        """The watchdog cleans up after this process has ended."""
        while self.left():
            time.sleep(0.1)

"""Who belongs to a sandbox, and a process that ends them all when the sandbox itself was killed.

The module imports nothing but the standard library, because it also runs as a script of its own (started by
:class:`lit_airflow.sandbox.processes.Children`). On its standard input come lines ``+PID``, one for each
session leader, and ``done`` when the sandbox has cleaned up by itself. The end of the input without ``done``
means that the sandbox died (SIGKILL, out of memory): then the script ends what is left and removes the home.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import time
from collections.abc import Collection
from pathlib import Path
from typing import NamedTuple


class Process(NamedTuple):
    """A line of the process table; ``started`` tells a process from a later one with the same number."""

    pid: int
    parent: int
    session: int
    started: int


def table() -> dict[int, Process]:
    """Every live process by number, zombies left out. Empty where there is no ``/proc``."""
    found: dict[int, Process] = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            stat = (entry / "stat").read_text(errors="replace")
        except OSError:
            continue  # it ended while we looked
        # The name in parentheses may hold anything, blanks and parentheses included. See proc_pid_stat(5).
        state, parent, _group, session, *rest = stat[stat.rindex(")") + 2 :].split()
        if state != "Z":
            found[int(entry.name)] = Process(int(entry.name), int(parent), int(session), int(rest[15]))
    return found


def family(leaders: Collection[int]) -> set[Process]:
    """The leaders, all in their sessions, and all descendants: tasks move to process groups of their own."""
    processes = table()
    known = {pid for pid, process in processes.items() if pid in leaders or process.session in leaders}
    grown = True
    while grown:
        more = {pid for pid, process in processes.items() if process.parent in known} - known
        known |= more
        grown = bool(more)
    return {processes[pid] for pid in known}


def alive(suspects: Collection[Process]) -> list[Process]:
    """Those of ``suspects`` that still run, and are still the same process."""
    processes = table()
    return [suspect for suspect in suspects if _same(processes.get(suspect.pid), suspect)]


def kill(suspects: Collection[Process], number: int) -> None:
    """Send a signal to each; one that is gone meanwhile is no error."""
    for suspect in suspects:
        try:
            os.kill(suspect.pid, number)
        except ProcessLookupError:
            continue


def _same(current: Process | None, suspect: Process) -> bool:
    return current is not None and current.started == suspect.started


def main(home: str) -> None:
    """Wait for the end of the input; without ``done`` before it, end the family and remove ``home``."""
    # The terminal's Ctrl-C and a polite kill are for the sandbox, which then says "done".
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    leaders: set[int] = set()
    for line in sys.stdin:
        if line.strip() == "done":
            return
        leaders.add(int(line.removeprefix("+")))
    left = family(leaders)
    kill(left, signal.SIGTERM)
    for _ in range(30):
        left |= family(leaders)
        if not alive(left):
            break
        time.sleep(0.1)
    kill(alive(left), signal.SIGKILL)
    time.sleep(0.1)
    shutil.rmtree(home, ignore_errors=True)


if __name__ == "__main__":
    main(sys.argv[1])

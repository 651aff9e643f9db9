"""Which processes belong to a sandbox, and a process that ends them when the sandbox itself was killed.

The module is also a script, started by :class:`lit_airflow.sandbox.processes.Children`; it imports nothing of the
package, so that it starts quickly. On standard input it reads one line ``PID CREATED`` for each session leader (see
:func:`identity`), and ``done`` when the sandbox has cleaned up by itself. If the input ends without ``done``, the
sandbox died (SIGKILL, out of memory): the script then ends what is left and removes the sandbox's folder.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import time
from collections.abc import Collection, Iterable
from pathlib import Path

import psutil

_GRACE_S = 3.0
_PATIENCE_S = 300.0
_PAUSE_S = 0.1
# A process's creation time is told as time since 1970, so it moves with the clock when that is set.
_CLOCK_STEP_S = 1.5


def identity(process: psutil.Process) -> str:
    """``PID CREATED``: the number, and the time of creation in seconds since 1970.

    Raises:
        psutil.NoSuchProcess: It has ended.
    """
    return f"{process.pid} {process.create_time()!r}"


def identified(line: str) -> psutil.Process | None:
    """The process of a line of :func:`identity`; None if it has ended, also if its number is in use again."""
    number, _, created = line.partition(" ")
    try:
        process = psutil.Process(int(number))
        same = abs(process.create_time() - float(created)) < _CLOCK_STEP_S
    except (ValueError, psutil.Error):
        return None
    return process if same else None


def family(leaders: Collection[psutil.Process]) -> set[psutil.Process]:
    """The leaders, the members of their sessions, and all descendants. Zombies are left out.

    A task of Airflow moves to a process group of its own, so a group is not enough to find it.
    """
    # The number of a leader that has ended stays reserved as long as its session has a member.
    sessions = {leader.pid for leader in leaders if leader.is_running() or not psutil.pid_exists(leader.pid)}
    members: set[psutil.Process] = set()
    children: dict[int, list[psutil.Process]] = {}
    for process in psutil.process_iter(["ppid", "status"]):
        if process.info["status"] == psutil.STATUS_ZOMBIE:
            continue
        children.setdefault(process.info["ppid"], []).append(process)
        try:
            if os.getsid(process.pid) in sessions:
                members.add(process)
        except (ProcessLookupError, PermissionError):
            continue  # it ended meanwhile, or is another user's
    found, new = members, members
    while new:
        new = {child for process in new for child in children.get(process.pid, ())} - found
        found = found | new
    return found


def alive(processes: Iterable[psutil.Process]) -> list[psutil.Process]:
    """Those that still run; a later process with the same number does not count, nor does a zombie."""
    return [process for process in processes if _runs(process)]


def send(processes: Iterable[psutil.Process], number: int) -> None:
    """Send a signal to each that still runs."""
    for process in processes:
        try:
            process.send_signal(number)
        except psutil.NoSuchProcess:
            continue


def kill(leaders: Collection[psutil.Process], known: Collection[psutil.Process] = ()) -> None:
    """SIGKILL the family and the known processes; return when none of them runs.

    Args:
        leaders: See :func:`family`.
        known: Members found earlier, whose leader may have ended since.
    """
    deadline, left = time.monotonic() + _PATIENCE_S, set(known) | family(leaders)
    while running := alive(left):
        send(running, signal.SIGKILL)
        if time.monotonic() > deadline:  # only what hangs in the kernel lasts so long
            return
        time.sleep(_PAUSE_S)
        left |= family(leaders)


def remove(folder: Path) -> None:
    """Remove a folder; try again as long as something is written into it."""
    deadline = time.monotonic() + _PATIENCE_S
    shutil.rmtree(folder, ignore_errors=True)
    while folder.exists() and time.monotonic() < deadline:
        time.sleep(_PAUSE_S)
        shutil.rmtree(folder, ignore_errors=True)


def main(home: str) -> None:
    """Wait for the end of the input; without ``done`` before it, end the family and remove ``home``."""
    # Ctrl-C and SIGTERM are for the sandbox, which then says "done".
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    leaders: set[psutil.Process] = set()
    for line in sys.stdin:
        if line.strip() == "done":
            return
        if (leader := identified(line)) is not None:
            leaders.add(leader)
    left = family(leaders)
    send(left, signal.SIGTERM)
    deadline = time.monotonic() + _GRACE_S
    while alive(left) and time.monotonic() < deadline:
        time.sleep(_PAUSE_S)
        left |= family(leaders)
    kill(leaders, left)
    remove(Path(home))


def _runs(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return False


if __name__ == "__main__":
    main(sys.argv[1])

"""Child processes of one sandbox: each in its own session, logging to a file, all gone at the end."""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil

from lit_airflow.clock import Deadline, sleep
from lit_airflow.errors import LitError
from lit_airflow.sandbox import watchdog

_GRACE_S = 5.0
_START_WHEN_TOLD = 'read -r go && exec "$@" </dev/null'
_TAIL_LINES = 25


class SandboxError(LitError):
    """A part of the sandbox did not do what it should.

    Attributes:
        details: The end of the log that says more, or nothing. Read at once: the log goes with the sandbox.
    """

    def __init__(self, message: str, *, log: Path | None = None, details: str = "", hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.details = details or (tail(log) if log else "")


@dataclass(frozen=True, slots=True)
class Child:
    """A process that we started.

    Attributes:
        name: For people.
        process: The session leader.
        leader: The same, told from a later process with its number.
        log: Where its standard output and error go.
    """

    name: str
    process: subprocess.Popen[bytes]
    leader: psutil.Process
    log: Path

    def running(self) -> bool:
        """Whether it has not ended."""
        return self.process.poll() is None

    def check(self) -> None:
        """Return if it still runs.

        Raises:
            SandboxError: It ended unexpectedly.
        """
        if not self.running():
            raise SandboxError(f"{self.name} ended with exit code {self.process.returncode}.", log=self.log)


class Children:
    """All processes of one sandbox. A context manager: none is left when the block ends, however it ends.

    Args:
        home: The sandbox's folder; logs go to ``home/logs``. A separate small process ends the children and
            removes this folder should the process that runs us be killed.
    """

    def __init__(self, home: Path) -> None:
        self._logs = home / "logs"
        self._logs.mkdir(exist_ok=True)
        self._home = home
        self._children: list[Child] = []
        self._watchdog: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        argv = [sys.executable, "-P", watchdog.__file__, str(self._home)]
        self._watchdog = subprocess.Popen(  # noqa: S603 - our own script
            argv, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, cwd="/", start_new_session=True
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop(*self._children)
        if self._watchdog is not None:
            self._watchdog.communicate(b"done\n")

    def start(self, name: str, argv: Sequence[str], *, env: Mapping[str, str], cwd: Path) -> Child:
        """Start a program. Secrets belong into files of mode 0600, never into ``argv``.

        Args:
            name: For people, and the log file's name.
            argv: Program and arguments.
            env: Its whole environment; nothing is added.
            cwd: Its working directory.
        """
        log = self._logs / f"{name}.log"
        # The program begins when the watchdog knows its process. If we are killed before that, the shell reads
        # the end of its input and exits.
        with log.open("ab") as sink:
            process = subprocess.Popen(  # noqa: S603 - callers pass programs of this environment
                ["/bin/sh", "-c", _START_WHEN_TOLD, "sh", *argv],
                stdin=subprocess.PIPE,
                stdout=sink,
                stderr=subprocess.STDOUT,
                env=dict(env),
                cwd=cwd,
                start_new_session=True,
            )
        child = Child(name, process, psutil.Process(process.pid), log)
        self._children.append(child)
        if self._watchdog is not None and self._watchdog.stdin is not None:
            self._watchdog.stdin.write(f"{watchdog.identity(child.leader)}\n".encode())
            self._watchdog.stdin.flush()
        if process.stdin is not None:
            with suppress(BrokenPipeError), process.stdin:  # it was ended meanwhile; check() says so
                process.stdin.write(b"go\n")
        return child

    def check(self) -> None:
        """Return if all run.

        Raises:
            SandboxError: One has ended; its log is named.
        """
        for child in self._children:
            child.check()

    def forget(self, child: Child) -> None:
        """Take a child that ended as it should off the books."""
        self._children.remove(child)

    def stop(self, *children: Child, grace_s: float = _GRACE_S) -> None:
        """End these children and all that they started: SIGINT to the leaders, SIGKILL to what remains.

        SIGINT comes twice: to Airflow's processes the first one means to finish what is going on, the second
        not to wait for that. A task runs in a process group of its own, so ``killpg`` would miss it.
        """
        leaders = {child.leader for child in children}
        everyone = watchdog.family(leaders)
        for _ in range(2):
            _interrupt(children)
            deadline = Deadline.after(grace_s / 2)
            while deadline.left_s() and watchdog.alive(everyone):
                sleep(0.05)
                everyone |= watchdog.family(leaders)
        watchdog.kill(leaders, everyone)
        for child in children:
            child.process.wait()
        self._children = [child for child in self._children if child not in children]


def _interrupt(children: Sequence[Child]) -> None:
    for child in children:
        if child.running():
            child.process.send_signal(signal.SIGINT)


def clean_environment(**extra: str) -> dict[str, str]:
    """Our environment for a child: without Airflow's settings, proxies for loopback, and slow Python.

    Airflow's own settings of the user (``AIRFLOW_…``) would reach into the sandbox, and without bytecode
    Airflow takes twice as long to start.
    """
    env = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")}
    env.pop("PYTHONDONTWRITEBYTECODE", None)
    for name in ("no_proxy", "NO_PROXY"):
        env[name] = ",".join(filter(None, [os.environ.get(name), "127.0.0.1,localhost"]))
    return env | extra


def free_port() -> int:
    """A TCP port on 127.0.0.1 that nobody listens on.

    It lies below 32768, where Linux takes the local ends of outgoing connections from; one of those could
    otherwise sit on the port by the time a slow server binds it.
    """
    candidates = random.Random()  # noqa: S311 - a port number is not a secret
    for _ in range(200):
        port = candidates.randrange(20_000, 32_000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port
    raise SandboxError("no free port between 20000 and 32000 on 127.0.0.1.")


def write_private(path: Path, text: str) -> Path:
    """Write a file that only its owner can read (mode 0600 from its first byte on)."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as sink:
        sink.write(text)
    return path


def tail(log: Path, lines: int = _TAIL_LINES) -> str:
    """The last lines of a log, or an empty text if there is none."""
    if not log.is_file():
        return ""
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])

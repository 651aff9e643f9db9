"""Decrypting in several processes, where one core is not enough: the interpreter runs one thread at a time.

A worker is a fresh interpreter that has its own client of the same network (:mod:`lit_airflow.networks.worker`).
It is started with ``subprocess``: the processes of ``multiprocessing`` would import the caller's main program
again, and a daemonic process may not start them. What they are told, sessions included, goes through private
pipes, never through arguments, environment or files (``docs/adr/0029``).
"""

from __future__ import annotations

import contextlib
import logging
import queue
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, Pipe
from typing import Any

from lit_airflow.errors import CiphertextError, WorkerDiedError
from lit_airflow.networks.batch import decrypt_each
from lit_airflow.networks.contract import (
    Decrypted,
    DecryptionReport,
    Load,
    NetworkDescription,
    OnReport,
    Session,
)
from lit_airflow.protocol.container import Container

PACKAGE = "lit_airflow"
"""The logger of this package."""
# With -P, no file of the current folder passes for a module; sys.path follows, so that this package is the same.
_PROGRAM = """
import signal
signal.signal(signal.SIGINT, signal.SIG_IGN)
import sys
from multiprocessing.connection import Connection
links = [Connection(int(number)) for number in sys.argv[1:]]
sys.path[:] = links[0].recv()
from lit_airflow.networks.worker import serve
serve(links)
"""
_PATIENCE_S = 10
_HINT = "If the machine has too little memory, use fewer processes, or fewer items at once."


@dataclass(frozen=True, slots=True)
class Start:
    """What a worker is told first.

    Attributes:
        description: The network.
        timeout_s: Seconds within which each item ends.
        log_level: From which level on log lines are wanted.
    """

    description: NetworkDescription
    timeout_s: float
    log_level: int


@dataclass(frozen=True, slots=True)
class Request:
    """One item for a worker.

    Attributes:
        session: Kind and contents of the session, if it is another than that of the link's item before.
        container: The item.
    """

    session: tuple[str, dict[str, Any]] | None = field(repr=False)
    container: Container


@dataclass(frozen=True, slots=True)
class Answer:
    """What a worker made of an item.

    Attributes:
        plaintext: The bytes; ``None`` where it failed.
        error: Why it failed. A ``LitError`` is the item's outcome; any other ends the batch.
        reports: How the servers answered.
        logged: Log lines: name of the logger, level, text.
    """

    plaintext: bytes | None = field(default=None, repr=False)
    error: Exception | None = None
    reports: tuple[DecryptionReport, ...] = ()
    logged: tuple[tuple[str, int, str], ...] = ()


@dataclass(slots=True)
class _Link:
    """A pipe to a worker, for one item at a time; the worker has a thread for each."""

    pipe: Connection = field(repr=False)
    process: subprocess.Popen[bytes]
    session: Session | None = field(default=None, repr=False)


def decrypt_in_processes(  # noqa: PLR0913 - each is needed
    start: Start,
    items: Iterable[Load],
    session: Callable[[Container], Session],
    *,
    at_once: int,
    processes: int,
    on_report: OnReport | None,
) -> Iterator[Decrypted]:
    """Decrypt many containers in worker processes, which end with the iterator.

    Args:
        start: What workers are told first.
        items: Read in this process, as they are needed.
        session: Returns the session to use for a container; called in this process.
        at_once: How many items are in work, or done and not yet taken, in all processes together.
        processes: How many workers; never more than ``at_once``.
        on_report: Called with each decryption's report.

    Returns:
        The outcomes in order, as they are taken. Of a worker that dies, each item in work fails with
        :class:`WorkerDiedError`; the other workers go on.

    Raises:
        SettingsError: ``at_once`` is not positive.
    """
    workers = _Workers(start, on_report)

    def decrypt(load: Load) -> bytes:
        container = load()
        return workers.decrypt(container, session(container))

    outcomes = decrypt_each(decrypt, items, at_once)
    return _while_they_run(workers, outcomes, at_once, min(processes, at_once))


def _while_they_run(
    workers: _Workers, outcomes: Iterator[Decrypted], at_once: int, processes: int
) -> Iterator[Decrypted]:
    try:
        for number in range(processes):
            workers.start(links=len(range(number, at_once, processes)))
        yield from outcomes
    finally:
        workers.stop()


class _Workers:
    """Running workers, and the links to them that are free."""

    def __init__(self, start: Start, on_report: OnReport | None) -> None:
        self._start = start
        self._on_report = on_report
        self._processes: list[subprocess.Popen[bytes]] = []
        self._free: queue.SimpleQueue[_Link | WorkerDiedError] = queue.SimpleQueue()
        self._alive = 0  # links whose worker has not died
        self._lock = threading.Lock()

    def start(self, links: int) -> None:
        """Start a worker with so many links."""
        pairs = [Pipe() for _ in range(links)]
        numbers = [theirs.fileno() for _, theirs in pairs]
        process = _started(numbers)
        self._processes.append(process)
        with contextlib.suppress(OSError):  # it has died, as the first item will find
            pairs[0][0].send(sys.path)
            pairs[0][0].send(self._start)
        for ours, theirs in pairs:
            theirs.close()
            self._free.put(_Link(ours, process))
        self._alive += links

    def stop(self) -> None:
        """Kill all workers. Threads that still wait for one get an error."""
        for process in self._processes:
            process.kill()
        for process in self._processes:
            process.wait()

    def decrypt(self, container: Container, session: Session) -> bytes:
        """Have a worker decrypt a container.

        Raises:
            WorkerDiedError: The worker has died, or all have.
            LitError: As :meth:`lit_airflow.networks.contract.Network.decrypt`.
        """
        link = self._take()
        answer = _asked(link, container, session)
        if isinstance(answer, WorkerDiedError):
            self._lose(answer)
            raise answer
        self._free.put(link)
        for name, level, text in answer.logged:
            logging.getLogger(name).log(level, "%s", text)
        for report in answer.reports:
            if self._on_report:
                self._on_report(report)
        if answer.error is not None:
            raise answer.error
        return answer.plaintext or b""

    def _take(self) -> _Link:
        found = self._free.get()
        if isinstance(found, WorkerDiedError):
            self._free.put(found)  # for the next one who asks
            raise WorkerDiedError(found.message, hint=found.hint)
        return found

    def _lose(self, error: WorkerDiedError) -> None:
        with self._lock:
            self._alive -= 1
            if not self._alive:
                self._free.put(error)


def _started(descriptors: Sequence[int]) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(  # noqa: S603 - this interpreter, with numbers as arguments
            [sys.executable, "-P", "-c", _PROGRAM, *map(str, descriptors)],
            pass_fds=descriptors,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )
    except OSError as error:
        cause = error.strerror
    raise WorkerDiedError(f"A process that decrypts cannot be started ({cause}).", hint=_HINT)


def _asked(link: _Link, container: Container, session: Session) -> Answer | WorkerDiedError:
    """Have a link's worker decrypt; return what it answered, or the error if it has died.

    Errors are made here and returned, because the frames of the pipe's own errors contain the session.
    """
    try:
        link.pipe.send(
            Request(
                None if session is link.session else (session.kind, session.to_json()),
                Container(dict(container.fields), container.conditions),
            )
        )
    except OSError:
        return _died(link.process)
    except Exception as error:  # noqa: BLE001 - pickle raises whatever an object raises
        cause = type(error).__name__
        return Answer(error=CiphertextError(f"The container contains something other than JSON ({cause})."))
    link.session = session
    try:
        answer: Answer = link.pipe.recv()
    except (EOFError, OSError):
        return _died(link.process)
    return answer


def _died(process: subprocess.Popen[bytes]) -> WorkerDiedError:
    try:
        status = process.wait(_PATIENCE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        status = process.wait()
    how = f"was killed by signal {-status}" if status < 0 else f"ended with status {status}"
    return WorkerDiedError(f"A process that decrypts {how}.", hint=_HINT)

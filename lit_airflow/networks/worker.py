"""A process that decrypts for another one, which starts it: :mod:`lit_airflow.networks.processes`."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from multiprocessing.connection import Connection
from typing import TypeVar

from lit_airflow.clock import Deadline
from lit_airflow.errors import LitError, SessionError
from lit_airflow.networks.contract import DecryptionReport, Session
from lit_airflow.networks.descriptions import open_network
from lit_airflow.networks.processes import PACKAGE, Answer, Request, Start
from lit_airflow.protocol.container import Container

Item = TypeVar("Item")


def serve(links: Sequence[Connection]) -> None:
    """Answer requests over each link in its own thread, until the other process closes them or ends."""
    worker = _Worker(links[0].recv())
    for link in links[1:]:
        threading.Thread(target=worker.answer_all, args=(link,), daemon=True).start()
    worker.answer_all(links[0])


class _Worker:
    """A client of the network, and what is to be told beside the plaintexts."""

    def __init__(self, start: Start) -> None:
        self._timeout_s = start.timeout_s
        self._reports: deque[DecryptionReport] = deque()
        self._network = open_network(start.description, on_report=self._reports.append)
        self._logged = _kept_lines(start.log_level)

    def answer_all(self, link: Connection) -> None:
        """Answer the requests of one link; close it even after an error, so that no caller waits forever."""
        session: Session | LitError = SessionError("No session has come.")
        with link, contextlib.suppress(EOFError, OSError):
            while True:
                request: Request = link.recv()
                if request.session is not None:
                    session = self._loaded(request)
                link.send(self._answer(request, session))

    def _loaded(self, request: Request) -> Session | LitError:
        """Return the session that came; or the error, for every item that is to be decrypted with it."""
        try:
            return self._network.load_session(*request.session)  # type: ignore[misc]  # there is one
        except LitError as error:
            return error

    def _answer(self, request: Request, session: Session | LitError) -> Answer:
        found = session if isinstance(session, LitError) else self._decrypted(request.container, session)
        plaintext, error = (found, None) if isinstance(found, bytes) else (None, found)
        return Answer(plaintext, error, tuple(_taken(self._reports)), tuple(_taken(self._logged)))

    def _decrypted(self, container: Container, session: Session) -> bytes | Exception:
        deadline = Deadline.after(self._timeout_s)
        try:
            return self._network.decrypt(container, session, deadline, log_level=logging.DEBUG)
        except LitError as error:
            return error
        except Exception as error:  # noqa: BLE001 - a bug; the caller's process raises it
            # Without its text, which may contain what was being decrypted.
            return RuntimeError(f"A process that decrypts failed with {type(error).__name__}.")


class _Lines(logging.Handler):
    """Keeps log lines for the other process, which knows where they go and what to mask in them."""

    def __init__(self) -> None:
        super().__init__()
        self.kept: deque[tuple[str, int, str]] = deque()

    def emit(self, record: logging.LogRecord) -> None:
        self.kept.append((record.name, record.levelno, record.getMessage()))


def _kept_lines(level: int) -> deque[tuple[str, int, str]]:
    """Keep this package's log lines from a level on; drop those of all others, which nothing would mask."""
    lines, logger = _Lines(), logging.getLogger(PACKAGE)
    logger.addHandler(lines)
    logger.setLevel(level)
    logger.propagate = False
    logging.getLogger().addHandler(logging.NullHandler())
    return lines.kept


def _taken(kept: deque[Item]) -> Iterator[Item]:
    """Yield and remove what has been kept; several threads may do so."""
    while True:
        try:
            yield kept.popleft()
        except IndexError:
            return

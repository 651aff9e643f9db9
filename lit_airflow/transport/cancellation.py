"""Requests that are under way: they end at their deadline, and sooner if nobody waits for them any more.

A node that never answers would otherwise hold a thread and a socket per request until that request's deadline,
and one that sends its headers byte by byte for as long as it likes. So of those that are no longer wanted a few may
go on, since most are answered in a moment and their connection is kept; of more than that, the oldest are cut off.
A socket's own time-out is for one read; here all reads of an answer together end at the request's deadline.
Imported with the first ``Http``: it brings ``urllib3``.
"""

from __future__ import annotations

import functools
import io
import socket
import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.client import HTTPResponse
from typing import Any

from urllib3 import HTTPConnectionPool, PoolManager
from urllib3.connection import HTTPConnection

from lit_airflow.clock import Deadline

_MOST_UNWANTED = 8
_here = threading.local()


class Flight:
    """One request.

    Attributes:
        cancelled: Set when nobody waits for it.
        deadline: When its answer must have ended.
        connection: What it is sent on, as soon as that is known.
        began: Whether it began to be sent: its connection was made, TLS included.
    """

    __slots__ = ("began", "cancelled", "connection", "deadline")

    def __init__(self, cancelled: threading.Event, deadline: Deadline) -> None:
        self.cancelled = cancelled
        self.deadline = deadline
        self.connection: HTTPConnection | None = None
        self.began = False

    def cut(self) -> None:
        """Close the connection under the thread that reads from it."""
        connection, self.connection = self.connection, None
        # Once the answer is read, somebody else may use the connection already.
        if connection is not None and getattr(connection, "flight", None) is self and connection.sock:
            with suppress(OSError):
                socket.socket.shutdown(
                    connection.sock, socket.SHUT_RDWR
                )  # also of a TLS socket, without a farewell


def _note(connection: Any) -> None:  # noqa: ANN401 - either class below
    flight: Flight | None = getattr(_here, "flight", None)
    connection.flight = flight
    if flight is not None:
        flight.connection = connection
        flight.began = True


_SLACK_S = 0.05
"""How much later than the deadline a read may end."""


class _UntilDeadline(io.RawIOBase):
    """Reads from a socket, and waits no longer than until the deadline, however many reads there are."""

    def __init__(self, raw: io.RawIOBase, sock: socket.socket, deadline: Deadline) -> None:
        self._raw, self._sock, self._deadline = raw, sock, deadline

    def readable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._raw.fileno()

    def readinto(self, buffer: Any) -> int | None:  # noqa: ANN401 - as io has it
        left_s = self._deadline.left_s()
        if left_s <= 0:
            raise TimeoutError("timed out")
        limit_s = self._sock.gettimeout()
        if limit_s is None or limit_s > left_s + _SLACK_S:  # to set it has this thread wait for the others
            self._sock.settimeout(left_s)
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


class _Answer(HTTPResponse):
    """Read until its request's deadline, headers and body."""

    def __init__(self, sock: socket.socket, *what: Any, **more: Any) -> None:  # noqa: ANN401 - as http.client has it
        super().__init__(sock, *what, **more)
        flight: Flight | None = getattr(_here, "flight", None)
        if flight is not None:
            self.fp = io.BufferedReader(_UntilDeadline(self.fp.detach(), sock, flight.deadline))


class _Connection(HTTPConnection):
    """Known here, and sends a request in one piece: each piece of its own has this thread wait for the others."""

    response_class = _Answer
    _held: bytearray | None = None

    def request(self, *what: Any, **more: Any) -> None:  # noqa: ANN401 - as urllib3 has it
        _note(self)
        self._held = bytearray()
        try:
            super().request(*what, **more)
            whole = bytes(self._held)
        finally:
            self._held = None
        self.send(whole)

    def send(self, data: Any) -> None:  # noqa: ANN401 - as http.client has it
        if self._held is None:
            super().send(data)
        else:
            self._held += data


@functools.cache
def _watched(pool: type[HTTPConnectionPool]) -> type[HTTPConnectionPool]:
    """Return the same kind of pool, whatever it connects through, with connections that are known here."""
    if issubclass(pool.ConnectionCls, _Connection):
        return pool
    connection = type("Connection", (_Connection, pool.ConnectionCls), {})
    return type("Pool", (pool,), {"ConnectionCls": connection})


class OpenRequests:
    """All requests of one ``Http``."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._flights: defaultdict[str, list[Flight]] = defaultdict(list)

    @staticmethod
    def watch(manager: PoolManager) -> None:
        """Have the connections of a pool manager known here."""
        manager.pool_classes_by_scheme = {
            scheme: _watched(pool) for scheme, pool in manager.pool_classes_by_scheme.items()
        }

    @contextmanager
    def request(self, url: str, cancelled: threading.Event, deadline: Deadline) -> Iterator[Flight]:
        """One request to a URL; what is done within is done by this thread."""
        flight = Flight(cancelled, deadline)
        with self._lock:
            flights = self._flights[url]
            unwanted = [each for each in flights if each.cancelled.is_set()]
            for each in unwanted[:-_MOST_UNWANTED]:
                each.cut()
            flights.append(flight)
        _here.flight = flight
        try:
            yield flight
        finally:
            _here.flight = None
            with self._lock:
                flight.connection = None
                flights.remove(flight)

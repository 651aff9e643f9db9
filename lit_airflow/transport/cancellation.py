"""Requests that are under way, and an end to those that nobody waits for any more.

A node that never answers would otherwise hold a thread and a socket per request until that request's deadline,
and one that sends its headers byte by byte for as long as it likes. So of those that are no longer wanted a few may
go on, since most are answered in a moment and their connection is kept; of more than that, the oldest are cut off.
Imported with the first ``Http``: it brings ``urllib3``.
"""

from __future__ import annotations

import socket
import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection

if TYPE_CHECKING:
    from requests.adapters import HTTPAdapter

_MOST_UNWANTED = 8
_here = threading.local()


class Flight:
    """One request.

    Attributes:
        cancelled: Set when nobody waits for it.
        connection: What it is sent on, as soon as that is known.
        began: Whether it began to be sent: its connection was made, TLS included. Not known through a proxy.
    """

    __slots__ = ("began", "cancelled", "connection")

    def __init__(self, cancelled: threading.Event) -> None:
        self.cancelled = cancelled
        self.connection: HTTPConnection | None = None
        self.began = False

    def cut(self) -> None:
        """Whoever reads from the connection finds it closed."""
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


class _Connection(HTTPConnection):
    """Known here, and sends a request in one piece: each piece of its own has this thread wait for the others."""

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


class _TlsConnection(_Connection, HTTPSConnection):
    pass


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = _TlsConnection


class OpenRequests:
    """All requests of one ``Http``."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._flights: defaultdict[str, list[Flight]] = defaultdict(list)

    @staticmethod
    def watch(adapter: HTTPAdapter) -> None:
        """Have an adapter's connections known here; those through a proxy are not."""
        adapter.poolmanager.pool_classes_by_scheme = {"http": _Pool, "https": _TlsPool}

    @contextmanager
    def request(self, url: str, cancelled: threading.Event) -> Iterator[Flight]:
        """One request to a URL; what is done within is done by this thread."""
        flight = Flight(cancelled)
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

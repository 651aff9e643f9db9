"""Bind a port and serve an application on it, with the option to refuse connections for a while.

Uvicorn serves HTTP. Its startup and shutdown are called directly, without its main loop, which wakes up ten times
a second for every server: an idle network of a hundred nodes should use no CPU time.
"""

from __future__ import annotations

import asyncio
import errno
import socket
from typing import TYPE_CHECKING

from uvicorn import Config, Server

from lit_airflow.devnet.asgi import CONNECTIONS
from lit_airflow.errors import SettingsError

if TYPE_CHECKING:
    from ssl import SSLContext

    from starlette.types import ASGIApp

_BACKLOG = 1024
# The default of common web servers. After uvicorn's own 5 s, a client that waits between two requests would find
# its connection closed.
_KEEP_ALIVE_S = 75
_MAX_PORT = 65535
_ACCEPTING_TURNS = 3  # iterations of the event loop; asyncio needs one


def bind(host: str, port: int) -> socket.socket:
    """Bind a port without listening on it; connections to it are refused.

    Args:
        host: Host name or IPv4 address.
        port: The port; 0 for any free port.

    Raises:
        OSError: The port cannot be bound.
        OverflowError: The number is not a port.
    """
    # asyncio sets TCP_NODELAY only if the protocol is given; without it, a response can be delayed by 40 ms.
    bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((host, port))
    except (OSError, OverflowError):
        bound.close()
        raise
    bound.settimeout(0)
    return bound


class Listener:
    """A bound port, and the server that listens on it or does not.

    Args:
        host: Host name or IPv4 address to bind.
        port: The port; 0 for any free port.

    Attributes:
        tls: What TLS is spoken with, from the next start on; ``None`` for plain http.

    Raises:
        OSError: The port cannot be bound.
        OverflowError: The number is not a port.
    """

    def __init__(self, host: str, port: int) -> None:
        self._socket = bind(host, port)
        self._host = host
        self.port: int = self._socket.getsockname()[1]
        self.tls: SSLContext | None = None
        self._server: Server | None = None

    @property
    def open(self) -> bool:
        """Whether the port accepts connections."""
        return self._server is not None

    async def set_open(self, app: ASGIApp, *, accepts: bool) -> None:
        """Serve an application, or refuse connections."""
        await (self.start(app) if accepts else self.stop())

    async def start(self, app: ASGIApp) -> None:
        """Serve an application, unless one is served already."""
        if self._server is not None:
            return
        config = Config(
            app,
            interface="asgi3",
            lifespan="off",
            ws="none",
            log_config=None,
            access_log=False,
            server_header=False,
            date_header=False,
            backlog=_BACKLOG,
            timeout_keep_alive=_KEEP_ALIVE_S,
        )
        config.load()
        config.ssl = self.tls
        server = Server(config)
        server.lifespan = config.lifespan_class(config)
        server.lifespan.state[CONNECTIONS] = server.server_state.connections
        config.http_protocol_class = _refusing_when_stopped(config.http_protocol_class, server)
        await server.startup(sockets=[self._socket])
        self._server = server

    async def stop(self) -> None:
        """Refuse connections and drop the open ones, but keep the port bound."""
        await self._shut_down()
        self._socket.close()
        self._socket = bind(self._host, self.port)

    async def close(self) -> None:
        """Drop every connection and release the port."""
        await self._shut_down()
        self.release()

    def release(self) -> None:
        """Release the port of a listener that was never started."""
        self._socket.close()

    async def _shut_down(self) -> None:
        if self._server is None:
            return
        server, self._server = self._server, None
        server.should_exit = True
        loop = asyncio.get_running_loop()
        for port in (port for listening in server.servers for port in listening.sockets):
            loop.remove_reader(port)
        # A connection that asyncio has accepted gets its transport one turn later. If the port were closed before,
        # asyncio would forget the connection without closing it, and the client would wait.
        for _ in range(_ACCEPTING_TURNS):
            await asyncio.sleep(0)
        for listening in server.servers:
            listening.close()
        state = server.server_state
        for connection in list(state.connections):
            connection.transport.abort()
        # The requests of aborted connections end by themselves, because each sees that its client disconnected.
        if state.tasks:
            await asyncio.wait(set(state.tasks), timeout=1)
        for listening in server.servers:
            await listening.wait_closed()


def _refusing_when_stopped(protocol: type[asyncio.Protocol], server: Server) -> type[asyncio.Protocol]:
    """Return a protocol class that aborts a connection that is ready only after its server was stopped.

    With TLS that takes until the handshake is done.
    """

    class Protocol(protocol):  # type: ignore[misc, valid-type] # uvicorn has two, and picks one
        def connection_made(self, transport: asyncio.Transport) -> None:
            super().connection_made(transport)
            if server.should_exit:
                transport.abort()

    return Protocol


def bind_next_free(host: str, port: int) -> Listener:
    """Bind the first free port from a number on.

    Args:
        host: Host name or IPv4 address.
        port: The first port to try; 0 for any free port.

    Raises:
        OSError: No port is free, or the host cannot be bound.
    """
    while port <= _MAX_PORT:
        try:
            return Listener(host, port)
        except OSError as error:
            if not port or error.errno != errno.EADDRINUSE:
                raise
            port += 1
    raise OSError("no port is left")


def bind_consecutive(host: str, port: int, count: int) -> list[Listener]:
    """Bind several ports in a row.

    Args:
        host: Host name or IPv4 address.
        port: The first port; 0 for any free ports.
        count: How many.

    Raises:
        SettingsError: A port cannot be bound or does not exist; then none stays bound.
    """
    listeners: list[Listener] = []
    try:
        for offset in range(count):
            listeners.append(Listener(host, port + offset if port else 0))  # noqa: PERF401 - released on failure
    except (OSError, OverflowError) as error:
        for listener in listeners:
            listener.release()
        raise SettingsError(
            f"{host} port {port + len(listeners)} cannot be used: {error}.",
            # A number that no port has is wrong usage; a port or an address that is taken or elsewhere is not.
            field="port" if isinstance(error, OverflowError) else "address",
            hint="Choose another port, or 0 for any free ports.",
        ) from error
    return listeners

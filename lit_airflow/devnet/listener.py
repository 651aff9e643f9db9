"""One port that serves one application, and can be taken away and given back.

Uvicorn does the HTTP; its start and stop are called directly, without its own loop that wakes ten times a
second per server: a hundred nodes at rest should cost nothing.
"""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING

from uvicorn import Config, Server

from lit_airflow.devnet.responses import CONNECTIONS

if TYPE_CHECKING:
    from starlette.types import ASGIApp

_BACKLOG = 1024
# As long as web servers keep them; with uvicorn's own 5 s, a client that is slow to ask again may find its closed.
_KEEP_ALIVE_S = 75


def bind(host: str, port: int) -> socket.socket:
    """Take a port without listening on it: until somebody does, connections are refused.

    Raises:
        OSError: The port is taken.
        OverflowError: There is no such port.
    """
    # The protocol is named because asyncio sets TCP_NODELAY only then; without, an answer can wait 40 ms.
    taken = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind((host, port))
    except (OSError, OverflowError):
        taken.close()
        raise
    taken.settimeout(0)
    return taken


class Listener:
    """A bound port and the application behind it.

    Args:
        host: IPv4 address to bind.
        port: 0 for any.

    Raises:
        OSError: The port is taken.
        OverflowError: There is no such port.
    """

    def __init__(self, host: str, port: int) -> None:
        self._socket = bind(host, port)
        self._host = host
        self.port: int = self._socket.getsockname()[1]
        self._server: Server | None = None

    @property
    def open(self) -> bool:
        """Whether connections are accepted."""
        return self._server is not None

    async def listen(self, app: ASGIApp, accepts: bool) -> None:  # noqa: FBT001 - or refuses
        """Serve ``app``, or refuse connections."""
        await (self.start(app) if accepts else self.stop())

    async def start(self, app: ASGIApp) -> None:
        """Serve ``app``; nothing happens when something is served already."""
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
        server = Server(config)
        server.lifespan = config.lifespan_class(config)
        server.lifespan.state[CONNECTIONS] = server.server_state.connections
        await server.startup(sockets=[self._socket])
        self._server = server

    async def stop(self) -> None:
        """Refuse connections and drop the open ones, but keep the port."""
        await self._drop()
        self._socket.close()
        self._socket = bind(self._host, self.port)

    async def close(self) -> None:
        """Stop and give the port away."""
        await self._drop()
        self.release()

    def release(self) -> None:
        """Give the port away; for one that was never started."""
        self._socket.close()

    async def _drop(self) -> None:
        if self._server is None:
            return
        server, self._server = self._server, None
        for listening in server.servers:
            listening.close()
        state = server.server_state
        for connection in list(state.connections):
            connection.transport.abort()
        # Aborted connections end their requests by themselves: each sees that its client has left.
        if state.tasks:
            await asyncio.wait(set(state.tasks), timeout=1)
        for listening in server.servers:
            await listening.wait_closed()

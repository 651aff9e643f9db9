"""How an answer travels: at once, late, byte by byte, cut off, or never. The same for nodes and the chain."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from starlette.requests import Request

from lit_airflow.devnet.replies import Reply
from lit_airflow.devnet.trouble import Trouble

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

CONNECTIONS = "connections"
"""Where in a request's state its port's connections are, put there by the listener."""
_AT_ONCE = struct.pack("ii", 1, 0)  # linger on, for no time: a close is a reset then


@dataclass(frozen=True, slots=True)
class Asked:
    """One request, read.

    Attributes:
        method: The HTTP method.
        path: The URL's path.
        headers: Looked up in lower case.
        raw: The body.
    """

    method: str
    path: str
    headers: Mapping[str, str]
    raw: bytes


class Desk(Protocol):
    """What answers at a port."""

    @property
    def trouble(self) -> Trouble:
        """What is wrong with it."""

    def answer(self, asked: Asked) -> Reply:
        """Answer, under whatever fault is in force."""


def served(desk: Desk) -> ASGIApp:
    """The ASGI application of what answers at a port."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        asked = Asked(request.method, request.url.path, request.headers, await request.body())
        trouble = desk.trouble
        wait_s = trouble.wait_s()
        if wait_s != 0.0 and await _client_leaves(request, wait_s):
            return
        await _send(desk.answer(asked), trouble, request, send)

    return app


async def _send(reply: Reply, trouble: Trouble, request: Request, send: Send) -> None:
    length = ("content-length", str(reply.length))
    headers = [(name.encode(), value.encode()) for name, value in (*reply.headers.items(), length)]
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    if trouble.fault.breaks:
        await send(_part(reply.body[: len(reply.body) // 2]))
        _reset(request)
        await (
            request.receive()
        )  # the server must see that the client is gone, or it complains of half an answer
        return
    if trouble.fault.drips:
        for at in range(len(reply.body)):
            await send(_part(reply.body[at : at + 1]))
            if await _client_leaves(request, trouble.seconds):
                return
        await send(_part(b"", more=False))
        return
    for left in range(reply.times, 0, -1):
        await send(_part(reply.body, more=left > 1))


def _part(body: bytes, *, more: bool = True) -> dict[str, Any]:
    return {"type": "http.response.body", "body": body, "more_body": more}


def _reset(request: Request) -> None:
    for connection in request.scope["state"][CONNECTIONS]:
        if connection.client == request.scope["client"]:
            transport = connection.transport
            transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)
            transport.abort()
            return


async def _client_leaves(request: Request, within_s: float | None) -> bool:
    """Whether the client hangs up within a time (``None``: for ever); its body is read, so nothing else comes."""
    try:
        await asyncio.wait_for(request.receive(), within_s)
    except TimeoutError:
        return False
    return True

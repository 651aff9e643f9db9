"""Serve the responses of nodes and the chain over ASGI, with the delays and interruptions of the active fault."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from starlette.requests import Request

from lit_airflow.devnet.parsing import MAX_JSON_BYTES
from lit_airflow.devnet.responses import HttpResponse

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

    from lit_airflow.devnet.faults import ActiveFault

CONNECTIONS = "connections"
"""The key of a request's ASGI state under which the listener stores the open connections of its port."""
_NO_LINGER = struct.pack("ii", 1, 0)  # closing a socket with this option resets the connection


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """A request that was received completely.

    Attributes:
        method: The HTTP method.
        path: The path of the URL.
        headers: Names in lower case.
        body: The bytes of the body.
    """

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


class RequestHandler(Protocol):
    """Answers the requests to one port."""

    @property
    def active_fault(self) -> ActiveFault:
        """The fault that is set."""

    def answer(self, request: HttpRequest) -> HttpResponse:
        """Return the response to a request, as the active fault changes it."""


def asgi_app(handler: RequestHandler) -> ASGIApp:
    """Return the ASGI application that serves a handler's responses."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        received = HttpRequest(request.method, request.url.path, request.headers, await read_body(request))
        fault = handler.active_fault
        delay_s = fault.delay_s()
        if delay_s != 0.0 and await _disconnects(request, delay_s):
            return
        await _send(handler.answer(received), fault, request, send)

    return app


async def read_body(request: Request) -> bytes:
    """Return the body of a request, or only its beginning if it is too long to be parsed as JSON.

    The rest is received and discarded: a client that cannot finish sending would miss the response.

    Returns:
        At most ``MAX_JSON_BYTES + 1`` bytes, so that ``parse_json`` recognises a body that is too long.
    """
    body = bytearray()
    async for chunk in request.stream():
        body += chunk[: MAX_JSON_BYTES + 1 - len(body)]
    return bytes(body)


async def _send(response: HttpResponse, fault: ActiveFault, request: Request, send: Send) -> None:
    length = ("content-length", str(response.length))
    headers = [(name.encode(), value.encode()) for name, value in (*response.headers.items(), length)]
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    if fault.behaviour.resets:
        await send(_body_part(response.body[: len(response.body) // 2]))
        _reset(request)
        await (
            request.receive()
        )  # uvicorn logs an incomplete response unless it sees the client disconnect first
    elif fault.behaviour.drips:
        await _send_slowly(response.body, fault.seconds, request, send)
    else:
        for left in range(response.repeat, 0, -1):
            await send(_body_part(response.body, more=left > 1))


async def _send_slowly(body: bytes, pause_s: float, request: Request, send: Send) -> None:
    for at in range(len(body)):
        await send(_body_part(body[at : at + 1]))
        if await _disconnects(request, pause_s):
            return
    await send(_body_part(b"", more=False))


def _body_part(body: bytes, *, more: bool = True) -> dict[str, Any]:
    return {"type": "http.response.body", "body": body, "more_body": more}


def _reset(request: Request) -> None:
    for connection in request.scope["state"][CONNECTIONS]:
        if connection.client == request.scope["client"]:
            transport = connection.transport
            transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
            transport.abort()
            return


async def _disconnects(request: Request, within_s: float | None) -> bool:
    """Return whether the client disconnects within a time (``None``: wait until it does).

    The body was received before, so the only message that can still arrive is the disconnection.
    """
    try:
        await asyncio.wait_for(request.receive(), within_s)
    except TimeoutError:
        return False
    return True

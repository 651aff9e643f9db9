"""How requests are read and answers travel: at once, late, byte by byte, cut off, or never."""

from __future__ import annotations

import asyncio
import socket
import struct
from email.utils import format_datetime
from typing import TYPE_CHECKING

from starlette.requests import ClientDisconnect, Request

from lit_airflow.devnet.asgi import CONNECTIONS
from lit_airflow.devnet.chipotle.faults import Answer, Trouble, Troubles, changed
from lit_airflow.devnet.chipotle.key_service import KeyService
from lit_airflow.devnet.chipotle.service import Asked, Conditions, Service, hashed_key
from lit_airflow.devnet.chipotle.state import Seen

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

_AT_ONCE = struct.pack("ii", 1, 0)  # linger on, for no time: a close is a reset then


class Delivery:
    """The ASGI application of the service's port.

    Args:
        service: Makes the answers.
        troubles: The faults in force.
        other_enclave: Keys of an enclave that is not the service's.
    """

    def __init__(self, service: Service, troubles: Troubles, other_enclave: KeyService) -> None:
        self._service = service
        self._troubles = troubles
        self._other_enclave = other_enclave

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        request = Request(scope, receive)
        try:
            asked = await _read(request, self._service.state.profile.max_body_bytes)
        except ClientDisconnect:
            return
        route = self._service.route(asked)
        trouble = self._troubles.take(asked.name, changes=route is not None and route.changes)
        request_id = self._service.request_id(asked)
        answer = await self._answer(request, asked, request_id, trouble)
        self._note(asked, request_id, answer)
        if answer is not None:
            await self._send(request, send, asked, request_id, answer, trouble)

    async def _answer(
        self, request: Request, asked: Asked, request_id: str, trouble: Trouble
    ) -> Answer | None:
        """Do what is asked; ``None`` when there will be no answer."""
        fault = trouble.fault
        if await self._ends(request, trouble, "before"):
            return None
        if fault.instead is not None:
            return fault.instead()
        keys = self._other_enclave if fault.other_enclave else None
        conditions = Conditions(fault.refusal, fault.splits, keys)
        answer = Answer(*await self._service.answer(asked, request_id, conditions))
        if await self._ends(request, trouble, "after"):
            return None
        if fault.afterwards is not None:
            return fault.afterwards()
        return changed(answer, fault.change) if fault.change is not None else answer

    async def _ends(self, request: Request, trouble: Trouble, when: str) -> bool:
        """Wait as the fault says; whether the request ends here without an answer."""
        fault = trouble.fault
        if fault.ends == when:
            await _reset(request)
            return True
        if fault.hangs == when:
            await _client_leaves(request, None)
            return True
        waits = fault.waits and when == "before" and trouble.seconds > 0
        return waits and await _client_leaves(request, trouble.seconds)

    def _note(self, asked: Asked, request_id: str, answer: Answer | None) -> None:
        status = None if answer is None else answer.status
        private = "x-privacy-mode" in asked.headers
        self._service.state.seen.append(Seen(asked.name, status, request_id, hashed_key(asked), private))

    async def _send(  # noqa: PLR0913, PLR0917 - one answer on its way
        self, request: Request, send: Send, asked: Asked, request_id: str, answer: Answer, trouble: Trouble
    ) -> None:
        content = answer.body.content
        headers = {
            "content-type": answer.body.content_type,
            "content-length": str(len(content) * answer.times),
            "date": format_datetime(self._service.state.now(), usegmt=True),
            "x-request-id": request_id,
            **answer.headers,
        }
        if correlation := asked.headers.get("x-correlation-id"):
            headers["x-correlation-id"] = correlation
        encoded = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
        await send({"type": "http.response.start", "status": answer.status, "headers": encoded})
        if trouble.fault.breaks:
            await _part(send, content[: len(content) // 2])
            await _reset(request)
            return
        if trouble.fault.drips:
            for at in range(len(content)):
                await _part(send, content[at : at + 1])
                if await _client_leaves(request, trouble.seconds):
                    return
            await _part(send, b"", more=False)
            return
        for left in range(answer.times, 0, -1):
            await _part(send, content, more=left > 1)


async def _read(request: Request, most_bytes: int) -> Asked:
    """Read a request to its end, and keep as much of its body as may be read."""
    kept = bytearray()
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size <= most_bytes:
            kept += chunk
    return Asked(
        method=request.method,
        path=request.url.path,
        query=request.url.query,
        headers=request.headers,
        raw=bytes(kept),
        too_large=size > most_bytes,
        client=request.client.host if request.client else "",
    )


async def _part(send: Send, content: bytes, *, more: bool = True) -> None:
    await send({"type": "http.response.body", "body": content, "more_body": more})


async def _reset(request: Request) -> None:
    for connection in request.scope["state"][CONNECTIONS]:
        if connection.client == request.scope["client"]:
            transport = connection.transport
            transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)
            transport.abort()
    await (
        request.receive()
    )  # the server must see that the client is gone, or it complains of a missing answer


async def _client_leaves(request: Request, within_s: float | None) -> bool:
    """Whether the client hangs up within a time (``None``: for ever); its body is read, so nothing else comes."""
    try:
        await asyncio.wait_for(request.receive(), within_s)
    except TimeoutError:
        return False
    return True

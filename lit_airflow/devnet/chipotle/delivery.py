"""ASGI application of the service's port: reads requests, applies faults, sends answers."""

from __future__ import annotations

import asyncio
import socket
import struct
from email.utils import format_datetime
from typing import TYPE_CHECKING

from starlette.requests import ClientDisconnect, Request

from lit_airflow.devnet.asgi import CONNECTIONS
from lit_airflow.devnet.chipotle.faults import ActiveFault, ActiveFaults, Answer, changed
from lit_airflow.devnet.chipotle.key_service import KeyService
from lit_airflow.devnet.chipotle.service import FaultEffects, IncomingRequest, Service, hashed_key
from lit_airflow.devnet.chipotle.state import LoggedRequest

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

_AT_ONCE = struct.pack("ii", 1, 0)  # linger on, for no time: a close is a reset then


class Delivery:
    """The ASGI application of the service's port.

    Args:
        service: The service.
        active_faults: Active faults.
        other_enclave: Key service of another enclave, for the fault ``other-enclave``.
    """

    def __init__(self, service: Service, active_faults: ActiveFaults, other_enclave: KeyService) -> None:
        self._service = service
        self._troubles = active_faults
        self._other_enclave = other_enclave

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        request = Request(scope, receive)
        try:
            incoming = await _read(request, self._service.state.profile.max_body_bytes)
        except ClientDisconnect:
            return
        route = self._service.route(incoming)
        active = self._troubles.take(incoming.name, changes=route is not None and route.changes)
        request_id = self._service.request_id(incoming)
        answer = await self._answer(request, incoming, request_id, active)
        self._note(incoming, request_id, answer)
        if answer is not None:
            await self._send(request, send, incoming, request_id, answer, active)

    async def _answer(
        self, request: Request, incoming: IncomingRequest, request_id: str, active: ActiveFault
    ) -> Answer | None:
        """Serve the request under a fault; ``None`` if there is no answer."""
        fault = active.fault
        if await self._ends(request, active, "before"):
            return None
        if fault.instead is not None:
            return fault.instead()
        keys = self._other_enclave if fault.other_enclave else None
        effects = FaultEffects(fault.refusal, fault.splits, keys)
        answer = Answer(*await self._service.answer(incoming, request_id, effects))
        if await self._ends(request, active, "after"):
            return None
        if fault.afterwards is not None:
            return fault.afterwards()
        return changed(answer, fault.change) if fault.change is not None else answer

    async def _ends(self, request: Request, active: ActiveFault, when: str) -> bool:
        """Apply delays and cut-offs; return whether the request ends here without an answer."""
        fault = active.fault
        if fault.ends == when:
            await _reset(request)
            return True
        if fault.hangs == when:
            await _client_leaves(request, None)
            return True
        waits = fault.waits and when == "before" and active.seconds > 0
        return waits and await _client_leaves(request, active.seconds)

    def _note(self, incoming: IncomingRequest, request_id: str, answer: Answer | None) -> None:
        status = None if answer is None else answer.status
        private = "x-privacy-mode" in incoming.headers
        self._service.state.request_log.append(
            LoggedRequest(incoming.name, status, request_id, hashed_key(incoming), private)
        )

    async def _send(  # noqa: PLR0913, PLR0917 - one answer on its way
        self,
        request: Request,
        send: Send,
        incoming: IncomingRequest,
        request_id: str,
        answer: Answer,
        active: ActiveFault,
    ) -> None:
        content = answer.body.content
        headers = {
            "content-type": answer.body.content_type,
            "content-length": str(len(content) * answer.times),
            "date": format_datetime(self._service.state.now(), usegmt=True),
            "x-request-id": request_id,
            **answer.headers,
        }
        if correlation := incoming.headers.get("x-correlation-id"):
            headers["x-correlation-id"] = correlation
        encoded = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
        await send({"type": "http.response.start", "status": answer.status, "headers": encoded})
        if active.fault.breaks:
            await _part(send, content[: len(content) // 2])
            await _reset(request)
            return
        if active.fault.drips:
            for at in range(len(content)):
                await _part(send, content[at : at + 1])
                if await _client_leaves(request, active.seconds):
                    return
            await _part(send, b"", more=False)
            return
        for left in range(answer.times, 0, -1):
            await _part(send, content, more=left > 1)


async def _read(request: Request, most_bytes: int) -> IncomingRequest:
    """Read a whole request, keeping at most ``most_bytes`` of its body."""
    kept = bytearray()
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size <= most_bytes:
            kept += chunk
    return IncomingRequest(
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
    """Wait for the client to disconnect; return whether it does in time. The body must have been read."""
    try:
        await asyncio.wait_for(request.receive(), within_s)
    except TimeoutError:
        return False
    return True

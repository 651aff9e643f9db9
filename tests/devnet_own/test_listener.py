"""A port that is closed answers nobody, whenever the connection was made."""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING

import pytest

from lit_airflow.devnet.listener import Listener

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send


ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"


async def answering(_scope: Scope, _receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
    await send({"type": "http.response.body", "body": b""})


async def asked_and_stopped(turns: int) -> bytes:
    """What a client receives if the port is closed this many turns of the event loop after its request.

    After two turns the connection is accepted, and not yet among those that the server knows.
    """
    listener = Listener("127.0.0.1", 0)
    await listener.start(answering)
    with socket.create_connection(("127.0.0.1", listener.port)) as client:
        client.sendall(b"GET / HTTP/1.1\r\nhost: node\r\n\r\n")
        for _ in range(turns):
            await asyncio.sleep(0)
        await listener.stop()
        await asyncio.sleep(0.05)
        await listener.close()
        client.settimeout(5)
        try:
            return client.recv(100)
        except ConnectionResetError:
            return b""


@pytest.mark.parametrize("turns", range(6))
def test_who_asks_while_a_port_closes_gets_an_answer_or_is_cut_off(
    turns: int, caplog: pytest.LogCaptureFixture
) -> None:
    assert asyncio.run(asked_and_stopped(turns)) in {b"", ANSWER}
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


def test_one_that_is_open_answers() -> None:
    assert asyncio.run(asked_and_stopped(50)) == ANSWER

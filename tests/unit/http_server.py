"""A server that misbehaves on purpose, one path per kind of faulty_server."""

from __future__ import annotations

import gzip
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar
from urllib.parse import urlsplit

import pytest


@dataclass
class FaultyServer:
    """A running server.

    Attributes:
        url: Where it listens.
        seen: Path, headers (lower-case names) and body of each request, in order.
        over: Set when the test is done; whoever drips or sleeps then stops.
    """

    url: str
    seen: list[tuple[str, dict[str, str], str]] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)

    def count(self, path: str) -> int:
        """How often a path was asked for."""
        return sum(asked == path for asked, _, _ in self.seen)


class Handler(BaseHTTPRequestHandler):
    """Answers by path."""

    protocol_version = "HTTP/1.1"
    faulty_server: ClassVar[FaultyServer]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", "0"))).decode()
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.faulty_server.seen.append((self.path, headers, body))
        WAYS[urlsplit(self.path).path](self)  # a proxy is asked for a whole URL

    do_GET = do_POST  # noqa: N815 - http.server's name; a redirect that is followed by mistake arrives as GET

    def answer(
        self, status: int, body: bytes, content_type: str = "application/json", **headers: str
    ) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def drip(self, content: bytes, pause_s: float = 0.05) -> None:
        self.close_connection = True
        for byte in content:
            if self.faulty_server.over.wait(pause_s):
                return
            try:
                self.wfile.write(bytes([byte]))
                self.wfile.flush()
            except OSError:
                return

    def log_message(self, *_arguments: object) -> None:
        """Keep the test's output clean."""


def _json(handler: Handler) -> None:
    handler.answer(200, b'{"ok": true}')


def _huge(handler: Handler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Type", "application/json")
    handler.send_header("Content-Length", str(50 * 1024 * 1024))
    handler.end_headers()
    handler.close_connection = True
    try:
        for _ in range(800):
            handler.wfile.write(b'"' + b"x" * (64 * 1024 - 1))
    except OSError:
        return


def _slow_body(handler: Handler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Type", "application/json")
    handler.send_header("Content-Length", "100000")
    handler.end_headers()
    handler.drip(b" " * 100_000)


def _slow_headers(handler: Handler) -> None:
    handler.drip(b"HTTP/1.1 200 OK\r\nX-Filler: " + b"x" * 100_000)


def _silent(handler: Handler) -> None:
    handler.close_connection = True
    handler.faulty_server.over.wait(3600)


def _reset(handler: Handler) -> None:
    handler.close_connection = True
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    handler.connection.close()


def _hang_up(handler: Handler) -> None:
    handler.close_connection = True


def _cut_short(handler: Handler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Type", "application/json")
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    handler.wfile.write(b'{"ok"')
    handler.close_connection = True


def _malformed_headers(handler: Handler) -> None:
    handler.close_connection = True
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nno header\r\n : \r\n\r\n{}")


def _first(status: int, body: dict[str, object], **headers: str) -> Callable[[Handler], None]:
    """FaultyServer the first time, good from then on."""

    def way(handler: Handler) -> None:
        if handler.faulty_server.count(handler.path) == 1:
            handler.answer(status, json.dumps(body).encode(), **headers)
        else:
            _json(handler)

    return way


def _always(
    status: int, body: bytes, content_type: str = "application/json", **headers: str
) -> Callable[[Handler], None]:
    return lambda handler: handler.answer(status, body, content_type, **headers)


WAYS: dict[str, Callable[[Handler], None]] = {
    "/json": _json,
    "/huge": _huge,
    "/slow-body": _slow_body,
    "/slow-headers": _slow_headers,
    "/silent": _silent,
    "/reset": _reset,
    "/hang-up": _hang_up,
    "/cut-short": _cut_short,
    "/malformed-headers": _malformed_headers,
    "/redirect": _always(307, b"", Location="/json"),
    "/see-other": _always(303, b"", Location="/json"),
    "/not-json": _always(200, b"{nonsense"),
    "/text": _always(200, b'{"ok": true}', "text/plain"),
    "/no-content": _always(204, b""),
    "/html-502": _always(502, b"<html>Bad Gateway</html>", "text/html"),
    # 64 members of a MiB each: a file of one member takes longer to write.
    "/bomb": _always(200, gzip.compress(b" " * 2**20) * 64, Content_Encoding="gzip"),
    "/401": _always(401, b'{"errorCode": "NodeNotAuthorized", "message": "sig=SECRET"}'),
    "/strange-code": _always(400, b'{"errorCode": "<script>SECRET</script>"}'),
    "/deep": _always(200, b"[" * 200_000),
    "/429": _first(429, {"errorCode": "NodeConcurrencyOverload"}, Retry_After="0"),
    "/429-for-long": _always(429, b"{}", Retry_After="3600"),
    "/500": _first(500, {"errorCode": "NodeSystemFault"}),
    "/500-always": _always(500, b'{"errorCode": "NodeSystemFault"}'),
}


@pytest.fixture
def faulty_server() -> Iterator[FaultyServer]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (Handler,), {}))
    server.daemon_threads = True
    server.block_on_close = False
    running = FaultyServer(f"http://127.0.0.1:{server.server_port}")
    server.RequestHandlerClass.faulty_server = running  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield running
    running.over.set()
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def stopwatch() -> Callable[[], float]:
    """Seconds since the test began."""
    started = time.monotonic()
    return lambda: time.monotonic() - started

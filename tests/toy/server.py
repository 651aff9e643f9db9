"""The toy network's server: it keeps tokens, judges one kind of condition, and undoes the XOR."""

from __future__ import annotations

import base64
import json
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import cycle
from typing import Any, ClassVar


class Handler(BaseHTTPRequestHandler):
    tokens: ClassVar[dict[str, str]]
    calls: ClassVar[list[str]]
    failing: ClassVar[str] = ""

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.calls.append(self.path)
        if self.path == Handler.failing:
            self.answer(502, b"{}")
        elif self.path == "/health":
            self.answer(200, b"{}")
        elif self.path == "/sessions":
            token = secrets.token_hex(16)
            self.tokens[token] = body["wallet"]
            self.answer(200, json.dumps({"token": token}).encode())
        elif self.path == "/decrypt" and body.get("token") in self.tokens:
            held = all(
                self.holds(item, self.tokens[body["token"]]) for item in body["accessControlConditions"]
            )
            data = bytes(
                a ^ b for a, b in zip(base64.b64decode(body["ciphertext"]), cycle(b"toy"), strict=False)
            )
            self.answer(200 if held else 403, data if held else b"{}")
        else:
            self.answer(401, b"{}")

    @staticmethod
    def holds(item: dict[str, Any], wallet: str) -> bool:
        value = item["returnValueTest"]["value"]
        if item["standardContractType"] == "timestamp":
            return time.time() >= int(value)
        return bool(value == wallet)

    def answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def serving() -> Iterator[tuple[str, list[str]]]:
    """The server's URL, and the paths that it is asked for."""
    calls: list[str] = []
    handler = type("Bound", (Handler,), {"tokens": {}, "calls": calls})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", calls
    finally:
        Handler.failing = ""
        server.shutdown()
        server.server_close()

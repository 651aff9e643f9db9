"""Nothing here leaves this machine, and arithmetic may take its time."""

from __future__ import annotations

import os
import socket
from typing import Any

import pytest
from hypothesis import settings

from tests.unit.http_server import faulty_server, stopwatch  # noqa: F401 - fixtures

# In CI always the same examples, as Hypothesis' own profile has it: what a change did not break does not stop it.
settings.register_profile(
    "lit", max_examples=30, deadline=None, database=None, print_blob=True, derandomize="CI" in os.environ
)
settings.load_profile("lit")


@pytest.fixture(autouse=True)
def _loopback_only(monkeypatch: pytest.MonkeyPatch) -> None:
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: Any) -> None:  # noqa: ANN401 - as the socket module has it
        if self.family in (socket.AF_INET, socket.AF_INET6) and address[0] not in ("127.0.0.1", "::1"):
            pytest.fail(f"a unit test wants to connect to {address}")
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", guarded)

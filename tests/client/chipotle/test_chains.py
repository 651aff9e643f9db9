"""Conditions that read a chain, judged by a gate in Deno that asks the servers which the container names."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar
from urllib.parse import urlsplit

import pytest

from lit_airflow import LitClient, Scope, Wallet
from lit_airflow.devnet.chipotle import Chipotle, Settings
from lit_airflow.errors import ChainUnavailableError, ConditionsNotMetError
from tests.unit.networks.chipotle.making import balance, conditions

WALLET = Wallet.from_key("11" * 32)
PLAINTEXT = b"what only the wallet may read"


class RpcHandler(BaseHTTPRequestHandler):
    """A chain on which everybody has one wei."""

    asked: ClassVar[list[str]]

    def do_POST(self) -> None:
        question = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.asked.append(question["method"])
        body = json.dumps({"jsonrpc": "2.0", "id": question["id"], "result": "0x1"}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_arguments: object) -> None:
        """Keep the test's output clean."""


@pytest.fixture
def chain() -> Iterator[tuple[str, list[str]]]:
    """A chain's URL, and what it was asked."""
    asked: list[str] = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (RpcHandler,), {"asked": asked}))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/", asked
    server.shutdown()
    server.server_close()


def test_conditions_on_a_chain_are_judged_by_the_containers_servers(chain: tuple[str, list[str]]) -> None:
    url, asked = chain
    with Chipotle(settings=Settings(allow_net=[urlsplit(url).netloc])) as net:
        rich, poor = (conditions(balance(value=value)) for value in ("0", "1"))
        lit = LitClient(
            {**net.description, "rpc": {"ethereum": ["http://127.0.0.1:9/", url], "base": [url]}},
            timeout_s=30,
        )
        containers = [lit.make_container(b"%d" % n, under) for n, under in enumerate([rich, poor, rich])]
        assert containers[0]["rpc"] == {"ethereum": ["http://127.0.0.1:9/", url]}
        session = lit.open_session(WALLET, Scope.to_decrypt("*"))
        outcomes = list(lit.decrypt_many([(each, each) for each in containers], session))
    assert [outcome.plaintext for outcome in outcomes] == [b"0", None, b"2"]
    assert isinstance(outcomes[1].error, ConditionsNotMetError)
    assert asked == ["eth_getBalance"]


def test_a_chain_that_does_not_answer_is_not_a_refusal() -> None:
    with Chipotle() as net:
        lit = LitClient({**net.description, "rpc": {"ethereum": ["http://127.0.0.1:9/"]}}, timeout_s=30)
        container = lit.make_container(PLAINTEXT, conditions(balance()))
        session = lit.open_session(WALLET, Scope.to_decrypt("*"))
        with pytest.raises(ChainUnavailableError) as caught:
            lit.decrypt(container, container, session)
    assert caught.value.retryable

"""A network that is known by its resolver: asked for the staking contract, which then lists the nodes.

The resolver's questions and answers are the recorded ones of ``eth_calls.json``; the staking contract is the
local network's, under the address that the recorded resolver names.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest

from lit_airflow import LitClient
from lit_airflow.devnet import Devnet
from lit_airflow.errors import ChainUnavailableError, LitError, ProtocolError

RESOLVER = "0x" + "22" * 20
RECORDED = Path(__file__).parents[1] / "vectors/datil/eth_calls.json"
CASES = [case for case in json.loads(RECORDED.read_text())["cases"] if case["op"] == "encode"]
KIND = next(case for case in CASES if case["function"] == "STAKING_CONTRACT")
WHERE = [case for case in CASES if case["function"] == "getContract"]
VALIDATORS = "0xc51d020e"
NOBODY = "0x" + "0" * 64


class Rpc:
    """A chain with two contracts: a resolver, and wherever it points the staking contract of a local network."""

    def __init__(self, net: Devnet) -> None:
        self._net = net
        self.calls: list[tuple[str, str]] = []
        self.answers = {case["call_data"]: case["result_data"] for case in (KIND, *WHERE)}
        self.refuses = False

    def answer(self, call: dict[str, Any]) -> dict[str, Any]:
        place = call["params"][0]
        self.calls.append((place["to"], place["data"]))
        if place["to"] == RESOLVER:
            if self.refuses:
                return {"jsonrpc": "2.0", "id": call["id"], "error": {"code": 3, "message": "reverted"}}
            return {"jsonrpc": "2.0", "id": call["id"], "result": self.answers[place["data"]]}
        place["to"] = self._net.description["staking_address"]
        posted = Request(str(self._net.description["rpc_url"]), json.dumps(call).encode())
        with urlopen(posted, timeout=300) as response:
            relayed: dict[str, Any] = json.load(response)
        return relayed


@pytest.fixture
def rpc(net: Devnet) -> Rpc:
    return Rpc(net)


@pytest.fixture
def rpc_url(rpc: Rpc) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            call = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            answer = json.dumps(rpc.answer(call)).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_arguments: object) -> None:
            """Keep the test's output clean."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def client(rpc_url: str, environment: int = 1, **more: Any) -> LitClient:  # noqa: ANN401 - a description's
    place = {"rpc_url": rpc_url, "resolver_address": RESOLVER, "environment": environment}
    return LitClient({**place, **more}, timeout_s=120)


@pytest.mark.parametrize("case", WHERE, ids=[f"environment {case['args'][1]}" for case in WHERE])
def test_the_resolver_is_asked_first(net: Devnet, rpc: Rpc, rpc_url: str, case: dict[str, Any]) -> None:
    committee = client(rpc_url, case["args"][1]).sdk.survey()
    assert list(committee.nodes) == net.description["nodes"]
    assert committee.threshold == net.description["threshold"]
    assert rpc.calls == [
        (RESOLVER, KIND["call_data"]),
        (RESOLVER, case["call_data"]),
        (case["result_values"][0].lower(), VALIDATORS),
    ]


def test_a_given_staking_contract_needs_no_resolver(net: Devnet, rpc: Rpc, rpc_url: str) -> None:
    staking = str(net.description["staking_address"])
    LitClient({"rpc_url": rpc_url, "staking_address": staking}, timeout_s=120).sdk.survey()
    assert rpc.calls == [(staking, VALIDATORS)]


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (NOBODY, ProtocolError),  # nothing is set for this environment
        ("0x", ProtocolError),  # no code at this address
        ("0x" + "ff" * 32, ProtocolError),  # no address
        (None, ChainUnavailableError),
    ],
)
def test_a_resolver_that_does_not_help(
    rpc: Rpc, rpc_url: str, answer: str | None, kind: type[LitError]
) -> None:
    rpc.answers = {KIND["call_data"]: KIND["result_data"]} | {case["call_data"]: answer for case in WHERE}
    with pytest.raises(kind) as caught:
        client(rpc_url).sdk.survey()
    assert "resolver_address" in caught.value.hint
    assert len(rpc.calls) == 2


def test_a_resolver_that_refuses(rpc: Rpc, rpc_url: str) -> None:
    rpc.refuses = True
    with pytest.raises(ChainUnavailableError) as caught:
        client(rpc_url, chain_id=175188).sdk.survey()
    assert "chain 175188" in caught.value.hint
    assert "resolver_address" in caught.value.hint

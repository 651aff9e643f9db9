"""A chain that lists more nodes than any network has: none of them is asked."""

import json
import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import IPv4Address

import pytest
from eth_abi import encode

from lit_airflow import LitClient
from lit_airflow.errors import ProtocolError

_NODE = "(uint32,uint128,uint32,address,uint256,uint256,uint256)[]"


@pytest.fixture
def node() -> Iterator[socket.socket]:
    """Something that listens and never answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=512) as listening:
        listening.settimeout(0)
        yield listening


@pytest.fixture(params=[256, 1200, 9000])
def listed(request: pytest.FixtureRequest, node: socket.socket) -> Iterator[tuple[int, str]]:
    """How many nodes a chain lists, all at that address, and the chain's URL."""
    host, port = node.getsockname()
    structs = [(int(IPv4Address(host)), 0, port, "0x" + "00" * 20, 0, 0, 0)] * request.param
    epoch = (3600, 5, int(time.time()) + 1800, 0, 0)
    raw = encode(["(uint256,uint256,uint256,uint256,uint256)", "uint256", _NODE], [epoch, 2, structs])
    answer = json.dumps({"jsonrpc": "2.0", "id": 1, "result": "0x" + raw.hex()}).encode()

    class Chain(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_arguments: object) -> None:
            """Keep the test's output clean."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Chain)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield request.param, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def test_more_nodes_than_there_can_be_are_refused_unasked(
    node: socket.socket, listed: tuple[int, str]
) -> None:
    count, url = listed
    description = {"network": "custom", "rpc_url": url, "staking_address": "0x" + "11" * 20}
    with LitClient(description, timeout_s=60) as client, pytest.raises(ProtocolError) as caught:
        client.health()
    assert str(count) in str(caught.value) or "too long" in str(caught.value)
    assert len(str(caught.value)) < 500
    with pytest.raises(BlockingIOError):  # nobody has connected
        node.accept()

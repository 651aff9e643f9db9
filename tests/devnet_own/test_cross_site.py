"""The control API serves programs on this machine; a web page in a browser must not reach it."""

from __future__ import annotations

import json
import socket
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
import requests

from lit_airflow.devnet import Devnet

if TYPE_CHECKING:
    from tests.devnet_own.wire_client import Json

FAULT = json.dumps({"fault": "down"})
FORM = "application/x-www-form-urlencoded"


def send(net: Devnet, method: str, path: str, body: str | None = None, **headers: str) -> requests.Response:
    """Send a request with exactly these headers beside the usual ones; underscores stand for hyphens."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return requests.request(
        method, f"{net.description['control_url']}{path}", data=body, headers=named, timeout=300
    )


def state(net: Devnet) -> Json:
    return requests.get(str(net.description["control_url"]), timeout=300).json()


def port(net: Devnet) -> int:
    return int(urlsplit(str(net.description["control_url"])).port or 0)


@pytest.mark.parametrize("kind", ["text/plain", FORM, "multipart/form-data; boundary=x", "text/json", ""])
def test_a_body_that_is_not_declared_as_json_is_refused(net: Devnet, kind: str) -> None:
    before = state(net)
    refused = send(net, "POST", "/nodes/0", FAULT, content_type=kind)
    assert refused.status_code == 415
    assert "application/json" in refused.json()["error"]
    assert state(net) == before


def test_a_body_without_a_type_is_refused(net: Devnet) -> None:
    before = state(net)
    with socket.create_connection(("127.0.0.1", port(net)), timeout=300) as raw:
        lines = ["POST /nodes/0 HTTP/1.1", f"Host: 127.0.0.1:{port(net)}", "Transfer-Encoding: chunked"]
        chunk = f"{len(FAULT):x}\r\n{FAULT}\r\n0\r\n\r\n"
        raw.sendall(("\r\n".join([*lines, "Connection: close", "", chunk])).encode())
        answer = b"".join(iter(lambda: raw.recv(4096), b""))
    assert answer.startswith(b"HTTP/1.1 415 ")
    assert state(net) == before


@pytest.mark.parametrize("kind", ["application/json", "application/json; charset=utf-8", "Application/JSON"])
def test_a_body_declared_as_json_is_served(net: Devnet, kind: str) -> None:
    assert send(net, "POST", "/nodes/0", FAULT, content_type=kind).json()["fault"] == "down"


def test_a_request_without_a_body_needs_no_type(net: Devnet) -> None:
    assert len(send(net, "POST", "/nodes").json()["nodes"]) == 4
    assert len(send(net, "DELETE", "/nodes/3").json()["nodes"]) == 3


@pytest.mark.parametrize("origin", ["https://example.org", "null", "http://127.0.0.1", "{url}"])
@pytest.mark.parametrize("call", ["GET /", "POST /nodes/0", "POST /nodes", "DELETE /nodes/2"])
def test_a_request_of_a_web_page_is_refused(net: Devnet, origin: str, call: str) -> None:
    before = state(net)
    method, path = call.split()
    body = {"body": FAULT, "content_type": "application/json"} if path == "/nodes/0" else {}
    refused = send(net, method, path, **body, origin=origin.format(url=net.description["control_url"]))
    assert refused.status_code == 403
    assert list(refused.json()) == ["error"]
    assert "Origin" in refused.json()["error"]
    assert state(net) == before


@pytest.mark.parametrize(
    "host",
    [
        "example.org",
        "example.org:{port}",
        "127.0.0.1.example.org:{port}",
        "localhost.example.org",
        "",
        "[::1",
    ],
)
@pytest.mark.parametrize("call", ["GET /", "POST /nodes/0"])
def test_a_name_that_somebody_pointed_at_this_machine_is_refused(net: Devnet, host: str, call: str) -> None:
    """A page whose own name resolves to 127.0.0.1 (DNS rebinding) sends no Origin with a GET."""
    before = state(net)
    method, path = call.split()
    body = {"body": FAULT, "content_type": "application/json"} if method == "POST" else {}
    refused = send(net, method, path, **body, host=host.format(port=port(net)))
    assert refused.status_code == 403
    assert "Host" in refused.json()["error"]
    assert state(net) == before


@pytest.mark.parametrize(
    "host", ["127.0.0.1:{port}", "localhost:{port}", "LOCALHOST", "10.1.2.3", "[::1]:{port}"]
)
def test_addresses_and_localhost_are_served(net: Devnet, host: str) -> None:
    assert send(net, "GET", "/", host=host.format(port=port(net))).status_code == 200


def test_the_name_that_was_bound_is_served(net: Devnet) -> None:
    """``127.1`` resolves to 127.0.0.1 but is not an address in the usual form, so it counts as a name."""
    with Devnet(2, 2, host="127.1") as named:
        assert send(named, "GET", "/", host=f"127.1:{port(named)}").status_code == 200
    assert send(net, "GET", "/", host=f"127.1:{port(net)}").status_code == 403

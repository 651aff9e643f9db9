from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
from eth_utils.crypto import keccak

from lit_airflow.clock import Deadline
from lit_airflow.errors import ChainUnavailableError, ProtocolError
from lit_airflow.networks.datil import wire
from lit_airflow.transport.chain import Chain, Function
from lit_airflow.transport.http import Http
from tests.unit import http_server

if TYPE_CHECKING:
    from tests.unit.http_server import FaultyServer

STATE = Function("state", "c19d93fb", outputs=("uint8",))
STAKING = "0x" + "11" * 20


def call(url: str, within_s: float = 5) -> object:
    return Chain(Http(), url).call(STAKING, STATE, (), Deadline.after(within_s))


@pytest.mark.parametrize("path", ["/silent", "/slow-body", "/slow-headers"])
def test_a_call_ends_by_its_deadline(
    faulty_server: FaultyServer, stopwatch: Callable[[], float], path: str
) -> None:
    with pytest.raises(ChainUnavailableError, match="in time") as caught:
        call(faulty_server.url + path, within_s=0.5)
    assert stopwatch() < 300
    assert caught.value.retryable
    assert "Raise timeout_s" in caught.value.hint


@pytest.mark.parametrize("path", ["/json", "/html-502", "/not-json", "/reset", "/redirect", "/deep"])
def test_what_is_no_json_rpc(faulty_server: FaultyServer, path: str) -> None:
    with pytest.raises(ChainUnavailableError, match=r"127\.0\.0\.1"):
        call(faulty_server.url + path)


@pytest.mark.parametrize("function", [wire.VALIDATORS, wire.STAKING_CONTRACT, wire.GET_CONTRACT])
def test_a_selector_is_the_hash_of_its_signature(function: Function) -> None:
    signature = f"{function.name}({','.join(function.inputs)})"
    assert function.selector == keccak(text=signature)[:4].hex()


@pytest.mark.parametrize("result", ["0x", "0x00", "0x" + "ff" * 32, "0x" + "00" * 31])
def test_results_of_another_shape(result: str) -> None:
    with pytest.raises(ProtocolError):
        STATE.decode(result)


def test_results_that_point_outside_or_promise_too_much() -> None:
    many = Function("f", "26121ff0", outputs=("address[]",))
    word = (32).to_bytes(32, "big").hex()
    for length in (1, 2**32, 2**255):
        with pytest.raises(ProtocolError):
            many.decode("0x" + word + length.to_bytes(32, "big").hex())


@pytest.fixture
def answering(faulty_server: FaultyServer, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Have a server answer with these statuses, media types and bodies, the last one from then on."""

    def url_of(*answers: tuple[int, str, bytes]) -> str:
        waiting = list(answers)

        def way(handler: http_server.Handler) -> None:
            status, media_type, body = waiting.pop(0) if len(waiting) > 1 else waiting[0]
            handler.answer(status, body, media_type)

        monkeypatch.setitem(http_server.WAYS, "/rpc", way)
        return faulty_server.url + "/rpc"

    return url_of


GOOD = b'{"jsonrpc": "2.0", "id": 1, "result": "0x%064x"}' % 3


def error(code: object) -> bytes:
    return json.dumps({"jsonrpc": "2.0", "id": 1, "error": {"code": code, "message": "SECRET"}}).encode()


@pytest.mark.parametrize(
    "media_type",
    ["Application/JSON", "application/json-rpc", "text/plain; charset=utf-8", "application/octet-stream", ""],
)
def test_the_body_counts_more_than_its_media_type(answering: Callable[..., str], media_type: str) -> None:
    assert call(answering((200, media_type, GOOD))) == (3,)


@pytest.mark.parametrize(("status", "code"), [(200, -32005), (200, 429), (403, -32005), (429, -32005)])
def test_too_many_requests_pass(answering: Callable[..., str], status: int, code: int) -> None:
    assert call(answering((status, "application/json", error(code)), (200, "application/json", GOOD))) == (3,)


def test_too_many_requests_for_long(answering: Callable[..., str]) -> None:
    with pytest.raises(ChainUnavailableError, match="too many requests") as caught:
        call(answering((200, "application/json", error(-32005))))
    assert caught.value.retryable
    assert "SECRET" not in str(caught.value)


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (401, b'{"error": "invalid key"}', "refuses this client: HTTP 401"),
        (402, b"", "refuses this client: HTTP 402"),
        (403, b"<html>", "refuses this client: HTTP 403"),
        (404, b"", "HTTP 404"),
        (407, b"", r"a proxy wants a login: HTTP 407\. Put user and password into HTTP_PROXY"),
        (301, b"", "it has moved"),
        (308, b"", "it has moved"),
        (200, error(-32601), "JSON-RPC error -32601"),
        (200, error(3), "JSON-RPC error 3"),
    ],
)
def test_what_can_never_work_is_not_tried_again(
    answering: Callable[..., str], faulty_server: FaultyServer, status: int, body: bytes, said: str
) -> None:
    with pytest.raises(ChainUnavailableError, match=said) as caught:
        call(answering((status, "application/json", body)))
    assert not caught.value.retryable
    assert faulty_server.count("/rpc") == 1


def test_any_other_error_is_named(answering: Callable[..., str]) -> None:
    with pytest.raises(
        ChainUnavailableError, match=r"refused the call of state \(JSON-RPC error -32000\)"
    ) as caught:
        call(answering((200, "application/json", error(-32000))))
    assert caught.value.retryable


def test_a_socks_proxy_needs_a_package(monkeypatch: pytest.MonkeyPatch, faulty_server: FaultyServer) -> None:
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    for name in ("http_proxy", "HTTP_PROXY"):
        monkeypatch.setenv(name, "socks5://127.0.0.1:9")
    with pytest.raises(
        ChainUnavailableError, match=r"SOCKS needs the package PySocks.*the proxy 127\.0\.0\.1:9"
    ):
        call(faulty_server.url + "/json")


def test_a_proxy_that_refuses_is_named(monkeypatch: pytest.MonkeyPatch, faulty_server: FaultyServer) -> None:
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    for name in ("http_proxy", "HTTP_PROXY"):
        monkeypatch.setenv(name, "http://user:SECRET@127.0.0.1:9")
    with pytest.raises(ChainUnavailableError, match=r"the proxy 127\.0\.0\.1:9 of HTTP_PROXY") as caught:
        call(faulty_server.url + "/json")
    assert "NO_PROXY" in str(caught.value)
    assert "SECRET" not in str(caught.value)

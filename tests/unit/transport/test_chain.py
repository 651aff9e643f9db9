from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
from eth_utils.crypto import keccak

from lit_airflow.clock import Deadline
from lit_airflow.errors import ChainUnavailableError, ProtocolError
from lit_airflow.networks.datil import wire
from lit_airflow.transport.chain import Chain, Function
from lit_airflow.transport.http import Http

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

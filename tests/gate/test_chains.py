"""Which servers a gate asks, how often, and what it tells them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from lit_airflow.devnet.deno import CallError, DenoRunner, FetchReply, FetchRequest, Host
from tests.gate.building import ACTION_SECRET, REPLY_SECRET, WALLET, Container, Json, Session, is_wallet
from tests.gate.engine import NOW_MS, Gate, Rpc, gate_text, opened
from tests.gate.rules.cases import URL, basic, function, returning, word

SECOND = "https://rpc.two.example/"
BALANCE = basic("", "eth_getBalance", [":userAddress"], "=", "1")
OR, AND = {"operator": "or"}, {"operator": "and"}


def asked(gate: Gate, containers: list[Container], servers: Json) -> tuple[list[str], list[FetchRequest]]:
    """The outcomes' codes ("opened" for a plaintext) of a batch, and the requests that were made for it."""
    rpc = Rpc(servers)
    params = {"items": [container.body() for container in containers], "authSig": Session().sign()}
    answer = gate.answer(ACTION_SECRET, json.dumps(params), fetch=rpc)
    secret = REPLY_SECRET.private_bytes_raw().hex()
    outcomes = [opened(outcome, secret) for outcome in answer["items"]]
    return [outcome.get("code", "opened") for outcome in outcomes], rpc.requests


def balance(*urls: str, conditions: list[Json] | None = None) -> Container:
    return Container(conditions=conditions or [BALANCE], rpc={"ethereum": list(urls)})


def test_what_a_server_is_sent(gate: Gate) -> None:
    call = function([], [], ["bool"], "=", "true") | {"contractAddress": "0x" + "AB" * 20}
    container = Container(
        conditions=[call], field_name="evmContractConditions", rpc={"ethereum": [f"{URL}?Key=1#x"]}
    )
    _, (request,) = asked(gate, [container], {})
    assert (request.url, request.method, request.redirect) == (f"{URL}?Key=1#x", "POST", "error")
    assert request.headers == {"content-type": "application/json"}
    assert json.loads(request.body) == {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "eth_call",
        "params": [{"to": "0x" + "ab" * 20, "data": "0x26121ff0"}, "latest"],
    }
    _, (request,) = asked(gate, [balance(URL)], {})
    assert json.loads(request.body)["params"] == [WALLET.address.lower(), "latest"]


def test_the_same_read_at_the_same_url_is_made_once(gate: Gate) -> None:
    codes, requests = asked(gate, [balance(URL)] * 3, returning("1"))
    assert (codes, len(requests)) == (["opened"] * 3, 1)


def test_a_read_that_failed_is_not_repeated(gate: Gate) -> None:
    codes, requests = asked(gate, [balance(URL)] * 3, returning("1", status=500))
    assert (codes, len(requests)) == (["NodeRpcError"] * 3, 1)


def test_another_read_is_made_at_a_url_that_answered_with_an_error(gate: Gate) -> None:
    other = basic("", "eth_getBalance", ["0x" + "1" * 40], ">=", "0")
    codes, requests = asked(
        gate, [balance(URL), balance(URL, conditions=[other])], returning("1", status=500)
    )
    assert (codes, len(requests)) == (["NodeRpcError"] * 2, 2)


def test_a_url_that_gave_no_answer_is_not_asked_again(gate: Gate) -> None:
    other = basic("", "eth_getBalance", ["0x" + "1" * 40], ">=", "0")
    codes, requests = asked(gate, [balance(URL), balance(URL, conditions=[other])], {})
    assert (codes, len(requests)) == (["NodeRpcError"] * 2, 1)
    codes, requests = asked(gate, [balance(URL, SECOND)] * 2, returning("1", SECOND))
    assert (codes, [request.url for request in requests]) == (["opened"] * 2, [URL, SECOND])


def test_the_first_usable_answer_counts(gate: Gate) -> None:
    for data in ("1", "2", "0" * 65):
        _, requests = asked(gate, [balance(URL, SECOND)], {**returning(data), **returning("1", SECOND)})
        assert [request.url for request in requests] == [URL]


@pytest.mark.parametrize(
    ("conditions", "count"),
    [
        ([is_wallet(), OR, BALANCE], 0),
        ([is_wallet(), AND, BALANCE], 1),
        ([is_wallet("0x" + "1" * 40), AND, BALANCE], 0),
        ([is_wallet("0x" + "1" * 40), OR, BALANCE], 1),
        ([is_wallet(), OR, [BALANCE, AND, BALANCE]], 0),
        ([is_wallet(), OR, BALANCE, AND, BALANCE], 1),
    ],
)
def test_what_cannot_change_the_result_is_not_asked(gate: Gate, conditions: list[Json], count: int) -> None:
    codes, requests = asked(gate, [balance(URL, conditions=conditions)], returning("1"))
    assert len(requests) == count
    assert codes == ["opened" if conditions[0] == is_wallet() or count else codes[0]]


def test_nothing_is_asked_for_a_request_that_is_refused(gate: Gate) -> None:
    bad_last = [BALANCE, AND, is_wallet("nobody")]
    stranger = Session(requests=[])
    for session, conditions in ((Session(), bad_last), (stranger, [BALANCE])):
        rpc = Rpc(returning("1"))
        params = balance(URL, conditions=conditions).body() | {"authSig": session.sign()}
        assert gate.answer(ACTION_SECRET, json.dumps(params), fetch=rpc)["ok"] is False
        assert rpc.requests == []


def test_more_reads_than_a_run_may_make_fail_and_the_others_do_not(gate: Gate) -> None:
    addresses = [f"0x{number:040x}" for number in range(60)]
    containers = [
        balance(f"{URL}/{address}", conditions=[basic("", "eth_getBalance", [address], ">=", "0")])
        for address in addresses
    ]
    servers = {
        f"{URL}/{address}": [{"method": "eth_getBalance", "params": [address, "latest"], "result": "0x1"}]
        for address in addresses
    }
    codes, requests = asked(gate, containers, servers)
    assert len(requests) == 50
    assert codes == ["opened"] * 50 + ["NodeRpcError"] * 10


def _broken_body(request: FetchRequest) -> FetchReply:
    del request
    return FetchReply(200, b"\xff\xfe{")


def _lost(request: FetchRequest) -> FetchReply:
    raise CallError(f"connection to {request.url} lost")


@pytest.mark.parametrize("fetch", [_broken_body, _lost])
def test_a_server_that_fails_is_a_chain_failure(gate: Gate, fetch: Any) -> None:  # noqa: ANN401 (a function)
    params = balance(URL).body() | {"authSig": Session().sign()}
    answer = gate.answer(ACTION_SECRET, json.dumps(params), fetch=fetch)
    assert answer["code"] == "NodeRpcError"
    assert "lost" not in answer["message"]


@pytest.mark.parametrize("params", [{"ask": "key"}, Container().body() | {"authSig": Session().sign()}])
def test_a_run_time_that_gives_no_key_is_a_fault_without_its_text(params: Json) -> None:
    def refuse(argument: dict[str, Any]) -> object:
        del argument
        raise CallError("secret details")

    with DenoRunner() as runner:
        host = Host(calls={"getLitActionPrivateKey": refuse}, now_ms=NOW_MS)
        run = runner.run(gate_text(), json.dumps(params), host)
    assert run.failure is None
    assert json.loads(run.response) == {
        "ok": False,
        "code": "NodeSystemFault",
        "message": "The gate failed for a reason of its own.",
    }


@pytest.mark.soak
def test_a_server_that_never_answers_is_left_after_ten_seconds() -> None:
    """A run of its own, so that whatever keeps it open would be noticed: the listener accepts and stays silent."""
    import socket

    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = f"127.0.0.1:{listener.getsockname()[1]}"
        container = balance(f"http://{address}/x", conditions=[BALANCE])
        params = {"items": [container.body()] * 3, "authSig": Session().sign()}
        with DenoRunner(allow_net=[address]) as runner:
            host = Host(calls={"getLitActionPrivateKey": lambda _: f"0x{ACTION_SECRET}"}, now_ms=NOW_MS)
            run = runner.run(gate_text(), json.dumps(params), host)
    assert run.failure is None
    assert [outcome["code"] for outcome in json.loads(run.response)["items"]] == ["NodeRpcError"] * 3


def test_a_function_reads_its_own_word(gate: Gate) -> None:
    call = function([], [], ["uint8", "uint8"], "=", "7", key="o1")
    container = Container(conditions=[call], field_name="evmContractConditions", rpc={"ethereum": [URL]})
    codes, _ = asked(gate, [container], returning(word(1) + word(7)))
    assert codes == ["opened"]

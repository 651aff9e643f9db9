"""What a container adds to a run, and with which others it shares one."""

from __future__ import annotations

import json
from dataclasses import replace

from lit_airflow.keys.secret import Secret
from lit_airflow.networks.chipotle.gate_conditions import chain_reads, fetches
from lit_airflow.networks.chipotle.gate_container import GateContainer
from lit_airflow.networks.chipotle.gate_requests import decrypt_params, run_body
from lit_airflow.networks.chipotle.gate_runs import Job
from lit_airflow.protocol.scope import Scope
from lit_airflow.protocol.session import Session
from tests.unit.networks.chipotle.making import (
    NOW,
    RPC,
    SESSION_KEY,
    WALLET,
    balance,
    basic,
    conditions,
    container,
)

TEXT = Secret(b'async function main() {}\n// "\n')
SESSION = Session(
    network="custom",
    wallet=WALLET,
    public_key=SESSION_KEY.public_key,
    scope=Scope.to_decrypt("*"),
    issued_at="2026-11-27T12:00:00.000Z",
    expiration="2026-11-27T13:00:00.000Z",
    expires_at=NOW,
    capabilities=(),
    session_sigs={},
    key=SESSION_KEY,
)
READING = conditions(balance())


def job(of: GateContainer, session: Session = SESSION) -> Job:
    return Job(of, session, TEXT, 1, None)


def test_containers_of_one_gate_and_session_share_a_run() -> None:
    first, second = (job(container(data)) for data in (b"1", b"22"))
    assert first.weight({}).group == second.weight({}).group
    other = replace(SESSION, public_key="00" * 32)
    assert job(container(), other).weight({}).group != first.weight({}).group
    assert job(replace(container(), gate="00" * 32)).weight({}).group != first.weight({}).group


def test_containers_of_strangers_run_apart() -> None:
    plain = job(container()).weight(RPC).group
    known = job(container(under=READING, rpc=RPC))
    assert known.weight(RPC).group == plain
    assert known.weight({}).group != plain
    assert known.weight({"ethereum": ["https://another.example"]}).group != plain
    evil = job(container(under=READING, rpc={"ethereum": ["https://evil.example"]}))
    assert evil.weight({}).group != known.weight({}).group


def test_what_it_adds() -> None:
    weight = job(container(b"12345", under=READING, rpc=RPC)).weight({})
    assert weight.given_bytes == 5
    assert weight.fetches == fetches(chain_reads(READING), RPC)


def test_what_no_gate_judges_asks_no_chain() -> None:
    broken = conditions(basic(), basic())
    assert job(replace(container(), conditions=broken)).weight({}).fetches == frozenset()


def test_the_request_is_not_longer_than_was_planned() -> None:
    jobs = [job(container(b"x" * n, under=READING, rpc=RPC)) for n in range(5)]
    params = decrypt_params([each.container for each in jobs], jobs[0].audience_signature)
    sent = len(run_body(TEXT.reveal().decode(), params).encode())
    assert sent <= jobs[0].frame_bytes() + sum(each.weight(RPC).request_bytes for each in jobs)
    assert json.loads(run_body(TEXT.reveal().decode(), params))["code"] == TEXT.reveal().decode()

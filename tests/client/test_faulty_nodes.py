from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

import pytest

from lit_airflow import LitClient
from lit_airflow.devnet import Devnet
from lit_airflow.errors import (
    AccessDeniedError,
    ChainUnavailableError,
    Failure,
    FailureKind,
    NodesUnavailableError,
    PaymentError,
    RateLimitedError,
)
from tests.client.conftest import PLAINTEXT, only

if TYPE_CHECKING:
    from lit_airflow import Wallet
    from tests.client.conftest import Job

LIES = ["wrong-share", "stale-share", "bad-share"]


@pytest.mark.parametrize("node", [0, 1, 2])
@pytest.mark.parametrize("surveyed", [True, False], ids=["surveyed", "fresh"])
def test_any_one_node_may_be_down(job: Job, node: int, surveyed: bool) -> None:  # noqa: FBT001
    job.net.stop_node(node)
    decrypt = job.lit.decrypt(job.sealed, job.conditions, job.session) if surveyed else job.decrypt()
    assert decrypt == PLAINTEXT
    # A session can still be opened, for the absent node too.
    session = job.new_client().open_session(job.wallet, job.session.scope, ttl_s=60)
    assert list(session.session_sigs) == [job.url(n) for n in range(3)]


@pytest.mark.parametrize("surveyed", [True, False], ids=["surveyed", "fresh"])
def test_two_nodes_down(job: Job, surveyed: bool) -> None:  # noqa: FBT001
    job.net.stop_node(0)
    job.net.stop_node(2)
    lit = job.lit if surveyed else job.new_client()
    with pytest.raises(NodesUnavailableError) as caught:
        lit.decrypt(job.sealed, job.conditions, job.session)
    error = caught.value
    assert (error.needed, error.reached, error.retryable) == (2, 1, True)
    refused = Failure(FailureKind.UNREACHABLE, "connection refused")
    assert error.failures == dict.fromkeys([job.url(0), job.url(2)], refused)
    for node in (0, 2):
        assert f"{job.url(node)}: connection refused" in str(error)
    assert job.url(1) not in str(error)


def test_a_node_that_comes_back_is_used_again(job: Job) -> None:
    job.net.stop_node(0)
    job.net.stop_node(1)
    with pytest.raises(NodesUnavailableError):
        job.decrypt()
    job.net.start_node(1)
    assert job.decrypt() == PLAINTEXT


@pytest.mark.parametrize("lie", LIES)
@pytest.mark.parametrize("node", [0, 2])
def test_a_liar_is_found_out_and_named(
    job: Job, lie: str, node: int, caplog: pytest.LogCaptureFixture
) -> None:
    job.net.advance_epoch()  # so that there is a previous epoch's share to lie with
    job.net.lie(node, lie)
    # Another node is so slow that the liar's share is looked at in any case.
    job.net.slow_node(1, 0.3)
    caplog.set_level(logging.INFO, "lit_airflow")
    assert job.decrypt() == PLAINTEXT
    (report,) = [record.message for record in caplog.records if record.message.startswith("Decrypted")]
    answered, failed = report.split("Failed: ")
    assert job.url(node) in failed
    assert job.url(node) not in answered
    for good in {0, 1, 2} - {node}:
        assert job.url(good) in answered


@pytest.mark.parametrize("node", [0, 1, 2])
def test_a_node_with_its_neighbours_share_does_no_harm(job: Job, node: int) -> None:
    job.net.lie(node, "wrong-identifier")
    assert job.decrypt() == PLAINTEXT


def test_two_liars_of_three(job: Job) -> None:
    job.net.lie(0, "wrong-share")
    job.net.lie(1, "wrong-share")
    with pytest.raises(NodesUnavailableError) as caught:
        job.decrypt()
    assert caught.value.needed == 2
    assert set(caught.value.failures) >= {job.url(0), job.url(1)}


@pytest.mark.parametrize("fault", ["silent", "slow"])
def test_nobody_waits_for_a_slow_node(job: Job, fault: str) -> None:
    job.net.set_fault(0, fault, 3600 if fault == "slow" else None)
    started = time.monotonic()
    assert job.decrypt() == PLAINTEXT
    assert job.lit.decrypt(job.sealed, job.conditions, job.session) == PLAINTEXT
    assert time.monotonic() - started < 300


def test_two_silent_nodes_end_with_the_time_out(job: Job) -> None:
    job.net.set_fault(0, "silent")
    job.net.set_fault(1, "silent")
    started = time.monotonic()
    with pytest.raises(NodesUnavailableError) as caught:
        job.new_client(timeout_s=0.7).decrypt(job.sealed, job.conditions, job.session)
    assert time.monotonic() - started < 300
    late = Failure(FailureKind.TIMEOUT, "no answer in time")
    # On a busy machine the third one may be late, too.
    assert caught.value.failures.items() >= dict.fromkeys([job.url(0), job.url(1)], late).items()
    assert "Raise timeout_s" in caught.value.hint


def test_a_node_that_is_late_at_the_handshake_is_shown_no_session_until_the_next_survey(
    job: Job, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "lit_airflow")
    job.net.slow_node(2, 2.5)
    lit = job.new_client()
    lit.sdk.survey()
    job.net.set_fault(2, None)
    job.net.stop_node(0)  # so that the late one is needed
    with pytest.raises(NodesUnavailableError) as caught:
        lit.decrypt(job.sealed, job.conditions, job.session)
    late = Failure(FailureKind.TIMEOUT, "no handshake within 0.5 s of the others")
    assert caught.value.failures[job.url(2)] == late
    assert 2 not in job.asked_for_shares()
    (warned,) = (r.message for r in caplog.records if r.name.startswith("lit_airflow"))
    assert warned == f"Lit nodes missing at the handshake: {job.url(2)}: {late}"
    assert job.decrypt() == PLAINTEXT
    assert 2 in job.asked_for_shares()


@pytest.mark.parametrize("fault", ["wrong-key", "err-key", "garbled", "broken", "overloaded"])
def test_one_node_that_shakes_hands_wrongly(job: Job, fault: str) -> None:
    job.net.lie(1, fault)
    assert job.decrypt() == PLAINTEXT


@pytest.mark.parametrize(
    ("fault", "cause"), [("err-key", "no network key yet"), ("garbled", "not JSON"), ("broken", "HTTP 500")]
)
def test_two_nodes_that_shake_hands_wrongly(job: Job, fault: str, cause: str) -> None:
    job.net.lie(0, fault)
    job.net.lie(1, fault)
    with pytest.raises(NodesUnavailableError, match=cause) as caught:
        job.decrypt()
    assert set(caught.value.failures) == {job.url(0), job.url(1)}
    assert job.asked_for_shares() == []


@pytest.mark.parametrize(
    ("fault", "kind"), [("rate-limited", PaymentError), ("overloaded", RateLimitedError)]
)
def test_two_nodes_that_refuse_for_the_same_reason(job: Job, fault: str, kind: type[Exception]) -> None:
    job.net.lie(0, fault)
    job.net.lie(1, fault)
    with pytest.raises(kind):  # the client has surveyed before, so this is about the shares
        job.lit.decrypt(job.sealed, job.conditions, job.session)


def test_a_clock_that_is_off(job: Job) -> None:
    job.net.set_clock_offset(3600)
    with pytest.raises(AccessDeniedError) as caught:
        job.decrypt()
    assert caught.value.code == "NodeExpWrongOrTooLarge"
    assert "clock" in caught.value.hint


def test_no_chain(job: Job) -> None:
    place = {**job.net.description, "rpc_url": "http://127.0.0.1:9", "network_public_key": ""}
    lit = type(job.lit)(place, timeout_s=2)
    for call in (
        lambda: lit.decrypt(job.sealed, job.conditions, job.session),
        lambda: lit.encrypt(b"x", job.conditions),
        lambda: lit.open_session(job.wallet, job.session.scope),
    ):
        with pytest.raises(ChainUnavailableError, match="connection refused") as caught:
            call()
        assert caught.value.retryable


def test_a_third_of_many_nodes_lie(wallet: Wallet) -> None:
    """Who lies cannot be found among so many subsets; the time-out holds all the same."""
    with Devnet(nodes=30, threshold=20) as net:
        lit = LitClient(net.description, timeout_s=20)
        conditions = only(wallet)
        sealed = lit.encrypt(PLAINTEXT, conditions)
        session = lit.open_session(wallet, lit.scope_of(sealed, conditions), ttl_s=600)
        for node in range(0, 30, 3):
            net.lie(node)
        hurried = LitClient(net.description, timeout_s=20)
        hurried.sdk.survey()
        hurried._timeout_s = 4.0
        started = time.monotonic()
        with pytest.raises(NodesUnavailableError, match="may be wrong"):
            hurried.decrypt(sealed, conditions, session)
        assert time.monotonic() - started < 300

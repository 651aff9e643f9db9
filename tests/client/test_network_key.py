"""Whose key it is: liars that agree with each other, and a key that changes."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from lit_airflow import LitClient
from lit_airflow.devnet import Devnet
from lit_airflow.errors import ProtocolError
from tests.client.conftest import PLAINTEXT, Job, only

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lit_airflow import Wallet

FALSE = "false-key"


@pytest.fixture
def minority(wallet: Wallet) -> Iterator[Job]:
    """Two of five are needed, so that three liars outnumber them."""
    with Devnet(nodes=5, threshold=2) as net:
        lit = LitClient(net.description, timeout_s=120)
        conditions = only(wallet)
        sealed = lit.encrypt(PLAINTEXT, conditions)
        session = lit.open_session(wallet, lit.scope_of(sealed, conditions), ttl_s=600)
        yield Job(net, lit, wallet, conditions, sealed, session)


def unpinned(net: Devnet, **options: float) -> LitClient:
    return LitClient({**net.description, "network_public_key": ""}, **{"timeout_s": 10, **options})


def calls(lit: LitClient, job: Job) -> tuple[Callable[[], object], ...]:
    return (
        lambda: lit.encrypt(b"secret", job.conditions),
        lambda: lit.decrypt(job.sealed, job.conditions, job.session),
        lambda: lit.open_session(job.wallet, job.session.scope),
    )


def test_a_pinned_key_needs_no_majority(minority: Job, caplog: pytest.LogCaptureFixture) -> None:
    for node in (0, 1, 2):
        minority.net.lie(node, FALSE)
    assert minority.decrypt() == PLAINTEXT
    told = [record.message for record in caplog.records if "missing at the handshake" in record.message]
    for node in (0, 1, 2):
        assert f"{minority.url(node)}: it names another network key" in told[0]


def test_two_keys_with_enough_nodes_behind_each(minority: Job) -> None:
    for node in (0, 1, 2):
        minority.net.lie(node, FALSE)
    lit = unpinned(minority.net)
    for call in calls(lit, minority):
        with pytest.raises(ProtocolError, match="more than one"):
            call()
    assert minority.asked_for_shares() == []


def test_good_nodes_that_are_late_are_waited_for(minority: Job) -> None:
    """Two liars are quick, each with a key of its own; the two that agree take longer than stragglers may."""
    minority.net.lie(0, "wrong-key")
    minority.net.lie(1, "wrong-key")
    minority.net.stop_node(2)
    minority.net.slow_node(3, 1.5)
    minority.net.slow_node(4, 2.2)
    assert unpinned(minority.net).decrypt(minority.sealed, minority.conditions, minority.session) == PLAINTEXT


def test_a_key_that_changes_is_refused(job: Job) -> None:
    lit = unpinned(job.net)
    assert lit.decrypt(job.sealed, job.conditions, job.session) == PLAINTEXT
    for node in range(3):
        job.net.lie(node, FALSE)
    lit._network.surveyor._latest = None  # type: ignore[attr-defined]  # as after half a minute
    for call in calls(lit, job):
        with pytest.raises(ProtocolError, match="agreed on before") as caught:
            call()
        assert not caught.value.retryable
    asked = job.asked_for_shares()  # by the one above; its last answer was not waited for
    assert len(asked) == len(set(asked))
    for node in range(3):
        job.net.start_node(node)
    assert lit.decrypt(job.sealed, job.conditions, job.session) == PLAINTEXT

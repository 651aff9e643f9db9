from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from lit_airflow.errors import (
    CiphertextError,
    ConditionError,
    ConditionsNotMetError,
    NodesUnavailableError,
    ScopeError,
    SessionExpiredError,
    SettingsError,
)
from lit_airflow.networks import batch
from tests.client.conftest import PLAINTEXT, only

if TYPE_CHECKING:
    from lit_airflow import Scope, Session
    from tests.client.conftest import Job

Item = tuple[dict[str, Any], dict[str, Any]]


@pytest.fixture
def session(job: Job, all_items: Scope) -> Session:
    return job.lit.open_session(job.wallet, all_items)


def sealed(job: Job, count: int) -> list[Item]:
    """Items that say their own number."""
    return [(job.lit.encrypt(b"%d" % number, job.conditions), job.conditions) for number in range(count)]


def test_the_outcomes_come_in_order(job: Job, session: Session) -> None:
    items = sealed(job, 40)
    outcomes = list(job.new_client().decrypt_many(items, session))
    assert [outcome.index for outcome in outcomes] == list(range(40))
    assert [outcome.result() for outcome in outcomes] == [b"%d" % number for number in range(40)]


def test_one_survey_is_enough(job: Job, session: Session) -> None:
    items = sealed(job, 30)
    before = len(job.net.requests)
    assert all(outcome.error is None for outcome in job.new_client().decrypt_many(items, session))
    asked = Counter(path.strip("/") for _, path, _, _ in job.net.requests[before:])
    assert asked["web/handshake"] == 3
    assert 60 <= asked["web/encryption/sign"] <= 90  # who is no longer waited for may not be asked at all


def test_what_fails_fails_alone(job: Job, session: Session) -> None:
    good = sealed(job, 1)[0]
    stranger = only(type(job.wallet).from_key("33" * 32))
    items: list[Item] = [
        good,
        ({**good[0], "ciphertext": "!"}, job.conditions),
        good,
        (job.lit.encrypt(b"not for this wallet", stranger), stranger),
        ({**good[0], "dataToEncryptHash": "ab" * 32}, job.conditions),
        (good[0], {"chain": "ethereum"}),
        good,
    ]
    outcomes = list(job.lit.decrypt_many(items, session))
    kinds = [type(outcome.error) for outcome in outcomes]
    nothing = type(None)
    assert kinds == [
        nothing,
        CiphertextError,
        nothing,
        ConditionsNotMetError,
        CiphertextError,
        ConditionError,
        nothing,
    ]
    assert [outcome.plaintext is None for outcome in outcomes] == [kind is not nothing for kind in kinds]
    with pytest.raises(ConditionsNotMetError):
        outcomes[3].result()


def test_a_session_that_does_not_cover_them(job: Job) -> None:
    items = [(job.sealed, job.conditions), *sealed(job, 1)]
    first, second = job.lit.decrypt_many(items, job.session)
    assert first.error is None
    assert isinstance(second.error, ScopeError)


def test_a_session_that_ends_meanwhile(job: Job, all_items: Scope) -> None:
    session = job.lit.open_session(job.wallet, all_items, ttl_s=5)
    items = sealed(job, 2)
    outcomes = job.lit.decrypt_many(items, session, at_once=1)
    assert next(outcomes).error is None
    time.sleep(5.1)
    assert isinstance(next(outcomes).error, SessionExpiredError)


def test_no_more_is_fetched_than_is_worked_at(job: Job, session: Session) -> None:
    items, fetched = sealed(job, 20), 0

    def counted() -> Iterator[Item]:
        nonlocal fetched
        for item in items:
            fetched += 1
            yield item

    outcomes = job.lit.decrypt_many(counted(), session, at_once=4)
    assert fetched == 0
    for taken, outcome in enumerate(outcomes, start=1):
        assert outcome.error is None
        assert fetched <= taken + 3


@pytest.mark.parametrize("at_once", [0, -1])
def test_nothing_at_once(job: Job, session: Session, at_once: int) -> None:
    with pytest.raises(SettingsError) as caught:
        job.lit.decrypt_many([], session, at_once=at_once)
    assert caught.value.field == "at_once"


def test_nothing_to_decrypt(job: Job, session: Session) -> None:
    assert list(job.lit.decrypt_many([], session)) == []


def test_a_network_that_is_away_is_said_once(job: Job, session: Session) -> None:
    items = sealed(job, 3)
    for node in range(3):
        job.net.stop_node(node)
    with pytest.raises(NodesUnavailableError):
        job.new_client(timeout_s=2).decrypt_many(items, session)


def test_a_node_that_lies_costs_no_item(job: Job, session: Session) -> None:
    items = sealed(job, 12)
    job.net.set_fault(1, "wrong-share")
    assert [outcome.error for outcome in job.lit.decrypt_many(items, session)] == [None] * 12


def test_progress_is_logged(
    job: Job, session: Session, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    items = sealed(job, 3)
    items[1] = ({**items[1][0], "ciphertext": ""}, job.conditions)
    monkeypatch.setattr(batch, "_REPORT_EVERY_S", 0.0)
    with caplog.at_level(logging.INFO, logger=batch.__name__):
        list(job.lit.decrypt_many(items, session))
    ours = [each.getMessage() for each in caplog.records if each.name == batch.__name__]
    told = [message.split(" items in ")[0] for message in ours]
    assert told[0] == "Decrypted 1 of 3"
    assert told[1].startswith("Item 1 was not decrypted: The ciphertext")
    assert told[-1] == "Decrypted 2 of 3"
    assert ours[-1].endswith("; 1 failed (CiphertextError 1).")


def test_how_the_nodes_answered_each_is_not_for_everybody(
    job: Job, session: Session, caplog: pytest.LogCaptureFixture
) -> None:
    items = sealed(job, 3)
    caplog.set_level(logging.DEBUG, "lit_airflow")
    list(job.lit.decrypt_many(items, session))
    assert job.lit.decrypt(*items[0], session) == b"0"
    levels = [each.levelno for each in caplog.records if "Answered: " in each.getMessage()]
    assert levels == [logging.DEBUG] * 3 + [logging.INFO]


def test_an_item_that_is_no_pair_costs_the_others_nothing(job: Job) -> None:
    container = job.lit.make_container(PLAINTEXT, job.conditions)
    items: Any = [container, (container,), (container, container), None]
    outcomes = list(
        job.lit.decrypt_many(items, job.lit.open_session(job.wallet, job.lit.scope_of(container, container)))
    )
    assert [outcome.error is None for outcome in outcomes] == [False, False, True, False]
    for outcome in (outcomes[0], outcomes[1], outcomes[3]):
        assert isinstance(outcome.error, SettingsError)
        assert "(container, container)" in str(outcome.error)

"""A session in use: when it is renewed, by which way, and what happens where it cannot be."""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lit_airflow import clock
from lit_airflow.errors import SessionError, SessionExpiredError, SessionNotFoundError, VaultUnavailableError
from lit_airflow.handoff.renewal import Asked, RenewableSession, next_check
from lit_airflow.networks.contract import Session
from lit_airflow.protocol.scope import Scope
from tests.unit.handoff.brokerage import ALL, ITEM, STRANGER, WALLET, Store, Task, Wait, wait
from tests.unit.handoff.test_broker import opened, sealed

__all__ = ["wait"]

NOON = datetime(2026, 1, 15, 12, tzinfo=UTC)


def asked() -> Scope:
    return ITEM


@dataclass
class Source:
    """Where newer sessions come from, by hand.

    Attributes:
        renewed: What a renewal returns; an error is raised.
        published: What is published.
        calls: What was called.
    """

    renewed: Session | Exception | None = None
    published: RenewableSession | Exception | None = None
    calls: list[str] = field(default_factory=list)

    def fetch(self, name: str) -> RenewableSession:
        self.calls.append(f"fetch {name}")
        if self.published is None:
            raise SessionNotFoundError("none", name=name)
        if isinstance(self.published, Exception):
            raise self.published
        return self.published

    def renew(self, session: Session, asked: Asked) -> Session | None:
        self.calls.append(f"renew for {asked()}")
        if isinstance(self.renewed, Exception):
            raise self.renewed
        return self.renewed


def held(ttl_s: float = 3600, name: str = "", lead_s: float = 300) -> RenewableSession:
    return RenewableSession(session=opened(ttl_s=ttl_s), lead_s=lead_s, name=name, made_by="reports.session")


class TestWhen:
    @given(st.floats(-10, 10**7), st.floats(0, 10**6))
    def test_not_before_half_of_what_is_left_is_over(self, left_s: float, lead_s: float) -> None:
        ends = NOON + timedelta(seconds=left_s)
        due = next_check(ends, NOON, lead_s)
        assert due >= NOON + timedelta(seconds=1)
        assert due >= ends - timedelta(seconds=lead_s)
        assert due - NOON >= (ends - NOON) / 2
        assert due in (ends - timedelta(seconds=lead_s), NOON + max((ends - NOON) / 2, timedelta(seconds=1)))

    def test_a_dozen_times_at_most(self) -> None:
        """Between its lead and its end, where every renewal fails."""
        now, ends, times = NOON, NOON + timedelta(hours=1), 0
        while (now := next_check(ends, now, 3600)) < ends:
            times += 1
        assert 8 <= times <= 12

    def test_while_time_is_left_nothing_is_asked(self, wait: Wait) -> None:
        session, source = held(), Source()
        wait(3290)
        assert session.current(source, asked) is session.session
        assert source.calls == []

    def test_in_its_lead_it_is(self, wait: Wait) -> None:
        session, source = held(), Source(renewed=opened(ttl_s=7200))
        wait(3310)
        assert session.current(source, asked) is source.renewed is session.session
        assert session.current(source, asked) is source.renewed
        assert source.calls == [f"renew for {ITEM}"]


class TestWhereItFails:
    def test_it_is_used_to_its_end(self, wait: Wait, caplog: pytest.LogCaptureFixture) -> None:
        session, source = held(), Source(renewed=SessionError("another wallet's"))
        first = session.session
        wait(3400)
        with caplog.at_level(logging.WARNING):
            assert session.current(source, asked) is first
        assert "cannot be renewed now: another wallet's" in caplog.text
        wait(300)
        with pytest.raises(SessionExpiredError, match=r"reports\.session") as caught:
            session.current(source, asked)
        assert isinstance(caught.value.__cause__, SessionError)
        assert not caught.value.retryable

    def test_what_passes_is_raised_once_it_has_ended(self, wait: Wait) -> None:
        """So that the task is tried again, rather than given up."""
        session, source = held(), Source(renewed=VaultUnavailableError("sealed"))
        wait(3400)
        assert session.current(source, asked)
        wait(300)
        with pytest.raises(VaultUnavailableError):
            session.current(source, asked)
        source.renewed = opened()
        assert session.current(source, asked) is source.renewed

    def test_who_has_no_wallet(self, wait: Wait) -> None:
        session, source = held(), Source()
        wait(3400)
        assert session.current(source, asked) is session.session
        wait(300)
        with pytest.raises(SessionExpiredError):
            session.current(source, asked)

    def test_a_foreign_error_leaves_it_usable(self, wait: Wait) -> None:
        session, source = held(), Source(renewed=RuntimeError("a bug"))
        wait(3400)
        with pytest.raises(RuntimeError):
            session.current(source, asked)
        source.renewed = opened()
        assert session.current(source, asked) is source.renewed


class TestPublished:
    def test_a_newer_one_is_taken(self, wait: Wait) -> None:
        session, source = held(name="hourly"), Source()
        wait(3400)
        source.published = held(name="hourly")
        assert session.current(source, asked) is source.published.session
        assert source.calls == ["fetch hourly"]

    def test_the_same_one_is_no_newer(self, wait: Wait) -> None:
        session, source = held(name="hourly"), Source(renewed=opened(ttl_s=7200))
        source.published = held(name="hourly")
        source.published.session = session.session
        wait(3400)
        assert session.current(source, asked) is source.renewed
        assert source.calls == ["fetch hourly", f"renew for {ITEM}"]

    def test_nothing_is_and_nobody_renews(self, wait: Wait) -> None:
        session, source = held(name="hourly"), Source()
        wait(3700)
        with pytest.raises(SessionNotFoundError) as caught:
            session.current(source, asked)
        assert caught.value.retryable  # its publisher may come back

    def test_nothing_is_and_the_wallet_is_here(self, wait: Wait) -> None:
        session, source = held(name="hourly"), Source(renewed=opened(ttl_s=7200))
        wait(3700)
        assert session.current(source, asked) is source.renewed


def test_threads_renew_it_once(wait: Wait) -> None:
    """While it lasts, nobody waits for the one that renews."""
    session, release, entered = held(), threading.Event(), threading.Event()
    first, newer = session.session, opened(ttl_s=7200)

    class Slow(Source):
        def renew(self, session: Session, asked: Asked) -> Session | None:
            entered.set()
            assert release.wait(10)
            return super().renew(session, asked)

    source = Slow(renewed=newer)
    wait(3400)
    renewing = threading.Thread(target=session.current, args=(source, asked))
    renewing.start()
    assert entered.wait(10)
    assert [session.current(source, asked) for _ in range(5)] == [first] * 5
    release.set()
    renewing.join(10)
    assert session.current(source, asked) is newer
    assert len(source.calls) == 1


class TestWithABroker:
    """Both together: what is asked for, and whose session it must be."""

    def test_for_the_container_at_the_moment_only(self, wait: Wait) -> None:
        task = Task()
        session = task.broker.hold(sealed(opened(ALL)))
        wait(3400)
        newer = session.current(task.broker, asked)
        assert newer.scope == ITEM
        newer.check_delegation(WALLET.address, clock.now())

    def test_another_wallets_ends_unrenewed(self, wait: Wait) -> None:
        task = Task(policy={"wallet_address": ""})
        session = task.broker.hold(sealed(opened(wallet=STRANGER)))
        wait(3700)
        with pytest.raises(SessionExpiredError):
            session.current(task.broker, asked)
        assert task.client.opened == []

    def test_what_is_published_meanwhile(self, wait: Wait) -> None:
        store = Store({"hourly": sealed(opened(), name="hourly")})
        task = Task(policy={"has_wallet": False}, store=store)
        session = task.broker.hold("hourly")
        wait(3400)
        assert session.current(task.broker, asked) is session.session
        store.published["hourly"] = sealed(Task().broker.open(ITEM), name="hourly")
        wait(150)
        assert session.current(task.broker, asked).expires_at > clock.now() + timedelta(seconds=3000)
        assert (task.reads, task.client.opened) == (0, [])

"""A session at hand that nears its end while a task works: who renews it, and what is said if nobody can."""

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from lit_airflow import LitClient, Scope
from lit_airflow.clock import parse_iso
from lit_airflow.devnet import Devnet
from lit_airflow.errors import SessionExpiredError, SessionNotFoundError, VaultUnavailableError
from lit_airflow.hooks import LitHook
from lit_airflow.sandbox.processes import free_port
from lit_airflow.sandbox.vault_server import KV_PATH
from tests.vault.parts import KEY_READ, OPENED, Bao, Connections

pytestmark = pytest.mark.usefixtures("connections")

SCOPE = Scope.to_decrypt("0" * 64 + "/" + "1" * 64)
Wait = Callable[[float], None]
PUBLISHED = "secret/data/lit/sessions/lasting"


def ticket_for(ttl_s: float) -> dict[str, Any]:
    hook = LitHook("lit_renewer")
    return hook.make_ticket(hook.open_session(SCOPE, ttl_s=ttl_s), made_by="nightly.session")


@pytest.fixture
def wait(monkeypatch: pytest.MonkeyPatch) -> Wait:
    """Let time pass for whoever judges sessions here; network and client keep the real time."""
    passed = timedelta()
    monkeypatch.setattr("lit_airflow.clock.now", lambda: datetime.now(UTC) + passed)

    def later(seconds: float) -> None:
        nonlocal passed
        passed += timedelta(seconds=seconds)

    return later


def test_with_time_left_nobody_is_asked(bao: Bao, wait: Wait) -> None:
    hook = LitHook("lit_renewer")
    held = hook.hold(ticket_for(3600))
    opened = held.session
    wait(3600 - 300 - 10)
    with bao.watched() as paths:
        assert hook.fresh(held) is opened
    assert paths == []


def test_who_has_the_wallet_opens_another(bao: Bao, wait: Wait) -> None:
    hook = LitHook("lit_renewer")
    held = hook.hold(ticket_for(3600))
    opened = held.session
    wait(3600 - 300 + 1)
    with bao.watched() as paths:
        newer = hook.fresh(held)
        assert hook.fresh(held) is newer
    assert paths == [KEY_READ]
    assert newer.public_key != opened.public_key
    assert newer.scope == opened.scope
    assert newer.expires_at > opened.expires_at


def test_threads_that_share_it_renew_it_once(bao: Bao, wait: Wait) -> None:
    hook = LitHook("lit_renewer")
    held = hook.hold(ticket_for(3600))
    wait(3400)
    got = []
    threads = [threading.Thread(target=lambda: got.append(hook.fresh(held).public_key)) for _ in range(8)]
    with bao.watched() as paths:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert (len(got), len(set(got))) == (8, 1)
    assert paths == [KEY_READ]


def test_a_consumer_fetches_what_was_published_meanwhile(bao: Bao, wait: Wait) -> None:
    renewer, consumer = LitHook("lit_renewer"), LitHook("lit_consumer")
    renewer.publish("lasting", ticket_for(3600))
    held = consumer.hold("lasting")
    opened = held.session
    wait(3400)
    renewer.publish("lasting", ticket_for(3600))
    with bao.watched() as paths:
        newer = consumer.fresh(held)
    assert paths == [PUBLISHED, OPENED]
    assert newer.expires_at > opened.expires_at
    with bao.watched() as paths:
        assert consumer.fresh(held) is newer
    assert paths == []


def test_while_nothing_newer_is_published_the_old_one_is_used_and_vault_is_asked_seldom(
    bao: Bao, wait: Wait
) -> None:
    renewer, consumer = LitHook("lit_renewer"), LitHook("lit_consumer")
    renewer.publish("lasting", ticket_for(3600))
    held = consumer.hold("lasting")
    opened = held.session
    wait(3300.5)
    with bao.watched() as paths:
        for _ in range(298):
            assert consumer.fresh(held) is opened
            wait(1)
    assert 2 <= paths.count(PUBLISHED) <= 12
    wait(10)
    with pytest.raises(SessionNotFoundError, match=r"nightly\.session ended at") as caught:
        consumer.fresh(held)
    assert caught.value.retryable


def test_who_can_do_neither_uses_it_to_its_end_and_names_the_task(bao: Bao, wait: Wait) -> None:
    consumer = LitHook("lit_consumer")
    held = consumer.hold(ticket_for(600))
    opened = held.session
    with bao.watched() as paths:
        wait(598)
        assert consumer.fresh(held) is opened
        wait(3)
        with pytest.raises(SessionExpiredError, match=r"the task nightly\.session ended at") as caught:
            consumer.fresh(held)
    assert paths == []
    assert "nightly.session: run it again" in caught.value.hint
    assert caught.value.expired_at == opened.expires_at < caught.value.now


def test_a_role_that_may_not_read_the_key_says_which_task_to_look_at(
    connections: Connections, wait: Wait
) -> None:
    ticket = ticket_for(600)
    connections.lit("lit_consumer", "vault_consumer", vault_path=KV_PATH)
    consumer = LitHook("lit_consumer")
    held = consumer.hold(ticket)
    wait(500)
    assert consumer.fresh(held) is held.session  # denied, and good all the same
    wait(101)
    with pytest.raises(SessionExpiredError, match=r"nightly\.session"):
        consumer.fresh(held)


def test_vault_away_costs_nothing_before_the_end(bao: Bao, connections: Connections, wait: Wait) -> None:
    ticket = ticket_for(600)
    connections.lit("lit_renewer", vault_path=KV_PATH, seal="transit")
    hook = LitHook("lit_renewer")
    held = hook.hold(ticket)
    connections.vault("vault_renewer", free_port(), bao.renewer)
    away = LitHook("lit_renewer")
    wait(500)
    assert away.fresh(held) is held.session
    wait(101)
    with pytest.raises(VaultUnavailableError):
        away.fresh(held)  # the task is tried again, and Vault may be back


def test_a_session_that_is_over_is_renewed_at_once_by_who_has_the_wallet(container: dict[str, Any]) -> None:
    renewer = LitHook("lit_renewer")
    scope = renewer.scope_of(container)
    over = renewer.make_ticket(renewer.open_session(scope, ttl_s=5))
    time.sleep(5.1)
    with pytest.raises(SessionExpiredError, match="the session task ended at"):
        LitHook("lit_consumer").hold(over)
    held = renewer.hold(over)
    assert renewer.decrypt(container, held) == b"the plaintext"
    lifetime = held.session.expires_at - parse_iso(held.session.issued_at)
    assert lifetime == timedelta(seconds=5)  # as its maker chose


def test_a_session_shorter_than_the_lead_is_not_renewed_at_every_use(bao: Bao, wait: Wait) -> None:
    hook = LitHook("lit_renewer")
    held = hook.hold(ticket_for(60))
    with bao.watched() as paths:
        for _ in range(20):
            hook.fresh(held)
    assert paths == []
    wait(31)
    with bao.watched() as paths:
        for _ in range(20):
            hook.fresh(held)
    assert paths == [KEY_READ]


def test_the_nodes_take_it_across_a_real_end(
    bao: Bao, net: Devnet, connections: Connections, container: dict[str, Any]
) -> None:
    """No clock is moved here: five seconds pass, and decryption goes on with a session opened meanwhile."""
    connections.lit("lit_renewer", vault_path=KV_PATH, session_ttl_s=60, renewal_lead_s=0)
    hook = LitHook("lit_renewer")
    held = hook.hold(hook.make_ticket(hook.open_session(hook.scope_of(container), ttl_s=5)))
    first = held.session
    assert hook.decrypt(container, held) == b"the plaintext"
    time.sleep(5.1)
    with bao.watched() as paths:
        assert hook.decrypt(container, held) == b"the plaintext"
    assert held.session.public_key != first.public_key
    assert paths == [KEY_READ]
    with pytest.raises(SessionExpiredError):
        LitClient(net.description).decrypt(container, container, first)

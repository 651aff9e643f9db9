"""A session that nears its end while a task holds it: who renews it, for what, and what happens if nobody can."""

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from lit_airflow import LitClient, Scope, clock
from lit_airflow.clock import parse_iso
from lit_airflow.devnet import Devnet
from lit_airflow.errors import ScopeError, SessionExpiredError, SessionNotFoundError, VaultUnavailableError
from lit_airflow.handoff.renewal import RenewableSession
from lit_airflow.hooks import LitHook
from lit_airflow.protocol.session import Session
from lit_airflow.provider import file_io
from lit_airflow.sandbox.processes import free_port
from lit_airflow.sandbox.vault_server import KV_PATH
from tests.vault.parts import KEY_READ, OPENED, Bao, Connections, conditions_for, running

pytestmark = pytest.mark.usefixtures("connections")

SCOPE = Scope.to_decrypt("0" * 64 + "/" + "1" * 64)
ALL = Scope.parse(["access-control-condition-decryption=lit-accesscontrolcondition://*"])
Wait = Callable[[float], None]
PUBLISHED = "secret/data/lit/sessions/lasting"


def ticket_for(ttl_s: float, scope: Scope = SCOPE, *, name: str = "") -> dict[str, Any]:
    hook = LitHook("lit_renewer")
    with running("session"):
        return hook.sessions.make_ticket(hook.open_session(scope, ttl_s=ttl_s), name=name)


def publish(name: str, ttl_s: float) -> None:
    LitHook("lit_renewer").sessions.store().publish(name, ticket_for(ttl_s, name=name), clock.now())


def current(hook: LitHook, held: RenewableSession, scope: Scope = SCOPE) -> Session:
    """The session to use for a scope, in the task that holds it."""
    with running("decrypt"):
        return held.current(hook.sessions, lambda: scope)


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
        assert current(hook, held) is opened
    assert paths == []


def test_who_has_the_wallet_opens_another(bao: Bao, wait: Wait) -> None:
    hook = LitHook("lit_renewer")
    held = hook.hold(ticket_for(3600))
    opened = held.session
    wait(3600 - 300 + 1)
    with bao.watched() as paths:
        newer = current(hook, held)
        assert current(hook, held) is newer
    assert paths == [KEY_READ]
    assert newer.public_key != opened.public_key
    assert newer.scope == opened.scope
    assert newer.expires_at > opened.expires_at


def test_threads_that_share_it_renew_it_once(bao: Bao, wait: Wait) -> None:
    hook = LitHook("lit_renewer")
    held = hook.hold(ticket_for(3600))
    first = held.session
    wait(3400)
    got: list[str] = []
    threads = [threading.Thread(target=lambda: got.append(current(hook, held).public_key)) for _ in range(8)]
    with bao.watched() as paths:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert paths == [KEY_READ]
    assert len(got) == 8
    assert set(got) <= {
        first.public_key,
        held.session.public_key,
    }  # those that did not wait went on with the first
    assert held.session.public_key != first.public_key


def test_a_consumer_fetches_what_was_published_meanwhile(bao: Bao, wait: Wait) -> None:
    consumer = LitHook("lit_consumer")
    publish("lasting", 3600)
    held = consumer.hold("lasting")
    opened = held.session
    wait(3400)
    publish("lasting", 3600)
    with bao.watched() as paths:
        newer = current(consumer, held)
    assert paths == [PUBLISHED, OPENED]
    assert newer.expires_at > opened.expires_at
    with bao.watched() as paths:
        assert current(consumer, held) is newer
    assert paths == []


def test_while_nothing_newer_is_published_the_old_one_is_used_and_vault_is_asked_seldom(
    bao: Bao, wait: Wait
) -> None:
    consumer = LitHook("lit_consumer")
    publish("lasting", 3600)
    held = consumer.hold("lasting")
    opened = held.session
    wait(3300.5)
    with bao.watched() as paths:
        for _ in range(200):  # real time passes, too: on a busy machine, seconds
            assert current(consumer, held) is opened
            wait(1)
    assert 2 <= paths.count(PUBLISHED) <= 12
    wait(110)
    with pytest.raises(SessionNotFoundError, match=r'"nightly\.session" ended at') as caught:
        current(consumer, held)
    assert caught.value.retryable


def test_who_can_do_neither_uses_it_to_its_end_and_names_the_task(bao: Bao, wait: Wait) -> None:
    consumer = LitHook("lit_consumer")
    held = consumer.hold(ticket_for(600))
    opened = held.session
    with bao.watched() as paths:
        wait(598)
        assert current(consumer, held) is opened
        wait(3)
        with pytest.raises(SessionExpiredError, match=r'the task "nightly\.session" ended at') as caught:
            current(consumer, held)
    assert paths == []
    assert "Run the task nightly.session again" in caught.value.hint.replace('"', "")
    assert caught.value.expired_at == opened.expires_at < caught.value.now


def test_a_role_that_may_not_read_the_key_says_which_task_to_look_at(
    connections: Connections, wait: Wait
) -> None:
    ticket = ticket_for(600)
    connections.lit("lit_consumer", "vault_consumer", vault_path=KV_PATH)
    consumer = LitHook("lit_consumer")
    held = consumer.hold(ticket)
    wait(500)
    assert current(consumer, held) is held.session  # denied, and good all the same
    wait(101)
    with pytest.raises(SessionExpiredError, match=r"nightly\.session"):
        current(consumer, held)


def test_vault_away_costs_nothing_before_the_end(bao: Bao, connections: Connections, wait: Wait) -> None:
    ticket = ticket_for(600)
    connections.lit("lit_renewer", vault_path=KV_PATH, seal="transit")
    hook = LitHook("lit_renewer")
    held = hook.hold(ticket)
    connections.vault("vault_renewer", free_port(), bao.renewer)
    away = LitHook("lit_renewer")
    wait(500)
    assert current(away, held) is held.session
    wait(101)
    with pytest.raises(VaultUnavailableError):
        current(away, held)  # the task is tried again, and Vault may be back


def test_the_new_one_may_do_what_the_task_asks_for_and_no_more(bao: Bao, wait: Wait) -> None:
    """A ticket whose scope is wider than the task needs, by its maker's choice or by somebody else's."""
    hook = LitHook("lit_renewer")
    held = hook.hold(ticket_for(3600, ALL))
    wait(3400)
    newer = current(hook, held, SCOPE)
    assert (held.session.scope, newer.scope) == (SCOPE, SCOPE)
    assert newer.capabilities[-1]["signedMessage"].count("lit-accesscontrolcondition") == len(SCOPE.requests)


def test_decrypting_renews_for_the_container_alone(
    bao: Bao, wait: Wait, net: Devnet, container: dict[str, Any]
) -> None:
    hook = LitHook("lit_renewer")
    held = hook.hold(ticket_for(3600, ALL))
    assert hook.decrypt(container, held) == b"the plaintext"
    assert held.session.scope == ALL
    wait(3400)
    with bao.watched() as paths:
        for _ in range(2):
            assert hook.decrypt(container, held) == b"the plaintext"
            assert held.session.scope == hook.scope_of(container)
    assert paths == [KEY_READ]


def test_the_new_one_is_followed_by_another_for_another_container(
    bao: Bao, wait: Wait, net: Devnet, container: dict[str, Any]
) -> None:
    """A task that decrypts one after the other with a ticket for all of them goes on after its renewal."""
    client, conditions = LitClient(net.description), conditions_for(bao.wallet.address)
    others = [client.make_container(bytes([n]), conditions) for n in range(3)]
    hook = LitHook("lit_renewer")
    held = hook.hold(ticket_for(3600, ALL))
    wait(3400)
    with bao.watched() as paths:
        for n, other in enumerate(others):
            assert hook.decrypt(other, held) == bytes([n])
            assert held.session.scope == hook.scope_of(other)
    assert paths == [KEY_READ] * 3


def test_many_that_are_known_are_asked_for_at_once(
    bao: Bao, wait: Wait, net: Devnet, container: dict[str, Any]
) -> None:
    client, conditions = LitClient(net.description), conditions_for(bao.wallet.address)
    others = [client.make_container(bytes([n]), conditions) for n in range(5)]
    hook = LitHook("lit_renewer")
    held = hook.hold(ticket_for(3600, ALL))
    wait(3400)
    with bao.watched() as paths:
        outcomes = list(file_io.decrypt_many(hook, [*others, {"not": "a container"}], held))
        assert [outcome.plaintext for outcome in outcomes] == [*(bytes([n]) for n in range(5)), None]
        assert len(held.session.scope.requests) == 5
    assert paths == [KEY_READ]
    with bao.watched() as paths:  # of a stream, only the next is known
        outcomes = list(file_io.decrypt_many(hook, iter([container, *others]), held))
        assert outcomes[0].result() == b"the plaintext"
        assert len(held.session.scope.requests) == 1
    assert set(paths) == {KEY_READ}


def test_a_ticket_for_less_than_is_asked_is_not_widened(bao: Bao, container: dict[str, Any]) -> None:
    """Only a session that was opened here is followed by another: what the session task asked for, counts."""
    hook = LitHook("lit_renewer")
    held = hook.hold(ticket_for(3600, SCOPE))
    with bao.watched() as paths, pytest.raises(ScopeError):
        hook.decrypt(container, held)
    assert paths == []


def test_the_new_one_lasts_as_long_as_the_one_before_at_most(wait: Wait, connections: Connections) -> None:
    hook = LitHook("lit_renewer")
    held = hook.hold(ticket_for(600))
    wait(599)
    newer = current(hook, held)
    assert newer.expires_at - parse_iso(newer.issued_at) == timedelta(seconds=600)
    long = ticket_for(7200)
    connections.lit("lit_renewer", vault_path=KV_PATH, session_ttl_s=1200)
    hook = LitHook("lit_renewer")
    held = hook.hold(long)
    wait(7199)
    newer = current(hook, held)
    assert newer.expires_at - parse_iso(newer.issued_at) == timedelta(seconds=1200)


def test_a_session_shorter_than_the_lead_is_not_renewed_at_every_use(bao: Bao, wait: Wait) -> None:
    hook = LitHook("lit_renewer")
    held = hook.hold(ticket_for(60))
    with bao.watched() as paths:
        for _ in range(20):
            current(hook, held)
    assert paths == []
    wait(31)
    with bao.watched() as paths:
        for _ in range(20):
            current(hook, held)
    assert paths == [KEY_READ]


def test_the_nodes_take_it_across_a_real_end(
    bao: Bao, net: Devnet, connections: Connections, container: dict[str, Any]
) -> None:
    """No clock is moved here: eight seconds pass, and decryption goes on with a session opened meanwhile."""
    connections.lit("lit_renewer", vault_path=KV_PATH, session_ttl_s=60, renewal_lead_s=0)
    hook = LitHook("lit_renewer")
    held = hook.hold(hook.make_ticket(hook.open_session(hook.scope_of(container), ttl_s=8)))
    first = held.session
    assert hook.decrypt(container, held) == b"the plaintext"
    time.sleep(8.1)
    with bao.watched() as paths:
        assert hook.decrypt(container, held) == b"the plaintext"
    assert held.session.public_key != first.public_key
    assert paths == [KEY_READ]
    with pytest.raises(SessionExpiredError):
        LitClient(net.description).decrypt(container, container, first)

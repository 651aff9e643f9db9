"""Whose sessions are opened, passed on and renewed, for what, and for how long."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from lit_airflow import clock
from lit_airflow.errors import (
    ScopeError,
    SessionError,
    SessionExpiredError,
    SessionNotFoundError,
    SettingsError,
    TicketError,
    VaultUnavailableError,
)
from lit_airflow.handoff.seal import seal_with_facts
from lit_airflow.handoff.ticket import Origin, Ticket, make_ticket
from lit_airflow.keys.secret import Secret
from lit_airflow.keys.wallet import Signer, Wallet
from lit_airflow.networks.contract import Session as AnySession
from lit_airflow.protocol import siwe
from lit_airflow.protocol.auth_sig import AuthSig
from lit_airflow.protocol.capacity_delegation import capacity_delegation
from lit_airflow.protocol.scope import Scope
from lit_airflow.protocol.session import Session
from tests.unit.handoff.brokerage import (
    ALL,
    BOTH,
    HERE,
    ITEM,
    LATER,
    OTHER_ITEM,
    SEAL,
    STRANGER,
    WALLET,
    Store,
    Task,
    Wait,
    wait,
)

__all__ = ["wait"]


def opened(scope: Scope = ITEM, ttl_s: float = 3600, wallet: Signer = WALLET) -> Session:
    session = Task().client.open_session(wallet, scope, ttl_s=ttl_s, domain=None)
    assert isinstance(session, Session)
    return session


def sealed(session: AnySession, origin: Origin = HERE, name: str = "") -> Ticket:
    """A ticket by anybody who may seal."""
    return make_ticket(session, SEAL, network="custom", origin=origin, name=name)


def ended(task: Task, ttl_s: float, wait: Wait, name: str = "") -> Ticket:
    ticket = task.broker.make_ticket(opened(ttl_s=ttl_s), name=name)
    wait(ttl_s)
    return ticket


def scope_of(ticket: Ticket, origin: Origin) -> Scope:
    return Task(origin=origin).broker.hold(ticket).session.scope


class TestOpening:
    def test_the_network_is_asked_before_the_key_is_read(self) -> None:
        task = Task()

        def away() -> None:
            raise VaultUnavailableError("the network is away")

        task.client.health = away  # type: ignore[method-assign,assignment]
        with pytest.raises(VaultUnavailableError):
            task.broker.open(ITEM)
        assert task.reads == 0

    def test_one_read_one_session_that_is_masked(self) -> None:
        task = Task()
        session = task.broker.open(ITEM)
        assert (task.reads, task.client.asked, task.seen) == (1, 1, [session])
        assert session.scope == ITEM
        session.check_delegation(WALLET.address, clock.now())
        text = session.to_json()["capabilities"][-1]["signedMessage"]
        assert siwe.read(text).domain == "airflow.example.org"

    @pytest.mark.parametrize(("ttl_s", "lasts_s"), [(None, 3600), (60, 60), (30 * 24 * 3600, 30 * 24 * 3600)])
    def test_its_lifetime(self, ttl_s: float | None, lasts_s: float) -> None:
        session = Task().broker.open(ITEM, ttl_s=ttl_s)
        assert session.expires_at - clock.parse_iso(session.issued_at) == timedelta(seconds=lasts_s)

    @pytest.mark.parametrize("ttl_s", [0, 0.5, -1, 30 * 24 * 3600 + 1, float("nan"), float("inf")])
    def test_lifetimes_that_are_refused_before_anything_is_read(self, ttl_s: float) -> None:
        task = Task()
        with pytest.raises(SettingsError) as caught:
            task.broker.open(ITEM, ttl_s=ttl_s)
        assert caught.value.field == "ttl_s"
        assert (task.reads, task.client.asked, task.client.opened) == (0, 0, [])

    def test_a_wildcard_is_warned_of(self, caplog: pytest.LogCaptureFixture) -> None:
        with caplog.at_level(logging.WARNING):
            Task().broker.open(ITEM)
            assert caplog.messages == []
            Task().broker.open(ALL)
        (warned,) = caplog.messages
        assert "lit-accesscontrolcondition://*" in warned


class TestHolding:
    def test_in_the_same_run(self) -> None:
        task = Task()
        session = task.broker.open(ITEM)
        held = Task(policy={"has_wallet": False}).broker.hold(task.broker.make_ticket(session))
        assert held.session == session
        assert (held.made_by, held.name, held.lead_s) == ("reports.session", "", 300)

    def test_what_is_held_is_masked(self) -> None:
        task = Task()
        held = task.broker.hold(sealed(opened()))
        assert task.seen == [held.session]

    def test_not_in_another_run(self) -> None:
        with pytest.raises(TicketError, match="not to this DAG run"):
            Task(origin=LATER).broker.hold(sealed(opened()))

    @pytest.mark.parametrize("has_wallet", [True, False])
    def test_a_ticket_that_has_ended_has_ended_for_everybody(self, wait: Wait, *, has_wallet: bool) -> None:
        task = Task(policy={"has_wallet": has_wallet})
        with pytest.raises(SessionExpiredError, match=r"reports\.session"):
            task.broker.hold(ended(task, 60, wait))
        assert (task.reads, task.client.opened) == (0, [])

    @pytest.mark.parametrize("found", [None, 5, [], {}, {"v": 2}])
    def test_what_is_no_ticket(self, found: object) -> None:
        with pytest.raises(TicketError):
            Task().broker.hold(found)

    def test_any_wallets_where_none_is_expected(self) -> None:
        held = Task(policy={"wallet_address": ""}).broker.hold(sealed(opened(wallet=STRANGER)))
        assert held.session.wallet == STRANGER.address

    def test_an_address_in_another_case(self) -> None:
        task = Task(policy={"wallet_address": WALLET.address.lower()})
        assert task.broker.hold(sealed(opened())).session.wallet == WALLET.address


def forged_signature() -> Session:
    """A stranger's session that says it is ours."""
    return replace(opened(wallet=STRANGER), wallet=WALLET.address)


def forged_address() -> Session:
    """The same, its delegation included."""
    session = forged_signature()
    (capability,) = session.capabilities
    return replace(session, capabilities=({**capability, "address": WALLET.address},))


def without_delegation() -> Session:
    return replace(opened(), capabilities=())


def delegated_to_another_key() -> Session:
    return replace(opened(), capabilities=opened().capabilities)


def delegated_for_less() -> Session:
    """What a holder of a session can make of it: the delegation stays, the scope grows."""
    return replace(opened(), scope=BOTH)


def delegation_that_has_ended() -> Session:
    """The delegation inside ended, and the session says that it lasts."""
    from lit_airflow.protocol.auth_sig import AuthRequest, sign_in

    session = opened()
    assert session.key is not None
    issued = clock.now() - timedelta(hours=2)
    request = AuthRequest(
        chain="ethereum",
        expiration=clock.iso(issued + timedelta(hours=1)),
        uri=session.key.uri,
        session_key=session.key,
        nonce="ab" * 32,
        scope=ITEM,
        now=issued,
    )
    return replace(session, capabilities=(sign_in(request, WALLET).to_json(),))


FORGERIES = [
    forged_signature,
    forged_address,
    without_delegation,
    delegated_to_another_key,
    delegated_for_less,
    delegation_that_has_ended,
]
Forge = Callable[[], Session]


@pytest.mark.parametrize("forge", FORGERIES)
class TestForgeries:
    """Whoever may seal can make a ticket of anything; only the wallet can make a delegation."""

    def test_it_is_not_held_where_a_wallet_is_expected(self, forge: Forge) -> None:
        # One whose delegation has ended reads back as a session that has ended.
        with pytest.raises((TicketError, SessionExpiredError)):
            Task().broker.hold(sealed(forge()))

    def test_it_is_not_renewed(self, forge: Forge) -> None:
        task = Task(policy={"wallet_address": ""})
        with pytest.raises(SessionError):
            task.broker.renew(forge(), lambda: ITEM)
        assert task.client.opened == []

    @pytest.mark.parametrize("wallet_address", [WALLET.address, ""])
    def test_it_is_not_passed_on(self, forge: Forge, wallet_address: str) -> None:
        task = Task(policy={"wallet_address": wallet_address}, origin=LATER)
        forged = forge()
        ticket, renewed, why = task.broker.reuse_or_open(sealed(forged), ITEM)
        assert renewed
        assert why
        assert ticket["session_public_key"] != forged.public_key
        task.broker.hold(ticket).session.check_delegation(WALLET.address, clock.now())


class TestRenewing:
    @pytest.mark.parametrize("held", [ALL, BOTH, OTHER_ITEM])
    def test_only_what_is_asked_is_asked_for(self, held: Scope) -> None:
        task = Task()
        newer = task.broker.renew(opened(held), lambda: ITEM)
        assert newer is not None
        assert newer.scope == ITEM
        assert task.seen == [newer]

    @pytest.mark.parametrize(
        ("held_s", "connection_s", "lasts_s"), [(60, 3600, 60), (7200, 3600, 3600), (3600, 3600, 3600)]
    )
    def test_for_no_longer_than_before_nor_than_allowed(
        self, held_s: float, connection_s: float, lasts_s: float
    ) -> None:
        task = Task(policy={"ttl_s": connection_s})
        newer = task.broker.renew(opened(ttl_s=held_s), lambda: ITEM)
        assert newer is not None
        assert newer.expires_at - clock.parse_iso(newer.issued_at) == timedelta(seconds=lasts_s)

    def test_a_session_of_another_wallet_is_not(self) -> None:
        task = Task(policy={"wallet_address": ""})
        with pytest.raises(SessionError, match=STRANGER.address):
            task.broker.renew(opened(wallet=STRANGER), lambda: ITEM)
        assert task.client.opened == []

    def test_who_has_no_wallet_does_not(self) -> None:
        task = Task(policy={"has_wallet": False})
        asked: list[None] = []
        assert task.broker.renew(opened(), lambda: asked.append(None) or ITEM) is None  # type: ignore[func-returns-value]
        assert (task.reads, asked, task.client.opened) == (0, [], [])

    def test_one_that_ended_while_it_was_held_is_renewed(self, wait: Wait) -> None:
        session = opened(ttl_s=60)
        wait(3600)
        newer = Task().broker.renew(session, lambda: ITEM)
        assert newer is not None
        assert newer.expires_at > clock.now()


class TestReusing:
    def test_the_first_run(self) -> None:
        task = Task()
        ticket, renewed, why = task.broker.reuse_or_open(None, ITEM)
        assert (renewed, why) == (True, "There is no session of an earlier run.")
        assert task.broker.hold(ticket).session == task.client.opened[0]

    def test_a_later_run_of_the_same_dag(self) -> None:
        session = opened()
        task = Task(origin=LATER)
        ticket, renewed, why = task.broker.reuse_or_open(sealed(session), ITEM)
        assert (renewed, why, task.client.opened) == (False, "", [])
        assert task.broker.hold(ticket).session == session
        assert ticket["run_id"] == "run 2"
        with pytest.raises(TicketError, match="not to this DAG run"):
            Task(origin=HERE).broker.hold(ticket)

    def test_the_key_is_read_only_to_learn_whose_session_it_may_be(self) -> None:
        named, unnamed = Task(), Task(policy={"wallet_address": ""})
        for task in (named, unnamed):
            assert task.broker.reuse_or_open(sealed(opened()), ITEM)[1] is False
        assert (named.reads, unnamed.reads) == (0, 1)

    @pytest.mark.parametrize("wallet_address", [WALLET.address, ""])
    def test_another_wallets_is_not(self, wallet_address: str) -> None:
        task = Task(policy={"wallet_address": wallet_address})
        ticket, renewed, why = task.broker.reuse_or_open(sealed(opened(wallet=STRANGER)), ITEM)
        assert renewed
        assert STRANGER.address in why
        assert ticket["wallet"] == WALLET.address

    def test_after_the_wallet_was_exchanged(self) -> None:
        task = Task(policy={"wallet_address": ""}, key=STRANGER)
        ticket, renewed, _ = task.broker.reuse_or_open(sealed(opened()), ITEM)
        assert (renewed, ticket["wallet"]) == (True, STRANGER.address)

    def test_one_that_may_do_more_will_do(self) -> None:
        for wider in (BOTH, ALL):
            ticket, renewed, _ = Task().broker.reuse_or_open(sealed(opened(wider)), ITEM)
            assert not renewed
            assert scope_of(ticket, HERE) == wider

    def test_one_that_may_do_less_will_not(self) -> None:
        for narrower in (ITEM, OTHER_ITEM):
            ticket, renewed, why = Task().broker.reuse_or_open(sealed(opened(narrower)), BOTH)
            assert renewed
            assert "does not cover" in why
            assert scope_of(ticket, HERE) == BOTH

    def test_what_the_facts_say_decides_nothing(self) -> None:
        """Facts by somebody who may seal: what counts is what the wallet has signed."""
        facts = {key: value for key, value in sealed(opened(BOTH)).items() if key not in ("seal", "sealed")}
        contents = Secret(_packed(opened(ITEM)))
        ticket, renewed, _ = Task().broker.reuse_or_open(seal_with_facts(facts, contents, SEAL), BOTH)
        assert renewed
        assert scope_of(ticket, HERE) == BOTH

    @pytest.mark.parametrize(
        ("passed_s", "lead_s", "renewed"),
        [(0, None, False), (3290, None, False), (3310, None, True), (3310, 60, False), (3590, 60, True)],
    )
    def test_while_enough_of_it_is_left(
        self, wait: Wait, passed_s: float, lead_s: float | None, *, renewed: bool
    ) -> None:
        ticket = sealed(opened())
        wait(passed_s)
        assert Task().broker.reuse_or_open(ticket, ITEM, lead_s=lead_s)[1] is renewed

    def test_one_that_has_ended_is_not(self, wait: Wait) -> None:
        task = Task()
        _, renewed, why = task.broker.reuse_or_open(ended(task, 60, wait), ITEM)
        assert renewed
        assert "ended at" in why

    @pytest.mark.parametrize(
        "held",
        [
            "text",
            {},
            {"v": 2},
            lambda: sealed(opened(), Origin("payroll", "run 1", "session")),
            lambda: {**sealed(opened()), "wallet": STRANGER.address},
            lambda: {**sealed(opened()), "run_id": ["run 1"]},
            lambda: make_ticket(opened(), SEAL, network="datil-dev", origin=HERE),
        ],
        ids=[
            "text",
            "nothing",
            "incomplete",
            "another DAG's",
            "altered",
            "malformed",
            "network",
        ],
    )
    def test_what_cannot_be_passed_on(self, held: Any) -> None:  # noqa: ANN401 - what XCom may hold
        found = held() if callable(held) else held
        task = Task()
        ticket, renewed, why = task.broker.reuse_or_open(found, ITEM)
        assert renewed
        assert why
        assert task.broker.hold(ticket).session == task.client.opened[0]

    def test_a_new_one_lasts_as_long_as_asked(self) -> None:
        task = Task()
        task.broker.reuse_or_open(None, ITEM, ttl_s=120)
        (session,) = task.client.opened
        assert session.expires_at - clock.parse_iso(session.issued_at) == timedelta(seconds=120)

    def test_what_fails_for_another_reason_fails(self) -> None:
        task = Task()

        def away() -> str:
            raise VaultUnavailableError("the network is away")

        task.client.health = away  # type: ignore[method-assign]
        with pytest.raises(VaultUnavailableError):
            task.broker.reuse_or_open(None, ITEM)


class TestPublished:
    def test_under_its_name(self) -> None:
        session = opened()
        store = Store({"hourly": sealed(session, name="hourly")})
        for origin in (HERE, LATER, Origin("payroll", "run 1", "decrypt"), Origin()):
            task = Task(origin=origin, store=store)
            held = task.broker.hold("hourly")
            assert (held.session, held.name, held.made_by) == (session, "hourly", "reports.session")

    def test_nothing_is(self) -> None:
        with pytest.raises(SessionNotFoundError, match="'hourly'") as caught:
            Task().broker.hold("hourly")
        assert (caught.value.name, caught.value.retryable) == ("hourly", True)
        assert "name='hourly'" in caught.value.hint

    def test_one_that_has_ended_is_not_found(self, wait: Wait) -> None:
        task = Task()
        task.store.published["hourly"] = ended(task, 60, wait, "hourly")
        with pytest.raises(SessionNotFoundError, match="ended at"):
            task.broker.hold("hourly")

    def test_what_is_published_under_another_name_or_none(self) -> None:
        for ticket in (sealed(opened(), name="daily"), sealed(opened())):
            with pytest.raises(TicketError, match="published as"):
                Task(store=Store({"hourly": ticket})).broker.hold("hourly")

    def test_another_wallets(self) -> None:
        store = Store({"hourly": sealed(opened(wallet=STRANGER), name="hourly")})
        with pytest.raises(TicketError, match=STRANGER.address):
            Task(store=store).broker.hold("hourly")

    def test_it_is_passed_on_as_it_is(self) -> None:
        published = sealed(opened(), name="hourly")
        ticket, renewed, why = Task(origin=LATER).broker.reuse_or_open(published, ITEM, name="hourly")
        assert (ticket, renewed, why) == (published, False, "")

    def test_its_ticket_in_xcom_is_passed_on_to_this_run_alone(self) -> None:
        """A task that no longer publishes: what it returned before was for every DAG."""
        session = opened()
        task = Task(origin=LATER)
        ticket, renewed, _ = task.broker.reuse_or_open(sealed(session, name="hourly"), ITEM)
        assert (renewed, ticket.get("name"), ticket["run_id"]) == (False, None, "run 2")
        assert task.broker.hold(ticket).session == session

    def test_a_new_one_is_for_that_name(self) -> None:
        task = Task(origin=LATER)
        ticket, renewed, _ = task.broker.reuse_or_open(sealed(opened(), name="daily"), ITEM, name="hourly")
        assert (renewed, ticket["name"]) == (True, "hourly")
        assert "run_id" not in ticket


def test_a_scope_that_cannot_be_asked_for_is_not_opened() -> None:
    with pytest.raises(ScopeError):
        Task().broker.open(Scope(()))


def _packed(session: Session) -> bytes:
    import zlib

    return zlib.compress(session.to_secret().reveal())


def lending(owner: Wallet) -> AuthSig:
    return capacity_delegation(owner, nonce="0x" + "ab" * 32, now=clock.now())


def test_every_session_carries_what_is_lent_renewals_included() -> None:
    lent = lending(STRANGER)
    task = Task(lent=(lent,))
    opened = task.broker.open(ITEM)
    renewed = task.broker.renew(opened, lambda: ITEM)
    assert renewed is not None
    for session in (opened, renewed):
        assert lent.sig in set(session.secrets())


def test_a_session_without_what_is_lent_is_not_passed_on() -> None:
    ticket, _, _ = Task().broker.reuse_or_open(None, ITEM)
    lent = lending(STRANGER)
    fresh, renewed, why = Task(origin=LATER, lent=(lent,)).broker.reuse_or_open(ticket, ITEM)
    assert renewed
    assert "capacity delegation" in why
    again = Task(origin=replace(LATER, run_id="run 3"), lent=(lent,)).broker.reuse_or_open(fresh, ITEM)
    assert not again[1]


@pytest.mark.parametrize("text", ["{'v': 2, 'network': 'custom'}", '{"v": 2}', " [{'v': 2}]"])
def test_a_ticket_as_text_is_told_from_a_name(text: str) -> None:
    with pytest.raises(TicketError, match="a ticket as text") as caught:
        Task().broker.hold(text)
    assert "session_task.output" in caught.value.hint


def test_the_tickets_of_a_mapped_task_are_counted() -> None:
    ticket, _, _ = Task().broker.reuse_or_open(None, ITEM)
    with pytest.raises(TicketError, match="There are 2 tickets"):
        Task().broker.hold([ticket, ticket])

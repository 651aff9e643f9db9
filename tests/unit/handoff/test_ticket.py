"""Tickets under the seal that needs no server; tests/vault has them under both."""

from __future__ import annotations

import json
import zlib
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from cryptography.fernet import Fernet

from lit_airflow.errors import ScopeError, SessionError, SessionExpiredError, TicketError
from lit_airflow.handoff.seal import FernetSeal, seal_with_facts
from lit_airflow.handoff.ticket import (
    Origin,
    Ticket,
    check_ticket,
    expired,
    make_ticket,
    open_ticket,
    ticket_scope,
)
from lit_airflow.keys.secret import Secret
from lit_airflow.protocol.session import Session
from tests.surveying import surveyed
from tests.unit.protocol.opening import END, KEY, NODE, SCOPE, TIMES, opened

SESSION = opened()
SEAL = FernetSeal(Secret(Fernet.generate_key()))
NETWORK = surveyed([NODE], 1)
HERE = Origin("reports", "run 1", "session")
NOWHERE = Origin()
ALIVE = END - timedelta(hours=1)
_VERSION_2 = ("kind", "dag_id", "run_id")


def made(origin: Origin = HERE, name: str = "") -> Ticket:
    """As XCom hands it on."""
    ticket = make_ticket(SESSION, SEAL, network="custom", origin=origin, name=name)
    again: Ticket = json.loads(json.dumps(ticket))
    return again


def open_(ticket: object, now: datetime = ALIVE, origin: Origin = HERE, name: str = "") -> Session:
    session = open_ticket(
        ticket, SEAL, NETWORK.load_session, network="custom", now=now, origin=origin, name=name
    )
    assert isinstance(session, Session)
    return session


TICKET = made()
FACTS = {
    "v": 2,
    "kind": "session-sigs/1",
    "network": "custom",
    "wallet": SESSION.wallet,
    "session_public_key": KEY.public_key,
    "scope": [
        {"resource": "lit-accesscontrolcondition://*", "ability": "access-control-condition-decryption"}
    ],
    "issued_at": TIMES[0],
    "expires_at": TIMES[1],
    "seal": "fernet",
    "made_by": "reports.session",
    "dag_id": "reports",
    "run_id": "run 1",
}
PACKED = zlib.compress(json.dumps(SESSION.to_json()).encode())


def without(*keys: str) -> Ticket:
    return {name: value for name, value in TICKET.items() if name not in keys}


def sealed_as(contents: bytes, **changed: object) -> Ticket:
    """A ticket around something else, by somebody who has the seal's key; ``None`` leaves a fact out."""
    facts = {key: value for key, value in {**FACTS, **changed}.items() if key != "seal" and value is not None}
    return seal_with_facts(facts, Secret(contents), SEAL)


VERSION_1 = sealed_as(PACKED, v=1, **dict.fromkeys(_VERSION_2))


def test_what_a_ticket_says_and_what_comes_out() -> None:
    ticket = made()
    assert {name: value for name, value in ticket.items() if name != "sealed"} == FACTS
    for now in (END - timedelta(milliseconds=1), END - timedelta(days=400)):
        assert open_(ticket, now).to_json() == SESSION.to_json()


def test_outside_any_task() -> None:
    ticket = made(NOWHERE)
    assert not ticket.keys() & {"made_by", "dag_id", "run_id", "name"}
    assert open_(ticket, origin=NOWHERE) == SESSION


@pytest.mark.parametrize("key", sorted(FACTS))
def test_each_fact_is_bound(key: str) -> None:
    changed = {"expires_at": "2035-01-15T13:00:00.000Z", "scope": [], "v": True}.get(key, "another")
    for ticket in (TICKET | {key: changed}, without(key), {**TICKET, "further": 1}):
        for origin in (HERE, NOWHERE):
            with pytest.raises(TicketError) as caught:
                open_(ticket, origin=origin)
            assert caught.value.hint


class TestWhereItMayBeUsed:
    """A ticket belongs to one DAG run, or to a name."""

    def test_in_the_run_that_made_it(self) -> None:
        assert open_(TICKET, origin=replace(HERE, task_id="decrypt")) == SESSION

    @pytest.mark.parametrize(
        "origin",
        [replace(HERE, run_id="run 2"), replace(HERE, dag_id="payroll"), Origin("payroll", "", "decrypt")],
    )
    def test_nowhere_else(self, origin: Origin) -> None:
        with pytest.raises(TicketError, match='run "run 1" of the DAG "reports"') as caught:
            open_(TICKET, origin=origin)
        assert "publish the session with a name" in caught.value.hint

    def test_one_that_names_no_run_belongs_to_none(self) -> None:
        for ticket in (made(NOWHERE), sealed_as(PACKED, run_id=None), sealed_as(PACKED, dag_id=None)):
            with pytest.raises(TicketError, match="not to this DAG run"):
                open_(ticket)

    def test_a_task_outside_any_run_is_not_checked(self) -> None:
        assert open_(TICKET, origin=NOWHERE) == SESSION

    def test_a_published_one_opens_under_its_name_in_any_run(self) -> None:
        ticket = made(name="hourly")
        assert (ticket["name"], ticket["dag_id"], ticket["made_by"]) == (
            "hourly",
            "reports",
            "reports.session",
        )
        assert "run_id" not in ticket
        for origin in (HERE, replace(HERE, run_id="run 2"), Origin("payroll", "run", "decrypt"), NOWHERE):
            assert open_(ticket, origin=origin, name="hourly") == SESSION

    @pytest.mark.parametrize("origin", [HERE, NOWHERE])
    def test_under_no_other_name(self, origin: Origin) -> None:
        with pytest.raises(TicketError, match='was published as "hourly", and is not "daily"'):
            open_(made(name="hourly"), origin=origin, name="daily")

    def test_and_through_xcom_in_any_run(self) -> None:
        """The task that publishes it returns it as well."""
        for origin in (HERE, replace(HERE, run_id="run 2"), Origin("payroll", "run", "decrypt")):
            assert open_(made(name="hourly"), origin=origin) == SESSION

    def test_a_runs_own_ticket_is_not_a_published_one(self) -> None:
        for origin in (HERE, NOWHERE):
            with pytest.raises(TicketError, match="published as"):
                open_(TICKET, origin=origin, name="hourly")

    def test_what_binds_it_cannot_be_changed(self) -> None:
        for ticket, origin, name in (
            (TICKET | {"run_id": "run 2"}, replace(HERE, run_id="run 2"), ""),
            (TICKET | {"dag_id": "payroll"}, replace(HERE, dag_id="payroll"), ""),
            (without("run_id") | {"name": "hourly"}, HERE, "hourly"),
            (without(*_VERSION_2) | {"v": 1}, replace(HERE, run_id="run 2"), ""),
        ):
            with pytest.raises(TicketError, match="altered"):
                open_(ticket, origin=origin, name=name)


class TestVersion1:
    """What an earlier version made, and a newer one still reads; it does not say where it may be used."""

    @pytest.mark.parametrize("origin", [HERE, replace(HERE, run_id="run 2"), NOWHERE])
    @pytest.mark.parametrize("name", ["", "hourly"])
    def test_it_opens(self, origin: Origin, name: str) -> None:
        assert not VERSION_1.keys() & {*_VERSION_2, "name"}
        assert open_(VERSION_1, origin=origin, name=name) == SESSION

    def test_its_facts_are_bound(self) -> None:
        for changed in ({"v": 2, "kind": "session-sigs/1"}, {"expires_at": TIMES[0]}, {"wallet": "0x1"}):
            with pytest.raises((TicketError, SessionExpiredError)):
                open_({**VERSION_1, **changed}, origin=NOWHERE)

    def test_it_ends(self) -> None:
        with pytest.raises(SessionExpiredError):
            open_(VERSION_1, END)


def test_another_seal_or_none() -> None:
    other = FernetSeal(Secret(Fernet.generate_key()))
    with pytest.raises(TicketError, match="sealed under another key"):
        open_ticket(TICKET, other, NETWORK.load_session, network="custom", now=ALIVE, origin=HERE)
    for sealed in ("", "é", TICKET["sealed"][:-4], "A" + TICKET["sealed"][1:]):
        with pytest.raises(TicketError, match="altered, or sealed under another key"):
            open_({**TICKET, "sealed": sealed})
    # Bound to other facts, or to none: too short for the hash of any.
    other_facts = SEAL.seal(Secret(b""), b"other facts")
    for sealed in (other_facts, Fernet(Fernet.generate_key()).encrypt(b"").decode()):
        with pytest.raises(TicketError):
            open_({**TICKET, "sealed": sealed})


@pytest.mark.parametrize(
    "contents",
    [
        b"",
        b"not compressed",
        zlib.compress(b"not JSON"),
        zlib.compress(b"\xff"),
        zlib.compress(b"[]"),
        zlib.compress(b"[" * 100_000),
        zlib.compress(b" " * 16 * 1024 * 1024 + json.dumps(SESSION.to_json()).encode()),
    ],
    ids=["nothing", "not compressed", "not JSON", "not UTF-8", "a list", "deep", "large"],
)
def test_contents_that_are_no_session(contents: bytes) -> None:
    with pytest.raises(TicketError, match="not a session"):
        open_(sealed_as(contents))


def test_contents_as_large_as_may_be() -> None:
    contents = json.dumps(SESSION.to_json()).encode().rjust(16 * 1024 * 1024)
    assert open_(sealed_as(zlib.compress(contents))) == SESSION


def test_the_network_reads_the_contents_by_their_kind() -> None:
    with pytest.raises(SessionError, match="another-kind/1"):
        open_(sealed_as(PACKED, kind="another-kind/1"))
    with pytest.raises(SessionError, match="incomplete"):
        open_(sealed_as(zlib.compress(b"{}")))


class TestItsEnd:
    @pytest.mark.parametrize(
        ("ticket", "maker"),
        [(TICKET, 'the task "reports.session"'), (made(NOWHERE), "the session task")],
    )
    def test_it_names_its_maker(self, ticket: Ticket, maker: str) -> None:
        with pytest.raises(SessionExpiredError) as caught:
            open_(ticket, END, NOWHERE)
        assert (caught.value.expired_at, caught.value.now) == (END, END)
        assert str(caught.value).startswith(f"The session of {maker} ended at {TIMES[1]}.")
        assert f"Run {maker} again" in caught.value.hint
        assert "the session task" in str(expired(END, now=END))

    def test_what_is_sealed_counts(self) -> None:
        """A maker who states a later end gains nothing."""
        later = sealed_as(PACKED, expires_at="2035-01-15T13:00:00.000Z")
        assert open_(later) == SESSION
        with pytest.raises(SessionExpiredError) as caught:
            open_(later, END)
        assert caught.value.expired_at == END

    def test_nothing_is_opened_after_it(self) -> None:
        class Sealed(FernetSeal):
            def open(self, sealed: str, bound: bytes) -> Secret:
                pytest.fail("a ticket that has ended was opened")

        seal = Sealed(Secret(Fernet.generate_key()))
        with pytest.raises(SessionExpiredError):
            open_ticket(TICKET, seal, NETWORK.load_session, network="custom", now=END, origin=HERE)


@pytest.mark.parametrize(
    ("ticket", "told"),
    [
        (None, "got NoneType"),
        ([TICKET], "got list of one"),
        ([], "got list of none"),
        ({"ciphertext": "AA"}, "not a ticket; it is a container"),
        ({"https://node": {"sig": "", "signedMessage": ""}}, "not a ticket; it is session sigs"),
        ({"session_sigs": {}}, "not a ticket; it is session sigs"),
        ({"session": TICKET}, "This is not a ticket."),
        pytest.param(json.dumps(TICKET), "got str", id="text"),
        ({**TICKET, "v": 3}, "version 3"),
        ({**TICKET, "v": 0}, "version 0"),
        ({**TICKET, "v": "2"}, 'version "2"'),
        ({**TICKET, "v": True}, "Unknown ticket version"),
        ({**TICKET, "v": 10**5000}, "Unknown ticket version;"),
        (without("v"), "Unknown ticket version"),
        ({**TICKET, "network": "datil"}, 'network "datil", this connection for custom'),
        ({**TICKET, "seal": "transit"}, '"transit"'),
        ({**TICKET, "expires_at": "soon"}, "not a time"),
        ({**TICKET, "expires_at": "2025-01-15T13:00:00"}, "not a time"),
        ({**TICKET, "expires_at": "9999-12-31T23:59:59-14:00"}, "not a time"),
        *(({**TICKET, key: 5}, "incomplete") for key in ("made_by", "dag_id", "run_id", "name")),
        *(
            (ticket, "incomplete")
            for key in (
                "kind",
                "network",
                "wallet",
                "session_public_key",
                "issued_at",
                "expires_at",
                "seal",
                "sealed",
            )
            for ticket in (without(key), {**TICKET, key: 5})
        ),
    ],
)
def test_what_is_refused_unopened(ticket: Any, told: str) -> None:  # noqa: ANN401 - what may come in
    with pytest.raises(TicketError, match=told) as caught:
        check_ticket(ticket, SEAL, network="custom")
    assert caught.value.hint


def test_what_passes() -> None:
    assert check_ticket(TICKET, SEAL, network="custom") is TICKET
    assert check_ticket(VERSION_1, SEAL, network="custom") is VERSION_1


def test_the_seals_own_facts_must_agree() -> None:
    class Transit:
        facts = {"seal": "transit", "transit_mount": "transit", "transit_key": "k"}  # noqa: RUF012 - read only

        seal = open = None

    ticket = {**TICKET, **Transit.facts}
    assert check_ticket(ticket, Transit(), network="custom") is ticket  # type: ignore[arg-type]
    for name in Transit.facts:
        with pytest.raises(TicketError, match="which this connection does not open"):
            check_ticket(ticket | {name: "x"}, Transit(), network="custom")  # type: ignore[arg-type]


def test_the_scope_in_a_ticket() -> None:
    assert ticket_scope(TICKET) == SCOPE
    for scope in (None, 5, [5], [{}], [{"resource": 5, "ability": "x"}], {"resource": "x"}):
        with pytest.raises(TicketError):
            ticket_scope({**TICKET, "scope": scope})
    with pytest.raises(TicketError):
        ticket_scope(without("scope"))
    for scope in ([], [{"resource": "lit-unknown://*", "ability": "x"}]):
        with pytest.raises(ScopeError):
            ticket_scope({**TICKET, "scope": scope})


def test_a_session_without_its_key_stays_without() -> None:
    ticket = make_ticket(replace(SESSION, key=None), SEAL, network="custom", origin=HERE)
    assert open_(ticket).key is None

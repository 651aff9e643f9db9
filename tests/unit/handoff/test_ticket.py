"""Tickets under the seal that needs no server; tests/vault has them under both."""

from __future__ import annotations

import json
import zlib
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from cryptography.fernet import Fernet

from lit_airflow.errors import ScopeError, SessionExpiredError, SettingsError, TicketError
from lit_airflow.handoff.ticket import (
    FernetSeal,
    Ticket,
    check_ticket,
    expired,
    make_ticket,
    open_ticket,
    ticket_scope,
)
from lit_airflow.keys.secret import Secret
from tests.unit.protocol.opening import END, KEY, SCOPE, TIMES, opened

MADE_BY = "reports.session"
SESSION = opened()
SEAL = FernetSeal(Secret(Fernet.generate_key()))


def made() -> Ticket:
    """As XCom hands it on."""
    ticket: Ticket = json.loads(json.dumps(make_ticket(SESSION, SEAL, network="custom", made_by=MADE_BY)))
    return ticket


TICKET = made()
FACTS = {
    "v": 1,
    "network": "custom",
    "wallet": SESSION.wallet,
    "session_public_key": KEY.public_key,
    "scope": [
        {"resource": "lit-accesscontrolcondition://*", "ability": "access-control-condition-decryption"}
    ],
    "issued_at": TIMES[0],
    "expires_at": TIMES[1],
    "seal": "fernet",
    "made_by": MADE_BY,
}


def without(key: str) -> Ticket:
    return {name: value for name, value in TICKET.items() if name != key}


def sealed_as(contents: bytes) -> Ticket:
    """A ticket around something else, by somebody who has the seal's key."""
    bound = json.dumps(without("sealed"), sort_keys=True, separators=(",", ":")).encode()
    return {**TICKET, "sealed": SEAL.seal(contents, bound)}


def test_what_a_ticket_says_and_what_comes_out() -> None:
    ticket = made()
    assert {name: value for name, value in ticket.items() if name != "sealed"} == FACTS
    for now in (None, END - timedelta(milliseconds=1), END - timedelta(days=400)):
        again = open_ticket(ticket, SEAL, network="custom", now=now)
        assert again.to_json() == SESSION.to_json()
    assert "made_by" not in make_ticket(SESSION, SEAL, network="custom")


@pytest.mark.parametrize("key", sorted(FACTS))
@pytest.mark.parametrize("now", [None, END - timedelta(hours=1)])
def test_each_fact_is_bound(key: str, now: Any) -> None:  # noqa: ANN401 - a time or none
    changed = {"expires_at": "2035-01-15T13:00:00.000Z", "scope": [], "v": True}.get(key, "another")
    for ticket in (TICKET | {key: changed}, without(key), {**TICKET, "further": 1}):
        with pytest.raises(TicketError) as caught:
            open_ticket(ticket, SEAL, network="custom", now=now)
        assert caught.value.hint


def test_another_seal_or_none() -> None:
    with pytest.raises(TicketError, match="sealed under another key"):
        open_ticket(TICKET, FernetSeal(Secret(Fernet.generate_key())), network="custom", now=None)
    for sealed in ("", "é", TICKET["sealed"][:-4], "A" + TICKET["sealed"][1:]):
        with pytest.raises(TicketError, match="altered, or sealed under another key"):
            open_ticket({**TICKET, "sealed": sealed}, SEAL, network="custom", now=None)
    # Bound to other facts, or to none: too short for the hash of any.
    for sealed in (SEAL.seal(b"", b"other facts"), Fernet(Fernet.generate_key()).encrypt(b"").decode()):
        with pytest.raises(TicketError):
            open_ticket({**TICKET, "sealed": sealed}, SEAL, network="custom", now=None)


@pytest.mark.parametrize("key", ["", "short", "§" * 43 + "="])
def test_what_is_no_fernet_key(key: str) -> None:
    with pytest.raises(SettingsError) as caught:
        FernetSeal(Secret(key.encode()))
    assert caught.value.field == "seal_secret"
    assert not key or key not in str(caught.value)


@pytest.mark.parametrize(
    "contents",
    [
        b"",
        b"not compressed",
        zlib.compress(b"not JSON"),
        zlib.compress(b"\xff"),
        zlib.compress(b"[" * 100_000),
        zlib.compress(b" " * 16 * 1024 * 1024 + json.dumps(SESSION.to_json()).encode()),
    ],
    ids=["nothing", "not compressed", "not JSON", "not UTF-8", "deep", "large"],
)
def test_contents_that_are_no_session(contents: bytes) -> None:
    with pytest.raises(TicketError, match="not a session"):
        open_ticket(sealed_as(contents), SEAL, network="custom", now=None)


def test_contents_as_large_as_may_be() -> None:
    contents = json.dumps(SESSION.to_json()).encode().rjust(16 * 1024 * 1024)
    ticket = sealed_as(zlib.compress(contents))
    assert open_ticket(ticket, SEAL, network="custom", now=None) == SESSION


def test_a_ticket_that_is_over_names_its_maker() -> None:
    for ticket, maker in ((TICKET, f"the task {MADE_BY}"), (without("made_by"), "the session task")):
        with pytest.raises(SessionExpiredError) as caught:
            open_ticket(ticket, SEAL, network="custom", now=END)
        assert (caught.value.expired_at, caught.value.now) == (END, END)
        assert str(caught.value).startswith(f"The session of {maker} ended at {TIMES[1]}.")
        assert f"Look at {maker}" in caught.value.hint
    assert "the session task" in str(expired(END, now=END))


@pytest.mark.parametrize(
    ("ticket", "told"),
    [
        (None, "no ticket"),
        ([TICKET], "no ticket"),
        (json.dumps(TICKET), "no ticket"),
        ({**TICKET, "v": 2}, "version 2"),
        ({**TICKET, "v": "1"}, "version '1'"),
        (without("v"), "version None"),
        ({**TICKET, "network": "datil"}, "network datil, this connection for custom"),
        ({**TICKET, "seal": "transit"}, r"\(transit\)"),
        ({**TICKET, "expires_at": "soon"}, "unreadable"),
        ({**TICKET, "expires_at": "2025-01-15T13:00:00"}, "unreadable"),
        ({**TICKET, "made_by": 5}, "incomplete"),
        *(
            (ticket, "incomplete")
            for key in (
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
        check_ticket(ticket, SEAL.facts, network="custom")
    assert caught.value.hint


def test_what_passes() -> None:
    assert check_ticket(TICKET, SEAL.facts, network="custom") is TICKET
    transit = {**TICKET, "seal": "transit", "transit_mount": "transit", "transit_key": "k"}
    facts = {"seal": "transit", "transit_mount": "transit", "transit_key": "k"}
    assert check_ticket(transit, facts, network="custom") is transit
    for name in facts:
        with pytest.raises(TicketError, match="another way"):
            check_ticket(transit | {name: "x"}, facts, network="custom")


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
    ticket = make_ticket(replace(SESSION, key=None), SEAL, network="custom")
    assert open_ticket(ticket, SEAL, network="custom", now=None).key is None

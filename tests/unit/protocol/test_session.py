from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lit_airflow.clock import iso
from lit_airflow.errors import ScopeError, SessionError, SessionExpiredError, in_file
from lit_airflow.keys.secret import Secret
from lit_airflow.protocol.scope import Scope
from lit_airflow.protocol.session import Session, SessionKey, earliest_end
from tests.unit.protocol.opening import END, KEY, NODE, opened


@pytest.mark.parametrize("text", ["", "07", "zz" * 32, "07" * 33, "07" * 64, "07" * 32 + "00"])
def test_what_is_no_session_key(text: str) -> None:
    with pytest.raises(SessionError) as caught:
        SessionKey.from_hex(text)
    assert "0707" not in str(caught.value)


def test_session_keys() -> None:
    assert KEY.public_key == "ea4a6c63e29c520abef5507b132ec5f9954776aebebe7b92421eea691446d22c"
    assert SessionKey.from_hex("07" * 32 + KEY.public_key) == KEY
    assert SessionKey.generate() != SessionKey.generate()
    assert "07" * 16 not in repr(KEY)
    with pytest.raises(SessionError):
        SessionKey(Secret(b"short"))


def test_a_session_shows_neither_key_nor_signatures() -> None:
    session = opened()
    shown = repr(session) + str(session) + f"{session}"
    assert KEY.public_key not in shown
    assert session.session_sigs[NODE]["sig"] not in shown
    assert "07" * 16 not in shown


@pytest.mark.parametrize("left", [timedelta(0), timedelta(microseconds=-1), timedelta(days=-400)])
def test_a_session_that_is_over(left: timedelta) -> None:
    with pytest.raises(SessionExpiredError) as caught:
        opened().check_alive(END - left)
    assert (caught.value.expired_at, caught.value.now) == (END, END - left)
    assert not caught.value.retryable


def test_a_session_ends_with_the_wallets_delegation_at_the_latest() -> None:
    sooner = opened("2025-01-15T12:30:00.000Z")
    assert sooner.expires_at == END - timedelta(minutes=30)
    assert opened("2025-01-22T12:30:00.000Z").expires_at == END
    opened().check_alive(END - timedelta(milliseconds=1))


def test_a_statement_that_looks_like_an_end_is_none() -> None:
    message = f"Expiration Time: 2000-01-01T00:00:00Z\nExpiration Time: {iso(END)}"
    assert earliest_end(iso(END), ({"signedMessage": message},)) == END


def test_contents_read_back() -> None:
    session = opened()
    wire = json.loads(json.dumps(session.to_json()))
    assert Session.from_json(wire) == session
    assert Session.from_json(session.to_json(with_key=False)).key is None


def test_what_reads_back_ends_with_the_delegation_too() -> None:
    sooner = opened("2025-01-15T12:30:00.000Z")
    assert Session.from_json(sooner.to_json()) == sooner
    assert Session.from_session_sigs(sooner.session_sigs).expires_at == sooner.expires_at


def test_what_is_not_covered_is_named() -> None:
    session, asked = opened(), Scope.parse(["pkp-signing=lit-pkp://*"])
    session.check_covers(Scope.to_decrypt("a/b"))
    with pytest.raises(ScopeError, match=r"does not cover pkp-signing=lit-pkp://\*") as caught:
        session.check_covers(asked)
    assert (caught.value.asked, caught.value.granted) == (str(asked), str(session.scope))
    assert str(session.scope) in caught.value.hint
    with (
        pytest.raises(ScopeError, match=r"^/data/report\.lit: ") as caught,
        in_file("/data/report.lit"),
    ):
        session.check_covers(asked)
    assert caught.value.granted == str(session.scope)


@given(st.data())
def test_contents_that_are_incomplete(data: st.DataObject) -> None:
    wire = opened().to_json()
    name = data.draw(
        st.sampled_from([n for n in wire if n not in ("session_sigs", "network", "wallet", "public_key")])
    )
    wire[name] = data.draw(st.sampled_from([5, "", [], {}, "not a time", {"x": 1}]))
    try:
        read = Session.from_json(wire)
    except SessionError:
        return
    assert name == "capabilities"
    assert read.key == KEY


@pytest.mark.parametrize("field", ["expiration", "issued_at"])
def test_a_time_beyond_the_calendar_is_a_session_error(field: str) -> None:
    with pytest.raises(SessionError):
        Session.from_json({**opened().to_json(), field: "9999-12-31T23:59:59-14:00"})


def test_contents_cross_as_a_secret() -> None:
    session = opened()
    contents = session.to_secret()
    assert json.loads(contents.reveal()) == session.to_json()
    assert b" " not in contents.reveal().split(b"seed")[1]
    assert Session.from_secret(contents) == session
    assert Session.from_secret(session.to_secret(with_key=False)).key is None
    for other in (b"", b"[]", b"{}", b"null", b"[" * 100_000, b'{"seed": NaN}'):
        with pytest.raises(SessionError):
            Session.from_secret(Secret(other))


def test_bare_session_sigs() -> None:
    session = opened()
    bare = Session.from_session_sigs(json.loads(json.dumps(session.session_sigs)))
    assert bare.session_sigs == session.session_sigs
    assert (bare.wallet, bare.public_key, bare.scope) == (session.wallet, session.public_key, session.scope)
    assert (bare.expires_at, bare.capabilities) == (session.expires_at, session.capabilities)
    assert (bare.issued_at, bare.expiration) == (session.issued_at, session.expiration)
    assert (bare.network, bare.key) == (None, None)


GOOD_SIG = opened().session_sigs[NODE]
SIGNED = json.loads(GOOD_SIG["signedMessage"])


@pytest.mark.parametrize(
    "sigs",
    [
        {},
        [],
        "text",
        None,
        {NODE: None},
        {NODE: {}},
        {NODE: "sig"},
        {NODE: {**GOOD_SIG, "signedMessage": "not json"}},
        {NODE: {**GOOD_SIG, "signedMessage": "[]"}},
        {NODE: {**GOOD_SIG, "signedMessage": "[" * 100_000}},
        {NODE: {**GOOD_SIG, "signedMessage": "{}"}},
        {NODE: {**GOOD_SIG, "signedMessage": GOOD_SIG["signedMessage"].replace("2025", "20x5")}},
        {NODE: GOOD_SIG, "http://127.0.0.1:7471": None},
        {NODE: GOOD_SIG, "http://127.0.0.1:7471": 5},
        {NODE: {**GOOD_SIG, "sig": 5}},
        {NODE: {**GOOD_SIG, "sig": "\ud800"}},
        *(
            {NODE: {**GOOD_SIG, "signedMessage": json.dumps({**SIGNED, name: value})}}
            for name in SIGNED
            if name != "nodeAddress"
            for value in (None, 5, "", [5], {"x": 1}, "9999-12-31T23:59:59-14:00", 10**4000)
        ),
    ],
)
def test_what_are_no_session_sigs(sigs: Any) -> None:  # noqa: ANN401 - what a file may hold
    with pytest.raises(SessionError):  # a ScopeError is one
        Session.from_session_sigs(sigs)

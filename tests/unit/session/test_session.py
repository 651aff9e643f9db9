from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lit_airflow.errors import SessionError, SessionExpiredError
from lit_airflow.networks.datil.wire import session_signature
from lit_airflow.secret import Secret
from lit_airflow.session.scope import Scope
from lit_airflow.session.session import Session, SessionKey, earliest_end

KEY = SessionKey.from_hex("07" * 32)
NODE = "http://127.0.0.1:7470"
SCOPE = Scope.to_decrypt("*")
TIMES = ("2025-01-15T12:00:00.000Z", "2025-01-15T13:00:00.000Z")
END = datetime(2025, 1, 15, 13, tzinfo=UTC)


def capability(expiration: str = "2025-01-15T13:00:00.000Z") -> dict[str, str]:
    return {
        "sig": "0x12",
        "derivedVia": "web3.eth.personal.sign",
        "signedMessage": f"localhost wants\n\nIssued At: x\nExpiration Time: {expiration}\nResources:",
        "address": "0x19E7E376E7C213B7E7e7e46cc70A5dD086DAff2A",
    }


def make(expiration: str = "2025-01-15T13:00:00.000Z") -> Session:
    capabilities = (capability(expiration),)
    sigs = {NODE: session_signature(KEY, SCOPE, capabilities, TIMES, NODE)}
    return Session(
        network="custom",
        wallet=capabilities[0]["address"],
        public_key=KEY.public_key,
        scope=SCOPE,
        issued_at=TIMES[0],
        expiration=TIMES[1],
        expires_at=earliest_end(TIMES[1], capabilities),
        capabilities=capabilities,
        session_sigs=sigs,
        key=KEY,
    )


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
    session = make()
    shown = repr(session) + str(session) + f"{session}"
    assert KEY.public_key not in shown
    assert session.session_sigs[NODE]["sig"] not in shown
    assert "07" * 16 not in shown


@pytest.mark.parametrize("left", [timedelta(0), timedelta(microseconds=-1), timedelta(days=-400)])
def test_a_session_that_is_over(left: timedelta) -> None:
    with pytest.raises(SessionExpiredError) as caught:
        make().check_alive(END - left)
    assert (caught.value.expired_at, caught.value.now) == (END, END - left)
    assert not caught.value.retryable


def test_a_session_ends_with_the_wallets_delegation_at_the_latest() -> None:
    sooner = make("2025-01-15T12:30:00.000Z")
    assert sooner.expires_at == END - timedelta(minutes=30)
    assert make("2025-01-22T12:30:00.000Z").expires_at == END
    make().check_alive(END - timedelta(milliseconds=1))


def test_contents_read_back() -> None:
    session = make()
    wire = json.loads(json.dumps(session.to_json()))
    assert Session.from_json(wire) == session
    assert Session.from_json(session.to_json(with_key=False)).key is None


@given(st.data())
def test_contents_that_are_incomplete(data: st.DataObject) -> None:
    wire = make().to_json()
    name = data.draw(
        st.sampled_from([n for n in wire if n not in ("session_sigs", "network", "wallet", "public_key")])
    )
    wire[name] = data.draw(st.sampled_from([5, "", [], {}, "not a time", {"x": 1}]))
    try:
        read = Session.from_json(wire)
    except SessionError:
        return
    assert name in ("capabilities", "issued_at")
    assert read.key == KEY


def test_bare_session_sigs() -> None:
    session = make()
    bare = Session.from_session_sigs(json.loads(json.dumps(session.session_sigs)))
    assert bare.session_sigs == session.session_sigs
    assert (bare.wallet, bare.public_key, bare.scope) == (session.wallet, session.public_key, session.scope)
    assert (bare.expires_at, bare.capabilities) == (session.expires_at, session.capabilities)
    assert (bare.network, bare.key) == (None, None)


GOOD_SIG = make().session_sigs[NODE]


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
    ],
)
def test_what_are_no_session_sigs(sigs: Any) -> None:  # noqa: ANN401 - what a file may hold
    with pytest.raises(SessionError):
        Session.from_session_sigs(sigs)

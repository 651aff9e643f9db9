"""When a signature that is held, or handed over, does not carry a session."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from lit_airflow.clock import iso
from lit_airflow.errors import SessionError, SiweError
from lit_airflow.keys.wallet import Wallet
from lit_airflow.protocol import siwe
from lit_airflow.protocol.auth_sig import (
    ALGO_BLS,
    AuthRequest,
    AuthSig,
    checked,
    needs_new_signature,
    network_digest,
    sign,
    sign_in,
)
from lit_airflow.protocol.eip4361 import SignIn
from lit_airflow.protocol.scope import Scope
from lit_airflow.protocol.session import SessionKey
from tests.unit.dealing import Deal

NOW = datetime(2025, 1, 15, 12, tzinfo=UTC)
MOMENT = timedelta(milliseconds=1)
WALLET = Wallet.from_key("11" * 32)
KEY = SessionKey.from_hex("07" * 32)
SCOPE = Scope.to_decrypt("a/b")
NETWORK = Deal((5, 7))
REQUEST = AuthRequest(
    chain="ethereum",
    expiration=iso(NOW + timedelta(hours=1)),
    uri=KEY.uri,
    session_key=KEY,
    nonce="ab" * 16,
    scope=SCOPE,
    now=NOW,
)
MESSAGE = siwe.sign_in(
    address=WALLET.address,
    nonce=REQUEST.nonce,
    now=NOW,
    requests=SCOPE.requests,
    uri=KEY.uri,
    expiration=REQUEST.expiration,
)


def by_wallet(message: SignIn) -> AuthSig:
    return sign(WALLET, siwe.write(message))


def by_network(message: SignIn, network: Deal = NETWORK) -> AuthSig:
    text = siwe.write(message)
    signature = network.signature(network_digest(text)).to_compressed_bytes().hex()
    return AuthSig(json.dumps({"ProofOfPossession": signature}), "lit.bls", text, WALLET.address, ALGO_BLS)


def unfit(auth_sig: AuthSig, now: datetime = NOW, network_public_key: str | None = NETWORK.key.hex()) -> bool:
    return needs_new_signature(
        auth_sig, session_uri=KEY.uri, scope=SCOPE, now=now, network_public_key=network_public_key
    )


@pytest.mark.parametrize(
    ("change", "wallets", "networks"),
    [
        ({}, False, False),
        ({"expiration_time": iso(NOW)}, True, True),
        ({"expiration_time": iso(NOW + MOMENT)}, False, False),
        ({"expiration_time": None}, False, True),  # the network always says when
        ({"issued_at": iso(NOW + MOMENT)}, False, True),
        ({"not_before": iso(NOW + MOMENT)}, True, True),
        ({"not_before": iso(NOW)}, False, False),
        ({"not_before": iso(NOW - MOMENT)}, False, False),
        ({"uri": SessionKey.generate().uri}, True, True),
        ({"resources": ()}, True, True),
    ],
)
def test_what_a_message_says(change: dict[str, Any], wallets: bool, networks: bool) -> None:  # noqa: FBT001
    message = replace(MESSAGE, **change)
    assert unfit(by_wallet(message)) == wallets
    assert unfit(by_network(message)) == networks


@pytest.mark.parametrize("field", ["expiration_time", "not_before"])
def test_a_time_beyond_the_calendar_is_a_siwe_error(field: str) -> None:
    """A text that EIP-4361 allows."""
    end = "9999-12-31T23:59:59-14:00"
    with pytest.raises(SiweError, match="invalid time"):
        unfit(by_wallet(replace(MESSAGE, **{field: end})))


def test_who_signed() -> None:
    wallets, networks = by_wallet(MESSAGE), by_network(MESSAGE)
    assert not unfit(wallets, network_public_key=None)
    assert unfit(networks, network_public_key=None)
    assert unfit(networks, network_public_key=Deal((6, 7)).key.hex())
    assert unfit(replace(wallets, sig=Wallet.from_key("22" * 32).sign(wallets.signed_message)))
    assert unfit(replace(wallets, sig=wallets.sig[:-2]))
    for algo in ("ES256", "lit_bls", ""):
        with pytest.raises(SessionError, match=f'Unknown signature algorithm "{algo}"'):
            unfit(replace(wallets, algo=algo))


@pytest.mark.parametrize(
    "sig",
    [
        "",
        "[]",
        "{}",
        "5",
        '{"ProofOfPossession": 5}',
        '{"ProofOfPossession": "zz"}',
        '{"ProofOfPossession": ""}',
    ],
)
@pytest.mark.parametrize("key", [NETWORK.key.hex(), "zz", ""])
def test_what_is_no_signature_of_the_network(sig: str, key: str) -> None:
    assert unfit(replace(by_network(MESSAGE), sig=sig), network_public_key=key)
    assert unfit(by_network(MESSAGE), network_public_key=key) == (key != NETWORK.key.hex())


def test_what_a_callback_is_asked_and_may_answer() -> None:
    asked: list[AuthRequest] = []

    def answer(request: AuthRequest) -> AuthSig:
        asked.append(request)
        return sign_in(request, WALLET)

    assert checked(REQUEST, answer) == sign_in(REQUEST, WALLET)
    assert asked == [REQUEST]
    # The network's own is looked at where its key is known.
    elsewhere = by_network(replace(MESSAGE, uri=SessionKey.generate().uri))
    assert checked(REQUEST, lambda _: elsewhere) is elsewhere


ANSWERS: dict[str, Callable[[AuthRequest], Any]] = {
    "nothing": lambda _: None,
    "the wire's form": lambda request: sign_in(request, WALLET).to_json(),
    "another key's": lambda request: sign_in(replace(request, uri=SessionKey.generate().uri), WALLET),
    "another scope's": lambda request: sign_in(replace(request, scope=Scope.to_decrypt("a/c")), WALLET),
    "one that is over": lambda request: sign_in(replace(request, expiration=iso(NOW)), WALLET),
}


@pytest.mark.parametrize("answer", ANSWERS)
def test_what_a_callback_may_not_answer(answer: str) -> None:
    with pytest.raises(SessionError, match="callback"):
        checked(REQUEST, ANSWERS[answer])


WIRE = by_wallet(MESSAGE).to_json()


@pytest.mark.parametrize(
    "wire",
    [
        None,
        5,
        "text",
        [],
        {},
        {**WIRE, "algo": 5},
        *({key: value for key, value in WIRE.items() if key != left_out} for left_out in WIRE),
        *({**WIRE, key: 5} for key in WIRE),
    ],
)
def test_wire_forms_that_are_none(wire: Any) -> None:  # noqa: ANN401 - what may come in
    with pytest.raises(SessionError):
        AuthSig.from_json(wire)


@pytest.mark.parametrize(
    ("algo", "keys"),
    [
        (None, ["sig", "derivedVia", "signedMessage", "address"]),
        ("ed25519", ["sig", "derivedVia", "signedMessage", "address", "algo"]),
        (ALGO_BLS, ["sig", "algo", "derivedVia", "signedMessage", "address"]),
    ],
)
def test_the_order_in_which_a_session_key_signs_it(algo: str | None, keys: list[str]) -> None:
    signature = AuthSig("0x01", "a way", "a text", "an address", algo)
    assert list(signature.to_json()) == keys
    assert signature.to_json().get("algo") == algo
    assert AuthSig.from_json(signature.to_json()) == signature

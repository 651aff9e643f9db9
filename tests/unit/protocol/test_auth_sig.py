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
from lit_airflow.protocol.auth_sig import ALGO_BLS, AuthRequest, AuthSig, sign, sign_in
from lit_airflow.protocol.delegation import fits_request, is_usable, needs_new_signature, network_digest
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


def fits(
    auth_sig: AuthSig, wallet: str | None = WALLET.address, network: str | None = NETWORK.key.hex()
) -> bool:
    """Whether an authSig answers the request; the two functions that say so agree."""
    usable = is_usable(auth_sig, REQUEST, wallet=wallet, network_public_key=network)
    if usable:
        fits_request(auth_sig, REQUEST, wallet=wallet, network_public_key=network)
    else:
        with pytest.raises(SessionError, match="does not delegate to this session: ") as caught:
            fits_request(auth_sig, REQUEST, wallet=wallet, network_public_key=network)
        assert caught.value.hint
    return usable


def test_what_answers_a_request() -> None:
    signed = sign_in(REQUEST, WALLET)
    assert fits(signed)
    assert fits(signed, wallet=WALLET.address.lower())
    assert fits(signed, wallet=None)
    assert fits(by_network(MESSAGE))
    assert fits(by_network(MESSAGE), wallet=None)


WIDER = Scope((*SCOPE.requests, *Scope.to_decrypt("a/c").requests))
LATER = iso(NOW + timedelta(hours=2))
ANSWERS: dict[str, Callable[[], AuthSig]] = {
    "another key's": lambda: sign_in(replace(REQUEST, uri=SessionKey.generate().uri), WALLET),
    "another scope's": lambda: sign_in(replace(REQUEST, scope=Scope.to_decrypt("a/c")), WALLET),
    "of a wider scope": lambda: sign_in(replace(REQUEST, scope=WIDER), WALLET),
    "of all resources": lambda: sign_in(replace(REQUEST, scope=Scope.to_decrypt("*")), WALLET),
    "one that has expired": lambda: sign_in(replace(REQUEST, expiration=iso(NOW)), WALLET),
    "one that lasts longer": lambda: sign_in(replace(REQUEST, expiration=LATER), WALLET),
    "one without an end": lambda: by_wallet(replace(MESSAGE, expiration_time=None)),
    "one without capabilities": lambda: by_wallet(replace(MESSAGE, resources=())),
    "another wallet's": lambda: sign_in(REQUEST, Wallet.from_key("22" * 32)),
    "one that names another wallet": lambda: replace(sign_in(REQUEST, WALLET), address="0x" + "12" * 20),
    "one with another's signature": lambda: replace(
        sign_in(REQUEST, WALLET), sig=Wallet.from_key("22" * 32).sign(siwe.write(MESSAGE))
    ),
    "another network's": lambda: by_network(MESSAGE, Deal((6, 7))),
    "the network's for another key": lambda: by_network(replace(MESSAGE, uri=SessionKey.generate().uri)),
}


@pytest.mark.parametrize("answer", ANSWERS)
def test_what_does_not_answer_a_request(answer: str) -> None:
    assert not fits(ANSWERS[answer]())


def test_the_networks_signature_needs_its_key() -> None:
    assert not fits(by_network(MESSAGE), network=None)


@pytest.mark.parametrize("answer", [None, 5, {}, "0x12"])
def test_what_is_not_an_auth_sig_is_refused(answer: Any) -> None:  # noqa: ANN401 - what a callback may return
    with pytest.raises(SessionError, match="did not return an AuthSig"):
        fits_request(answer, REQUEST, wallet=None, network_public_key=None)


@pytest.mark.parametrize(
    ("text", "resources"), [("no message", None), (None, ("urn:example:1",)), (None, ("urn:recap:!!",))]
)
def test_what_cannot_be_read_is_not_usable(text: str | None, resources: tuple[str, ...] | None) -> None:
    signed = by_wallet(MESSAGE if resources is None else replace(MESSAGE, resources=resources))
    assert not fits(signed if text is None else replace(signed, signed_message=text))


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

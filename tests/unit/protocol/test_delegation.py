"""When a signature that is held, or handed over, does not carry a session."""

from __future__ import annotations

import json
from contextlib import nullcontext
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from lit_airflow.clock import iso, parse_iso
from lit_airflow.errors import SessionError, SiweError
from lit_airflow.keys.wallet import Wallet
from lit_airflow.protocol import siwe
from lit_airflow.protocol.auth_sig import ALGO_BLS, AuthRequest, AuthSig, sign, sign_in
from lit_airflow.protocol.delegation import (
    check_delegation,
    fits_request,
    is_usable,
    needs_new_signature,
    network_digest,
)
from lit_airflow.protocol.eip4361 import SignIn
from lit_airflow.protocol.recap import Recap
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
    auth_sig: Any,  # noqa: ANN401 - what a callback may return
    request: AuthRequest = REQUEST,
    wallet: str | None = WALLET.address,
    network_public_key: str | None = NETWORK.key.hex(),
) -> None:
    """That both agree: what is refused from a callback is not used from a store either."""
    if isinstance(auth_sig, AuthSig):
        usable = is_usable(auth_sig, request, wallet=wallet, network_public_key=network_public_key)
        with nullcontext() if usable else pytest.raises(SessionError):
            fits_request(auth_sig, request, wallet=wallet, network_public_key=network_public_key)
    fits_request(auth_sig, request, wallet=wallet, network_public_key=network_public_key)


def test_what_a_callback_may_return() -> None:
    fits(sign_in(REQUEST, WALLET))
    fits(by_wallet(MESSAGE))
    fits(by_network(MESSAGE))
    fits(sign_in(REQUEST, WALLET), wallet=None)
    fits(sign_in(REQUEST, WALLET), wallet=WALLET.address.lower())
    # The network signs whole seconds.
    fits(
        by_wallet(replace(MESSAGE, expiration_time=iso(parse_iso(REQUEST.expiration) + timedelta(seconds=1))))
    )
    fits(by_wallet(replace(MESSAGE, expiration_time=iso(NOW + MOMENT))))


STRANGER = Wallet.from_key("22" * 32)
OTHER_KEY = SessionKey.from_hex("08" * 32)
TWO_ITEMS = Scope((*SCOPE.requests, *Scope.to_decrypt("a/c").requests))
EVERYTHING = Scope.to_decrypt("*")


@pytest.mark.parametrize(
    ("auth_sig", "why"),
    [
        (None, "did not return an AuthSig"),
        (sign_in(REQUEST, WALLET).to_json(), "did not return an AuthSig"),
        (sign_in(replace(REQUEST, uri=OTHER_KEY.uri), WALLET), "another session key"),
        (by_wallet(replace(MESSAGE, resources=())), "another session key"),
        (sign_in(REQUEST, STRANGER), f"signed by {STRANGER.address}, not by {WALLET.address}"),
        (replace(sign_in(REQUEST, STRANGER), address=WALLET.address), "names another address"),
        (replace(sign_in(REQUEST, WALLET), address=STRANGER.address), "names another address"),
        (replace(sign_in(REQUEST, WALLET), sig=STRANGER.sign("x")), "signature is not valid"),
        (sign_in(replace(REQUEST, scope=Scope.to_decrypt("a/c")), WALLET), "does not cover"),
        (sign_in(replace(REQUEST, scope=EVERYTHING), WALLET), "does not cover|covers more"),
        (sign_in(replace(REQUEST, scope=TWO_ITEMS), WALLET), "covers more than requested"),
        (sign_in(replace(REQUEST, expiration=iso(NOW)), WALLET), "not valid at this time"),
        (sign_in(replace(REQUEST, expiration=iso(NOW + timedelta(hours=2))), WALLET), "lasts longer"),
        (by_wallet(replace(MESSAGE, expiration_time=None)), "lasts longer"),
        (by_network(replace(MESSAGE, uri=OTHER_KEY.uri)), "another session key"),
        (by_network(MESSAGE, Deal((6, 7))), "signature is not valid"),
    ],
)
def test_what_a_callback_may_not_return(auth_sig: object, why: str) -> None:
    with pytest.raises(SessionError, match=why) as caught:
        fits(auth_sig)
    assert caught.value.__cause__ is None


def test_restrictions_are_part_of_what_was_asked() -> None:
    (plain,) = SCOPE.requests
    restricted = replace(REQUEST, scope=Scope((replace(plain, data={"days": 1}),)))
    fits(sign_in(restricted, WALLET), restricted)
    with pytest.raises(SessionError, match="covers more"):
        fits(sign_in(REQUEST, WALLET), restricted)


def test_the_networks_signature_needs_the_networks_key() -> None:
    with pytest.raises(SessionError, match="signature is not valid"):
        fits(by_network(MESSAGE), network_public_key=None)


def noting(context: str = "lit-resolvedauthcontext://*") -> SignIn:
    """The message as nodes rewrite it: with a note on who was authenticated."""
    recap = Recap.of(SCOPE.requests)
    recap.attenuations[context] = {"Auth/Auth": [{"auth_context": {"userId": "0x1"}}]}
    return replace(MESSAGE, resources=(recap.urn(),), statement=recap.statement())


def test_what_nodes_note_on_who_was_authenticated_is_no_grant() -> None:
    fits(by_network(noting()))
    with pytest.raises(SessionError, match="covers more"):
        fits(by_wallet(noting()))
    with pytest.raises(SessionError, match="covers more"):
        fits(by_network(noting("lit-pkp://*")))


def test_what_is_stored_and_cannot_be_read_is_not_used() -> None:
    good = sign_in(REQUEST, WALLET)
    for broken in (
        replace(good, signed_message="no message"),
        replace(good, signed_message=""),
        replace(good, sig="0x"),
        replace(good, algo="ES256"),
        by_wallet(replace(MESSAGE, resources=("https://example.org",))),
    ):
        assert not is_usable(broken, REQUEST, wallet=WALLET.address, network_public_key=None)
    assert is_usable(good, REQUEST, wallet=WALLET.address, network_public_key=None)


class TestADelegation:
    """As a ticket's session is checked: for one wallet, and at least this scope."""

    @staticmethod
    def check(auth_sig: AuthSig, **changed: Any) -> None:  # noqa: ANN401 - the parameters of check_delegation
        asked: dict[str, Any] = {"session_uri": KEY.uri, "scope": SCOPE, "now": NOW, "wallet": WALLET.address}
        check_delegation(auth_sig, **{**asked, **changed})

    def test_more_than_asked_and_for_longer_will_do(self) -> None:
        longer = iso(NOW + timedelta(days=2))
        self.check(sign_in(replace(REQUEST, scope=TWO_ITEMS, expiration=longer), WALLET))

    def test_less_will_not(self) -> None:
        with pytest.raises(SessionError, match="does not cover"):
            self.check(sign_in(REQUEST, WALLET), scope=TWO_ITEMS)

    def test_any_wallets(self) -> None:
        self.check(sign_in(REQUEST, STRANGER), wallet=None)
        with pytest.raises(SessionError, match="not by"):
            self.check(sign_in(REQUEST, STRANGER))

    def test_only_while_it_lasts(self) -> None:
        end = parse_iso(REQUEST.expiration)
        self.check(sign_in(REQUEST, WALLET), now=end - MOMENT)
        with pytest.raises(SessionError, match="not valid at this time"):
            self.check(sign_in(REQUEST, WALLET), now=end)

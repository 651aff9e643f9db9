"""AuthSigs that come from elsewhere, out of a callback or a store: none is taken for another wallet's."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from lit_airflow import LitClient, Scope, Wallet, clock
from lit_airflow.devnet import Devnet
from lit_airflow.errors import SessionError
from lit_airflow.protocol.auth_sig import AuthRequest, AuthSig, sign_in

MALLORY = Wallet.from_key("22" * 32)
Answer = Callable[[AuthRequest, Wallet], AuthSig]

ANSWERS: dict[str, Answer] = {
    "another wallet's": lambda request, _: sign_in(request, MALLORY),
    "another wallet's, said to be the wallet's": lambda request, wallet: replace(
        sign_in(request, MALLORY), address=wallet.address
    ),
    "labelled as the network's": lambda request, wallet: replace(
        sign_in(request, MALLORY), address=wallet.address, algo="LIT_BLS"
    ),
    "without an end": lambda request, wallet: sign_in(
        replace(request, expiration="9999-12-31T23:59:59Z"), wallet
    ),
    "for another key": lambda request, wallet: sign_in(
        replace(request, uri="lit:session:" + "00" * 32), wallet
    ),
}


@pytest.mark.parametrize("answer", ANSWERS)
def test_what_a_callback_returns_is_for_that_wallet_and_that_session(
    net: Devnet, wallet: Wallet, all_items: Scope, answer: str
) -> None:
    store: dict[str, str] = {}
    client = LitClient(net.description, storage=store)
    with pytest.raises(SessionError):
        client.sdk.get_session_sigs(
            resource_ability_requests=all_items,
            auth_needed_callback=lambda request: ANSWERS[answer](request, wallet),
            wallet_address=wallet.address,
        )
    assert set(store) <= {"lit-session-key"}


def test_a_callback_cannot_claim_another_wallet_where_any_may_sign(
    net: Devnet, wallet: Wallet, all_items: Scope
) -> None:
    store: dict[str, str] = {}
    client = LitClient(net.description, storage=store)
    with pytest.raises(SessionError, match="names another address"):
        client.sdk.get_session_sigs(
            resource_ability_requests=all_items,
            auth_needed_callback=lambda request: replace(sign_in(request, MALLORY), address=wallet.address),
        )
    session = client.open_session(wallet, all_items, ttl_s=600)
    assert f"\n{wallet.address}\n" in session.capabilities[-1]["signedMessage"]


def test_a_stored_signature_of_another_wallet_is_not_used(
    net: Devnet, wallet: Wallet, all_items: Scope
) -> None:
    """Somebody put the signature of a wallet of theirs where the wallet's is looked for."""
    theirs: dict[str, str] = {}
    LitClient(net.description, storage=theirs).open_session(MALLORY, all_items, ttl_s=600)
    moved = {
        slot.replace(MALLORY.address.lower(), wallet.address.lower()): value for slot, value in theirs.items()
    }
    assert set(moved) != set(theirs)
    for store in (
        moved,
        {slot: value.replace(MALLORY.address, wallet.address) for slot, value in moved.items()},
    ):
        session = LitClient(net.description, storage=store).open_session(wallet, all_items, ttl_s=600)
        assert session.wallet == wallet.address
        session.check_delegation(wallet.address, clock.now())

"""Lent capacity credits: both sides write the same permission and carry each other's."""

from __future__ import annotations

from typing import Any

import pytest

from lit_airflow import LitClient, Scope, Wallet
from lit_airflow.clock import iso, now
from lit_airflow.protocol import siwe
from lit_airflow.protocol.capacity_delegation import capacity_delegation
from lit_airflow.protocol.recap import Recap
from lit_airflow.protocol.session import Session
from tests.interop import kinds
from tests.interop.sdk import Sdk

Json = dict[str, Any]
NONCE = "0x" + "5a" * 32
LIMITS = {
    "all three": {"token_id": "42", "uses": 7, "delegatees": [kinds.ADDRESS, kinds.TOKEN.lower()]},
    "one token": {"token_id": "42"},
    "uses": {"uses": "3"},
    "delegatees": {"delegatees": [kinds.ADDRESS]},
    "nobody": {"delegatees": []},
    "no limit": {},
    "empty token": {"token_id": "", "uses": 1},
    "own words": {"domain": "example.com:8443", "statement": "Lend my credits.", "uses": 1},
}
SDK_NAMES = {"token_id": "capacityTokenId", "delegatees": "delegateeAddresses"}


@pytest.mark.parametrize("limits", [*LIMITS.values()], ids=[*LIMITS])
def test_both_write_the_same(sdk: Sdk, network: Json, stranger: Wallet, limits: Json) -> None:
    end = iso(now().replace(year=2099))
    theirs = sdk.ask(
        "delegate",
        network=network,
        privateKey="0x" + "22" * 32,
        options={"expiration": end} | {SDK_NAMES.get(name, name): value for name, value in limits.items()},
    )
    written = siwe.read(theirs["signedMessage"])
    ours = capacity_delegation(stranger, nonce=NONCE, now=now(), expiration=end, **limits).to_json()
    read = sdk.ask("readMessage", text=ours["signedMessage"], signature=ours["sig"])
    varying = {"nonce": written.nonce, "issuedAt": written.issued_at}
    assert read | varying == sdk.ask("readMessage", text=theirs["signedMessage"])
    assert Recap.from_urn(written.resources[0]).attenuations == read["recap"]["attenuations"]
    assert list(ours) == list(theirs)
    assert ours["address"] == theirs["address"]


def test_carried_by_theirs_and_ours(
    sdk: Sdk, lit: LitClient, network: Json, wallet: Wallet, stranger: Wallet
) -> None:
    scope = Scope.parse(["access-control-condition-decryption=lit-accesscontrolcondition://*"])
    requests = [{"resource": str(r.resource.key), "ability": r.ability} for r in scope.requests]
    conditions = kinds.SERVED["wallet"]
    sealed = lit.encrypt(b"on credit", conditions)
    lent = capacity_delegation(stranger, nonce=NONCE, now=now(), delegatees=[wallet.address])
    theirs = sdk.ask(
        "session",
        network=network,
        privateKey=kinds.KEY,
        requests=requests,
        options={"capacityDelegationAuthSig": lent.to_json()},
    )
    ours = lit.open_session(wallet, scope, capabilities=[lent])
    read = Session.from_session_sigs(theirs)
    assert read.wallet == ours.wallet == wallet.address
    assert [c["address"] for c in read.capabilities] == [c["address"] for c in ours.capabilities]
    assert lit.decrypt(sealed, conditions, read) == b"on credit"
    assert sdk.decrypt(network, dict(sealed), conditions, ours.session_sigs) == b"on credit"

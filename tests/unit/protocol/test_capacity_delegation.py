from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from lit_airflow.errors import SettingsError, SiweError
from lit_airflow.keys.secret import Secret
from lit_airflow.keys.wallet import Wallet, recover
from lit_airflow.protocol import auth_sig, siwe
from lit_airflow.protocol.capacity_delegation import DELEGATION_URI, CapacityDelegation, capacity_delegation
from lit_airflow.protocol.recap import Recap
from lit_airflow.protocol.scope import Scope
from tests.unit.frames import recorded

OWNER, OTHER = Wallet.from_key("11" * 32), Wallet.from_key("22" * 32)
NOW = datetime(2025, 1, 15, tzinfo=UTC)


def grant(**limits: Any) -> dict[str, Any]:  # noqa: ANN401 - capacity_delegation's own
    signed = capacity_delegation(OWNER, nonce="0x" + "ab" * 32, now=NOW, **limits)
    message = siwe.read(signed.signed_message)
    assert recover(signed.signed_message, signed.sig) == OWNER.address == signed.address
    assert (message.uri, message.expiration_time) == (DELEGATION_URI, "2025-01-22T00:00:00.000Z")
    return Recap.from_urn(message.resources[0]).attenuations


def test_limits() -> None:
    assert grant() == {"lit-ratelimitincrease://*": {"Auth/Auth": [{}]}}
    digits = ["Ab" * 20, "cd" * 20, "eF" * 20]
    given = [f"0x{digits[0]}", digits[1], f"0X{digits[2]}"]
    for token_id in ("7", 7):
        assert grant(token_id=token_id, uses=3, delegatees=given) == {
            "lit-ratelimitincrease://7": {
                "Auth/Auth": [{"delegate_to": digits, "nft_id": ["7"], "uses": "3"}]
            }
        }


@pytest.mark.parametrize("delegatees", [["alice.eth"], ["0x12"], [""], [None], [5], "0x" + "11" * 20])
def test_a_delegatee_that_is_no_address(delegatees: Any) -> None:  # noqa: ANN401 - what a user may give
    with pytest.raises(SettingsError) as caught:
        grant(delegatees=delegatees)
    assert caught.value.field == "delegatees"


@pytest.mark.parametrize(
    "limits",
    [
        *({"token_id": each} for each in (-1, True, 5.0, "0x5", " 5", "05x", "abc", 2**256)),
        *({"uses": each} for each in ("many", -1, 1.5, 2**256, "")),
    ],
)
def test_a_number_that_no_contract_has(limits: dict[str, Any]) -> None:
    with pytest.raises(SettingsError, match="unsigned 256-bit"):
        grant(**limits)


def test_a_delegation_that_nobody_could_use() -> None:
    with pytest.raises(SettingsError, match="permits no request"):
        grant(uses=0)
    with pytest.raises(SettingsError, match="would end at 2025-01-14T00:00:00Z, which is over"):
        grant(expiration="2025-01-14T00:00:00Z")


def test_a_delegation_is_read_as_it_was_stored() -> None:
    signed = capacity_delegation(OWNER, nonce="0x" + "ab" * 32, now=NOW, delegatees=[OTHER.address])
    wire = signed.to_json()
    stored = (
        {**wire},
        {"capacity_delegation": json.dumps(wire)},
        {"note": "x", "auth_sig": json.dumps(wire)},
    )
    for fields in stored:
        for source in (fields, Secret(json.dumps(fields).encode())):
            found = CapacityDelegation.read(source)
            assert (found.auth_sig, found.lender) == (signed, OWNER.address)
            assert found.expires_at == NOW + timedelta(days=7)
    found.check(OTHER.address, NOW)
    with pytest.raises(SettingsError, match="for other wallets"):
        found.check(OWNER.address, NOW)
    with pytest.raises(SettingsError, match="ended at 2025-01-22 00:00:00 UTC"):
        found.check(OTHER.address, NOW + timedelta(days=7))


def test_a_delegation_to_all() -> None:
    signed = capacity_delegation(OWNER, nonce="0x" + "ab" * 32, now=NOW)
    CapacityDelegation.read(signed.to_json()).check(OTHER.address, NOW)


def test_what_is_no_delegation() -> None:
    wire = capacity_delegation(OWNER, nonce="0x" + "ab" * 32, now=NOW).to_json()
    forged = wire | {"sig": OTHER.sign(wire["signedMessage"])}
    requests = Scope.to_decrypt("*").requests
    text = siwe.write(siwe.sign_in(address=OWNER.address, nonce="0x" + "ab" * 32, now=NOW, requests=requests))
    sign_in = auth_sig.sign(OWNER, text).to_json()
    wrong: tuple[Any, ...] = ({}, {"private_key": "11" * 32}, forged, sign_in, Secret(b"x"), Secret(b"[]"))
    for source in wrong:
        with pytest.raises(SettingsError, match="no capacity delegation") as caught:
            CapacityDelegation.read(source)
        assert "11" * 32 not in recorded(caught.value)


def test_an_empty_list_allows_nobody_and_an_empty_token_limits_nothing() -> None:
    assert grant(delegatees=[], token_id="") == {
        "lit-ratelimitincrease://": {"Auth/Auth": [{"delegate_to": []}]}
    }


def test_what_a_message_cannot_carry() -> None:
    with pytest.raises(SiweError):
        grant(token_id="7\nURI: evil:uri")

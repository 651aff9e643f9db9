from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from lit_airflow.errors import SiweError
from lit_airflow.keys.wallet import Wallet, recover
from lit_airflow.protocol import siwe
from lit_airflow.protocol.capacity_delegation import DELEGATION_URI, capacity_delegation
from lit_airflow.protocol.recap import Recap

OWNER = Wallet.from_key("11" * 32)
NOW = datetime(2025, 1, 15, tzinfo=UTC)


def grant(**limits: Any) -> dict[str, Any]:  # noqa: ANN401 - capacity_delegation's own
    signed = capacity_delegation(OWNER, nonce="0x" + "ab" * 32, now=NOW, **limits)
    message = siwe.read(signed.signed_message)
    assert recover(signed.signed_message, signed.sig) == OWNER.address == signed.address
    assert (message.uri, message.expiration_time) == (DELEGATION_URI, "2025-01-22T00:00:00.000Z")
    return Recap.from_urn(message.resources[0]).attenuations


def test_limits() -> None:
    assert grant() == {"lit-ratelimitincrease://*": {"Auth/Auth": [{}]}}
    assert grant(token_id="7", uses=3, delegatees=["0xAb", "cd", "0Xef"]) == {
        "lit-ratelimitincrease://7": {
            "Auth/Auth": [{"delegate_to": ["Ab", "cd", "0Xef"], "nft_id": ["7"], "uses": "3"}]
        }
    }


def test_an_empty_list_allows_nobody_and_an_empty_token_limits_nothing() -> None:
    assert grant(delegatees=[], token_id="") == {
        "lit-ratelimitincrease://": {"Auth/Auth": [{"delegate_to": []}]}
    }


def test_what_a_message_cannot_carry() -> None:
    with pytest.raises(SiweError):
        grant(token_id="7\nURI: evil:uri")

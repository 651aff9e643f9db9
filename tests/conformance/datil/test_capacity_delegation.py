from __future__ import annotations

from typing import Any

import pytest

from lit_airflow.clock import parse_iso
from lit_airflow.errors import LitError
from lit_airflow.keys.wallet import Wallet
from lit_airflow.networks.datil.wire import compact
from lit_airflow.protocol import siwe
from lit_airflow.protocol.auth_sig import AuthSig
from lit_airflow.protocol.capacity_delegation import capacity_delegation
from lit_airflow.protocol.recap import Recap

PARAMETERS = {
    "capacityTokenId": "token_id",
    "uses": "uses",
    "delegateeAddresses": "delegatees",
    "expiration": "expiration",
    "domain": "domain",
    "statement": "statement",
    "nonce": "nonce",
}


def sign(case: dict[str, Any]) -> AuthSig:
    arguments = {PARAMETERS[name]: value for name, value in case["params"].items()}
    return capacity_delegation(
        Wallet.from_key(case["owner_private_key"]),
        **{"nonce": case.get("nonce"), "now": parse_iso(case["now"]), **arguments},
    )


def test_case(case: dict[str, Any]) -> None:
    if "expected_error" in case:
        with pytest.raises(LitError):
            sign(case)
        return
    wanted, signed = case["expected"], sign(case)
    assert compact(signed.to_json()) == compact(wanted["auth_sig"])
    recap = Recap.from_urn(siwe.read(signed.signed_message).resources[0])
    assert recap.attenuations == wanted["attenuations"]
    ((abilities),) = recap.attenuations.values()
    assert abilities == {"Auth/Auth": [wanted["data"]]}

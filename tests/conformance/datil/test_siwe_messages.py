from __future__ import annotations

from typing import Any

import pytest

from lit_airflow.clock import parse_iso
from lit_airflow.errors import ScopeError, SiweError
from lit_airflow.protocol import siwe
from tests.conformance.reading import requests

PARAMETERS = {
    "walletAddress": "address",
    "nonce": "nonce",
    "uri": "uri",
    "expiration": "expiration",
    "domain": "domain",
    "statement": "statement",
    "chainId": "chain_id",
}
FIELDS = {
    "domain": "domain",
    "address": "address",
    "statement": "statement",
    "uri": "uri",
    "chainId": "chain_id",
    "nonce": "nonce",
    "issuedAt": "issued_at",
    "expirationTime": "expiration_time",
    "notBefore": "not_before",
    "requestId": "request_id",
    "resources": "resources",
}


def message(case: dict[str, Any]) -> siwe.SignIn:
    arguments = {PARAMETERS[name]: value for name, value in case["params"].items()}
    asked = None if case["requests"] is None else requests(case["requests"])
    return siwe.sign_in(now=parse_iso(case["now"]), requests=asked, **arguments)


def test_case(case: dict[str, Any]) -> None:
    # What the SDK writes and then cannot parse, we refuse to write: the wallet would sign in vain.
    if "expected_error" in case or case["parse_error"] is not None:
        with pytest.raises((SiweError, ScopeError)):
            siwe.write(message(case))
        return
    assert siwe.write(message(case)) == case["expected"]
    parsed = {name: value for name, value in case["parsed"].items() if value is not None}
    assert parsed.pop("version") == "1"
    read = siwe.read(case["expected"])
    ours = {name: getattr(read, field) for name, field in FIELDS.items()}
    ours["resources"] = list(read.resources)
    assert {name: value for name, value in ours.items() if value not in (None, [])} == parsed

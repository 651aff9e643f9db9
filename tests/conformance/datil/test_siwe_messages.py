from __future__ import annotations

from typing import Any

import pytest

from lit_airflow.clock import parse_iso
from lit_airflow.errors import ScopeError, SiweError
from lit_airflow.protocol import siwe
from tests.conformance.reading import requests

VERSION = "1"
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


def write(case: dict[str, Any]) -> str:
    """The message's text. Ours has one version; a text of another one must not be read, so the wallet sees none."""
    parameters = dict(case["params"])
    version = parameters.pop("version", VERSION)
    arguments = {PARAMETERS[name]: value for name, value in parameters.items()}
    asked = None if case.get("requests") is None else requests(case["requests"])
    text = siwe.write(siwe.sign_in(now=parse_iso(case["now"]), requests=asked, **arguments))
    if version != VERSION:
        text = text.replace(f"\nVersion: {VERSION}\n", f"\nVersion: {version}\n")
        siwe.read(text)
    return text


def test_case(case: dict[str, Any]) -> None:
    # What the SDK writes and then cannot parse, we refuse to write: the wallet would sign in vain.
    if "expected_error" in case or case["parse_error"] is not None:
        with pytest.raises((SiweError, ScopeError)):
            write(case)
        return
    assert write(case) == case["expected"]
    parsed = {name: value for name, value in case["parsed"].items() if value is not None}
    assert parsed.pop("version") == VERSION
    read = siwe.read(case["expected"])
    ours = {name: getattr(read, field) for name, field in FIELDS.items()}
    ours["resources"] = list(read.resources)
    assert {name: value for name, value in ours.items() if value not in (None, [])} == parsed

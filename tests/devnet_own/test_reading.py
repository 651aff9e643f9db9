"""The nodes' own readers: sign-in messages, capability objects, times, shapes."""

from __future__ import annotations

import base64
import functools

import pytest

from lit_airflow.devnet.parsing import MAX_JSON_BYTES, parse_hex, parse_json, parse_rfc3339, shape_error
from lit_airflow.devnet.recap import parse_recap
from lit_airflow.devnet.siwe import parse_siwe
from tests.devnet_own.wire_client import Json, cases

PREFIXES = {
    "acc": "lit-accesscontrolcondition",
    "pkp": "lit-pkp",
    "rli": "lit-ratelimitincrease",
    "la": "lit-litaction",
}
ABILITIES = {
    "access-control-condition-decryption": "Threshold/Decryption",
    "access-control-condition-signing": "Threshold/Signing",
    "pkp-signing": "Threshold/Signing",
    "lit-action-execution": "Threshold/Execution",
}


@pytest.mark.parametrize("case", cases("recap", having="expected"))
def test_recorded_capability_objects(case: Json) -> None:
    expected = case["expected"]
    recap = parse_recap(case.get("urn") or expected["urn"])
    granted = expected.get("granted") or expected.get("decoded") or expected["attenuations"]
    assert {resource: set(abilities) for resource, abilities in recap.attenuations.items()} == {
        resource: set(abilities) for resource, abilities in granted.items()
    }
    assert recap.statement == expected.get("statement", recap.statement)


@pytest.mark.parametrize("case", cases("recap", op="verify"))
def test_recorded_coverage(case: Json) -> None:
    """Which abilities a resource knows at all is the client's business; a node asks for one valid pair."""
    ask = case["ask"]
    recap = parse_recap(case["expected"]["urn"])
    covered = recap.covers(PREFIXES[ask["resource_kind"]], ask["resource_id"], ABILITIES[ask["ability"]])
    valid = (ask["resource_kind"], ask["ability"]) != ("acc", "pkp-signing")
    assert covered is case["expected"]["verified"] or not valid


def urn_of(text: str) -> str:
    return "urn:recap:" + base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def test_padding_may_stay() -> None:
    urn = urn_of('{"att":{"a":{"x/y":[{}]}},"prf":[]}')
    padded = urn + "=" * (-len(urn.removeprefix("urn:recap:")) % 4)
    assert padded != urn
    assert parse_recap(padded) == parse_recap(urn)


@pytest.mark.parametrize(
    "urn",
    [
        "",
        "urn:recap:",
        "urn:recap:!!!!",
        "urn:recap:e30",
        "urn:recap:W10",
        "urn:recap:eyJhdHQiOltdLCJwcmYiOltdfQ",
        "urn:other:eyJhdHQiOnt9LCJwcmYiOltdfQ",
        urn_of('{"att":{"b":{},"a":{}},"prf":[]}'),
        urn_of('{"att":{"a":{"x":[{}]}},"prf":[]}'),
        urn_of('{"att":{"a":{"x/y":{}}},"prf":[]}'),
        urn_of('{"att":{"a":{"x/y":[1]}},"prf":[]}'),
        urn_of('{"att":{"a":[]},"prf":[]}'),
        urn_of('{"att":{},"prf":[1]}'),
        urn_of('{"att":{"a":{"x/y":[{"c":1,"b":2}]}},"prf":[]}'),
    ],
)
def test_no_capability_object(urn: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        parse_recap(urn)


@pytest.mark.parametrize("case", cases("siwe_messages", having="expected"))
def test_recorded_messages(case: Json) -> None:
    text = case["expected"]
    message = parse_siwe(text)
    assert message.address == case["params"]["walletAddress"]
    assert f"\nURI: {message.uri}\n" in text
    assert message.expires_at is not None
    assert message.expires_at > message.issued_at
    assert len(message.resources) == (1 if case["requests"] else 0)
    for urn in message.resources:
        assert message.statement.endswith(parse_recap(urn).statement)


def message(**change: str) -> str:
    lines = {
        "greeting": "localhost wants you to sign in with your Ethereum account:",
        "address": "0x19E7E376E7C213B7E7e7e46cc70A5dD086DAff2A",
        "blank": "",
        "statement": "Hello\n",
        "uri": "URI: https://localhost",
        "version": "Version: 1",
        "chain": "Chain ID: 1",
        "nonce": "Nonce: 12345678",
        "issued": "Issued At: 2025-01-15T12:34:56Z",
        **change,
    }
    return "\n".join(lines.values())


def test_the_smallest_message() -> None:
    found = parse_siwe(message())
    assert (found.domain, found.statement, found.resources) == ("localhost", "Hello", ())
    assert parse_siwe(message(statement="")).statement == ""


@pytest.mark.parametrize(
    "change",
    [
        {"greeting": "localhost wants you to sign in:"},
        {"address": "0x19e7e376e7c213b7e7e7e46cc70a5dd086daff2a"},
        {"blank": "x"},
        {"statement": "Hello\nthere\n"},
        {"uri": "URI: nothing"},
        {"version": "Version: 2"},
        {"chain": "Chain ID: one"},
        {"nonce": "Nonce: 1234567"},
        {"issued": "Issued At: yesterday"},
        {"issued": "Issued At: 2025-01-15T12:34:56"},
        {"more": "Surprise: 1"},
        {"more": "Resources: 1"},
        {"more": "Resources:\nhttps://localhost"},
        {"more": "Not Before: 2025-01-15T12:34:56Z\nExpiration Time: 2025-01-15T12:34:56Z"},
        {"more": ""},
    ],
)
def test_no_message(change: Json) -> None:
    assert parse_siwe(message())
    with pytest.raises(ValueError, match=r".+"):
        parse_siwe(message(**change))


@pytest.mark.parametrize(
    ("text", "iso"),
    [
        ("2025-01-15T12:34:56Z", "2025-01-15T12:34:56+00:00"),
        ("2025-01-15t12:34:56.5z", "2025-01-15T12:34:56.500000+00:00"),
        ("2025-01-15T12:34:56.123456789+02:00", "2025-01-15T10:34:56.123456+00:00"),
        ("2025-01-15T12:34:56", None),
        ("2025-01-15", None),
        ("20250115T123456Z", None),
        ("2025-02-30T00:00:00Z", None),
        ("2025-01-15T12:34Z", None),
        ("soon", None),
    ],
)
def test_times(text: str, iso: str | None) -> None:
    if iso is None:
        with pytest.raises(ValueError, match=r".+"):
            parse_rfc3339(text)
    else:
        assert parse_rfc3339(text).isoformat() == iso


@pytest.mark.parametrize("text", ["", "0x00", "0g", "00 ", " 00", "0", "0000", "é0"])
def test_no_hex_of_one_byte(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        parse_hex(text, 1)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"NaN",
        b"[1e999,Infinity]",
        b"\xff",
        "1".encode("utf-16"),
        b"{",
        b"[" * 100_000,
        b"[" * 128 + b"]" * 128,
        b'{"a":' * 128 + b"1" + b"}" * 128,
        b" " * MAX_JSON_BYTES + b"1",
    ],
)
def test_no_json(raw: bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        parse_json(raw)


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        (b" " * (MAX_JSON_BYTES - 1) + b"1", 1),
        (b'[{"a":[[]]},[]]', [{"a": [[]]}, []]),
        (b"[" * 127 + b"]" * 127, functools.reduce(lambda inner, _: [inner], range(126), [])),
    ],
)
def test_json_within_the_limits(raw: bytes, value: object) -> None:
    assert parse_json(raw) == value


@pytest.mark.parametrize(
    ("value", "shape", "place"),
    [
        ({"a": 1}, {"a": int}, ""),
        ({"a": True}, {"a": int}, ".a"),
        ({"a": None}, {"a?": int}, ""),
        ({"a": "x"}, {"a?": int}, ".a"),
        ({}, {"a": int}, ".a"),
        ([1, "x"], [int], "[1]"),
        ({"a": [{"b": 1}]}, {"a": [{"b": str}]}, ".a[0].b"),
        ("\ud800", str, "body"),
        (1.5, (int, float), ""),
        (None, {"a": int}, "body"),
    ],
)
def test_shapes(value: object, shape: object, place: str) -> None:
    wrong = shape_error(value, shape)
    assert wrong.split(":")[0] == place

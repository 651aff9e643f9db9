from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lit_airflow.errors import SiweError
from lit_airflow.protocol import siwe
from lit_airflow.protocol.scope import Scope

GOOD: dict[str, Any] = {
    "address": "0x19E7E376E7C213B7E7e7e46cc70A5dD086DAff2A",
    "nonce": "0x" + "ab" * 32,
    "now": datetime(2025, 1, 15, 12, 34, 56, 789000, UTC),
    "requests": Scope.to_decrypt("*").requests,
    "uri": "lit:session:" + "ea" * 32,
}
ALLOWED = "abcXYZ 019-._~:/?#[]@!$&'()*+,;="


def write(**changes: object) -> str:
    return siwe.write(siwe.sign_in(**{**GOOD, **changes}))


@settings(max_examples=30)
@given(st.text(ALLOWED, max_size=60))
def test_any_allowed_statement_reads_back(statement: str) -> None:
    message = siwe.sign_in(**{**GOOD, "statement": statement})
    assert siwe.read(siwe.write(message)) == message


@pytest.mark.parametrize(
    "changes",
    [
        {"statement": "two\nlines"},
        {"statement": 'a "quoted" word'},
        {"statement": "naïve"},
        {"statement": "100%"},
        {"statement": "a\rb"},
        {"statement": "{}"},
        {"statement": "\ud800"},
        {"domain": ""},
        {"domain": "exa mple.com"},
        {"domain": "a\nb"},
        {"uri": "not a uri"},
        {"uri": ""},
        {"nonce": "short"},
        {"nonce": "with-dash-inside"},
        {"nonce": ""},
        {"address": "0x19e7e376e7c213b7e7e7e46cc70a5dd086daff2a"},
        {"address": "0x12"},
        {"expiration": "tomorrow"},
        {"expiration": "2025-02-30T00:00:00Z"},
        {"expiration": ""},
        {"chain_id": -1},
        {"requests": ()},
        {"requests": Scope.to_decrypt("naïve").requests},
        {"requests": Scope.to_decrypt('a"b').requests},
        {"requests": Scope.to_decrypt("a\nURI: evil:uri").requests},
    ],
)
def test_what_a_wallet_is_not_asked_to_sign(changes: dict[str, object]) -> None:
    with pytest.raises(SiweError):
        write(**changes)


def test_a_time_of_the_callers_own_writing_stays() -> None:
    assert "Expiration Time: 2025-03-02T00:00:00+02:00\n" in write(expiration="2025-03-02T00:00:00+02:00")


@pytest.mark.parametrize(
    "text",
    ["", "hello", "\n" * 1000, "x wants you to sign in with your Ethereum account:\n0x12\n\n\nURI: a:b"],
)
def test_what_is_no_sign_in_message(text: str) -> None:
    with pytest.raises(SiweError):
        siwe.read(text)


def test_a_complaint_names_the_field_and_not_its_value() -> None:
    with pytest.raises(SiweError) as caught:
        write(nonce="canary!")
    assert "nonce" in str(caught.value)
    assert "canary" not in str(caught.value)


def test_a_long_message_that_is_not_of_lits_own_form() -> None:
    """The grammar's parser would take memory with the square of its length."""
    for text in ("9" * 100_000, write() + "\na" * 100_000):
        with pytest.raises(SiweError, match="over 2048 are accepted only"):
            siwe.read(text)
    for length, told in ((2048, "not a valid sign-in message"), (2049, "2049 characters")):
        with pytest.raises(SiweError, match=told):
            siwe.read("9" * length)

"""The plain form against the ``siwe`` package: whatever is read here, it reads too, and no otherwise."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lit_airflow.clock import iso
from lit_airflow.protocol import eip4361, siwe
from lit_airflow.protocol.eip4361 import SignIn
from lit_airflow.protocol.scope import Scope

ADDRESS = "0x19E7E376E7C213B7E7e7e46cc70A5dD086DAff2A"
NOW = datetime(2025, 1, 15, 12, 34, 56, 789000, UTC)
STATEMENT = "abcXYZ 019-._~:/?#[]@!$&'()*+,;="

PIECES = ["", "\n", "0", "a", "A", " ", ":", "é", "\r", "\u0663", "- ", "Z", ".", "%", "\x00"]

times = st.datetimes(datetime(1970, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC)).map(iso)  # noqa: DTZ001
urns = st.text("abcXYZ019_-", min_size=1, max_size=40).map("urn:recap:".__add__)
plain = st.builds(
    SignIn,
    domain=st.sampled_from(["localhost", "litprotocol.com", "127.0.0.1:8080", "a-b.example:443"]),
    address=st.just(ADDRESS),
    statement=st.none() | st.text(STATEMENT, min_size=1, max_size=40),
    uri=st.sampled_from(["lit:session:" + "ea" * 32, eip4361.DELEGATION_URI, eip4361.DEFAULT_URI]),
    chain_id=st.integers(1, 2**40),
    nonce=st.text("abXY09", min_size=8, max_size=70),
    issued_at=times,
    expiration_time=st.none() | times,
    resources=st.lists(urns, max_size=3).map(tuple),
)


@settings(max_examples=25)
@given(plain)
def test_what_is_written_is_what_siwe_writes_and_reads(message: SignIn) -> None:
    text = eip4361.write(message)
    assert text is not None
    assert text == siwe._written_by_siwe(message)
    assert siwe._read_by_siwe(text) == eip4361.read(text) == message


@pytest.mark.parametrize(
    "domain", ["10.0.0.215", "1.27.0.0.1", "127.0.0.1.com", "1.2.3.456", "1.2.3.4a", "01.2.3.4", "a.1.2.3.4"]
)
def test_a_host_that_begins_like_an_address(domain: str) -> None:
    """The grammar takes it for one, and fails where more follows."""
    text = eip4361.write(SignIn(domain=domain, address=ADDRESS, nonce="a" * 8, issued_at=iso(NOW)))
    if text is not None:
        assert siwe._read_by_siwe(text) == eip4361.read(text)
    assert (text is not None) is (domain in {"10.0.0.215", "a.1.2.3.4"})


@settings(max_examples=40)
@given(plain, st.data())
def test_an_altered_text_is_read_as_siwe_reads_it_or_not_at_all(message: SignIn, data: st.DataObject) -> None:
    text = eip4361.write(message)
    assert text is not None
    at = data.draw(st.integers(0, len(text)))
    until = data.draw(st.integers(at, min(len(text), at + 3)))
    piece = data.draw(st.sampled_from(PIECES))
    altered = text[:at] + piece + text[until:]
    read = eip4361.read(altered)
    if read is not None:
        assert siwe._read_by_siwe(altered) == read


@settings(max_examples=40)
@given(plain, st.sampled_from(sorted(SignIn.__dataclass_fields__)), st.text(max_size=12))
@example(SignIn(address=ADDRESS, nonce="a" * 8, issued_at=iso(NOW)), "domain", "a/b")
@example(SignIn(address=ADDRESS, nonce="a" * 8, issued_at=iso(NOW)), "issued_at", "2025-02-30T00:00:00.000Z")
@example(SignIn(address=ADDRESS, nonce="a" * 8, issued_at=iso(NOW)), "issued_at", "2025-02-03T24:00:00.000Z")
@example(SignIn(address=ADDRESS, nonce="a" * 8, issued_at=iso(NOW)), "nonce", "a" * 7)
@example(SignIn(address=ADDRESS, nonce="a" * 8, issued_at=iso(NOW)), "address", ADDRESS.lower())
@example(SignIn(address=ADDRESS, nonce="a" * 8, issued_at=iso(NOW)), "address", ADDRESS + "\n")
@example(SignIn(address=ADDRESS, nonce="a" * 8, issued_at=iso(NOW)), "statement", "a\nURI: b:c")
@example(
    SignIn(address=ADDRESS, nonce="a" * 8, issued_at=iso(NOW)), "resources", "urn:recap:a\n- urn:recap:b"
)
def test_a_strange_field_is_written_only_if_siwe_would(message: SignIn, field: str, value: str) -> None:
    changed: object = (value,) if field == "resources" else value
    if field == "chain_id":
        changed = len(value) - 3
    strange = replace(message, **{field: changed})  # type: ignore[arg-type]
    text = eip4361.write(strange)
    if text is not None:
        assert text == siwe._written_by_siwe(strange)


@pytest.mark.parametrize(
    "change",
    [
        {"not_before": iso(NOW)},
        {"request_id": "7"},
        {"uri": "https://elsewhere.example/"},
        {"domain": "UPPER.example"},
        {"issued_at": "2025-03-02T00:00:00+02:00"},
        {"resources": ("https://elsewhere.example/",)},
    ],
)
def test_what_is_valid_but_not_plain_is_left_to_siwe(change: dict[str, object]) -> None:
    message = replace(SignIn(address=ADDRESS, nonce="a" * 8, issued_at=iso(NOW)), **change)  # type: ignore[arg-type]
    assert eip4361.write(message) is None
    text = siwe.write(message)
    assert eip4361.read(text) is None
    assert siwe.read(text) == message


def test_a_hundred_resources_take_no_time() -> None:
    scope = Scope.parse(
        [
            f"access-control-condition-decryption=lit-accesscontrolcondition://{i:064x}/{i:064x}"
            for i in range(500)
        ]
    )
    message = siwe.sign_in(
        address=ADDRESS, nonce="ab" * 32, now=NOW, requests=scope.requests, uri="lit:session:" + "ea" * 32
    )
    text = siwe.write(message)
    assert len(re.findall(r"\(\d+\) 'Threshold': 'Decryption'", text)) == 500
    assert siwe.read(text) == message


def test_a_session_is_opened_without_loading_siwe() -> None:
    program = """
import sys
from lit_airflow.clock import now
from lit_airflow.protocol import siwe
from lit_airflow.protocol.scope import Scope
text = siwe.write(siwe.sign_in(address="0x19E7E376E7C213B7E7e7e46cc70A5dD086DAff2A", nonce="ab" * 32, now=now(),
    requests=Scope.to_decrypt("*").requests, uri="lit:session:" + "ea" * 32))
siwe.read(text)
assert not {"siwe", "web3", "abnf"} & set(sys.modules)
siwe.read(text.replace("Resources:", "Request ID: 7\\nResources:"))
assert {"siwe", "web3", "abnf"} <= set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=900)

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lit_airflow.errors import SettingsError
from lit_airflow.keys.address import checksummed, is_address, parse_address, same_address

ADDRESS = "0xFCAd0B19bB29D4674531d6f115237E16AfCE377c"


@pytest.mark.parametrize(
    "text", [ADDRESS, ADDRESS.lower(), ADDRESS[2:], "0X" + ADDRESS[2:].upper(), ADDRESS[2:].lower()]
)
def test_an_address_in_any_case_with_or_without_0x(text: str) -> None:
    assert parse_address(text) == checksummed(text) == ADDRESS
    assert is_address(text) == text.startswith("0x")
    assert same_address(text, ADDRESS)
    assert not same_address(text, "0x" + "12" * 20)


@pytest.mark.parametrize(
    "value",
    [
        None,
        5,
        b"",
        "",
        "0x",
        ADDRESS[:-1],
        ADDRESS + "0",
        " " + ADDRESS,
        ADDRESS + "\n",
        "0x" + "\u0661" * 40,
    ],
)
def test_anything_else_is_not_an_address(value: object) -> None:
    assert parse_address(value) is None
    assert not is_address(value)
    assert not same_address(value, value)
    assert not same_address(ADDRESS, value)


@given(st.text(st.characters(codec=None)))
def test_a_refusal_shows_the_text_safely(text: str) -> None:
    with pytest.raises(SettingsError) as caught:
        checksummed(text + "g")
    assert caught.value.field == "wallet_address"
    assert str(caught.value).isprintable()

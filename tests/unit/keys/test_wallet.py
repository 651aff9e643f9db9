from __future__ import annotations

import copy
import json
import pickle
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lit_airflow.errors import SettingsError, SiweError, WalletKeyError
from lit_airflow.keys.secret import Secret
from lit_airflow.keys.signers import RemoteWallet
from lit_airflow.keys.wallet import Wallet, recover
from tests.unit.frames import recorded

KEY = "0123456789abcdef" * 4
ADDRESS = "0xFCAd0B19bB29D4674531d6f115237E16AfCE377c"
ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141


@pytest.mark.parametrize(
    "key",
    [
        KEY,
        "0x" + KEY,
        "0X" + KEY.upper(),
        f" \t{KEY}\n",
        f"0x{KEY}\r\n",
        bytes.fromhex(KEY),
        KEY.encode(),
        b"0x" + KEY.encode() + b"\n",
        Secret(bytes.fromhex(KEY)),
        Secret(KEY.encode()),
    ],
    ids=["bare", "0x", "upper", "blanks", "newline", "bytes", "hex-bytes", "file", "secret", "secret-hex"],
)
def test_accepted_keys(key: str | bytes | Secret) -> None:
    assert Wallet.from_key(key).address == ADDRESS


@pytest.mark.parametrize(
    "key",
    [
        "",
        "0x",
        KEY[:-1],
        KEY[:-2],
        KEY + "00",
        "0x0x" + KEY,
        KEY[:32] + " " + KEY[32:],
        KEY[:-1] + "g",
        "00" * 32,
        f"{ORDER:064x}",
        f"{ORDER + 1:064x}",
        "ff" * 32,
        b"",
        bytes(31),
        bytes(32),
        bytes(33),
        b"\xff" * 64,
        "\u0661" * 64,
    ],
)
def test_refused_keys(key: str | bytes) -> None:
    with pytest.raises(WalletKeyError) as caught:
        Wallet.from_key(key)
    shown = repr(caught.value) + str(caught.value) + repr(caught.value.__cause__) + str(vars(caught.value))
    secret = key if isinstance(key, str) else key.hex()
    assert len(secret) < 16 or secret[:16] not in shown
    assert caught.value.retryable is False


def test_the_last_key_of_the_curve_is_one() -> None:
    assert Wallet.from_key(f"{ORDER - 1:064x}").address.startswith("0x")


@pytest.mark.parametrize("address", [ADDRESS, ADDRESS.lower(), ADDRESS[2:], None, ""])
def test_the_expected_wallet(address: str | None) -> None:
    wallet = Wallet.from_key(KEY)
    assert wallet.expect(address) is wallet


def test_another_wallet_than_expected() -> None:
    other = "0x19E7E376E7C213B7E7e7e46cc70A5dD086DAff2A"
    with pytest.raises(WalletKeyError) as caught:
        Wallet.from_key(KEY).expect(other)
    assert other in str(caught.value)
    assert ADDRESS in str(caught.value)
    assert KEY not in str(caught.value)


@pytest.mark.parametrize("address", ["0x12", "vitalik.eth", ADDRESS + "0", "0x" + "g" * 40])
def test_an_expectation_that_is_no_address(address: str) -> None:
    with pytest.raises(SettingsError) as caught:
        Wallet.from_key(KEY).expect(address)
    assert caught.value.field == "wallet_address"


def test_a_wallet_does_not_show_its_key() -> None:
    assert repr(Wallet.from_key(KEY)) == f"Wallet({ADDRESS})"


@pytest.mark.parametrize("copying", [pickle.dumps, copy.copy, copy.deepcopy])
def test_a_wallet_does_not_pickle(copying: Callable[[object], object]) -> None:
    with pytest.raises(TypeError, match="Wallet contains a secret and cannot be pickled"):
        copying(Wallet.from_key(KEY))


@pytest.mark.parametrize("key", [KEY[:-1] + "g", KEY + "00", KEY[:-2]])
def test_no_frame_of_a_refusal_contains_the_key(key: str) -> None:
    for given_key in (key, key.encode(), Secret(key.encode())):
        with pytest.raises(WalletKeyError) as caught:
            Wallet.from_key(given_key)
        assert KEY[:16] not in recorded(caught.value)


@pytest.mark.parametrize("rest", ["", "zz", "ff" * 35])
def test_no_frame_of_a_refusal_contains_the_signature(rest: str) -> None:
    signature = "0x" + "c0ffee" * 10 + rest
    with pytest.raises(SiweError) as caught:
        recover("text", signature)
    assert "c0ffeec0ffee" not in recorded(caught.value)


def test_a_text_that_has_no_encoding_is_not_signed() -> None:
    for wallet in (Wallet.from_key(KEY), RemoteWallet(ADDRESS, "the signer", lambda _: "0x" + "00" * 65)):
        with pytest.raises(SiweError, match="unpaired surrogate"):
            wallet.sign("\ud800")
    with pytest.raises(SiweError):
        recover("\ud800", "0x" + "00" * 65)


@settings(max_examples=15)
@given(st.text())
def test_signatures_are_repeatable_and_recover(text: str) -> None:
    wallet = Wallet.from_key(KEY)
    try:
        text.encode()
    except UnicodeEncodeError:
        return
    signature = wallet.sign(text)
    assert signature == wallet.sign(text)
    assert len(signature) == 132
    assert recover(text, signature) == ADDRESS


@pytest.mark.parametrize("signature", ["", "0x", "0x12", "0x" + "00" * 65, "nonsense", "0x" + "ff" * 65])
def test_signatures_that_are_none(signature: str) -> None:
    with pytest.raises(SiweError):
        recover("text", signature)


DIGITS = "abcdef0123456789" * 4


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("\ufeff" + DIGITS, "cannot be seen"),
        (("\ufeff" + DIGITS).encode(), "cannot be seen"),
        (DIGITS[:32] + "\u200b" + DIGITS[32:], "cannot be seen"),
        (DIGITS[:32] + "\n" + DIGITS[32:], "white space"),
        (f'"0x{DIGITS}"', "quotes"),
        (f"'{DIGITS}'", "quotes"),
        (f"\u201c{DIGITS}\u201d", "quotes"),
        (json.dumps({"private_key": DIGITS}), "JSON document"),
        (" ".join(["word"] * 12), "recovery phrase"),
        ("", "empty"),
        (DIGITS[:-1], "63 characters"),
        (DIGITS[:-1] + "g", "not all of them hex digits"),
        (int, "of the type type"),
        (None, "of the type NoneType"),
        (5, "of the type int"),
    ],
)
def test_the_form_of_a_wrong_key_is_told_and_none_of_its_digits(key: Any, said: str) -> None:  # noqa: ANN401
    with pytest.raises(WalletKeyError, match=said) as caught:
        Wallet.from_key(key)
    assert "abcdef" not in str(caught.value)

"""Signers that answer anything at all."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lit_airflow import Wallet
from lit_airflow.errors import SettingsError, SignatureError, SignerDeniedError, SignerUnavailableError
from lit_airflow.keys.signers import RemoteWallet, SignerServer, eth_sign, web3signer
from lit_airflow.keys.wallet import CURVE_ORDER, recover
from tests.unit.frames import recorded
from tests.vault.signing import Signing, signing_server

if TYPE_CHECKING:
    from tests.unit.http_server import FaultyServer

KEY = bytes.fromhex("0123456789abcdef" * 4)
WALLET = Wallet.from_key(KEY)
TEXT = "anything"
GOOD = WALLET.sign(TEXT)


def remote(answer: object) -> RemoteWallet:
    return RemoteWallet(WALLET.address, "the signer", lambda _: answer)


ANYTHING = st.one_of(
    st.none(),
    st.integers(),
    st.text(),
    st.lists(st.text()),
    st.binary(min_size=65, max_size=65).map(lambda raw: "0x" + raw.hex()),
    st.binary(max_size=70).map(bytes.hex),
)


@given(ANYTHING)
@example("0x" + "00" * 65)
@example("0x" + "ff" * 65)
@example("0x" + "00" * 64 + "1b")
@example("0x" + "11" * 32 + f"{CURVE_ORDER:064x}" + "1b")
@example("0x" + f"{CURVE_ORDER:064x}" + "11" * 32 + "1b")
@example("\u0661" * 130)
def test_an_answer_that_is_no_signature_is_a_signature_error(answer: object) -> None:
    with pytest.raises(SignatureError):
        remote(answer).sign(TEXT)


def test_no_frame_of_a_refusal_contains_the_signature_of_another_wallet() -> None:
    other = Wallet.from_key(b"\x22" * 32)
    signature = other.sign(TEXT)
    signer = RemoteWallet(WALLET.address, "the signer", other.sign)
    with pytest.raises(SignatureError) as caught:
        signer.sign(TEXT)
    assert signature[2:66] not in recorded(caught.value)


@settings(max_examples=50)
@given(st.integers(0, 64), st.integers(1, 255))
def test_no_byte_of_a_good_one_may_change(at: int, by: int) -> None:
    raw = bytearray.fromhex(GOOD[2:])
    raw[at] ^= by
    if at == 64 and raw[64] % 27 == bytes.fromhex(GOOD[2:])[64] % 27 and raw[64] < 2:
        assert remote("0x" + raw.hex()).sign(TEXT) == GOOD  # v from 0
        return
    with pytest.raises(SignatureError):
        remote("0x" + raw.hex()).sign(TEXT)


@settings(max_examples=25)
@given(
    st.binary(min_size=32, max_size=32).filter(lambda key: 0 < int.from_bytes(key, "big") < CURVE_ORDER),
    st.text(st.characters(exclude_categories=["Cs"])),
)
def test_what_is_taken_is_the_wallets(key: bytes, text: str) -> None:
    wallet = Wallet.from_key(key)
    taken = RemoteWallet(wallet.address, "the signer", wallet.sign).sign(text)
    assert taken == wallet.sign(text)
    assert recover(text, taken) == wallet.address


@pytest.mark.parametrize(
    "path",
    ["/json", "/text", "/not-json", "/no-content", "/deep", "/huge", "/html-502", "/redirect", "/reset"],
)
def test_a_server_that_is_something_else(faulty_server: FaultyServer, path: str) -> None:
    with pytest.raises((SignerUnavailableError, SignerDeniedError), match=r"127\.0\.0\.1"):
        eth_sign(SignerServer(faulty_server.url + path, timeout_s=5), WALLET.address)


@pytest.mark.parametrize("path", ["/silent", "/slow-body", "/slow-headers"])
def test_a_server_that_keeps_us_waiting(
    faulty_server: FaultyServer, stopwatch: Callable[[], float], path: str
) -> None:
    with pytest.raises(SignerUnavailableError, match="in time"):
        eth_sign(SignerServer(faulty_server.url + path, timeout_s=0.5), WALLET.address)
    assert stopwatch() < 300


@pytest.fixture
def signing() -> Iterator[Signing]:
    with signing_server(KEY) as server:
        yield server


@pytest.fixture
def server(signing: Signing) -> SignerServer:
    return SignerServer(f"http://127.0.0.1:{signing.port}", timeout_s=5)


NO_KEYS = [
    {},
    [],
    "0x",
    [None, 1, {}],
    ["0x" + "11" * 63],
    ["../../" + "11" * 64],
    ["0x" + "11" * 64 + "/x"],
]


@pytest.mark.parametrize("kind", [web3signer, eth_sign])
@pytest.mark.parametrize("listed", NO_KEYS, ids=json.dumps)
def test_keys_that_are_none_are_not_asked_for(
    signing: Signing, server: SignerServer, kind: Callable[..., RemoteWallet], listed: object
) -> None:
    signing.listed = listed
    with pytest.raises(SignerDeniedError, match="does not hold"):
        kind(server, WALLET.address)
    with pytest.raises(SettingsError, match="holds 0 wallets"):
        kind(server)
    assert len(signing.seen) == 2


@pytest.mark.parametrize("write", ["{}", "0x{}", "0x04{}", "04{}"])
def test_a_public_key_in_any_form_is_its_address(signing: Signing, server: SignerServer, write: str) -> None:
    signing.listed = [write.format(signing.key.public_key.to_hex()[2:])]
    assert web3signer(server).address == web3signer(server, WALLET.address.lower()).address == WALLET.address

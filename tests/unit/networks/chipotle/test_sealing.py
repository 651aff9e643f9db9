from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lit_airflow.errors import CiphertextError, SessionError, SettingsError
from lit_airflow.keys.secret import Secret
from lit_airflow.networks.chipotle import sealing
from lit_airflow.networks.chipotle.sealing import OVERHEAD_BYTES
from tests.unit.networks.chipotle.making import GATE, GATE_SECRET, LOCK_SECRET, SESSION_KEY

# X25519 keys for which every Diffie-Hellman result is zero: RFC 7748, section 6.1.
SMALL_ORDER = [
    "00" * 32,
    "01" + "00" * 31,
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
]


@given(st.binary(max_size=2000), st.binary(max_size=200))
def test_opens_to_the_same_and_is_48_bytes_longer(plaintext: bytes, info: bytes) -> None:
    sealed = sealing.seal(GATE, info, plaintext)
    assert len(sealed) == len(plaintext) + OVERHEAD_BYTES
    assert sealing.open_sealed(GATE_SECRET, info, sealed) == plaintext
    assert sealing.seal(GATE, info, plaintext) != sealed


def test_each_byte_counts() -> None:
    sealed = sealing.seal(GATE, b"info", b"data")
    for at in range(len(sealed)):
        altered = bytearray(sealed)
        altered[at] ^= 0x80
        with pytest.raises(CiphertextError):
            sealing.open_sealed(GATE_SECRET, b"info", bytes(altered))


@pytest.mark.parametrize("length", [0, 31, 32, 47])
def test_what_is_too_short_does_not_open(length: int) -> None:
    with pytest.raises(CiphertextError):
        sealing.open_sealed(GATE_SECRET, b"info", sealing.seal(GATE, b"info", b"")[:length])


def test_another_key_and_another_binding_do_not_open() -> None:
    sealed = sealing.seal(GATE, b"info", b"data")
    with pytest.raises(CiphertextError):
        sealing.open_sealed(LOCK_SECRET, b"info", sealed)
    with pytest.raises(CiphertextError):
        sealing.open_sealed(GATE_SECRET, b"inf", b"o" + sealed)


@pytest.mark.parametrize("key", SMALL_ORDER)
def test_nothing_is_sealed_to_a_key_that_everybody_can_open(key: str) -> None:
    with pytest.raises(SettingsError, match="small order"):
        sealing.seal(key, b"info", b"data")


@pytest.mark.parametrize("key", ["", "0x" + "11" * 31, "11" * 31, "AB" * 32, "11" * 32 + "\n", None, 5])
def test_a_key_is_64_lower_case_hex_digits(key: object) -> None:
    with pytest.raises(SettingsError) as caught:
        sealing.checked_key(key, "gate_key")
    assert caught.value.field == "gate_key"


def test_a_session_without_its_key_cannot_read_answers() -> None:
    with pytest.raises(SessionError, match="no session key"):
        sealing.reply_secret_key(None)


def test_the_version_is_part_of_every_binding() -> None:
    assert sealing.reply_secret_key(SESSION_KEY) != sealing.reply_secret_key(SESSION_KEY, version=2)
    assert sealing.reply_info(version=2) == b"lit_airflow gate 2 reply"
    assert sealing.container_info(b"id", {}, version=2) == b"lit_airflow gate 2\nid\n{}"


def test_rpc_is_bound_with_its_chains_in_order_of_their_names() -> None:
    info = sealing.container_info(
        b"id", {"polygon": ("https://p.example/é",), "ethereum": ["https://e.example"]}
    )
    assert (
        info.decode().splitlines()[2]
        == '{"ethereum":["https://e.example"],"polygon":["https://p.example/é"]}'
    )


def test_new_keys_differ() -> None:
    assert sealing.generate_secret_key() != sealing.generate_secret_key()
    assert len(sealing.public_key_of(sealing.generate_secret_key())) == 64


def test_secret_keys_have_32_bytes() -> None:
    with pytest.raises(SettingsError):
        sealing.public_key_of(Secret(b"1" * 31))

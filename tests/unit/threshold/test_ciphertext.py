from __future__ import annotations

import hashlib
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from lit_airflow.errors import CiphertextError
from lit_airflow.threshold import ciphertext, curve
from tests.unit.dealing import Deal
from tests.unit.frames import recorded

IDENTITY = b"lit-accesscontrolcondition://a/b"
few = settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(scope="module")
def network() -> Deal:
    return Deal((1234567, 89))


@few
@given(plaintext=st.binary(max_size=300), identity=st.binary(max_size=100))
@example(plaintext=b"", identity=b"")
@example(plaintext=b"\0" * 40, identity=b"x")
@example(plaintext=b"x" * 127, identity=b"x")
@example(plaintext=b"x" * 128, identity=b"x")
@example(plaintext=b"x" * 20_000, identity=b"x")
def test_what_is_sealed_opens(network: Deal, plaintext: bytes, identity: bytes) -> None:
    sealed = ciphertext.seal(network.key, plaintext, identity)
    ciphertext.check(sealed)
    assert ciphertext.unseal(network.signature(identity), sealed) == plaintext
    assert ciphertext.seal(network.key, plaintext, identity) != sealed


@pytest.mark.parametrize(("length", "size"), [(0, 114), (31, 114), (32, 115), (10_000, 10_085)])
def test_sizes(network: Deal, length: int, size: int) -> None:
    assert len(ciphertext.seal(network.key, b"x" * length, IDENTITY)) == size


@few
@given(data=st.data(), plaintext=st.binary(max_size=60))
def test_an_altered_ciphertext_does_not_open(network: Deal, data: st.DataObject, plaintext: bytes) -> None:
    sealed = bytearray(ciphertext.seal(network.key, plaintext, IDENTITY))
    # Beyond the length and the plaintext lies padding, which the format does not authenticate.
    authentic = 81 + 1 + len(plaintext)
    position = data.draw(st.integers(0, authentic - 1))
    sealed[position] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(CiphertextError):
        ciphertext.unseal(network.signature(IDENTITY), bytes(sealed))


@few
@given(length=st.integers(0, 113))
def test_a_truncated_ciphertext_does_not_open(network: Deal, length: int) -> None:
    sealed = ciphertext.seal(network.key, b"secret", IDENTITY)[:length]
    with pytest.raises(CiphertextError):
        ciphertext.check(sealed)
    with pytest.raises(CiphertextError):
        ciphertext.unseal(network.signature(IDENTITY), sealed)


@few
@given(noise=st.binary(max_size=400))
def test_noise_is_a_ciphertext_error(network: Deal, noise: bytes) -> None:
    with pytest.raises(CiphertextError):
        ciphertext.unseal(network.signature(IDENTITY), noise)


def test_another_networks_ciphertext_does_not_open(network: Deal) -> None:
    foreign = ciphertext.seal(Deal((7, 8)).key, b"secret", IDENTITY)
    with pytest.raises(CiphertextError) as caught:
        ciphertext.unseal(network.signature(IDENTITY), foreign)
    assert "another network" in caught.value.hint


@pytest.mark.parametrize(("scheme", "opens"), [(0, False), (1, False), (2, True), (3, True), (255, True)])
def test_schemes(network: Deal, scheme: int, opens: bool) -> None:  # noqa: FBT001
    sealed = ciphertext.seal(network.key, b"secret", IDENTITY)[:-1] + bytes([scheme])
    signature: Any = network.signature(IDENTITY)
    if opens:
        assert ciphertext.unseal(signature, sealed + b"ignored") == b"secret"
    else:
        with pytest.raises(CiphertextError, match="scheme"):
            ciphertext.unseal(signature, sealed)


def test_no_frame_of_a_refusal_contains_plaintext_or_signature(network: Deal) -> None:
    with pytest.raises(CiphertextError) as caught:
        ciphertext.seal(bytes(48), b"canary" * 9, IDENTITY, alpha=b"canary" * 5 + b"xx")
    assert "canary" not in recorded(caught.value)
    sealed = bytearray(ciphertext.seal(network.key, b"canary" * 20, IDENTITY))
    sealed[-2] ^= 1  # one byte of the plaintext; all others could be read
    signature = network.signature(IDENTITY)
    with pytest.raises(CiphertextError) as caught:
        ciphertext.unseal(signature, bytes(sealed))
    shown = recorded(caught.value)
    assert "canary" not in shown
    assert str(signature) not in shown
    assert signature.to_compressed_bytes().hex() not in shown


def test_a_length_beyond_the_end_is_not_cut_to_it(network: Deal) -> None:
    """By somebody who encrypts: everything else about it is right."""
    alpha, text = bytes(32), b"x" * 31
    r = ciphertext._hash_to_scalar(alpha + hashlib.sha256(text).digest())
    shared = curve.pairing_bytes(curve.public_key(network.key) * r, curve.hash_to_g2(IDENTITY))
    v = ciphertext._xor(ciphertext._mask(shared), alpha)
    u = curve.times_generator(r).to_compressed_bytes()
    for length, fits in ((31, True), (32, False)):
        w = ciphertext._xor(ciphertext._stream(alpha, 32), bytes([length]) + text)
        encrypted = b"".join((u, v, bytes([32]), w, b"\x02"))
        if fits:
            assert ciphertext.unseal(network.signature(IDENTITY), encrypted) == text
        else:
            with pytest.raises(CiphertextError, match="cannot be decrypted"):
                ciphertext.unseal(network.signature(IDENTITY), encrypted)

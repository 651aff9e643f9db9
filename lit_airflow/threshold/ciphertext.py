"""Time-lock encryption under the network's key: whoever holds the signature of the identity can open.

Source: docs/protocol/encryption.md; ``@lit-protocol/wasm`` 7.4.0 decides on bytes.

Layout: ``U (48) || V (32) || varint(len W) || W || scheme (1)``. The last byte is 2 when we write; readers
take any value from 2 on and ignore what follows it, as the reference does.
"""

from __future__ import annotations

import hashlib
import secrets

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from py_arkworks_bls12381 import G2Point, Scalar

from lit_airflow.errors import CiphertextError
from lit_airflow.threshold import curve

ALPHA_BYTES = 32
_V_BYTES = 32
_SHORTEST = 32  # plaintexts are padded to this length, their length included
_SCHEME_PROOF_OF_POSSESSION = 2
_SALT = b"TIMELOCK_BLS12381_XOF:HKDF-SHA2-256_"
_LONGEST_VARINT = 5
_CONTINUED = 0x80

_HINT = "It was truncated, altered, or not made by Lit."


def seal(
    network_public_key: bytes, plaintext: bytes, identity: bytes, *, alpha: bytes | None = None
) -> bytes:
    """Encrypt for whoever can get ``identity`` signed by the network.

    Args:
        network_public_key: 48 bytes, compressed G1.
        plaintext: Any length, also empty. Its length is hidden only below 32 bytes.
        identity: What the nodes will be asked to sign.
        alpha: 32 random bytes; given only to reproduce known ciphertexts.

    Returns:
        The ciphertext: 114 bytes for up to 31 bytes of plaintext, about 83 more than it beyond.

    Raises:
        CiphertextError: The key is no point of G1.
    """
    key = curve.public_key(network_public_key)
    alpha = secrets.token_bytes(ALPHA_BYTES) if alpha is None else alpha
    r = _hash_to_scalar(alpha + hashlib.sha256(plaintext).digest())
    u = curve.times_generator(r).to_compressed_bytes()
    v = _xor(_mask(curve.pairing_bytes(key * r, curve.hash_to_g2(identity))), alpha)
    padded = (_varint(len(plaintext)) + plaintext).ljust(_SHORTEST, b"\0")
    w = _xor(_stream(alpha, len(padded)), padded)
    return b"".join((u, v, _varint(len(w)), w, bytes([_SCHEME_PROOF_OF_POSSESSION])))


def unseal(signature: G2Point, ciphertext: bytes) -> bytes:
    """Open a ciphertext with the network's signature of its identity.

    The plaintext is authenticated: it is returned only if sealing it again gives the same ``U``.

    Raises:
        CiphertextError: Malformed, another scheme, or not for this signature.
    """
    u_bytes, v, w = _parse(ciphertext)
    u = curve.public_key(u_bytes)
    if signature == G2Point.identity():
        raise CiphertextError("The signature is the identity.")
    alpha = _xor(_mask(curve.pairing_bytes(u, signature)), v)
    padded = _xor(_stream(alpha, len(w)), w)
    try:
        length, start = _read_varint(padded, 0)
    except CiphertextError:
        length, start = len(padded), 0  # any wrong key ends here or below, with one and the same answer
    plaintext = padded[start : start + length]
    r = _hash_to_scalar(alpha + hashlib.sha256(plaintext).digest())
    if start + length > len(padded) or curve.times_generator(r) != u:
        raise CiphertextError(
            "The ciphertext does not open with this signature.",
            hint="It is altered, or was encrypted under other conditions or for another network.",
        )
    return plaintext


def check(ciphertext: bytes) -> None:
    """Nothing, if the bytes have a ciphertext's form; asks no node.

    Raises:
        CiphertextError: They have not.
    """
    curve.public_key(_parse(ciphertext)[0])


def _parse(ciphertext: bytes) -> tuple[bytes, bytes, bytes]:
    header = curve.G1_BYTES + _V_BYTES
    if len(ciphertext) <= header:
        raise CiphertextError(f"The ciphertext has only {len(ciphertext)} bytes.", hint=_HINT)
    length, start = _read_varint(ciphertext, header)
    if start + length >= len(ciphertext):
        raise CiphertextError("The ciphertext ends before its own length.", hint=_HINT)
    scheme = ciphertext[start + length]
    if scheme < _SCHEME_PROOF_OF_POSSESSION:
        raise CiphertextError(f"The ciphertext is of signature scheme {scheme}, not proof of possession.")
    u, v = ciphertext[: curve.G1_BYTES], ciphertext[curve.G1_BYTES : header]
    return u, v, ciphertext[start : start + length]


def _hash_to_scalar(message: bytes) -> Scalar:
    # The appended zero byte and the info "0x00 0x30" are hash_to_field's, which the reference borrows.
    okm = HKDF(SHA256(), length=48, salt=_SALT, info=b"\x00\x30").derive(message + b"\x00")
    return curve.scalar(okm)


def _mask(pairing_value: bytes) -> bytes:
    return hashlib.sha256(pairing_value).digest()


def _stream(alpha: bytes, length: int) -> bytes:
    return hashlib.shake_128(alpha).digest(length)


def _xor(left: bytes, right: bytes) -> bytes:
    number = int.from_bytes(left, "big") ^ int.from_bytes(right, "big")
    return number.to_bytes(len(left), "big")


def _varint(number: int) -> bytes:
    """LEB128: seven bits a byte, low group first."""
    encoded = bytearray()
    while number >= _CONTINUED:
        encoded.append(number % _CONTINUED | _CONTINUED)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)


def _read_varint(data: bytes, start: int) -> tuple[int, int]:
    """The number at ``start`` and where it ends."""
    number = 0
    for position, byte in enumerate(data[start : start + _LONGEST_VARINT]):
        number |= byte % _CONTINUED << (7 * position)
        if byte < _CONTINUED:
            return number, start + position + 1
    raise CiphertextError("The ciphertext's length field does not end.", hint=_HINT)

"""Time-lock encryption under the network's key: the network's signature of the identity decrypts.

Layout: ``U (48) || V (32) || varint(len W) || W || scheme (1)``. The last byte is written as 2. Like the
reference, the parser accepts any value from 2 on, and ignores everything after it.

Source: docs/protocol/encryption.md; ``@lit-protocol/wasm`` 7.4.0 for the bytes.
"""

from __future__ import annotations

import hashlib
import secrets

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from py_arkworks_bls12381 import G1Point, G2Point, Scalar

from lit_airflow.errors import CiphertextError
from lit_airflow.threshold import curve

ALPHA_BYTES = 32
_V_BYTES = 32
_MIN_PADDED_BYTES = 32  # of the plaintext and its length
_SCHEME_PROOF_OF_POSSESSION = 2
_SALT = b"TIMELOCK_BLS12381_XOF:HKDF-SHA2-256_"
_MAX_VARINT_BYTES = 5
_VARINT_CONTINUES = 0x80

_HINT = "It was truncated or altered, or made for another network."


def seal(
    network_public_key: bytes, plaintext: bytes, identity: bytes, *, alpha: bytes | None = None
) -> bytes:
    """Encrypt for everyone who can obtain the network's signature of an identity.

    Args:
        network_public_key: 48 bytes, a compressed point of G1.
        plaintext: Any length. The ciphertext hides the length only if it is below 32 bytes.
        identity: What the nodes will sign.
        alpha: 32 random bytes. Set it only to reproduce known ciphertexts.

    Returns:
        The ciphertext: 114 bytes for up to 31 bytes of plaintext, otherwise about 83 bytes longer than the
        plaintext.

    Raises:
        CiphertextError: The key is not a point of G1.
    """
    sealed = _sealed(network_public_key, plaintext, identity, alpha)
    del plaintext, alpha  # so that the frame of the error does not contain them
    if isinstance(sealed, CiphertextError):
        raise sealed
    return sealed


def _sealed(
    network_public_key: bytes, plaintext: bytes, identity: bytes, alpha: bytes | None
) -> bytes | CiphertextError:
    """Return the ciphertext, or the error. Does not raise: its frame contains the plaintext."""
    try:
        key = curve.public_key(network_public_key)
    except CiphertextError as error:
        return error.with_traceback(None)
    alpha = secrets.token_bytes(ALPHA_BYTES) if alpha is None else alpha
    r = _hash_to_scalar(alpha + hashlib.sha256(plaintext).digest())
    u = curve.times_generator(r).to_compressed_bytes()
    v = _xor(_mask(curve.pairing_bytes(key * r, curve.hash_to_g2(identity))), alpha)
    padded = (_varint(len(plaintext)) + plaintext).ljust(_MIN_PADDED_BYTES, b"\0")
    w = _xor(_stream(alpha, len(padded)), padded)
    return b"".join((u, v, _varint(len(w)), w, bytes([_SCHEME_PROOF_OF_POSSESSION])))


def unseal(signature: G2Point, ciphertext: bytes) -> bytes:
    """Decrypt a ciphertext with the network's signature of its identity.

    The plaintext is authenticated: it is returned only if encrypting it again results in the same ``U``.

    Args:
        signature: The network's signature.
        ciphertext: What :func:`seal` returned.

    Raises:
        CiphertextError: The ciphertext is malformed, has another scheme, or was not made for this signature.
    """
    plaintext = _opened(signature, *_checked_parts(ciphertext))
    del signature  # so that the frame of the error does not contain it
    if plaintext is None:
        raise CiphertextError(
            "The ciphertext cannot be decrypted with this signature.",
            hint="It was altered, or encrypted for other conditions or another network.",
        )
    return plaintext


def _opened(signature: G2Point, u: G1Point, v: bytes, w: bytes) -> bytes | None:
    """Return the plaintext, or ``None``. Does not raise: its frame contains parts of the plaintext."""
    if signature == G2Point.identity():
        return None
    alpha = _xor(_mask(curve.pairing_bytes(u, signature)), v)
    padded = _xor(_stream(alpha, len(w)), w)
    try:
        length, start = _read_varint(padded, 0)
    except CiphertextError:
        return None
    plaintext = padded[start : start + length]
    r = _hash_to_scalar(alpha + hashlib.sha256(plaintext).digest())
    return plaintext if start + length <= len(padded) and curve.times_generator(r) == u else None


def check(ciphertext: bytes) -> None:
    """Check that the bytes have the form of a ciphertext. Contacts no node.

    Raises:
        CiphertextError: They do not.
    """
    _checked_parts(ciphertext)


def _checked_parts(ciphertext: bytes) -> tuple[G1Point, bytes, bytes]:
    u, v, w = _parse(ciphertext)
    return curve.public_key(u), v, w


def _parse(ciphertext: bytes) -> tuple[bytes, bytes, bytes]:
    header = curve.G1_BYTES + _V_BYTES
    if len(ciphertext) <= header:
        raise CiphertextError(f"The ciphertext is too short: {len(ciphertext)} bytes.", hint=_HINT)
    length, start = _read_varint(ciphertext, header)
    if start + length >= len(ciphertext):
        raise CiphertextError("The ciphertext is shorter than its length field says.", hint=_HINT)
    scheme = ciphertext[start + length]
    if scheme < _SCHEME_PROOF_OF_POSSESSION:
        raise CiphertextError(
            f"The ciphertext has the signature scheme {scheme} instead of proof of possession."
        )
    u, v = ciphertext[: curve.G1_BYTES], ciphertext[curve.G1_BYTES : header]
    return u, v, ciphertext[start : start + length]


def _hash_to_scalar(message: bytes) -> Scalar:
    # The reference borrows the appended zero byte and the info "0x00 0x30" from hash_to_field.
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
    """Encode in LEB128: seven bits per byte, low group first."""
    encoded = bytearray()
    while number >= _VARINT_CONTINUES:
        encoded.append(number % _VARINT_CONTINUES | _VARINT_CONTINUES)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)


def _read_varint(data: bytes, start: int) -> tuple[int, int]:
    """Return the number at ``start``, and the position after it."""
    number = 0
    for position, byte in enumerate(data[start : start + _MAX_VARINT_BYTES]):
        number |= byte % _VARINT_CONTINUES << (7 * position)
        if byte < _VARINT_CONTINUES:
            return number, start + position + 1
    raise CiphertextError("The length field of the ciphertext is too long.", hint=_HINT)

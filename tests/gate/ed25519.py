"""Ed25519 signatures that no honest signer makes: under keys of small order, and with an R of small order."""

from __future__ import annotations

from hashlib import sha256, sha512

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

P = 2**255 - 19
ORDER = 2**252 + 27742317777372353535851937790883648493
_Y8 = 0x5FC536D880238B13933C6D305ACDFD5F098EFF289F4C345B027B2C28F95E826
# The 14 encodings of the eight points of small order: two y have a second encoding, each has a sign bit.
SMALL_ORDER = [
    (y | sign << 255).to_bytes(32, "little") for y in (0, 1, P - 1, P, P + 1, _Y8, P - _Y8) for sign in (0, 1)
]
IDENTITY = (1).to_bytes(32, "little")


def _scalar(seed: bytes) -> int:
    low = bytearray(sha512(seed).digest()[:32])
    low[0] &= 248
    low[31] = low[31] & 63 | 64
    return int.from_bytes(low, "little")


def _hash(r: bytes, key: bytes, text: bytes) -> int:
    return int.from_bytes(sha512(r + key + text).digest(), "little") % ORDER


def forge(key: bytes, text: bytes) -> bytes:
    """A signature of the text under a key of small order, made without any secret."""
    for number in range(1000):
        seed = sha256(b"%d" % number).digest()
        r = Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()
        if _hash(r, key, text) % 8 == 0:  # then [hash]key is the identity, and s = r suffices
            return r + (_scalar(seed) % ORDER).to_bytes(32, "little")
    raise AssertionError("no signature was found")


def sign_with_identity_as_r(seed: bytes, text: bytes) -> bytes:
    """A signature by the key's owner whose R is the identity."""
    key = Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()
    return IDENTITY + (_hash(IDENTITY, key, text) * _scalar(seed) % ORDER).to_bytes(32, "little")

"""The three signatures a node verifies: of a session key, of a wallet, of the network itself."""

from __future__ import annotations

import json
from functools import lru_cache
from hashlib import sha256

from Crypto.Signature import eddsa  # comes with eth-account's keystore reader
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from eth_account.messages import defunct_hash_message
from eth_keys.datatypes import Signature
from eth_keys.exceptions import BadSignature
from eth_utils.exceptions import ValidationError
from py_arkworks_bls12381 import GT, G1Point, G2Point

from lit_airflow.devnet.dealer import hash_to_g2
from lit_airflow.devnet.parsing import unhex

_WALLET_SIGNATURE = 65
_FIRST_V = 27  # Ethereum writes the recovery id 0 or 1 as 27 or 28
# The encodings of the eight Ed25519 points of small order. The nodes verify strictly: such a key or nonce
# point is refused, because signatures under it verify for more than one message.
_SMALL_ORDER = frozenset(
    bytes.fromhex(point)
    for point in (
        "0100000000000000000000000000000000000000000000000000000000000000",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0000000000000000000000000000000000000000000000000000000000000080",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
    )
)


@lru_cache(maxsize=1024)
def session_key(public: bytes) -> Ed25519PublicKey:
    """Read an Ed25519 public key.

    Raises:
        ValueError: Not the encoding of a curve point (which ``cryptography`` alone would only notice when
            verifying).
    """
    eddsa.import_public_key(public)
    return Ed25519PublicKey.from_public_bytes(public)


def session_signed(public: bytes, signature: bytes, text: str) -> bool:
    """Whether the session key signed the UTF-8 of ``text``; strict, see ``_SMALL_ORDER``.

    Raises:
        ValueError: ``public`` is not a curve point.
    """
    key = session_key(public)
    if public in _SMALL_ORDER or signature[:32] in _SMALL_ORDER:
        return False
    try:
        key.verify(signature, text.encode())
    except InvalidSignature:
        return False
    return True


@lru_cache(maxsize=1024)
def wallet_of(text: str, signature: str) -> str:
    """The checksummed address whose EIP-191 signature over ``text`` this is.

    Args:
        text: The message.
        signature: 65 bytes of hex, with or without ``0x``.

    Raises:
        ValueError: Not 65 bytes of hex, or no signature at all.
    """
    raw = unhex(signature.removeprefix("0x"), _WALLET_SIGNATURE)
    recovery = raw[-1] - _FIRST_V if raw[-1] >= _FIRST_V else raw[-1]
    try:
        signed = Signature(raw[:-1] + bytes([recovery]))
        return signed.recover_public_key_from_msg_hash(defunct_hash_message(text=text)).to_checksum_address()
    except (BadSignature, ValidationError) as error:
        raise ValueError("the signature recovers to no address") from error


def network_signed(network_key: bytes, signature: str, text: str) -> bool:
    """Whether the network itself signed a PKP's sign-in message.

    Args:
        network_key: 48 bytes compressed.
        signature: JSON ``{"ProofOfPossession": "<192 hex>"}``.
        text: The message; signed is its ``session_digest``.
    """
    try:
        point = G2Point.from_compressed_bytes(unhex(json.loads(signature)["ProofOfPossession"], 96))
        key = G1Point.from_compressed_bytes(network_key)
    except (ValueError, TypeError, KeyError):
        return False
    if point == G2Point.identity() or key == G1Point.identity():
        return False
    return GT.pairing_check([key, -G1Point()], [hash_to_g2(session_digest(text)), point])


def session_digest(text: str) -> bytes:
    """What the network signs for a PKP's sign-in message.

    The SHA-256 of ``lit_session:`` and the hex of the message's EIP-191 hash.
    """
    return sha256(b"lit_session:" + defunct_hash_message(text=text).hex().encode()).digest()

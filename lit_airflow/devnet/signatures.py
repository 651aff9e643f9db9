"""Verify the three kinds of signatures that a node accepts: by a session key, a wallet and the network."""

from __future__ import annotations

from functools import lru_cache
from hashlib import sha256
from typing import cast

from Crypto.Signature import eddsa
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from eth_account.messages import defunct_hash_message
from eth_keys.datatypes import Signature
from eth_keys.exceptions import BadSignature
from eth_utils.exceptions import ValidationError
from py_arkworks_bls12381 import GT, G1Point, G2Point

from lit_airflow.devnet.dealer import hash_to_g2
from lit_airflow.devnet.parsing import parse_hex, parse_json, shape_error

_WALLET_SIGNATURE_BYTES = 65
_BLS_SIGNATURE_BYTES = 96
_FIRST_V = 27  # Ethereum writes the recovery id 0 or 1 as 27 or 28
# The encodings of the eight Ed25519 points of small order. The nodes verify strictly: they reject such a key or
# nonce point, because a signature under it verifies for more than one message.
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
def _session_key(public: bytes) -> Ed25519PublicKey:
    eddsa.import_public_key(public)  # ``cryptography`` alone would reject a non-point only when verifying
    return Ed25519PublicKey.from_public_bytes(public)


def verify_session_signature(public: bytes, signature: bytes, text: str) -> bool:
    """Return whether a session key signed the UTF-8 of a text (strict Ed25519, RFC 8032).

    Args:
        public: The session's public key, 32 bytes.
        signature: 64 bytes.
        text: The signed text.

    Raises:
        ValueError: ``public`` does not encode a curve point.
    """
    key = _session_key(public)
    if public in _SMALL_ORDER or signature[:32] in _SMALL_ORDER:
        return False
    try:
        key.verify(signature, text.encode())
    except InvalidSignature:
        return False
    return True


@lru_cache(maxsize=1024)
def recover_wallet(text: str, signature: str) -> str:
    """Return the checksummed address of the wallet that signed a text (EIP-191).

    Args:
        text: The signed text.
        signature: 65 bytes of hex, with or without ``0x``.

    Raises:
        ValueError: The signature is not 65 bytes of hex, or no public key can be recovered from it.
    """
    raw = parse_hex(signature.removeprefix("0x"), _WALLET_SIGNATURE_BYTES)
    recovery_id = raw[-1] - _FIRST_V if raw[-1] >= _FIRST_V else raw[-1]
    try:
        signed = Signature(raw[:-1] + bytes([recovery_id]))
        return signed.recover_public_key_from_msg_hash(defunct_hash_message(text=text)).to_checksum_address()
    except (BadSignature, ValidationError) as error:
        raise ValueError("the signature recovers to no address") from error


def verify_network_signature(network_key: bytes, signature: str, text: str) -> bool:
    """Return whether the network signed a PKP's sign-in message.

    Args:
        network_key: The network's BLS key, 48 bytes compressed.
        signature: JSON ``{"ProofOfPossession": "<192 hex>"}``.
        text: The message; the network signs its ``pkp_session_digest``.
    """
    try:
        content = parse_json(signature)
        if shape_error(content, {"ProofOfPossession": str}):
            return False
        encoded = cast("dict[str, str]", content)["ProofOfPossession"]
        point = G2Point.from_compressed_bytes(parse_hex(encoded, _BLS_SIGNATURE_BYTES))
        key = G1Point.from_compressed_bytes(network_key)
    except ValueError:
        return False
    if point == G2Point.identity() or key == G1Point.identity():
        return False
    return GT.pairing_check([key, -G1Point()], [hash_to_g2(pkp_session_digest(text)), point])


def pkp_session_digest(text: str) -> bytes:
    """Return what the network signs for a PKP's sign-in message.

    Returns:
        The SHA-256 of ``lit_session:`` followed by the hex of the message's EIP-191 hash.
    """
    return sha256(b"lit_session:" + defunct_hash_message(text=text).hex().encode()).digest()

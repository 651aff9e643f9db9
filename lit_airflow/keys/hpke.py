"""HPKE: seal to a public key, open with its secret half.

Suite: DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, AES-256-GCM; base mode, single shot, no associated data. What has to
be bound stands in ``info``. A sealed text is the encapsulated key (32 bytes) and the ciphertext with its tag.

Public keys travel as 64 lower-case hex digits without ``0x``.

Source: RFC 9180.
"""

from __future__ import annotations

import functools
import re
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

from lit_airflow.errors import CiphertextError, SettingsError
from lit_airflow.keys.secret import Secret

OVERHEAD_BYTES = 48
"""By how much a sealed text is longer than its plaintext."""
SECRET_BYTES = 32
"""Length of a secret key."""

_SUITE = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)
_KEY_HEX = re.compile(r"[0-9a-f]{64}")


def seal(public_key: str, info: bytes, plaintext: bytes) -> bytes:
    """Seal to a public key.

    Args:
        public_key: X25519, 64 hex digits.
        info: What the sealing is bound to; opening must name it again.
        plaintext: Any bytes.

    Raises:
        SettingsError: The key is not 64 hex digits, or of small order: everybody could open what is sealed to it.
    """
    secret = Secret(plaintext)
    del plaintext  # no frame of an error may hold it
    recipient = _recipient(checked_key(public_key, "public_key"))
    try:
        return _SUITE.encrypt(secret.reveal(), recipient, info=info)
    except ValueError:
        raise SettingsError(f"The public key {public_key} is of small order.", field="public_key") from None


@functools.lru_cache(maxsize=64)
def _recipient(public_key: str) -> X25519PublicKey:
    # Reading a key takes as long as sealing 100 kB, and nearly everything is sealed to the same few.
    return X25519PublicKey.from_public_bytes(bytes.fromhex(public_key))


def open_sealed(secret_key: Secret, info: bytes, sealed: bytes) -> bytes:
    """Open what was sealed to a public key.

    Args:
        secret_key: The 32 secret bytes.
        info: What it was bound to.
        sealed: Encapsulated key and ciphertext.

    Raises:
        CiphertextError: Altered, too short, sealed to another key or bound to something else.
    """
    recipient = X25519PrivateKey.from_private_bytes(secret_key.reveal())
    try:
        return _SUITE.decrypt(sealed, recipient, info=info)
    except InvalidTag:
        raise CiphertextError("The sealed text does not open with this key.") from None


def generate_secret_key() -> Secret:
    """Return a new X25519 secret key from the operating system's randomness."""
    return Secret(X25519PrivateKey.generate().private_bytes_raw())


def public_key_of(secret_key: Secret) -> str:
    """Return the public half of an X25519 secret key, 64 hex digits.

    Raises:
        SettingsError: The secret key does not have 32 bytes.
    """
    if len(secret_key) != SECRET_BYTES:
        raise SettingsError(f"An X25519 secret key has {SECRET_BYTES} bytes.", field="secret_key")
    return X25519PrivateKey.from_private_bytes(secret_key.reveal()).public_key().public_bytes_raw().hex()


def checked_key(public_key: Any, field: str) -> str:  # noqa: ANN401 - from JSON, connections and Vault
    """Return a public key if it has the form of one.

    Raises:
        SettingsError: Not 64 lower-case hex digits.
    """
    if not isinstance(public_key, str) or not _KEY_HEX.fullmatch(public_key):
        raise SettingsError(f"{field} must be 64 lower-case hex digits.", field=field)
    return public_key

"""``Lit.Actions.Encrypt`` and ``Decrypt``: AES-256-GCM under a wallet's own secret.

Source: lit-api-server ``actions/aes.rs``, April 2026.
"""

from __future__ import annotations

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from lit_airflow.devnet.chipotle.identifiers import unhex

NONCE_BYTES = 12
_TAG_BYTES = 16


class CipherError(Exception):
    """A ciphertext that cannot be opened.

    Attributes:
        reason: ``bad_hex``, ``too_short``, ``authentication`` or ``empty``.
    """

    def __init__(self, reason: str, message: str) -> None:
        self.reason = reason
        super().__init__(message)


def encrypt(secret: bytes, message: str, nonce: bytes) -> str:
    """Return hex of nonce, encrypted text and tag."""
    return (nonce + AESGCM(secret).encrypt(nonce, message.encode(), None)).hex()


def decrypt(secret: bytes, ciphertext: str) -> str:
    """Return the text; bytes that are not UTF-8 are replaced.

    Raises:
        CipherError: Not hex, too short, altered, for another key, or empty.
    """
    try:
        raw = unhex(ciphertext)
    except ValueError as error:
        raise CipherError("bad_hex", "Invalid ciphertext: not hex") from error
    if len(raw) < NONCE_BYTES + _TAG_BYTES:
        raise CipherError("too_short", "Invalid ciphertext: too short")
    try:
        plain = AESGCM(secret).decrypt(raw[:NONCE_BYTES], raw[NONCE_BYTES:], None)
    except InvalidTag as error:
        raise CipherError("authentication", "Decryption failed") from error
    if not plain:
        raise CipherError("empty", "Decryption failed: nothing was encrypted")
    return plain.decode(errors="replace")

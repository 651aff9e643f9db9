"""Session keys: short-lived ed25519 keys that wallets delegate to.

Source: RFC 8032; docs/protocol/session-signatures.md.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from lit_airflow.errors import SessionError
from lit_airflow.keys.secret import NotPicklable, Secret
from lit_airflow.text import is_encodable

URI_PREFIX = "lit:session:"

_SEED_BYTES = 32


@dataclass(frozen=True, slots=True)
class SessionKey(NotPicklable):
    """An ed25519 key pair (RFC 8032).

    Attributes:
        seed: The 32 secret bytes.
        public_key: 64 hex digits.

    Raises:
        SessionError: The seed has another length.
    """

    seed: Secret
    public_key: str = field(init=False)

    def __post_init__(self) -> None:
        if len(self.seed) != _SEED_BYTES:
            raise SessionError(
                f"The seed of a session key must have {_SEED_BYTES} bytes, got {len(self.seed)}."
            )
        public = Ed25519PrivateKey.from_private_bytes(self.seed.reveal()).public_key()
        object.__setattr__(self, "public_key", public.public_bytes_raw().hex())

    @classmethod
    def generate(cls) -> SessionKey:
        """Generate a key from the operating system's randomness."""
        return cls(Secret(Ed25519PrivateKey.generate().private_bytes_raw()))

    @classmethod
    def from_hex(cls, secret_key: str) -> SessionKey:
        """Read a key from hex.

        Args:
            secret_key: The 32-byte seed, or seed and public key, as the SDK stores them.

        Raises:
            SessionError: It is not hex, has another length, or the public key is not that of the seed.
        """
        pair = _key_pair(secret_key)
        del secret_key  # so that the frame of the error does not contain it
        if pair is None:
            raise SessionError("A session key must be 64 or 128 hex digits.")
        seed, public = pair
        key = cls(seed)
        if public not in (b"", bytes.fromhex(key.public_key)):
            raise SessionError("The public key is not that of the session key's seed.")
        return key

    @property
    def uri(self) -> str:
        """The URI that the wallet delegates to: ``lit:session:`` and the public key."""
        return URI_PREFIX + self.public_key

    def sign(self, text: str) -> str:
        """Return the signature of the text's UTF-8 encoding, 128 hex digits.

        Raises:
            SessionError: The text contains an unpaired surrogate, for example from a foreign authSig.
        """
        if not is_encodable(text):
            del text  # the frame of the error must not contain the wallet's signature, which is in the text
            raise SessionError("The text to sign contains an unpaired surrogate.")
        return Ed25519PrivateKey.from_private_bytes(self.seed.reveal()).sign(text.encode()).hex()


def _key_pair(secret_key: str) -> tuple[Secret, bytes] | None:
    """Return seed and public key. Does not raise: its frame contains the secret key."""
    try:
        raw = bytes.fromhex(secret_key)
    except ValueError:
        return None
    known = len(raw) in (_SEED_BYTES, 2 * _SEED_BYTES)
    return (Secret(raw[:_SEED_BYTES]), raw[_SEED_BYTES:]) if known else None

"""Gates and locks of a deployment: template and salt, gate key, lock key pair.

Source: gate protocol, version 1: salted text, HPKE key pair from the action's secret (RFC 9180 7.1.3).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib.resources import files

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF, HKDFExpand

_GATES = ("networks", "chipotle", "gates")
_KEM = b"HPKE-v1KEM\x00\x20"  # DHKEM(X25519, HKDF-SHA256)
_KEY_BYTES = 32


@dataclass(frozen=True, slots=True)
class Gate:
    """A gate of one deployment.

    Attributes:
        version: Which template.
        salt: The secret line, 64 hex digits.
        text: The source of the action.
    """

    version: int
    salt: str = field(repr=False)
    text: str = field(repr=False)

    @classmethod
    def salted(cls, salt: bytes) -> Gate:
        """Create a gate from the newest template."""
        version = newest_version()
        return cls(version, salt.hex(), f"{template(version)}// {salt.hex()}\n")


@dataclass(frozen=True, slots=True)
class Lock:
    """The deployment's own X25519 key pair, as hex. The enclave never sees it."""

    public: str
    secret: str = field(repr=False)

    @classmethod
    def of(cls, secret: bytes) -> Lock:
        """Create a lock from its secret half."""
        return cls(_public(secret), secret.hex())


def newest_version() -> int:
    """Return the version of the newest shipped template."""
    folder = files("lit_airflow").joinpath(*_GATES)
    return max(int(each.name.removesuffix(".js")) for each in folder.iterdir() if each.name.endswith(".js"))


def template(version: int) -> str:
    """Return the text of a shipped template."""
    return files("lit_airflow").joinpath(*_GATES, f"{version}.js").read_text("ascii")


def gate_key(secret: bytes) -> str:
    """Return the public key of a gate, 64 hex digits.

    Args:
        secret: The action secret of the gate's text, 32 bytes.
    """
    extracted = HKDF.extract(SHA256(), b"", _KEM + b"dkp_prk" + secret)
    label = _KEY_BYTES.to_bytes(2) + _KEM + b"sk"
    return _public(HKDFExpand(SHA256(), _KEY_BYTES, label).derive(extracted))


def _public(secret: bytes) -> str:
    return X25519PrivateKey.from_private_bytes(secret).public_key().public_bytes_raw().hex()

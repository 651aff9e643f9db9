"""HPKE as the gate uses it: the texts that bind a sealing, and the key of answers.

The primitives are those of :mod:`lit_airflow.keys.hpke`.

Source: RFC 9180; docs/protocol/gate.md#keys and #container.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from lit_airflow.errors import SessionError
from lit_airflow.keys.hpke import (
    OVERHEAD_BYTES,
    SECRET_BYTES,
    checked_key,
    generate_secret_key,
    open_sealed,
    public_key_of,
    seal,
)
from lit_airflow.keys.secret import Secret
from lit_airflow.protocol.recap import canonical_json

if TYPE_CHECKING:
    from lit_airflow.protocol.session import SessionKey

__all__ = [
    "GATE_VERSION",
    "OVERHEAD_BYTES",
    "Rpc",
    "audience",
    "checked_key",
    "container_info",
    "generate_secret_key",
    "open_sealed",
    "public_key_of",
    "reply_info",
    "reply_secret_key",
    "seal",
]

GATE_VERSION = 1
"""The newest gate that this package seals for."""

Rpc = Mapping[str, Sequence[str]]
"""Chain name -> URLs of JSON-RPC servers that answer for it."""

_AUDIENCE_PREFIX = "lit:gate:"


def reply_secret_key(session_key: SessionKey | None, *, version: int = GATE_VERSION) -> Secret:
    """Return the secret key that a gate's answers to a session open with, derived from the session key's seed.

    Args:
        session_key: The session's key.
        version: The gate's version, which is part of the derivation.

    Raises:
        SessionError: The session came without its key, so nobody could read the answers.
    """
    if session_key is None:
        raise SessionError(
            "The session has no session key, and the gate's answers cannot be read without it.",
            hint="Open the session with its key kept: in a ticket, leave the session key in.",
        )
    label = f"lit_airflow gate {version} reply key".encode()
    derived = HKDF(SHA256(), SECRET_BYTES, salt=None, info=label).derive(session_key.seed.reveal())
    return Secret(derived)


def audience(gate: str) -> str:
    """Return a session signature's ``nodeAddress``: it names the gate's text and its deployment."""
    return _AUDIENCE_PREFIX + gate


def container_info(identity: bytes, rpc: Rpc, *, version: int = GATE_VERSION) -> bytes:
    """Return what a container's ciphertext is bound to.

    Args:
        identity: ``lit-accesscontrolcondition://<hash of conditions>/<hash of data>``.
        rpc: The container's RPC URLs; empty where its conditions read no chain.
        version: The gate's version.
    """
    return b"\n".join((f"lit_airflow gate {version}".encode(), identity, canonical_json(rpc).encode()))


def reply_info(*, version: int = GATE_VERSION) -> bytes:
    """Return what a gate's answer is bound to."""
    return f"lit_airflow gate {version} reply".encode()

"""The recovery copy: the same plaintext, sealed to a key that its owner keeps offline.

It serves for the day when the service is gone, opens without any network, and goes around all conditions. So a
container has one only where the connection names a recovery key.

Source: docs/protocol/gate.md#recovery-copy.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

from lit_airflow.errors import CiphertextError
from lit_airflow.keys.secret import Secret
from lit_airflow.networks.chipotle.sealing import open_sealed, public_key_of, seal
from lit_airflow.text import unbase64

_LABEL = b"lit_airflow recovery 1"


def recovery_copy(recovery_key: str, identity: bytes, plaintext: bytes) -> dict[str, str]:
    """Return what a container carries under ``recovery``.

    Args:
        recovery_key: The owner's public key, 64 hex digits.
        identity: The container's identity.
        plaintext: What the container holds; for an envelope its data key.

    Raises:
        SettingsError: The key is malformed or of small order.
    """
    sealed = seal(recovery_key, _info(identity), plaintext)
    return {"key": recovery_key, "sealed": base64.b64encode(sealed).decode()}


def recover(secret_key: Secret, identity: bytes, recovery: Mapping[str, Any]) -> bytes:
    """Open a recovery copy.

    Args:
        secret_key: The 32 bytes that were kept offline.
        identity: The container's identity.
        recovery: What the container carries under ``recovery``.

    Raises:
        CiphertextError: Malformed, made for another recovery key, or moved from another container.
        SettingsError: The secret key does not have 32 bytes.
    """
    named, encoded = recovery.get("key"), recovery.get("sealed")
    if not isinstance(named, str) or not isinstance(encoded, str):
        raise CiphertextError("A recovery copy has the texts key and sealed.")
    if named != public_key_of(secret_key):
        raise CiphertextError(
            "The recovery copy was made for another key.", hint=f"It takes the secret half of {named[:64]}."
        )
    try:
        sealed = unbase64(encoded)
    except ValueError:
        raise CiphertextError("The recovery copy is not base64.") from None
    return open_sealed(secret_key, _info(identity), sealed)


def _info(identity: bytes) -> bytes:
    return _LABEL + b"\n" + identity

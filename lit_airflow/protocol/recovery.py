"""The recovery copy: the same plaintext, sealed to a key that its owner keeps offline.

It serves for the day when the network is gone, opens without any network, and goes around all conditions. So a
container has one only where the connection names a recovery key.

    "recovery": {"key": hex, "sealed": base64 of HPKE Seal(key, info = label LF identity, plaintext)}

Source: docs/protocol/gate.md#recovery-copy.
"""

from __future__ import annotations

import base64
import hashlib
import logging
from collections.abc import Mapping
from typing import Any

from lit_airflow.errors import CiphertextError, SettingsError
from lit_airflow.keys.hpke import checked_key, open_sealed, public_key_of, seal
from lit_airflow.keys.secret import Secret
from lit_airflow.protocol.container import Container
from lit_airflow.text import unbase64, word

log = logging.getLogger(__name__)

FIELD = "recovery"
"""Where a container carries the copy."""

_LABEL = b"lit_airflow recovery 1"


def recovery_copy(recovery_key: str, identity: bytes, plaintext: bytes) -> dict[str, str]:
    """Return what a container carries under ``recovery``; the log says that it does.

    Args:
        recovery_key: The owner's public key, 64 hex digits.
        identity: The container's identity.
        plaintext: What the container holds; for an envelope its tagged data key.

    Raises:
        SettingsError: The key is malformed or of small order.
    """
    secret = Secret(plaintext)
    del plaintext  # no frame of an error may hold it
    checked_key(recovery_key, "recovery_key")
    sealed = seal(recovery_key, _info(identity), secret.reveal())
    log.info("The container carries a recovery copy, which opens without meeting any condition.")
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
            "The recovery copy was made for another key.", hint=f"It takes the secret half of {word(named)}."
        )
    try:
        sealed = unbase64(encoded)
    except ValueError:
        raise CiphertextError("The recovery copy is not base64.") from None
    return open_sealed(secret_key, _info(identity), sealed)


def recover_container(secret_key: Secret, container: Container) -> bytes:
    """Open the recovery copy of a container of any network.

    What was sealed to a public key could have been sealed by anybody. So the data is compared with
    ``dataToEncryptHash``, except where a lock makes that the hash of something else.

    Returns:
        The plaintext; of an envelope, the tagged data key.

    Raises:
        CiphertextError: The container has no copy, or as :func:`recover`; or the copy is of other data.
        ConditionError: The conditions cannot be hashed, or the data hash is malformed.
        SettingsError: The secret key does not have 32 bytes.
    """
    recovery = container.fields.get(FIELD)
    if not isinstance(recovery, Mapping):
        raise CiphertextError(
            "The container has no recovery copy.",
            hint="Only what was encrypted with a recovery_key in the connection has one.",
        )
    container.scope()  # checks the hash
    data_hash = container.fields["dataToEncryptHash"]
    secret = Secret(recover(secret_key, container.conditions.identity(data_hash), recovery))
    locked = container.fields.get("lock") is not None
    if not locked and hashlib.sha256(secret.reveal()).hexdigest() != data_hash:
        raise CiphertextError("The recovery copy is not of the data that dataToEncryptHash names.")
    return secret.reveal()


def secret_key_from(text: str) -> Secret:
    """Read a recovery key's secret half.

    Args:
        text: 64 hex digits; surrounding blanks do not matter.

    Raises:
        SettingsError: It is not that.
    """
    secret = Secret(text.strip().encode())
    del text
    try:
        return Secret(_unhexed(secret))
    except ValueError:
        raise SettingsError(
            "The recovery key's secret half must be 64 hex digits.", field="recovery_key"
        ) from None


def _unhexed(secret: Secret) -> bytes:
    found = bytes.fromhex(secret.reveal().decode())
    if len(found) != 32:  # noqa: PLR2004 - an X25519 key
        del found
        raise ValueError
    return found


def _info(identity: bytes) -> bytes:
    return _LABEL + b"\n" + identity

"""The lock: a key pair of the deployment's own, whose secret half no enclave ever sees.

What is sealed to the gate is sealed to the lock first. So the gate's key alone, however somebody came by it, opens
nothing; neither does the lock's secret in Vault.

Source: docs/protocol/gate.md#lock.
"""

from __future__ import annotations

from lit_airflow.errors import CiphertextError
from lit_airflow.keys.secret import Secret
from lit_airflow.networks.chipotle.sealing import Rpc, open_sealed, seal
from lit_airflow.protocol.recap import canonical_json

_LABEL = b"lit_airflow lock 1"


def close_lock(lock_key: str, conditions_hash: str, rpc: Rpc, plaintext: bytes) -> bytes:
    """Seal the plaintext to the lock; the result is what the gate is given to keep.

    Args:
        lock_key: The lock's public half, 64 hex digits.
        conditions_hash: SHA-256 of the conditions' canonical JSON, 64 hex digits.
        rpc: The container's RPC URLs.
        plaintext: Any bytes.

    Raises:
        SettingsError: The lock's key is malformed or of small order.
    """
    return seal(lock_key, _info(conditions_hash, rpc), plaintext)


def open_lock(secret_key: Secret, conditions_hash: str, rpc: Rpc, inner: bytes) -> bytes:
    """Open what :func:`close_lock` made.

    Raises:
        CiphertextError: Closed with another lock, or for other conditions or RPC URLs.
    """
    try:
        return open_sealed(secret_key, _info(conditions_hash, rpc), inner)
    except CiphertextError:
        raise CiphertextError(
            "The gate gave the data out, but the lock that the container names does not open it.",
            hint="The container was made for another lock, or for other conditions.",
        ) from None


def _info(conditions_hash: str, rpc: Rpc) -> bytes:
    return b"\n".join((_LABEL, conditions_hash.encode(), canonical_json(rpc).encode()))

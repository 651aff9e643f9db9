"""What a container says to a gate: a ciphertext with everything that opening it must name again.

    {"ciphertext": base64, "dataToEncryptHash": hex, "gate": hex, "lock"?: hex, "rpc"?: {chain: [url]},
     "recovery"?: {"key", "sealed"}}

beside ``network``, the conditions and ``chain``. It names the gate by its public key, never by its CID, which must
stay unknown.

Source: docs/protocol/gate.md#container, #lock, #recovery-copy and #batches-limits-and-costs.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from typing import Any

from lit_airflow.errors import CiphertextError, ConditionError, SettingsError
from lit_airflow.keys.secret import Secret
from lit_airflow.networks.chipotle.lock import close_lock, open_lock
from lit_airflow.networks.chipotle.rpc_urls import check_rpc
from lit_airflow.networks.chipotle.sealing import (
    GATE_VERSION,
    OVERHEAD_BYTES,
    Rpc,
    checked_key,
    container_info,
    seal,
)
from lit_airflow.protocol.conditions import Conditions
from lit_airflow.protocol.container import Container
from lit_airflow.protocol.recovery import FIELD as RECOVERY
from lit_airflow.protocol.recovery import recovery_copy
from lit_airflow.text import unbase64


@dataclass(frozen=True, slots=True, kw_only=True)
class SealingKeys:
    """The public keys that data is sealed to, 64 hex digits each.

    Attributes:
        gate: The gate's; also names it.
        lock: The deployment's own; empty for none.
        recovery: The data owner's, whose secret half is kept offline; empty for none.
    """

    gate: str
    lock: str = ""
    recovery: str = ""

    def __post_init__(self) -> None:
        checked_key(self.gate, "gate_key")
        if self.lock:
            checked_key(self.lock, "lock_key")
        if self.recovery:
            checked_key(self.recovery, "recovery_key")


@dataclass(frozen=True, slots=True, kw_only=True)
class GateContainer:
    """What a container says to a gate, checked for its form.

    Attributes:
        conditions: Who may open it.
        ciphertext: What the gate opens.
        data_hash: SHA-256 of what the gate gives out, 64 hex digits: of the plaintext, or of what the lock closes.
        gate: The gate's public key.
        lock: The lock's public key; empty where there is none.
        rpc: Whose answers the gate believes, by chain.
    """

    conditions: Conditions
    ciphertext: bytes
    data_hash: str
    gate: str
    lock: str
    rpc: Rpc

    @classmethod
    def read(cls, container: Container) -> GateContainer:
        """Read what :func:`seal_container` made; further keys are ignored.

        Raises:
            CiphertextError: A key is missing or malformed, or it names no gate.
            ConditionError: The conditions cannot be hashed, or the hash is not one.
        """
        fields = container.fields
        container.scope()
        encoded = fields.get("ciphertext")
        if not isinstance(encoded, str):
            raise CiphertextError(
                "The container has no ciphertext.", hint="Give what encrypt returned, unchanged."
            )
        if fields.get("gate") is None:
            raise CiphertextError(
                "The container names no gate, so it was not encrypted for this network.",
                hint="Use a connection to the network that it was encrypted for.",
            )
        rpc = {} if fields.get("rpc") is None else fields["rpc"]
        try:
            check_rpc(rpc, local=True)
            lock = "" if fields.get("lock") is None else checked_key(fields["lock"], "lock")
            gate = checked_key(fields["gate"], "gate")
        except (ConditionError, SettingsError) as error:
            raise CiphertextError(f"The container is malformed: {error.message}") from None
        return cls(
            conditions=container.conditions,
            ciphertext=_decoded(encoded),
            data_hash=fields["dataToEncryptHash"],
            gate=gate,
            lock=lock,
            rpc=rpc,
        )

    @property
    def given_bytes(self) -> int:
        """How many bytes the gate gives out."""
        return len(self.ciphertext) - OVERHEAD_BYTES

    def request_item(self) -> dict[str, Any]:
        """Return what the gate is sent to open it: canonical conditions, hash, chain, ciphertext, RPC URLs."""
        item = self.conditions.to_json()
        chain = item.pop("chain")
        item |= {
            "dataToEncryptHash": self.data_hash,
            "chain": chain,
            "ciphertext": base64.b64encode(self.ciphertext).decode(),
        }
        if self.rpc:
            item["rpc"] = {name: list(urls) for name, urls in self.rpc.items()}
        return item

    def unlock(self, given: bytes, lock_secret: Secret | None) -> bytes:
        """Return the plaintext, given what the gate gave out.

        Args:
            given: What the gate's answer opened to.
            lock_secret: The secret half of the container's lock; ``None`` where it has none.

        Raises:
            CiphertextError: The data is not what the hash names, or the lock does not open it.
        """
        if hashlib.sha256(given).hexdigest() != self.data_hash:
            del given  # no frame of an error may hold a plaintext
            raise CiphertextError(
                "What the gate gave out is not what dataToEncryptHash names.",
                hint="The container was altered, or its fields come from different containers. Encrypt again.",
            )
        if not self.lock:
            return given
        if lock_secret is None:
            raise CiphertextError(
                "The container is locked, and its lock is not known.",
                hint="Add the lock's secret half to locks in the secret at api_key_path.",
            )
        return open_lock(lock_secret, self.conditions.hash, self.rpc, given)


def seal_container(
    plaintext: bytes,
    conditions: Conditions,
    keys: SealingKeys,
    rpc: Rpc,
    *,
    version: int = GATE_VERSION,
) -> dict[str, Any]:
    """Seal data to a gate. Nothing is sent.

    Check the conditions first (:func:`lit_airflow.networks.chipotle.gate_conditions.check_conditions`), and the
    size (:func:`lit_airflow.networks.chipotle.batching.check_size`): what no gate can judge or give out stays
    closed.

    Args:
        plaintext: Any bytes.
        conditions: Who may open it.
        keys: Whom it is sealed to.
        rpc: Exactly the chains that the conditions read, each with its URLs.
        version: The gate's version.

    Returns:
        ``ciphertext``, ``dataToEncryptHash``, ``gate`` and, where there is one, ``lock``, ``rpc``, ``recovery``.

    Raises:
        SettingsError: A key is of small order.
        ConditionError: The conditions contain an unpaired surrogate.
    """
    secret = Secret(plaintext)
    del plaintext  # no frame of an error may hold it
    inner = Secret(close_lock(keys.lock, conditions.hash, rpc, secret.reveal())) if keys.lock else secret
    data_hash = hashlib.sha256(inner.reveal()).hexdigest()
    identity = conditions.identity(data_hash)
    ciphertext = seal(keys.gate, container_info(identity, rpc, version=version), inner.reveal())
    container: dict[str, Any] = {
        "ciphertext": base64.b64encode(ciphertext).decode(),
        "dataToEncryptHash": data_hash,
        "gate": keys.gate,
    }
    if keys.lock:
        container["lock"] = keys.lock
    if rpc:
        container["rpc"] = {chain: list(urls) for chain, urls in rpc.items()}
    if keys.recovery:
        container[RECOVERY] = recovery_copy(keys.recovery, identity, secret.reveal())
    return container


def _decoded(encoded: str) -> bytes:
    try:
        ciphertext = unbase64(encoded)
    except ValueError:
        raise CiphertextError(
            "The ciphertext is not base64.", hint="It was altered, or made for another network."
        ) from None
    if len(ciphertext) < OVERHEAD_BYTES:
        raise CiphertextError(
            f"The ciphertext is shorter than {OVERHEAD_BYTES} bytes.",
            hint="It was cut short, or made for another network.",
        )
    return ciphertext

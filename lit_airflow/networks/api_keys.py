"""What networks that are paid with API keys offer beside the contract: their key is rotated.

An API key that pays does not expire by itself. So a role of its own, with the account's key, replaces it from time
to time in the secret that decrypting roles read.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

from lit_airflow.clock import Clock
from lit_airflow.errors import SettingsError
from lit_airflow.keys.secret import Secret
from lit_airflow.keys.vault_answers import Version
from lit_airflow.networks.descriptions import implementation

if TYPE_CHECKING:
    from lit_airflow.networks.contract import NetworkDescription


class SecretStore(Protocol):
    """The secret of decrypting roles, read and replaced as a whole."""

    @property
    def where(self) -> str:
        """Its place, for messages."""
        ...

    def read(self) -> tuple[Secret, Version]:
        """Return its fields as a JSON object, and their version.

        Raises:
            LitError: It cannot be read.
        """
        ...

    def write(self, fields: Mapping[str, Secret], replaces: Version) -> bool:
        """Write all fields unless another version than ``replaces`` is there; return whether they were written.

        Raises:
            LitError: It cannot be written. After ``VaultUnavailableError`` it may have been.
        """
        ...


@dataclass(frozen=True, slots=True)
class ManagedSecrets:
    """What managing the API keys of an account takes.

    Attributes:
        account_key: The account's key, which no role that decrypts has.
        store: The secret of decrypting roles.
        clock: Tells the time.
        wait: Waits so many seconds.
        on_key: Called with each new API key before it is used, to mask it in logs.
    """

    account_key: Secret
    store: SecretStore
    clock: Clock
    wait: Callable[[float], None]
    on_key: Callable[[Secret], None] = lambda _key: None


@dataclass(frozen=True, slots=True)
class Rotated:
    """A finished rotation.

    Attributes:
        name: The name of the new key; public.
        drained_at: When the key before it may be revoked.
    """

    name: str
    drained_at: datetime


@dataclass(frozen=True, slots=True)
class Swept:
    """What a sweep found, by the keys' public names.

    Attributes:
        in_use: The key that decrypting roles read; empty if the account does not list it.
        removed: Left over, and revoked.
        unsure: Left over, and it is not known whether they are revoked.
        too_wide: Keys of this deployment that may do more than they should. Not touched.
    """

    in_use: str = ""
    removed: Sequence[str] = field(default_factory=tuple)
    unsure: Sequence[str] = field(default_factory=tuple)
    too_wide: Sequence[str] = field(default_factory=tuple)


class KeyRotation(Protocol):
    """Rotates the API key of decrypting roles."""

    def rotate(self, *, drain_s: float) -> Rotated:
        """Sweep, make a key, wait until it works, and write it for decrypting roles.

        Args:
            drain_s: Seconds for which the key before it keeps working.

        Raises:
            SettingsError: The deployment is not set up, or is not as it was set up.
            SecretError: Vault cannot be used.
            NetworkError: The service refuses or does not answer. The key before it stays in use.
        """
        ...

    def sweep(self) -> Swept:
        """Revoke keys that are drained, and those that failed rotations have left.

        Raises:
            LitError: The keys cannot be listed.
        """
        ...


def open_rotation(description: NetworkDescription, managed: ManagedSecrets) -> KeyRotation:
    """Return the rotation of a network's API keys.

    Raises:
        SettingsError: The network needs no API key.
    """
    opened = getattr(implementation(description.generation), "open_rotation", None)
    if opened is None:
        raise SettingsError(
            f"The network {description.network} needs no API key, so there is none to rotate.",
            field="network",
        )
    rotation: KeyRotation = opened(description, managed)
    return rotation

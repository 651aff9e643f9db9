"""What file I/O and doctor need of a Lit connection; :class:`lit_airflow.hooks.LitHook` is one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from lit_airflow.client import LitClient
    from lit_airflow.handoff.renewal import RenewableSession
    from lit_airflow.handoff.seal import Seal
    from lit_airflow.keys.vault import Vault
    from lit_airflow.networks.api_keys import KeyRotation
    from lit_airflow.networks.contract import Decrypted, Load, Session
    from lit_airflow.protocol.capacity_delegation import CapacityDelegation
    from lit_airflow.protocol.container import Container
    from lit_airflow.protocol.scope import Scope
    from lit_airflow.provider.lineage import Lineage
    from lit_airflow.provider.settings import Settings
    from lit_airflow.provider.wallets import Wallets


class LitConnection(Protocol):
    """A Lit connection and its parts."""

    @property
    def settings(self) -> Settings:
        """The connection's fields."""
        ...

    @property
    def unknown_fields(self) -> list[str]:
        """A sentence for each field that no Lit connection has."""
        ...

    def lent_capacity(self) -> CapacityDelegation | None:
        """Return the capacity delegation that every session carries."""
        ...

    def api_key_rotation(self) -> KeyRotation:
        """Return the rotation of its API key. Reads the account's key."""
        ...

    @property
    def client(self) -> LitClient:
        """The client of its network."""
        ...

    @property
    def vault(self) -> Vault:
        """Vault as its role sees it."""
        ...

    @property
    def wallets(self) -> Wallets:
        """Its wallet."""
        ...

    @property
    def seal(self) -> Seal:
        """How it seals and opens."""
        ...

    @property
    def lineage(self) -> Lineage:
        """Notes what is encrypted and decrypted."""
        ...

    @property
    def log(self) -> Any:  # noqa: ANN401 - a logger, of Airflow's kind by release
        """The task's log."""
        ...

    def container(self, source: Mapping[str, Any]) -> Container:
        """Read a container."""
        ...

    def scope_of(self, encrypted: Mapping[str, Any]) -> Scope:
        """Return the narrowest scope that decrypts a container."""
        ...

    def decrypt(
        self,
        encrypted: Mapping[str, Any],
        session: Session | RenewableSession,
        *,
        data_key: bool = False,
    ) -> bytes:
        """Decrypt a container."""
        ...

    def decrypt_many(  # noqa: PLR0913 - all but two optional
        self,
        containers: Iterable[Load | Mapping[str, Any]],
        session: Session | RenewableSession,
        *,
        at_once: int | None = None,
        processes: int = 1,
        asked: Callable[[], Scope] | None = None,
        data_keys: bool = False,
    ) -> Iterator[Decrypted]:
        """Decrypt many containers."""
        ...

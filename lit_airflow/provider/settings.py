"""1: Airflow Connection -> Settings: frozen, validated, no secrets inside.

Knows a connection only by its shape, so Airflow is not imported. Field names, defaults and help texts stand in
``provider.yaml``; a test holds the two together.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, Field, dataclass, fields
from typing import Any, Protocol

from lit_airflow.errors import SettingsError
from lit_airflow.keys.secret import Secret
from lit_airflow.networks.descriptions import CUSTOM, DEFAULT_NETWORK, NetworkDescription, check_url, describe
from lit_airflow.protocol.lifetime import LONGEST_SESSION_S

SHORTEST_SESSION_S = 60
SEALS = ("transit", "fernet")
SIGNERS = ("key", "vault", "web3signer", "eth_sign")
SIGNER_TAKES = ("message", "data", "digest")
_SIGNER_SERVERS = ("web3signer", "eth_sign")


class ConnectionLike(Protocol):
    """What is read of an Airflow connection."""

    @property
    def conn_id(self) -> str:
        """Its id, for messages."""
        ...

    @property
    def extra_dejson(self) -> dict[str, Any]:
        """Its extra field, decoded."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """A ``lit`` connection, checked.

    Attributes:
        network: A known name, ``custom``, or the path of a network description.
        rpc_url: JSON-RPC of the chain that lists the nodes.
        staking_address: The contract there.
        network_public_key: Pins the network's key, 96 hex digits.
        chain: For conditions that name none.
        vault_conn_id: The Vault connection of this role.
        vault_mount: Mount of the KV engine; empty for the Vault connection's own.
        vault_path: Where the wallet's key lies below it; for ``signer`` ``vault``, the account's path, with its
            mount; empty for a role that only decrypts.
        vault_field: The field there.
        signer: Who signs: ``key`` (read from Vault), ``vault`` (an engine there), ``web3signer`` or ``eth_sign``.
        signer_url: Where Web3Signer or the JSON-RPC server is.
        signer_takes: What the engine in Vault signs: ``message``, ``data`` or ``digest``.
        signer_certificate: Path of a PEM file with a certificate and its key, for a server that asks for one.
        wallet_address: The only wallet there may be; empty for any.
        sessions_path: Below which published sessions lie, on the KV engine's mount.
        session_ttl_s: Lifetime of sessions, seconds.
        renewal_lead_s: Sessions with less time left are renewed, seconds.
        seal: ``transit`` or ``fernet``.
        transit_mount: Mount of the Transit engine.
        transit_key: Name of the Transit key.
        siwe_domain: Who asks, as the wallet's message shows it.
        timeout_s: Within this time each call ends, seconds.
    """

    network: str = DEFAULT_NETWORK
    rpc_url: str = ""
    staking_address: str = ""
    network_public_key: str = ""
    chain: str = "ethereum"
    vault_conn_id: str = "vault_default"
    vault_mount: str = ""
    vault_path: str = ""
    vault_field: str = "private_key"
    signer: str = "key"
    signer_url: str = ""
    signer_takes: str = "message"
    signer_certificate: str = ""
    wallet_address: str = ""
    sessions_path: str = "lit/sessions"
    session_ttl_s: int = 3600
    renewal_lead_s: int = 300
    seal: str = "transit"
    transit_mount: str = "transit"
    transit_key: str = "lit-sessions"
    siwe_domain: str = "localhost"
    timeout_s: int = 30

    @classmethod
    def from_connection(cls, connection: ConnectionLike) -> Settings:
        """Read and check a connection; empty fields take their defaults, unknown ones are ignored.

        Raises:
            SettingsError: A field that cannot be right; names it.
        """
        extra = connection.extra_dejson
        values: dict[str, Any] = {field.name: _value(field, extra) for field in fields(cls)}
        return cls(**values)

    def description(self) -> NetworkDescription:
        """The network to talk to.

        Raises:
            SettingsError: An unknown network, or a custom one without RPC URL and staking contract.
        """
        overrides = {
            key: getattr(self, key)
            for key in ("rpc_url", "staking_address", "network_public_key")
            if getattr(self, key)
        }
        if self.network == CUSTOM or overrides:
            return describe({"network": self.network, **overrides})
        return describe(self.network)

    @property
    def has_wallet(self) -> bool:
        """Whether sessions can be opened over this connection; if not, it only decrypts."""
        return bool(self.signer_url if self.signer in _SIGNER_SERVERS else self.vault_path)

    @property
    def uses_vault(self) -> bool:
        """Whether Vault is asked for anything."""
        return self.seal == "transit" or (self.has_wallet and self.signer not in _SIGNER_SERVERS)

    def __post_init__(self) -> None:
        self.description()
        if not SHORTEST_SESSION_S <= self.session_ttl_s <= LONGEST_SESSION_S:
            raise SettingsError(
                f"A session lifetime of {self.session_ttl_s} seconds is not possible.",
                field="session_ttl_s",
                hint="Choose from 60 seconds to 30 days.",
            )
        if not 0 <= self.renewal_lead_s < self.session_ttl_s:
            raise SettingsError(
                f"A renewal lead of {self.renewal_lead_s} seconds does not fit "
                f"a lifetime of {self.session_ttl_s}.",
                field="renewal_lead_s",
                hint="Choose a lead shorter than the lifetime.",
            )
        if self.seal not in SEALS:
            raise SettingsError(
                f"There is no seal {self.seal!r}.", field="seal", hint="Use transit or fernet."
            )
        if self.timeout_s < 1:
            raise SettingsError("The time-out is at least one second.", field="timeout_s")
        self._check_signer()

    def _check_signer(self) -> None:
        for name, known in (("signer", SIGNERS), ("signer_takes", SIGNER_TAKES)):
            if getattr(self, name) not in known:
                raise SettingsError(
                    f"There is no {name} {getattr(self, name)!r}.",
                    field=name,
                    hint=f"Use {' or '.join(known)}.",
                )
        if self.signer in _SIGNER_SERVERS:
            check_url(self.signer_url, "signer_url")


def seal_secret(connection: ConnectionLike) -> Secret:
    """The Fernet key of a connection whose seal is ``fernet``.

    Raises:
        SettingsError: There is none.
    """
    found = connection.extra_dejson.get("seal_secret")
    if not isinstance(found, str) or not found:
        raise SettingsError(
            "The seal is fernet, and there is no key for it.",
            field="seal_secret",
            hint="Make one with cryptography.fernet.Fernet.generate_key().",
        )
    return Secret(found.encode())


def _value(field: Field[Any], extra: Mapping[str, Any]) -> str | int:
    found = extra.get(field.name)
    default: str | int = "" if field.default is MISSING else field.default
    if found is None or found == "":
        return default
    if isinstance(default, str):
        if isinstance(found, str):
            return found.strip()
    elif not isinstance(found, bool):
        try:
            return int(found)
        except (TypeError, ValueError):
            pass
    kind = "text" if isinstance(default, str) else "a whole number"
    raise SettingsError(f"The Lit connection's field {field.name} is {kind}.", field=field.name)

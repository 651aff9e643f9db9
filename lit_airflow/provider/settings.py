"""The settings of a Lit connection: frozen, validated, without secrets.

A connection is known only by its shape, so Airflow is not imported. Field names, defaults and help texts stand in
``provider.yaml``; a test compares the two.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, dataclass, field, fields
from typing import TYPE_CHECKING, Any, Protocol

from lit_airflow.errors import SettingsError
from lit_airflow.json_input import try_parse
from lit_airflow.keys.secret import Secret
from lit_airflow.networks.descriptions import CUSTOM, DEFAULT_NETWORK, describe, fields_of
from lit_airflow.protocol.lifetime import LONGEST_SESSION_S
from lit_airflow.text import cut, quoted
from lit_airflow.transport.addresses import check_url

if TYPE_CHECKING:
    from lit_airflow.networks.contract import NetworkDescription
    from lit_airflow.protocol.signing import SigningPolicy

SHORTEST_SESSION_S = 60
_LONGEST_TIMEOUT_S = 24 * 3600
SEALS = ("transit", "fernet")
SIGNERS = ("key", "env", "file", "connection", "vault", "web3signer", "eth_sign")
KEY_SIGNERS = ("key", "env", "file", "connection")
"""Those that sign in the task's own process, with a key that they read; the others never show it."""
SIGNER_TAKES = ("message", "data", "digest")
_API_KEY_FIELD = "api_key"
_SEAL_SECRET = "seal_secret"  # noqa: S105 - a field's name
_WALLET_SECRET = "wallet_secret"  # noqa: S105 - the same
# RFC 3986's authority without user information: what EIP-4361 calls the domain.
_DOMAIN = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._~%!$&'()*+,;=-]+)(:[0-9]{1,5})?")
_WHOLE = re.compile(r"[+-]?[0-9]{1,30}")
_SIGN_FIELDS = ("sign_pkp", "sign_chain_id", "sign_address")
_JSON_FIELDS = ("rpc",)
_SIGNER_SERVERS = ("web3signer", "eth_sign")
_IN_VAULT = ("key", "vault")
# Where the wallet is -> the field that says so. Only Vault's may be empty: that is a role without a wallet.
_WALLET_FIELDS = {
    "key": "vault_path",
    "env": "key_env",
    "file": "key_file",
    "vault": "vault_path",
    "web3signer": "signer_url",
    "eth_sign": "signer_url",
}
NETWORK_FIELDS = (
    "rpc_url",
    "staking_address",
    "network_public_key",
    "api_url",
    "gate_key",
    "lock_key",
    "recovery_key",
    "allow_unlocked",
    "rpc",
    "attestation",
    "compose_hash",
    "machine_hash",
    "tcb_accepted",
    "collateral",
)
"""The fields that are passed on to the network's description; each generation reads its own."""


ReadSecret = Callable[[], Mapping[str, Any]]
"""Reads a secret's fields."""


class ConnectionLike(Protocol):
    """What is read from an Airflow connection."""

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
        api_url: Base URL of the network's service, where it has one.
        gate_key: The public key that data is encrypted to, 64 hex digits; empty to ask for it.
        lock_key: The public half of the deployment's lock, 64 hex digits; empty for none.
        recovery_key: The public key of recovery copies, 64 hex digits; empty for none.
        allow_unlocked: Whether containers without a lock are decrypted although ``lock_key`` is set.
        rpc: JSON object: chain -> list of JSON-RPC URLs that conditions may be judged by.
        attestation: What is demanded of the server's proof of its hardware or software: ``off``, ``report`` or
            ``require``; empty for the network's own demand.
        compose_hash: The builds to accept, 64 hex digits each, separated by commas.
        machine_hash: The machines to accept, 64 hex digits each, separated by commas; empty for any.
        tcb_accepted: States of a processor's firmware, and advisories, to accept, separated by commas.
        collateral: The https URL or the path of what proofs are verified with; empty for the maker's server.
        capacity_path: Path of a secret with a capacity delegation, below the KV mount; empty for none.
        api_key_path: Path of the secret of decrypting roles, below the KV mount; empty where the network
            needs none.
        api_key_field: The field there that has the API key.
        account_key_path: Path of the secret whose field ``account_key`` has the account's key, below the KV mount;
            for the role that rotates API keys, and empty for all others.
        chain: The chain of conditions that do not name one.
        vault_conn_id: The Vault connection of this role.
        vault_mount: Mount of the KV engine; empty for the Vault connection's own.
        vault_path: Where the wallet's key lies below it; for ``signer`` ``vault``, the account's path, with its
            mount; empty for a role that only decrypts.
        vault_field: The field there.
        signer: What signs: the wallet's key, read from Vault (``key``), an environment variable (``env``), a file
            (``file``) or this connection (``connection``); or ``vault`` (an engine there), ``web3signer`` or
            ``eth_sign``.
        key_env: Name of the environment variable that holds the key, on the workers.
        key_file: Path of the file that holds the key, on the workers.
        signer_url: The URL of Web3Signer or the JSON-RPC server.
        signer_takes: What the engine in Vault signs: ``message``, ``data`` or ``digest``.
        signer_certificate: Path of a PEM file with a certificate and its key, for a server that asks for one.
        wallet_address: The only acceptable wallet; empty for any.
        sessions_path: The folder of published sessions, on the KV engine's mount.
        session_ttl_s: Lifetime of sessions, seconds.
        renewal_lead_s: Sessions with less time left are renewed, seconds.
        seal: ``transit`` or ``fernet``.
        transit_mount: Mount of the Transit engine.
        transit_key: Name of the Transit key.
        siwe_domain: The domain that the wallet's message names.
        timeout_s: Seconds within which each call ends.
        sign_pkp: The address of the key, held by the network, that signs; empty for none.
        sign_chain_id: The only chain of what is signed; 0 to sign messages only.
        sign_address: The only address that what is signed may be for; empty to sign messages only.
        low_balance_cents: Below this credit tasks that spend warn, US cents; 0 for never.
    """

    network: str = DEFAULT_NETWORK
    rpc_url: str = field(default="", repr=False)  # may contain a key, as the other URLs that are not shown
    staking_address: str = ""
    network_public_key: str = ""
    api_url: str = ""
    gate_key: str = ""
    lock_key: str = ""
    recovery_key: str = ""
    allow_unlocked: bool = False
    rpc: str = field(default="", repr=False)
    attestation: str = ""
    compose_hash: str = ""
    machine_hash: str = ""
    tcb_accepted: str = ""
    collateral: str = ""
    api_key_path: str = ""
    api_key_field: str = _API_KEY_FIELD
    account_key_path: str = ""
    capacity_path: str = ""
    chain: str = "ethereum"
    vault_conn_id: str = "vault_default"
    vault_mount: str = ""
    vault_path: str = ""
    vault_field: str = "private_key"
    signer: str = "key"
    key_env: str = ""
    key_file: str = ""
    signer_url: str = field(default="", repr=False)
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
    sign_pkp: str = ""
    sign_chain_id: int = 0
    sign_address: str = ""
    low_balance_cents: int = 0

    @classmethod
    def from_connection(
        cls, connection: ConnectionLike, *, on_unknown: Callable[[str], object] = str
    ) -> Settings:
        """Read and check a connection; empty fields take their defaults.

        Args:
            connection: The connection, whose extra is read once.
            on_unknown: Called with each sentence of :func:`unknown_fields`, before an error is raised.

        Raises:
            SettingsError: A field that cannot be right; names it.
        """
        try:
            return _settings(extra_of(connection), on_unknown)
        except SettingsError as error:
            problem = error.with_traceback(None)
        del connection  # no frame of the error may hold its secrets
        raise problem

    def description(self, read_secret: ReadSecret | None = None) -> NetworkDescription:
        """Return the description of the network; the connection's fields replace those of a file.

        Args:
            read_secret: Reads the secret at ``api_key_path``, for networks that need an API key.

        Raises:
            SettingsError: An unknown network, or a field that its generation does not accept.
        """
        overrides = {key: getattr(self, key) for key in NETWORK_FIELDS if getattr(self, key)}
        if read_secret is not None and self.api_key_path:
            overrides["read_secret"] = read_secret
            if self.api_key_field != _API_KEY_FIELD:  # else a file may name another
                overrides["api_key_field"] = self.api_key_field
        if self.network == CUSTOM or overrides:
            return describe({**fields_of(self.network), **overrides})
        return describe(self.network)

    def signing_policy(self) -> SigningPolicy:
        """Return what this connection permits to be signed.

        Raises:
            SettingsError: It permits nothing, or a field cannot be right.
        """
        from lit_airflow.protocol.signing import SigningPolicy  # noqa: PLC0415 - few connections sign

        return SigningPolicy.of(self.sign_pkp, self.sign_chain_id, self.sign_address)

    @property
    def has_wallet(self) -> bool:
        """Whether this connection can open sessions; otherwise it only uses them."""
        return self.signer not in _WALLET_FIELDS or bool(getattr(self, _WALLET_FIELDS[self.signer]))

    @property
    def uses_vault(self) -> bool:
        """Whether Vault is needed."""
        key_in_vault = self.has_wallet and self.signer in _IN_VAULT
        return self.seal == "transit" or key_in_vault or bool(self.api_key_path or self.capacity_path)

    def __post_init__(self) -> None:
        self.description()
        if not SHORTEST_SESSION_S <= self.session_ttl_s <= LONGEST_SESSION_S:
            raise SettingsError(
                f"session_ttl_s must be from {SHORTEST_SESSION_S} to {LONGEST_SESSION_S}, "
                f"got {self.session_ttl_s}.",
                field="session_ttl_s",
                hint="A session lasts from 60 seconds to 30 days.",
            )
        if not 0 <= self.renewal_lead_s < self.session_ttl_s:
            raise SettingsError(
                f"renewal_lead_s must be from 0 to less than session_ttl_s ({self.session_ttl_s}), "
                f"got {self.renewal_lead_s}.",
                field="renewal_lead_s",
                hint="Sessions with less time left than the lead are renewed.",
            )
        if self.seal not in SEALS:
            raise SettingsError(
                f"Unknown seal {quoted(self.seal)}.", field="seal", hint="Use transit or fernet."
            )
        if not _DOMAIN.fullmatch(self.siwe_domain):
            raise SettingsError(
                f"siwe_domain cannot be {quoted(self.siwe_domain)}.",
                field="siwe_domain",
                hint="Give a host, with a port if need be, such as app.example.com; no https:// and no path.",
            )
        if not 1 <= self.timeout_s <= _LONGEST_TIMEOUT_S:
            raise SettingsError(
                f"timeout_s must be from 1 to {_LONGEST_TIMEOUT_S}, got {cut(str(self.timeout_s))}.",
                field="timeout_s",
            )
        if self.low_balance_cents < 0:
            raise SettingsError("low_balance_cents must not be negative.", field="low_balance_cents")
        if any(getattr(self, name) for name in _SIGN_FIELDS):
            self.signing_policy()
        self._check_signer()

    def _check_signer(self) -> None:
        for name, known in (("signer", SIGNERS), ("signer_takes", SIGNER_TAKES)):
            if getattr(self, name) not in known:
                raise SettingsError(
                    f"Unknown {name} {quoted(getattr(self, name))}.",
                    field=name,
                    hint=f"Use {' or '.join(known)}.",
                )
        if self.signer in _SIGNER_SERVERS:
            check_url(self.signer_url, "signer_url")
        elif self.signer not in _IN_VAULT and not self.has_wallet:
            missing = _WALLET_FIELDS[self.signer]
            raise SettingsError(f"The signer is {self.signer}, and {missing} is empty.", field=missing)


def wallet_secret(connection: ConnectionLike) -> Secret:
    """Return the wallet's key that a connection with the signer ``connection`` holds.

    Raises:
        SettingsError: There is none.
    """
    found = extra_of(connection).get(_WALLET_SECRET)
    if not isinstance(found, str) or not found:
        raise SettingsError("The signer is connection, and wallet_secret is empty.", field="wallet_secret")
    return Secret(found.encode())


def extra_of(connection: ConnectionLike) -> Mapping[str, Any]:
    """Return a connection's extra field, an object.

    Airflow itself takes an extra that is not JSON for an empty one, and so every field for its default.

    Raises:
        SettingsError: It is not JSON, or not an object.
    """
    text = getattr(connection, "extra", None)
    found = try_parse(text) if isinstance(text, str) and text.strip() else connection.extra_dejson
    if not isinstance(found, Mapping):
        raise SettingsError(
            f"The extra field of the connection {connection.conn_id} is not a JSON object.",
            field="extra",
            hint='Write it like {"network": "custom"}, with double quotes; do not quote it twice.',
        )
    return connection.extra_dejson


def unknown_fields(connection: ConnectionLike) -> list[str]:
    """Return a sentence for each field of a connection's extra that no Lit connection has.

    Raises:
        SettingsError: As :func:`extra_of`.
    """
    return _unknown(extra_of(connection))


def _unknown(extra: Mapping[str, Any]) -> list[str]:
    known = [*(field.name for field in fields(Settings)), _SEAL_SECRET, _WALLET_SECRET]
    sentences = []
    for name in extra:
        if name not in known:
            from difflib import get_close_matches  # noqa: PLC0415 - only a wrong field needs it

            near = get_close_matches(name, known, n=1)
            meant = f"; {near[0]} may be meant" if near else ""
            sentences.append(f"The field {quoted(name)} is unknown and ignored{meant}.")
    return sentences


def seal_secret(connection: ConnectionLike) -> Secret:
    """Return the Fernet key of a connection whose seal is ``fernet``.

    Raises:
        SettingsError: There is none.
    """
    found = extra_of(connection).get(_SEAL_SECRET)
    if not isinstance(found, str) or not found:
        raise SettingsError(
            "The seal is fernet, and seal_secret is empty.",
            field="seal_secret",
            hint="Make one with cryptography.fernet.Fernet.generate_key().",
        )
    return Secret(found.encode())


def _settings(extra: Mapping[str, Any], on_unknown: Callable[[str], object]) -> Settings:
    for sentence in _unknown(extra):
        on_unknown(sentence)
    settings = Settings(**_values(extra))
    if extra.get(_WALLET_SECRET) and settings.signer != "connection":
        raise SettingsError(
            f"The connection holds a wallet's key, and its signer is {settings.signer}.",
            field=_WALLET_SECRET,
            hint="Empty wallet_secret; or set signer to connection, the weakest place for a key.",
        )
    return settings


def _values(extra: Mapping[str, Any]) -> dict[str, Any]:
    return {each.name: _value(each, extra) for each in fields(Settings)}


def _value(described: Field[Any], extra: Mapping[str, Any]) -> str | int | bool:
    name = described.name
    found = extra.get(name)
    default: str | int | bool = "" if described.default is MISSING else described.default
    if found is None or found == "":
        return default
    if isinstance(default, bool):
        if isinstance(found, bool):
            return found
    elif isinstance(default, str):
        if isinstance(found, str):
            return found.strip()
        if name in _JSON_FIELDS and isinstance(found, Mapping):
            return json.dumps(found)
    elif (number := _whole(found)) is not None:
        return number
    kind = {bool: "true or false", str: "a text"}.get(type(default), "a whole number")
    raise SettingsError(f"The Lit connection's field {name} must be {kind}.", field=name)


def _whole(found: object) -> int | None:
    """Return a whole number, given as one or as text; ``None`` for anything else."""
    if isinstance(found, str):  # not int(): it reads 1_000, and the digits of all scripts
        return int(found) if _WHOLE.fullmatch(found.strip()) else None
    if isinstance(found, float):
        return int(found) if found.is_integer() else None
    return found if isinstance(found, int) and not isinstance(found, bool) else None

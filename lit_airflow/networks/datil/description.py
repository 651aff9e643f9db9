"""The description of a Datil network: where its nodes are listed, and what they ask for.

Source: docs/protocol/discovery.md; ``@lit-protocol/constants`` and ``@lit-protocol/contracts``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

from lit_airflow.errors import SettingsError
from lit_airflow.networks.descriptions import CUSTOM
from lit_airflow.text import quoted
from lit_airflow.transport.addresses import check_url

CREDITS = "RateLimitNFT"
"""Among a network's contracts: the one whose tokens pay for requests."""

_ADDRESS = re.compile(r"0x[0-9a-fA-F]{40}")
_PUBLIC_KEY = re.compile(r"[0-9a-f]{96}")
_RECOVERY_KEY = re.compile(r"[0-9a-f]{64}")
_ENVIRONMENTS = (0, 1, 2)


@dataclass(frozen=True, slots=True, kw_only=True)
class DatilDescription:
    """One network.

    Attributes:
        network: Its name; ``custom`` for one that is not known.
        generation: Which protocol it speaks.
        rpc_url: JSON-RPC of the chain that lists the nodes; empty where ``nodes`` are given instead.
        chain_id: That chain's number; 0 where it is not known.
        staking_address: The contract there; empty to ask the resolver for it.
        resolver_address: The contract that knows the other contracts' addresses.
        environment: Which of the resolver's sets of contracts: 0, 1 or 2.
        nodes: Node URLs, used where there is no ``rpc_url``.
        threshold: Goes with ``nodes``.
        epoch: Goes with ``nodes``; 0 asks for the current one.
        network_public_key: Pins the network's BLS key, 96 hex digits; empty to trust what nodes agree on.
        recovery_key: The data owner's public key, whose secret half is kept offline; empty for none.
        default_scheme: The scheme of nodes on other ports than 443.
        attestation: Whether nodes must prove the hardware they run on.
        pkp_without_attestation: Whether nodes that prove no hardware may be sent the authentication methods of a
            PKP; they could use them at the other nodes until they expire. True by default only for a local network,
            whose description has ``control_url``: its nodes are one process.
        plain_http: Whether nodes on other hosts than this one may be reached over plain http; they would get
            sessions in clear.
        pays: Whether requests cost capacity credits; ``None`` where it is not known.
        contracts: The other contracts' addresses, by the names that Lit's own packages give them.
    """

    network: str
    generation: str = "datil"
    rpc_url: str = field(default="", repr=False)  # may contain a key
    chain_id: int = 0
    staking_address: str = ""
    resolver_address: str = ""
    environment: int | None = None
    nodes: tuple[str, ...] = ()
    threshold: int = 0
    epoch: int = 0
    network_public_key: str = ""
    recovery_key: str = ""
    default_scheme: str = "https"
    attestation: bool = False
    pkp_without_attestation: bool = field(default=False, compare=False)  # does not tell which network it is
    plain_http: bool = False
    pays: bool | None = None
    contracts: Mapping[str, str] = field(default_factory=dict, hash=False)

    @property
    def public(self) -> bool:
        """Whether anybody may run a node, so that no node may have a private address."""
        return self.network != CUSTOM


_DESCRIBABLE = {f.name for f in fields(DatilDescription)} - {"default_scheme"}
_SPELT_OUT: Mapping[str, bool] = {"require": True, "off": False}
"""What a connection says for true and false. There is no ``report``: a node that fails is not asked."""
_KINDS: Mapping[str, tuple[tuple[type, ...], str]] = {
    "network": ((str,), "a text"),
    "generation": ((str,), "a text"),
    "chain_id": ((int,), "a whole number"),
    "environment": ((int,), "0, 1 or 2"),
    "nodes": ((list, tuple), "a list of URLs"),
    "attestation": ((bool,), "off or require; true or false in a file"),
    "pkp_without_attestation": ((bool,), "true or false"),
    "plain_http": ((bool,), "true or false"),
    "pays": ((bool,), "true or false"),
    "contracts": ((Mapping,), "an object of names and addresses"),
}


def describe(given: Mapping[str, Any], known: Mapping[str, Any] | None) -> DatilDescription:
    """Return the description of a Datil network.

    Args:
        given: What the user wrote: the attributes of :class:`DatilDescription` as keys. A chain needs
            ``staking_address``, or ``resolver_address`` and ``environment``. Unknown keys are ignored.
        known: The public network's own row, which ``given`` overrides, except that attestation cannot be switched
            off where the network requires it.

    Raises:
        SettingsError: A value that cannot be right.
    """
    row = {key: value for key, value in given.items() if key in _DESCRIBABLE and value not in (None, "")}
    row["network"] = row.get("network", CUSTOM)
    if isinstance(policy := row.get("attestation"), str) and policy in _SPELT_OUT:
        row["attestation"] = _SPELT_OUT[policy]
    if row["network"] == CUSTOM and given.get("control_url"):
        row.setdefault("pkp_without_attestation", True)
    _check_kinds(row)
    if "nodes" in row:
        row["nodes"] = tuple(row["nodes"])
    base = DatilDescription(**known) if known else None
    if base and base.attestation and not row.get("attestation", True):
        raise SettingsError(f"{base.network} requires attestation.", field="attestation")
    if "resolver_address" in row:
        if "staking_address" in row:
            raise SettingsError(
                "Give resolver_address or staking_address, not both: the resolver names the staking contract.",
                field="resolver_address",
            )
        row["staking_address"] = ""  # a known network's own would be used before the resolver is asked
    return _checked(replace(base, **row) if base else DatilDescription(default_scheme="http", **row))


def _check_kinds(given: Mapping[str, Any]) -> None:
    for key, (kinds, wanted) in _KINDS.items():
        value = given.get(key)
        # True is an int in Python, but not meant as a number.
        if value is not None and (
            not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds)
        ):
            raise SettingsError(f"{key} must be {wanted}.", field=key)


def _checked(row: DatilDescription) -> DatilDescription:
    if row.rpc_url:
        check_url(row.rpc_url, "rpc_url")
        _check_place(row)
    elif not row.nodes:
        raise SettingsError(
            "The description names neither a chain nor nodes.",
            field="rpc_url",
            hint="Give rpc_url and staking_address, or nodes and threshold.",
        )
    else:
        _check_nodes(row)
    if row.chain_id < 0:
        raise SettingsError(f"chain_id must not be negative, got {row.chain_id}.", field="chain_id")
    for name, address in row.contracts.items():
        _check_address(address, f"contracts.{name}", f"contract {name}")
    if row.network_public_key and not _PUBLIC_KEY.fullmatch(str(row.network_public_key)):
        raise SettingsError(
            "network_public_key must be 96 hex digits in lower case.", field="network_public_key"
        )
    if row.recovery_key and not _RECOVERY_KEY.fullmatch(str(row.recovery_key)):
        raise SettingsError("recovery_key must be 64 lower-case hex digits.", field="recovery_key")
    return row


def _check_place(row: DatilDescription) -> None:
    """Check that the staking contract is named, or the resolver that knows it."""
    if row.staking_address or not row.resolver_address:
        _check_address(row.staking_address, "staking_address", "staking contract")
        return
    _check_address(row.resolver_address, "resolver_address", "resolver")
    if row.environment not in _ENVIRONMENTS:
        raise SettingsError("resolver_address needs environment: 0, 1 or 2.", field="environment")


def _check_address(address: object, field: str, whose: str) -> None:
    if not _ADDRESS.fullmatch(str(address)):
        raise SettingsError(f"The {whose}'s address must be 0x and 40 hex digits.", field=field)


def _check_nodes(row: DatilDescription) -> None:
    for url in row.nodes:
        parts = check_url(url, "nodes")
        if "@" in parts.netloc:
            raise SettingsError("A node's URL must not contain a user name or password.", field="nodes")
        # Nodes compare this text with what they call themselves.
        if parts.port is None or url != f"{parts.scheme}://{parts.netloc}":
            raise SettingsError(
                f"A node's URL must have the form http://127.0.0.1:7470, got {quoted(url)}.", field="nodes"
            )
    if type(row.threshold) is not int or not 1 <= row.threshold <= len(row.nodes):
        raise SettingsError(
            f"threshold must be from 1 to {len(row.nodes)}, the number of nodes, got {row.threshold!r}.",
            field="threshold",
        )
    if type(row.epoch) is not int or row.epoch < 0:
        raise SettingsError(f"epoch must be a whole number of 0 or more, got {row.epoch!r}.", field="epoch")

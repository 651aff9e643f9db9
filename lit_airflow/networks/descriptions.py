"""The known networks as data, and descriptions of others.

Source: spec of the protocol, section 1; ``@lit-protocol/constants`` and ``@lit-protocol/contracts``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, urlsplit

from lit_airflow.errors import SettingsError

CUSTOM = "custom"
DEFAULT_GENERATION = "datil"
DEFAULT_NETWORK = "datil-dev"  # free of charge, and its nodes need not attest their hardware
CREDITS = "RateLimitNFT"
"""Among a network's contracts: the one whose tokens pay for requests."""

_ADDRESS = re.compile(r"0x[0-9a-fA-F]{40}")
_PUBLIC_KEY = re.compile(r"[0-9a-f]{96}")
_ENVIRONMENTS = (0, 1, 2)


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkDescription:
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
        default_scheme: How nodes on other ports than 443 are reached.
        attestation: Whether nodes must prove the hardware they run on.
        pays: Whether nodes want capacity credits for requests; ``None`` where it is not known.
        contracts: The other contracts' addresses, by the names that Lit's own packages give them.
    """

    network: str
    generation: str = DEFAULT_GENERATION
    rpc_url: str = ""
    chain_id: int = 0
    staking_address: str = ""
    resolver_address: str = ""
    environment: int | None = None
    nodes: tuple[str, ...] = ()
    threshold: int = 0
    epoch: int = 0
    network_public_key: str = ""
    default_scheme: str = "https"
    attestation: bool = False
    pays: bool | None = None
    contracts: Mapping[str, str] = field(default_factory=dict, hash=False)

    @property
    def public(self) -> bool:
        """Whether anybody may run its nodes, so that no node's address may be a private one."""
        return self.network != CUSTOM


def _known() -> dict[str, NetworkDescription]:
    rows = json.loads(files("lit_airflow.networks").joinpath("known.json").read_text("utf-8"))
    return {row["network"]: NetworkDescription(**row) for row in rows}


KNOWN: Mapping[str, NetworkDescription] = _known()
"""The public networks by name, as ``known.json`` lists them."""

_DESCRIBABLE = {f.name for f in fields(NetworkDescription)} - {"default_scheme"}
_KINDS: Mapping[str, tuple[tuple[type, ...], str]] = {
    "network": ((str,), "a text"),
    "generation": ((str,), "a text"),
    "chain_id": ((int,), "a whole number"),
    "environment": ((int,), "0, 1 or 2"),
    "nodes": ((list, tuple), "a list of URLs"),
    "attestation": ((bool,), "true or false"),
    "pays": ((bool,), "true or false"),
    "contracts": ((Mapping,), "an object of names and addresses"),
}


def describe(network: str | Path | Mapping[str, Any]) -> NetworkDescription:
    """The description behind what a user wrote.

    Args:
        network: A known name, the path of a JSON file, or that file's object, with the attributes of
            :class:`NetworkDescription` as keys. A chain needs ``staking_address``, or ``resolver_address``
            and ``environment``. Unknown keys are ignored; keys of a known network override its row, except
            that attestation cannot be switched off where the network demands it.

    Raises:
        SettingsError: An unknown name, an unreadable file, or a value that cannot be right.
    """
    if isinstance(network, str) and network in KNOWN:
        return KNOWN[network]
    source = network if isinstance(network, Mapping) else _read(Path(network))
    given = {key: value for key, value in source.items() if key in _DESCRIBABLE and value not in (None, "")}
    given["network"] = given.get("network", CUSTOM)
    _check_kinds(given)
    if "nodes" in given:
        given["nodes"] = tuple(given["nodes"])
    base = KNOWN.get(given["network"])
    if base is None and given["network"] != CUSTOM:
        raise _unknown(str(given["network"]))
    if base and base.attestation and not given.get("attestation", True):
        raise SettingsError(f"{base.network} demands attestation.", field="attestation")
    if "resolver_address" in given:
        if "staking_address" in given:
            raise SettingsError(
                "The resolver says which the staking contract is; give one of them.", field="resolver_address"
            )
        given["staking_address"] = ""  # a known network's own would be taken before the resolver is asked
    row = replace(base, **given) if base else NetworkDescription(default_scheme="http", **given)
    return _checked(row)


def _check_kinds(given: Mapping[str, Any]) -> None:
    for key, (kinds, wanted) in _KINDS.items():
        value = given.get(key)
        # True is an int to Python, but no number to people.
        if value is not None and (
            not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds)
        ):
            raise SettingsError(f"{key} is {wanted}.", field=key)


def _read(path: Path) -> Mapping[str, Any]:
    try:
        source = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise _unknown(str(path)) from None
    except (OSError, ValueError, RecursionError) as error:
        raise SettingsError(f"{path} is no readable JSON file.", field="network") from error
    if not isinstance(source, Mapping):
        raise SettingsError(f"{path} holds no JSON object.", field="network")
    return source


def _unknown(name: str) -> SettingsError:
    return SettingsError(
        f"There is no network {name!r}, and no such file.",
        field="network",
        hint=f"Use one of {', '.join(KNOWN)}, or custom with rpc_url and staking_address.",
    )


def _checked(row: NetworkDescription) -> NetworkDescription:
    if row.rpc_url:
        check_url(row.rpc_url, "rpc_url")
        _check_place(row)
    elif not row.nodes:
        raise SettingsError(
            "Nothing says where the nodes are.",
            field="rpc_url",
            hint="Give rpc_url and staking_address, or nodes and threshold.",
        )
    else:
        _check_nodes(row)
    if row.chain_id < 0:
        raise SettingsError(f"{row.chain_id} is no chain's number.", field="chain_id")
    for name, address in row.contracts.items():
        _check_address(address, f"contracts.{name}", f"contract {name}")
    if row.network_public_key and not _PUBLIC_KEY.fullmatch(str(row.network_public_key)):
        raise SettingsError("The network's public key is not 96 hex digits.", field="network_public_key")
    return row


def _check_place(row: NetworkDescription) -> None:
    """Whether the staking contract is named, or whoever knows it."""
    if row.staking_address or not row.resolver_address:
        _check_address(row.staking_address, "staking_address", "staking contract")
        return
    _check_address(row.resolver_address, "resolver_address", "resolver")
    if row.environment not in _ENVIRONMENTS:
        raise SettingsError(
            "Which of the resolver's environments is meant?", field="environment", hint="It is 0, 1 or 2."
        )


def _check_address(address: object, field: str, whose: str) -> None:
    if not _ADDRESS.fullmatch(str(address)):
        raise SettingsError(
            f"The {whose}'s address is missing or malformed.", field=field, hint="It is 0x and 40 hex digits."
        )


def _check_nodes(row: NetworkDescription) -> None:
    for url in row.nodes:
        parts = check_url(url, "nodes")
        # Nodes compare this text with what they call themselves.
        if parts.port is None or url != f"{parts.scheme}://{parts.netloc}":
            raise SettingsError(
                f"{url!r} is no node's URL.", field="nodes", hint="Write it as http://127.0.0.1:7470."
            )
    if type(row.threshold) is not int or not 1 <= row.threshold <= len(row.nodes):
        raise SettingsError(
            f"The threshold {row.threshold!r} does not fit {len(row.nodes)} nodes.", field="threshold"
        )
    if type(row.epoch) is not int or row.epoch < 0:
        raise SettingsError(f"{row.epoch!r} is no epoch.", field="epoch")


def check_url(url: object, field: str) -> SplitResult:
    """The parts of an http or https URL.

    Raises:
        SettingsError: It is none; the URL itself is not shown.
    """
    try:
        parts = urlsplit(url if isinstance(url, str) else "")
        usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:  # brackets that do not match, a port beyond 65535
        usable = False
    if not usable:
        # Not shown: a chain's URL may hold its customer's key.
        raise SettingsError(f"{field} is no http or https URL.", field=field)
    return parts

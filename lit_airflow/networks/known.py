"""The known networks as data, and descriptions of others.

Source: spec of the protocol, section 1; ``@lit-protocol/constants`` and ``@lit-protocol/contracts``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, urlsplit

from lit_airflow.errors import SettingsError

CUSTOM = "custom"
DEFAULT_NETWORK = "datil-dev"
DEFAULT_GENERATION = "datil"
DEFAULT_NETWORK = "datil-dev"  # free of charge, and its nodes need not attest their hardware
_YELLOWSTONE = "https://yellowstone-rpc.litprotocol.com"
_ADDRESS = re.compile(r"0x[0-9a-fA-F]{40}")
_PUBLIC_KEY = re.compile(r"[0-9a-f]{96}")


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkDescription:
    """One network.

    Attributes:
        network: Its name; ``custom`` for one that is not known.
        generation: Which protocol it speaks.
        rpc_url: JSON-RPC of the chain that lists the nodes; empty where ``nodes`` are given instead.
        staking_address: The contract there.
        nodes: Node URLs, used where there is no ``rpc_url``.
        threshold: Goes with ``nodes``.
        epoch: Goes with ``nodes``; 0 asks for the current one.
        network_public_key: Pins the network's BLS key, 96 hex digits; empty to trust what nodes agree on.
        default_scheme: How nodes on other ports than 443 are reached.
        attestation: Whether nodes must prove the hardware they run on.
    """

    network: str
    generation: str = DEFAULT_GENERATION
    rpc_url: str = ""
    staking_address: str = ""
    nodes: tuple[str, ...] = ()
    threshold: int = 0
    epoch: int = 0
    network_public_key: str = ""
    default_scheme: str = "https"
    attestation: bool = False


KNOWN: Mapping[str, NetworkDescription] = {
    row.network: row
    for row in (
        NetworkDescription(
            network="datil-dev",
            rpc_url=_YELLOWSTONE,
            staking_address="0xD4507CD392Af2c80919219d7896508728f6A623F",
        ),
        NetworkDescription(
            network="datil-test",
            rpc_url=_YELLOWSTONE,
            staking_address="0xdec37933239846834b3BfD408913Ed3dbEf6588F",
            attestation=True,
        ),
        NetworkDescription(
            network="datil",
            rpc_url=_YELLOWSTONE,
            staking_address="0x21d636d95eE71150c0c3Ffa79268c989a329d1CE",
            attestation=True,
        ),
    )
}

_DESCRIBABLE = {f.name for f in fields(NetworkDescription)} - {"default_scheme"}


def describe(network: str | Path | Mapping[str, Any]) -> NetworkDescription:
    """The description behind what a user wrote.

    Args:
        network: A known name, the path of a JSON file, or that file's object: ``network``, ``generation``,
            ``rpc_url``, ``staking_address``, ``nodes``, ``threshold``, ``epoch``, ``network_public_key``,
            ``attestation``. Unknown keys are ignored; keys of a known network override its row, except that
            attestation cannot be switched off where the network demands it.

    Raises:
        SettingsError: An unknown name, an unreadable file, or a value that cannot be right.
    """
    if isinstance(network, str) and network in KNOWN:
        return KNOWN[network]
    source = network if isinstance(network, Mapping) else _read(Path(network))
    given = {key: value for key, value in source.items() if key in _DESCRIBABLE and value not in (None, "")}
    given["network"] = given.get("network", CUSTOM)
    for key in ("network", "generation"):
        if not isinstance(given.get(key, ""), str):
            raise SettingsError(f"{key} is a text.", field=key)
    if "nodes" in given:
        if not isinstance(given["nodes"], list | tuple):
            raise SettingsError("nodes is a list of URLs.", field="nodes")
        given["nodes"] = tuple(given["nodes"])
    base = KNOWN.get(given["network"])
    if not isinstance(given.get("attestation", False), bool):
        raise SettingsError("attestation is true or false.", field="attestation")
    if base is None and given["network"] != CUSTOM:
        raise _unknown(str(given["network"]))
    if base and base.attestation and not given.get("attestation", True):
        raise SettingsError(f"{base.network} demands attestation.", field="attestation")
    row = replace(base, **given) if base else NetworkDescription(default_scheme="http", **given)
    return _checked(row)


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
        _check_url(row.rpc_url, "rpc_url")
        if not _ADDRESS.fullmatch(str(row.staking_address)):
            raise SettingsError(
                "The staking contract's address is missing or malformed.",
                field="staking_address",
                hint="It is 0x and 40 hex digits.",
            )
    elif not row.nodes:
        raise SettingsError(
            "Nothing says where the nodes are.",
            field="rpc_url",
            hint="Give rpc_url and staking_address, or nodes and threshold.",
        )
    else:
        _check_nodes(row)
    if row.network_public_key and not _PUBLIC_KEY.fullmatch(str(row.network_public_key)):
        raise SettingsError("The network's public key is not 96 hex digits.", field="network_public_key")
    return row


def _check_nodes(row: NetworkDescription) -> None:
    for url in row.nodes:
        parts = _check_url(url, "nodes")
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


def _check_url(url: object, field: str) -> SplitResult:
    try:
        parts = urlsplit(url if isinstance(url, str) else "")
        usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:  # brackets that do not match, a port beyond 65535
        usable = False
    if not usable:
        # Not shown: a chain's URL may hold its customer's key.
        raise SettingsError(f"{field} is no http or https URL.", field=field)
    return parts

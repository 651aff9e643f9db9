"""The local Lit networks that a sandbox can run."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from lit_airflow.sandbox.vault_server import GATE_PATH

if TYPE_CHECKING:
    from lit_airflow.devnet import Devnet
    from lit_airflow.devnet.chipotle import Chipotle

DATIL: Final = "datil"
CHIPOTLE: Final = "chipotle"
NETWORKS: Final = (DATIL, CHIPOTLE)
"""The networks by name; the first is the default."""
NODES: Final = 3
THRESHOLD: Final = 2

_GATE_SECRET = ("api_key", "gates", "locks")
_GATE_FIELDS = ("api_url", "gate_key", "lock_key")


@dataclass(frozen=True, slots=True)
class RunningNetwork:
    """A local network, and what the other parts need to know of it.

    Attributes:
        network: The network itself: its description, its faults.
        connection_fields: The fields of a Lit connection that name it.
        decrypting_fields: Further fields, for the connections of roles that decrypt.
        secret: The secret of roles that decrypt, field -> value, for Vault; empty if they need none.
        summary: One line for the log.
    """

    network: Devnet | Chipotle
    connection_fields: Mapping[str, object]
    summary: str
    decrypting_fields: Mapping[str, object] = field(default_factory=dict)
    secret: Mapping[str, str] = field(default_factory=dict, repr=False)


@contextmanager
def open_local_network(name: str) -> Iterator[RunningNetwork]:
    """Run a local network until the block ends.

    Args:
        name: One of :data:`NETWORKS`.
    """
    with _chipotle() if name == CHIPOTLE else _datil() as running:
        yield running


@contextmanager
def _datil() -> Iterator[RunningNetwork]:
    from lit_airflow.devnet import Devnet  # noqa: PLC0415 - imported while the Vault server starts

    with Devnet(nodes=NODES, threshold=THRESHOLD) as network:
        urls = ", ".join(network.node_url(node) for node in range(NODES))
        keys = ("rpc_url", "staking_address", "network_public_key")
        yield RunningNetwork(
            network,
            {"network": "custom", **{key: network.description[key] for key in keys}},
            f"local Lit network is ready: {THRESHOLD} of {urls} decrypt",
        )


@contextmanager
def _chipotle() -> Iterator[RunningNetwork]:
    from lit_airflow.devnet.chipotle import Chipotle  # noqa: PLC0415 - needs Deno

    with Chipotle() as network:
        described = network.description
        yield RunningNetwork(
            network,
            {"network": CHIPOTLE, **gate_fields(described)},
            f"local Chipotle is ready: {described['api_url']}, gate {str(described['gate_key'])[:16]}...",
            {"api_key_path": GATE_PATH},
            gate_secret(described),
        )


def gate_fields(described: Mapping[str, object]) -> dict[str, object]:
    """Return the fields of a local Chipotle's description that a connection needs. None is secret."""
    return {key: described[key] for key in _GATE_FIELDS if described.get(key)}


def gate_secret(described: Mapping[str, object]) -> dict[str, str]:
    """Return the secret of roles that decrypt, field -> value, from a local Chipotle's description."""
    return {
        key: value if isinstance(value, str) else json.dumps(value)
        for key in _GATE_SECRET
        if (value := described.get(key))
    }

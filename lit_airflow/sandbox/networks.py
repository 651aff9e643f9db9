"""The local Lit networks that a sandbox can run."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from lit_airflow.sandbox.examples import example_action
from lit_airflow.sandbox.vault_server import ACTIONS_PATH, GATE_PATH

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
_GATE_FIELDS = ("api_url", "gate_key", "lock_key", "plain_http")


@dataclass(frozen=True, slots=True)
class RunningNetwork:
    """A local network, and what the other parts need to know of it.

    Attributes:
        network: The network itself: its description, its faults.
        connection_fields: The fields of a Lit connection that name it.
        decrypting_fields: Further fields, for the connections of roles that decrypt.
        secret: The secret of roles that decrypt, field -> value, for Vault; empty if they need none.
        acting_fields: Further fields, for the connection of the role that runs actions and signs.
        acting_secret: The secret of that role; empty on networks without actions.
        summary: One line for the log.
    """

    network: Devnet | Chipotle
    connection_fields: Mapping[str, object]
    summary: str
    decrypting_fields: Mapping[str, object] = field(default_factory=dict)
    secret: Mapping[str, str] = field(default_factory=dict, repr=False)
    acting_fields: Mapping[str, object] = field(default_factory=dict)
    acting_secret: Mapping[str, str] = field(default_factory=dict, repr=False)


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
            f"local Lit network is ready, any {THRESHOLD} of its nodes decrypt: {urls}",
        )


@contextmanager
def _chipotle() -> Iterator[RunningNetwork]:
    from lit_airflow import LitClient  # noqa: PLC0415 - imported while the Vault server starts
    from lit_airflow.devnet.chipotle import Chipotle  # noqa: PLC0415 - needs Deno
    from lit_airflow.protocol.signing import SigningPolicy  # noqa: PLC0415 - the same

    with Chipotle() as network:
        described = network.description
        pkp = network.new_pkp()
        with LitClient(described) as client:
            signer, _ = client.signing_code(SigningPolicy.of(pkp))
        yield RunningNetwork(
            network,
            {"network": CHIPOTLE, **gate_fields(described)},
            f"local Chipotle is ready: {described['api_url']}, gate {str(described['gate_key'])[:16]}...",
            {"api_key_path": GATE_PATH},
            gate_secret(described),
            {"api_key_path": ACTIONS_PATH, "sign_pkp": pkp},
            {"api_key": network.permit(signer, example_action(), pkps=[pkp])},
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

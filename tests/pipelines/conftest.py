import json
from collections.abc import Iterator

import pytest

from lit_airflow.devnet.chipotle import Chipotle
from tests.airflow.conftest import airflow_home, dag_id, database
from tests.vault.parts import Bao, Connections, bao, connections, devnet, net, no_masks_of_earlier_tests

__all__ = [
    "airflow_home",
    "bao",
    "connections",
    "dag_id",
    "database",
    "devnet",
    "net",
    "no_masks_of_earlier_tests",
]

GATE_PATH = "lit/gate"
READS_GATE = """
path "secret/data/lit/gate" { capabilities = ["read"] }
path "secret/data/lit/sessions/*" { capabilities = ["read"] }
path "transit/decrypt/lit-sessions" { capabilities = ["update"] }
"""


@pytest.fixture(scope="session")
def chipotle() -> Iterator[Chipotle]:
    """A local Chipotle with a gate of its own, which runs in Deno."""
    with Chipotle("june") as network:
        yield network


@pytest.fixture
def chipotle_connections(connections: Connections, bao: Bao, chipotle: Chipotle) -> Connections:
    """The sandbox's connections with the network changed; the consumer may read the gate's secret."""
    description = dict(chipotle.description)
    secret = {name: description[name] for name in ("api_key", "gates", "locks") if name in description}
    bao.write(GATE_PATH, {k: v if isinstance(v, str) else json.dumps(v) for k, v in secret.items()})
    connections.vault("vault_gate", bao.port, bao.role("lit-gate-consumer", READS_GATE))
    public = {
        "network": "chipotle",
        "rpc_url": "",
        "staking_address": "",
        "api_url": description["api_url"],
        "gate_key": description["gate_key"],
        "lock_key": description.get("lock_key", ""),
    }
    connections.lit("lit_renewer", vault_path="lit/wallet", **public)
    connections.lit("lit_consumer", "vault_gate", api_key_path=GATE_PATH, **public)
    return connections

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from lit_airflow import LitClient
from lit_airflow.devnet.chipotle import Chipotle
from lit_airflow.protocol.signing import SigningPolicy
from tests.airflow.conftest import airflow_home, dag_id, database
from tests.devnet_chipotle.warm_engine import WarmEngine, warm
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
    "warm",
]

GATE_PATH = "lit/gate"
READS_GATE = """
path "secret/data/lit/gate" { capabilities = ["read"] }
path "secret/data/lit/sessions/*" { capabilities = ["read"] }
path "transit/decrypt/lit-sessions" { capabilities = ["update"] }
"""


@pytest.fixture(scope="session")
def chipotle(warm: WarmEngine) -> Iterator[Chipotle]:
    """A local Chipotle with a gate of its own, which runs in Deno."""
    with Chipotle("june") as network:
        yield warm.serve(network)


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
    connections.lit("lit_renewer", vault_path="lit/wallet", wallet_address=bao.wallet.address, **public)
    connections.lit("lit_consumer", "vault_gate", api_key_path=GATE_PATH, **public)
    return connections


ACTIONS_PATH = "lit/actions"
READS_ACTIONS = """
path "secret/data/lit/actions" { capabilities = ["read"] }
path "transit/encrypt/lit-sessions" { capabilities = ["update"] }
path "transit/decrypt/lit-sessions" { capabilities = ["update"] }
"""
SIGNS_FOR = {"sign_chain_id": 8453, "sign_address": "0x" + "ab" * 20}


@dataclass
class Acting:
    """A connection ``lit_actions``: its API key runs what a test permits, and the signer of one PKP."""

    net: Chipotle
    bao: Bao
    connections: Connections
    pkp: str
    public: dict[str, Any]

    def permit(self, *codes: str, **fields: object) -> None:
        """Let the connection run these actions beside the signer; set further fields of it."""
        policy = SigningPolicy.of(self.pkp, 8453, "0x" + "ab" * 20)
        signer, _ = LitClient(self.net.description).signing_code(policy)
        key = self.net.permit(signer, *codes, pkps=[self.pkp])
        self.bao.write(ACTIONS_PATH, {"api_key": key})
        self.connections.lit(
            "lit_actions",
            "vault_actions",
            api_key_path=ACTIONS_PATH,
            sign_pkp=self.pkp,
            **{**self.public, **SIGNS_FOR, **fields},
        )


@pytest.fixture
def acting(connections: Connections, bao: Bao, chipotle: Chipotle) -> Acting:
    """The role of tasks that run actions and sign: it reads an API key, and neither wallet nor gate."""
    connections.vault("vault_actions", bao.port, bao.role("lit-actions", READS_ACTIONS))
    api_url = chipotle.description["api_url"]
    public = {
        "network": "chipotle",
        "rpc_url": "",
        "staking_address": "",
        "api_url": api_url,
        "timeout_s": 300,
    }
    found = Acting(chipotle, bao, connections, chipotle.new_pkp(), public)
    found.permit()
    return found

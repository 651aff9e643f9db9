import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.airflow.conftest import airflow_home, dag_id, database
from tests.toy.server import serving
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


@pytest.fixture(autouse=True)
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Add the toy's two files to the folders in which the package looks for networks."""
    from lit_airflow import networks

    here = str(Path(__file__).parent / "networks")
    monkeypatch.setattr(networks, "__path__", [*networks.__path__, here])


@pytest.fixture
def toy(tmp_path: Path) -> Iterator[tuple[str, list[str]]]:
    """The path of the toy network's description, and what its server is asked for."""
    with serving() as (url, calls):
        path = tmp_path / "toy.json"
        path.write_text(json.dumps({"network": "toy-main", "generation": "toy", "api_url": url}))
        yield str(path), calls


@pytest.fixture
def toy_connections(connections: Connections, bao: Bao, toy: tuple[str, list[str]]) -> Connections:
    """The sandbox's connections, with nothing changed but the network."""
    connections.lit("lit_renewer", vault_path="lit/wallet", network=toy[0], rpc_url="", staking_address="")
    connections.lit("lit_consumer", "vault_consumer", network=toy[0], rpc_url="", staking_address="")
    return connections

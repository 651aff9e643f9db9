"""A local Chipotle beside the sandbox's network, and the demo DAG on it: only connections and Variables differ."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lit_airflow.sandbox import environment
from lit_airflow.sandbox.environment import Sandbox
from lit_airflow.sandbox.examples import DAG_ID, encrypt_for_wallet, example_dags
from lit_airflow.sandbox.networks import CHIPOTLE, RunningNetwork, open_local_network

ON_CHIPOTLE = "on_chipotle"
"""The DAG; the ids of its connections and Variables end in this."""

_OF_DATIL = ("rpc_url", "staking_address", "network_public_key")


def write_dag_on_chipotle(folder: Path) -> None:
    """The demo DAG without a schedule."""
    text = (example_dags() / f"{DAG_ID}.py").read_text().replace('"@daily"', "None")
    for name in ("lit_renewer", "lit_consumer", "lit_orders_encrypted", "lit_orders_plaintext"):
        text = text.replace(name, f"{name}_{ON_CHIPOTLE}")
    (folder / f"{ON_CHIPOTLE}.py").write_text(text.replace(DAG_ID, ON_CHIPOTLE))


@contextmanager
def chipotle_beside() -> Iterator[RunningNetwork]:
    """Run it; the Vault of a sandbox that is opened meanwhile has its gate's secret, too."""
    with open_local_network(CHIPOTLE) as chipotle, pytest.MonkeyPatch.context() as patch:

        @contextmanager
        def with_the_gates_secret(name: str) -> Iterator[RunningNetwork]:
            with open_local_network(name) as local:
                yield replace(local, secret=chipotle.secret)

        patch.setattr(environment, "open_local_network", with_the_gates_secret)
        yield chipotle


def put_on_chipotle(
    connections: Mapping[str, Mapping[str, Any]], chipotle: RunningNetwork
) -> dict[str, dict[str, Any]]:
    """The Lit connections with another network; Vault, roles and seal stay."""
    made = {}
    for conn_id, entry in connections.items():
        if entry["conn_type"] == "lit":
            kept = {name: value for name, value in entry["extra"].items() if name not in _OF_DATIL}
            more = chipotle.decrypting_fields if "consumer" in conn_id else {}
            extra = {**kept, **chipotle.connection_fields, **more}
            made[f"{conn_id}_{ON_CHIPOTLE}"] = {**entry, "extra": extra}
    return made


def encrypt_on_chipotle(parts: Sandbox, chipotle: RunningNetwork) -> None:
    """The data set under the same conditions; the Variables of the DAG."""
    folder = parts.plaintext.parent.parent / ON_CHIPOTLE
    folder.mkdir(mode=0o700)
    encrypted = encrypt_for_wallet(parts.dataset, folder, chipotle.connection_fields, parts.wallet)
    parts.api.set_variable(f"lit_orders_encrypted_{ON_CHIPOTLE}", str(encrypted))
    parts.api.set_variable(f"lit_orders_plaintext_{ON_CHIPOTLE}", str(folder / "orders.csv"))

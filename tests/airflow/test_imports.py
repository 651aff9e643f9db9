"""What importing costs, by modules: exact, and the same on a slow machine."""

import subprocess
import sys

import pytest

BASE = """
import sys
from airflow.sdk import BaseHook, BaseOperator, BaseOperatorLink, BaseSensorOperator
from airflow.sdk.bases.decorator import task_decorator_factory
import airflow.providers.common.compat.sdk as compat
compat.AirflowFailException, compat.AirflowNotFoundException, compat.BaseHook, compat.BaseOperator
before = set(sys.modules)
"""
TELL = """
new = {name for name in set(sys.modules) - before if name.partition(".")[0] not in sys.stdlib_module_names}
print("\\n".join(sorted(new)))
"""
HEAVY = {"siwe", "web3", "eth_account", "eth_keys", "hvac", "requests", "py_arkworks_bls12381", "jsonschema"}
MOST = 22  # of which Airflow 3.1 has one of its own


def added(statement: str, base: str = BASE) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", f"{base}\n{statement}\n{TELL}"],
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


@pytest.mark.parametrize(
    "module",
    [
        "lit_airflow.assets",
        "lit_airflow.hooks",
        "lit_airflow.operators",
        "lit_airflow.decorators",
        "lit_airflow.sensors",
        "lit_airflow.triggers",
    ],
)
def test_a_public_airflow_module_is_light(module: str) -> None:
    new = added(f"import {module}")
    assert module in new
    assert len(new) <= MOST, new
    assert not {name.partition(".")[0] for name in new} & HEAVY


def test_the_measure_notices_a_heavy_import() -> None:
    new = added("import lit_airflow.hooks, siwe")
    assert len(new) > MOST
    assert {"siwe", "web3", "eth_account"} <= new


def test_the_package_itself_loads_no_airflow_and_no_cryptography() -> None:
    new = added("import lit_airflow", base="import sys; before = set(sys.modules)")
    assert not {name.partition(".")[0] for name in new} & (HEAVY | {"airflow", "cryptography", "yaml"})


def test_the_client_loads_no_airflow() -> None:
    names = "Conditions, LitClient, LitError, Scope, Session, Wallet"
    new = added(
        f"from lit_airflow import {names}; Wallet.from_key('11' * 32)",
        base="import sys; before = set(sys.modules)",
    )
    assert "eth_account" in new
    assert "airflow" not in new


def test_opening_a_ticket_and_decrypting_load_neither_siwe_nor_eth_account() -> None:
    modules = ("client", "handoff.ticket", "keys.vault", "networks.datil.network")
    statement = "\n".join(f"import lit_airflow.{module}" for module in modules)
    new = added(statement, base="import sys; before = set(sys.modules)")
    assert not new & {"siwe", "web3", "eth_account"}

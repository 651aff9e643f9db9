"""What importing costs, by modules: exact, and the same on a slow machine."""

import json
import subprocess
import sys

import pytest

from lit_airflow.sandbox.examples import example_dags

BASE = """
import sys
from airflow.sdk import BaseHook, BaseOperator, BaseOperatorLink, BaseSensorOperator
from airflow.sdk.bases.decorator import task_decorator_factory
import airflow.providers.common.compat.sdk as compat
compat.AirflowFailException, compat.AirflowNotFoundException, compat.BaseHook, compat.BaseOperator
before = set(sys.modules)
"""
FORK = """
import json, os
found = {}
for statement in statements:
    reader, writer = os.pipe()
    if not os.fork():
        exec(statement)
        new = set(sys.modules) - before
        names = sorted(name for name in new if name.partition(".")[0] not in sys.stdlib_module_names)
        with open(writer, "w") as sink:
            json.dump(names, sink)
        os._exit(0)
    os.close(writer)
    with open(reader) as source:
        found[statement] = json.load(source)
    os.wait()
print(json.dumps(found))
"""
PUBLIC = tuple(
    f"lit_airflow.{name}" for name in ("hooks", "assets", "operators", "decorators", "sensors", "triggers")
)
HEAVY = {"siwe", "web3", "eth_account", "eth_keys", "hvac", "requests", "py_arkworks_bls12381", "jsonschema"}
EXAMPLES = sorted(map(str, example_dags().glob("*.py")))
READ = f"""
import runpy
for file in {EXAMPLES!r}: runpy.run_path(file)
before = set()  # all modules are those that this has loaded
"""
MOST = 22  # of which Airflow 3.1 has one of its own


def added(statement: str, base: str = BASE) -> set[str]:
    """The modules that a statement imports after those of ``base``."""
    return added_by_each([statement], base)[statement]


def added_by_each(statements: list[str], base: str = BASE) -> dict[str, set[str]]:
    """The same for several: ``base`` is imported once, and a fork of that process imports each."""
    done = subprocess.run(
        [sys.executable, "-c", f"{base}\nstatements = {statements!r}\n{FORK}"],
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, list[str]] = json.loads(done.stdout.splitlines()[-1])
    return {statement: set(names) for statement, names in found.items()}


@pytest.fixture(scope="module")
def added_in_airflow() -> dict[str, set[str]]:
    return added_by_each([*(f"import {module}" for module in PUBLIC), f"import {PUBLIC[0]}, siwe", READ])


@pytest.mark.parametrize("module", PUBLIC)
def test_a_public_airflow_module_is_light(module: str, added_in_airflow: dict[str, set[str]]) -> None:
    new = added_in_airflow[f"import {module}"]
    assert module in new
    assert len(new) <= MOST, new
    assert not {name.partition(".")[0] for name in new} & HEAVY


def test_the_measure_notices_a_heavy_import(added_in_airflow: dict[str, set[str]]) -> None:
    new = added_in_airflow[f"import {PUBLIC[0]}, siwe"]
    assert len(new) > MOST
    assert {"siwe", "web3", "eth_account"} <= new


def test_examples_parse_cheaply(added_in_airflow: dict[str, set[str]]) -> None:
    """No cryptography, no Vault library, no HTTP is loaded to read one."""
    assert len(EXAMPLES) > 1
    loaded = added_in_airflow[READ]
    assert "lit_airflow" in loaded
    assert {name.partition(".")[0] for name in loaded} & HEAVY <= {"jsonschema"}  # which Airflow itself loads


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

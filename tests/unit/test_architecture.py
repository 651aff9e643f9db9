"""The arrows between the parts, as the files' own import statements and as what a process really loads."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import lit_airflow
from lit_airflow import Conditions, LitClient, Wallet
from lit_airflow.devnet import Devnet

HERE = Path(lit_airflow.__file__).parent
FILES = {path.relative_to(HERE).as_posix(): path for path in sorted(HERE.rglob("*.py"))}

AIRFLOW_SIDE = {
    "action_operators.py",
    "assets.py",
    "decorators.py",
    "hooks.py",
    "operator_base.py",
    "operators.py",
    "provider/airflow_compat.py",
    "provider/files.py",
    "provider/lineage.py",
    "provider/links.py",
    "provider/plugin.py",
    "provider/sessions_page/app.py",
    "sensors.py",
    "triggers.py",
}
# From the bottom up: each part imports itself and parts before it, nothing else of this package. No circles follow.
ORDER = (
    ("_moved", "errors"),
    ("text", "json_input", "atomic_file"),
    ("clock",),
    ("transport",),
    ("keys",),
    ("envelope", "threshold"),
    ("protocol",),
    ("networks",),
    ("handoff", "sdk"),
    ("client", "inspection"),
    ("provider",),
    ("assets", "triggers", "hooks", "operator_base"),
    ("action_operators",),
    ("operators",),
    ("sensors", "decorators"),
    ("devnet",),
    ("sandbox",),
    ("cli_streams", "cli_chipotle"),
    ("cli", "__main__"),
)
WITHOUT_AIRFLOW = {part for level in ORDER[:10] for part in level}
GENERATIONS = re.compile(r"datil|naga|chipotle", re.IGNORECASE)
# Concepts that only some networks have. Above the networks they occur as names of connection fields at most.
CONCEPTS = re.compile(r"epoch|nonce|committee|staking|siwe|recap", re.IGNORECASE)
FIELDS = ("staking_address", "siwe_domain")
ABOVE_NETWORKS = {part for level in ORDER[8:15] for part in level} - {"sdk", "inspection"}


def imported(path: Path) -> Iterator[str]:
    """Every module a file names in an import statement, at the top or inside a function."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            yield str(node.module)
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def part(module: str) -> str:
    """``networks`` for ``lit_airflow.transport.http``; empty for what is not ours."""
    package, _, rest = module.partition(".")
    return rest.split(".")[0] if package == "lit_airflow" else ""


def part_of(name: str) -> str:
    return name.split("/", maxsplit=1)[0].removesuffix(".py")


def names(module: str, library: str) -> bool:
    return module == library or module.startswith(library + ".")


@pytest.mark.parametrize("name", FILES)
def test_who_imports_airflow(name: str) -> None:
    found = [module for module in imported(FILES[name]) if names(module, "airflow")]
    assert not found or name in AIRFLOW_SIDE


@pytest.mark.parametrize("name", FILES)
def test_who_imports_the_curve(name: str) -> None:
    found = [module for module in imported(FILES[name]) if names(module, "py_arkworks_bls12381")]
    assert not found or part_of(name) in {"threshold", "devnet"}


@pytest.mark.parametrize("name", [name for name in FILES if part_of(name) in ABOVE_NETWORKS])
def test_nothing_above_the_networks_knows_which_one_is_there(name: str) -> None:
    text = FILES[name].read_text("utf-8")
    assert GENERATIONS.findall(text.replace("datil-dev", "")) == []
    for field in FIELDS:
        text = text.replace(field, "")
    assert CONCEPTS.findall(text) == []


@pytest.mark.parametrize("name", FILES)
def test_nobody_asks_for_a_networks_class(name: str) -> None:
    assert re.findall(r"isinstance\([^)]*Network\b", FILES[name].read_text("utf-8")) == []


@pytest.mark.parametrize("name", [name for name in FILES if part_of(name) == "devnet"])
def test_the_devnet_reads_with_its_own_code(name: str) -> None:
    ours = {part(module) for module in imported(FILES[name])} - {""}
    assert ours <= {"devnet", "errors", "clock", "json_input", "text"}


@pytest.mark.parametrize("name", [name for name in FILES if part_of(name) not in {"__init__", "devnet"}])
def test_imports_point_down(name: str) -> None:
    level = next(i for i, parts in enumerate(ORDER) if part_of(name) in parts)
    below = {part for parts in ORDER[:level] for part in parts} | {part_of(name)}
    ours = {part(module) for module in imported(FILES[name])} - {"", "__version__", *lit_airflow.__all__}
    assert ours <= below


def test_every_part_has_its_place() -> None:
    assert {part_of(name) for name in FILES} - {"__init__"} <= {part for level in ORDER for part in level}


@pytest.mark.parametrize("name", [name for name in FILES if part_of(name) in WITHOUT_AIRFLOW])
def test_only_the_transport_talks_http(name: str) -> None:
    found = {"requests", "urllib3", "socket", "http.client"} & set(imported(FILES[name]))
    assert not found or part_of(name) == "transport" or name.startswith("keys/vault")


@pytest.mark.parametrize("name", FILES)
def test_nobody_switches_certificates_off(name: str) -> None:
    off = r"verify\s*=\s*False|CERT_NONE|_create_unverified|check_hostname\s*=\s*False|disable_warnings"
    assert re.findall(off, FILES[name].read_text("utf-8")) == []


@pytest.mark.parametrize("name", [name for name in FILES if part_of(name) in WITHOUT_AIRFLOW])
def test_only_the_clock_asks_for_the_time(name: str) -> None:
    text = FILES[name].read_text("utf-8")
    if name != "clock.py":
        assert re.findall(r"datetime\.now\(|utcnow\(|time\.time\(|time\.sleep\(", text) == []


def loaded_by(code: str, *arguments: str) -> set[str]:
    """Top-level modules in a fresh process after some code has run."""
    script = f"import sys\n{code}\nprint('\\n'.join({{name.partition('.')[0] for name in sys.modules}}))"
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments], capture_output=True, text=True, check=False, timeout=600
    )
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


HEAVY = {"airflow", "siwe", "eth_account", "web3", "hvac", "requests"}
CURVE = {"py_arkworks_bls12381", "cryptography"}


def test_importing_the_package_loads_nothing() -> None:
    loaded = loaded_by("import lit_airflow")
    assert not loaded & (HEAVY | CURVE | {"eth_abi", "jsonschema", "yaml", "tenacity"})


def test_importing_the_client_loads_nothing_heavy() -> None:
    loaded = loaded_by("import lit_airflow.client, lit_airflow.keys.wallet")
    assert "lit_airflow" in loaded
    assert not loaded & HEAVY


def test_every_public_name_resolves() -> None:
    for name in lit_airflow.__all__:
        assert getattr(lit_airflow, name)
    with pytest.raises(AttributeError):
        _ = lit_airflow.Nonsense


DECRYPT = """
import json
from lit_airflow.client import LitClient
from lit_airflow.protocol.session import Session

description, session, sealed, conditions = map(json.loads, sys.argv[1:])
lit = LitClient(description, timeout_s=10)
assert lit.decrypt(sealed, conditions, Session.from_json(session)) == b"secret"
"""


def test_decrypting_loads_no_wallet_code() -> None:
    import json

    wallet = Wallet.from_key("11" * 32)
    conditions = Conditions.for_wallet(wallet.address).to_json()
    with Devnet(nodes=3, threshold=2) as net:
        lit = LitClient(net.description, timeout_s=10)
        sealed = lit.encrypt(b"secret", conditions)
        session = lit.open_session(wallet, lit.scope_of(sealed, conditions)).to_json()
        given = (net.description, session, sealed, conditions)
        loaded = loaded_by(DECRYPT, *(json.dumps(value) for value in given))
    assert "requests" in loaded
    assert not loaded & {"airflow", "siwe", "eth_account", "web3", "hvac", "jsonschema"}
    assert "tenacity" not in loaded

"""The arrows between the parts, as the files' own import statements and as what a process really loads."""

from __future__ import annotations

import ast
import graphlib
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from functools import cache
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
    ("preload",),
    ("devnet",),
    ("sandbox",),
    ("cli_streams",),
    ("cli_chipotle",),
    ("cli", "__main__"),
)
WITHOUT_AIRFLOW = {part for level in ORDER[:10] for part in level}
GENERATIONS = re.compile(r"datil|naga|chipotle", re.IGNORECASE)
# Concepts that only some networks have. Above the networks they occur as names of connection fields at most.
CONCEPTS = re.compile(r"epoch|nonce|committee|staking|siwe|recap", re.IGNORECASE)
FIELDS = ("staking_address", "siwe_domain")
ABOVE_NETWORKS = {part for level in ORDER[8:15] for part in level} - {"sdk", "inspection"}


@cache
def text_of(name: str) -> str:
    return FILES[name].read_text("utf-8")


@cache
def imports(name: str) -> frozenset[str]:
    """Every module that a file names in an import statement, at the top or inside a function."""
    return frozenset(_imported(name))


def _imported(name: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(text_of(name))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name} imports relatively"
            yield str(node.module)
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def part(module: str) -> str:
    """``networks`` for ``lit_airflow.transport.http``; empty for what is not ours."""
    package, _, rest = module.partition(".")
    return rest.split(".")[0] if package == "lit_airflow" else ""


def part_of(name: str) -> str:
    return name.split("/", maxsplit=1)[0].removesuffix(".py")


def module_of(name: str) -> str:
    return ".".join(("lit_airflow", *Path(name).with_suffix("").parts)).removesuffix(".__init__")


def names(module: str, library: str) -> bool:
    return module == library or module.startswith(library + ".")


def those_in(parts: set[str]) -> list[str]:
    return [name for name in FILES if part_of(name) in parts]


def imports_of(names_of_files: Iterable[str], library: str) -> set[str]:
    """The files that import a library."""
    return {name for name in names_of_files if any(names(module, library) for module in imports(name))}


def matches(names_of_files: Iterable[str], pattern: str) -> dict[str, list[str]]:
    """File -> what a pattern finds in its text; files without a match are left out."""
    found = {name: re.findall(pattern, text_of(name)) for name in names_of_files}
    return {name: texts for name, texts in found.items() if texts}


def test_who_imports_airflow() -> None:
    assert imports_of(FILES, "airflow") == AIRFLOW_SIDE


def test_who_imports_the_curve() -> None:
    assert {part_of(name) for name in imports_of(FILES, "py_arkworks_bls12381")} == {"threshold", "devnet"}


def test_nothing_above_the_networks_knows_which_one_is_there() -> None:
    for name in those_in(ABOVE_NETWORKS):
        text = text_of(name)
        assert GENERATIONS.findall(text.replace("datil-dev", "")) == [], name
        for field in FIELDS:
            text = text.replace(field, "")
        assert CONCEPTS.findall(text) == [], name


def test_nobody_asks_for_a_networks_class() -> None:
    assert matches(FILES, r"isinstance\([^)]*Network\b") == {}


def test_the_devnet_reads_with_its_own_code() -> None:
    for name in those_in({"devnet"}):
        ours = {part(module) for module in imports(name)} - {""}
        assert ours <= {"devnet", "errors", "clock", "json_input", "text"}, name


def test_imports_point_down() -> None:
    for name in FILES:
        if part_of(name) in {"__init__", "devnet"}:
            continue
        level = next(i for i, parts in enumerate(ORDER) if part_of(name) in parts)
        below = {part for parts in ORDER[:level] for part in parts} | {part_of(name)}
        ours = {part(module) for module in imports(name)} - {"", "__version__", *lit_airflow.__all__}
        assert ours <= below, name


def test_no_file_imports_itself_over_others() -> None:
    modules = {module_of(name): name for name in FILES}
    waiting = {module: {*imports(name)} & {*modules} - {module} for module, name in modules.items()}
    for module, imported in waiting.items():
        # `from package import module` names the package, too; what is meant is the module.
        waiting[module] = {each for each in imported if not any(o.startswith(f"{each}.") for o in imported)}
    assert list(graphlib.TopologicalSorter(waiting).static_order())


def test_every_part_has_its_place() -> None:
    assert {part_of(name) for name in FILES} - {"__init__"} <= {part for level in ORDER for part in level}


def test_only_the_transport_talks_http() -> None:
    libraries = {"requests", "urllib3", "socket", "http.client"}
    found = {name for name in those_in(WITHOUT_AIRFLOW) if libraries & imports(name)}
    assert {
        name for name in found if part_of(name) != "transport" and not name.startswith("keys/vault")
    } == set()
    assert "transport/http.py" in found


def test_nobody_switches_certificates_off() -> None:
    off = r"verify\s*=\s*False|CERT_NONE|_create_unverified|check_hostname\s*=\s*False|disable_warnings"
    assert matches(FILES, off) == {}


def test_only_the_clock_asks_for_the_time() -> None:
    asks = r"datetime\.now\(|utcnow\(|time\.time\(|time\.sleep\("
    assert set(matches(those_in(WITHOUT_AIRFLOW), asks)) == {"clock.py"}


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


OF_THE_CHAIN = ("rpc_url", "chain_id", "staking_address")
DECRYPT = """
import json
from lit_airflow.client import LitClient
from lit_airflow.protocol.session import Session

description, session, sealed, conditions = map(json.loads, sys.argv[1:])
lit = LitClient(description, timeout_s=60)
assert lit.decrypt(sealed, conditions, Session.from_json(session)) == b"secret"
"""


def test_dir_lists_the_public_names() -> None:
    shown = set(dir(lit_airflow))
    assert {*lit_airflow.__all__, "__version__"} <= shown
    assert shown.isdisjoint({"Any", "TYPE_CHECKING", "annotations", "import_module"})


def test_decrypting_loads_no_wallet_code() -> None:
    import json

    wallet = Wallet.from_key("11" * 32)
    conditions = Conditions.for_wallet(wallet.address).to_json()
    with Devnet(nodes=3, threshold=2) as net:
        lit = LitClient(net.description, timeout_s=60)
        sealed = lit.encrypt(b"secret", conditions)
        session = lit.open_session(wallet, lit.scope_of(sealed, conditions)).to_json()
        listed = {key: value for key, value in net.description.items() if key not in OF_THE_CHAIN}
        loaded, without_chain = (
            loaded_by(DECRYPT, *(json.dumps(value) for value in (description, session, sealed, conditions)))
            for description in (net.description, listed)
        )
    assert "requests" in loaded
    assert loaded - without_chain >= {"eth_abi", "pydantic"}
    assert not loaded & {"airflow", "siwe", "eth_account", "web3", "hvac", "jsonschema"}
    assert "tenacity" not in loaded

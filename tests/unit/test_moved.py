"""The names that modules had in version 0.1."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys

import pytest

from lit_airflow._moved import MOVED, MOVED_FUNCTIONS

PROGRAM = """
import importlib, json, os, sys, warnings

moved = json.loads(sys.argv[1])
present = ["hooks", "operators", "sensors", "client", "cli", "inspection", "handoff.broker", "sdk", *moved.values()]
with warnings.catch_warnings():
    warnings.filterwarnings("error", message=".*has moved to.*")
    warnings.filterwarnings("error", module="lit_airflow")
    import lit_airflow
    from lit_airflow import Conditions, LitClient, LitError, Scope, Session, Wallet
    for name in present:
        importlib.import_module(f"lit_airflow.{name}")

# Other libraries stay loaded for all that is forked from here; of this package, each process loads its own.
for name in [name for name in sys.modules if name.partition(".")[0] == "lit_airflow"]:
    del sys.modules[name]
sys.meta_path[:] = [each for each in sys.meta_path if type(each).__module__ != "lit_airflow._moved"]
import lit_airflow

def look(old, present):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        module = importlib.import_module(old)
    assert module is importlib.import_module(present) is sys.modules[old], module
    assert (module.__name__, module.__spec__.name) == (present, present)
    assert module.__spec__.loader is module.__loader__, module.__spec__
    messages = [str(each.message) for each in caught if each.category is DeprecationWarning]
    assert any(text.startswith(f"{old} has moved to {present};") for text in messages), messages

for old, present in moved.items():
    child = os.fork()
    if not child:
        look(f"lit_airflow.{old}", f"lit_airflow.{present}")
        os._exit(0)
    if code := os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]):
        sys.exit(f"lit_airflow.{old}: exit code {code}")
"""


def test_each_old_name_is_the_same_module_and_warns_and_no_present_name_does() -> None:
    """Each in a process of its own: what was imported before does not warn again."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, json.dumps(MOVED)],
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert (done.returncode, "has moved" in done.stderr) == (0, False), done.stderr


@pytest.mark.parametrize(
    ("module", "name", "present"),
    [(old, name, home) for old, names in MOVED_FUNCTIONS.items() for name, home in names.items()],
)
def test_a_function_that_moved_is_the_same_and_warns(module: str, name: str, present: str) -> None:
    found = importlib.import_module(f"lit_airflow.{module}")
    with pytest.warns(DeprecationWarning, match=f"{name} has moved to lit_airflow.{present}"):
        moved = getattr(found, name)
    assert moved is getattr(importlib.import_module(f"lit_airflow.{present}"), name)
    with pytest.raises(AttributeError, match="nonsense"):
        _ = found.nonsense


def test_a_function_is_found_under_the_old_name_of_its_module() -> None:
    with pytest.warns(DeprecationWarning, match="has moved"):
        from lit_airflow.session.authsig import needs_new_signature  # type: ignore[import-not-found]
    from lit_airflow.protocol import delegation

    assert needs_new_signature is delegation.needs_new_signature


@pytest.mark.parametrize(
    ("old", "present"),
    [
        ("session.eip4361", "protocol.eip4361"),
        ("session.conditions", "protocol.conditions"),
        ("signers.server", "keys.signers.server"),
    ],
)
def test_what_else_an_old_package_held_is_not_loaded_twice(old: str, present: str) -> None:
    with pytest.warns(DeprecationWarning, match="has moved to"):
        found = importlib.import_module(f"lit_airflow.{old}")
    assert found is importlib.import_module(f"lit_airflow.{present}")


def test_files_beside_a_moved_module_are_found() -> None:
    program = """
import warnings
warnings.simplefilter("ignore")
import lit_airflow.session
from lit_airflow import Conditions
Conditions.for_wallet("0x" + "11" * 20).validate()
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=600)


def test_other_names_are_not_found(recwarn: pytest.WarningsRecorder) -> None:
    for name in ("nonsense", "session.nonsense", "wallet.nonsense", "session.scope.nonsense"):
        with pytest.raises(ModuleNotFoundError):
            importlib.import_module(f"lit_airflow.{name}")
    assert not any("nonsense" in str(warning.message) for warning in recwarn)


def test_importing_the_package_alone_warns_of_nothing() -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", "import lit_airflow; lit_airflow.get_provider_info"],
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert (done.returncode, done.stderr) == (0, "")

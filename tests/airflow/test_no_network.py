"""Importing the package, any part of it, asks nobody: no name is resolved, no connection made, nothing run."""

import json
import os
import subprocess
import sys
from pathlib import Path
from pkgutil import walk_packages

import lit_airflow

MODULES = sorted(
    found.name
    for found in walk_packages(lit_airflow.__path__, "lit_airflow.")
    if not found.name.endswith("__main__")
)
WATCH = """
import importlib, json, sys
import airflow.sdk
from airflow.sdk import BaseHook, BaseOperator  # Airflow's own doings are not what is watched
seen = []
NETWORK = ("socket.connect", "socket.sendto", "socket.sendmsg", "socket.getaddrinfo",
           "socket.gethostbyname", "socket.gethostbyaddr", "subprocess.Popen", "os.system", "os.exec", "os.fork",
           "os.posix_spawn")
sys.addaudithook(lambda event, arguments: event in NETWORK and seen.append([event, repr(arguments)]))
"""
TELL = "\nprint(json.dumps(seen))"


def seen(statement: str, home: Path) -> list[list[str]]:
    done = subprocess.run(
        [sys.executable, "-c", f"{WATCH}\n{statement}{TELL}"],
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
        env={**os.environ, "AIRFLOW_HOME": str(home)},
    )
    assert done.returncode == 0, done.stderr
    found: list[list[str]] = json.loads(done.stdout.splitlines()[-1])
    # How ctypes looks for a library of the system's, and Airflow's cron reader for the width of an integer.
    local = ("/sbin/ldconfig", "'file', '-b'")
    return [[event, arguments] for event, arguments in found if not any(each in arguments for each in local)]


def test_importing_every_module_asks_nobody(tmp_path: Path) -> None:
    assert {"lit_airflow.hooks", "lit_airflow.operators", "lit_airflow.devnet.network"} <= set(MODULES)
    every = f"import lit_airflow\nfor name in {MODULES!r}: importlib.import_module(name)"
    names = "for name in lit_airflow.__all__: getattr(lit_airflow, name)\nlit_airflow.get_provider_info()"
    assert seen(f"{every}\n{names}", tmp_path) == []


def test_making_a_client_and_a_hook_asks_nobody(tmp_path: Path) -> None:
    """They ask when they are first used."""
    made = (
        "from lit_airflow import LitClient; from lit_airflow.hooks import LitHook\n"
        "LitClient('datil-dev'); LitHook('anything')"
    )
    assert seen(made, tmp_path) == []


def test_the_watch_notices(tmp_path: Path) -> None:
    asked = seen("import requests\ntry: requests.get('http://127.0.0.1:9')\nexcept OSError: pass", tmp_path)
    assert {"socket.getaddrinfo", "socket.connect"} <= {event for event, _ in asked}

"""Importing the package, any part of it, asks nobody: no name is resolved, no connection made, nothing run."""

import json
import os
import subprocess
import sys
from pkgutil import walk_packages

import pytest

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
TELL = "\nprint(json.dumps(seen), flush=True); seen.clear()"
MADE = """
from lit_airflow import LitClient; from lit_airflow.hooks import LitHook
LitClient('datil-dev'); LitHook('anything')
"""
EVERY = f"""
import lit_airflow
for name in {MODULES!r}: importlib.import_module(name)
for name in lit_airflow.__all__: getattr(lit_airflow, name)
lit_airflow.get_provider_info()
"""
ASKED = """
import requests
try: requests.get('http://127.0.0.1:9')
except OSError: pass
"""


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> list[list[list[str]]]:
    """What each of the three does, one after the other in one process that has loaded Airflow."""
    done = subprocess.run(
        [sys.executable, "-c", WATCH + MADE + TELL + EVERY + TELL + ASKED + TELL],
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
        env={**os.environ, "AIRFLOW_HOME": str(tmp_path_factory.mktemp("home"))},
    )
    assert done.returncode == 0, done.stderr
    found: list[list[list[str]]] = [json.loads(line) for line in done.stdout.splitlines()[-3:]]
    # How ctypes looks for a library of the system's, and Airflow's cron reader for the width of an integer.
    local = ("/sbin/ldconfig", "'file', '-b'")
    return [
        [[event, arguments] for event, arguments in events if not any(each in arguments for each in local)]
        for events in found
    ]


def test_making_a_client_and_a_hook_asks_nobody(seen: list[list[list[str]]]) -> None:
    """They ask when they are first used."""
    assert seen[0] == []


def test_importing_every_module_asks_nobody(seen: list[list[list[str]]]) -> None:
    assert {"lit_airflow.hooks", "lit_airflow.operators", "lit_airflow.devnet.network"} <= set(MODULES)
    assert seen[1] == []


def test_the_watch_notices(seen: list[list[list[str]]]) -> None:
    assert {"socket.getaddrinfo", "socket.connect"} <= {event for event, _ in seen[2]}

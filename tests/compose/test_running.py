"""All of ``docker-compose.yml`` at work without a Docker engine; ``natively.py`` says what stands in for what."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from lit_airflow.devnet.deno.ethers import cache_directory, ethers_module
from lit_airflow.devnet.deno.worker import find_deno
from tests import machine
from tests.compose.composition import ROOT

SUCCESS = {"session": "success", "decrypt": "success", "report": "success"}


def run(folder: Path, *options: str, profile: str = "devnet") -> dict[str, Any]:
    """What was found when the services ran."""
    home = folder / "home"
    home.mkdir()
    subprocess.run([ROOT / "docker" / "make-env.sh", home / "env"], check=True, capture_output=True)
    written = (home / "env").read_text()
    (home / "env").write_text(written.replace("COMPOSE_PROFILES=devnet", f"COMPOSE_PROFILES={profile}"))
    env = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "PYTHON"))}
    done = subprocess.run(
        [*machine.namespaces(), sys.executable, "-m", "tests.compose.natively", str(home), *options],
        cwd=ROOT,
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.mark.soak
def test_the_example_dag_succeeds_again_after_a_restart_and_on_a_new_machine_after_a_restore(
    tmp_path: Path,
) -> None:
    found = run(tmp_path, "--restore")
    assert found["asked_of_compose"] == [
        "compose stop",
        "compose start",
        "compose create --build",
        "compose up --detach",
    ]
    assert found["tasks"] == SUCCESS
    assert found["plaintext"] == found["dataset"]
    assert found["public"] == ["network.json", "orders.csv.lit.json", "wallet"]
    assert found["processes_seen"]
    assert found["secrets_in_processes"] == 0
    assert found["last_of_root"] == "auth/token/revoke-self"
    assert found["tasks_after_restore"] == found["tasks"] == SUCCESS
    assert found["plaintext_after_restore"] == found["dataset"]
    assert found["handed_over"] == []


@pytest.mark.soak
def test_the_example_dag_succeeds_on_the_local_chipotle(tmp_path: Path) -> None:
    ethers_module(find_deno(), cache_directory())  # the services reach no registry
    found = run(tmp_path, profile="chipotle")
    assert found["tasks"] == SUCCESS
    assert found["plaintext"] == found["dataset"]
    assert found["public"] == ["network.json", "orders.csv.lit.json", "wallet"]
    assert found["secrets_in_processes"] == 0
    assert found["handed_over"] == []

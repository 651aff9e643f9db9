"""All of ``docker-compose.yml`` at work without a Docker engine; ``natively.py`` says what stands in for what."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests import machine
from tests.compose.composition import ROOT


@pytest.mark.timeout(1800)
def test_the_example_dag_succeeds_across_the_services_and_again_after_a_restore(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    subprocess.run([ROOT / "docker" / "make-env.sh", home / "env"], check=True, capture_output=True)
    env = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "PYTHON"))}
    done = subprocess.run(
        [*machine.namespaces(), sys.executable, "-m", "tests.compose.natively", str(home)],
        cwd=ROOT,
        env=env,
        capture_output=True,
        text=True,
        timeout=1800,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["tasks"] == {"session": "success", "decrypt": "success", "report": "success"}
    assert found["plaintext"] == found["dataset"]
    assert found["public"] == ["network.json", "orders.csv.lit.json", "wallet"]
    assert found["processes_seen"]
    assert found["secrets_in_processes"] == 0
    assert found["handed_over"] == []
    assert found["last_of_root"] == "auth/token/revoke-self"
    assert found["asked_of_compose"] == [
        "compose stop",
        "compose start",
        "compose create --build",
        "compose up --detach",
    ]
    assert found["tasks_after_restore"] == found["tasks"]
    assert found["plaintext_after_restore"] == found["dataset"]

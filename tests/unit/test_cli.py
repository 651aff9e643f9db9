"""Exit codes of ``lit-airflow``: 2 for wrong usage, 1 for an error of this package."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from lit_airflow.cli import _described, app, main
from lit_airflow.errors import SettingsError
from tests.invoking import CliRunner

KEY = "LIT_TEST_KEY"
ALLOW = "access-control-condition-decryption=lit-accesscontrolcondition://*"


Run = Callable[..., tuple[int, str]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs the program's entry point inside this process: exit code and standard error."""

    def run(*arguments: str) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["lit-airflow", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        assert isinstance(ended.value.code, int)
        return ended.value.code, capsys.readouterr().err

    return run


def invoke(*arguments: str) -> Result:
    """Run a command inside this process."""
    return CliRunner().invoke(app, arguments, env={KEY: "11" * 32, "NO_COLOR": "1", "COLUMNS": "200"})


def session(network: Path, **options: str) -> list[str]:
    network.write_text(json.dumps({"rpc_url": "http://127.0.0.1:9", "staking_address": "0x" + "11" * 20}))
    given = {"network": str(network), "key-env": KEY, "ttl": "600", "allow": ALLOW, **options}
    return ["session", *(part for name, value in given.items() for part in (f"--{name}", value))]


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["--threshold", "4", "--nodes", "3"], "--threshold"),
        (["--nodes", "256"], "--nodes"),
        (["--generation", "habanero"], "--generation"),
        (["--fault", "0=nonsense"], "--fault"),
        (["--fault", "9=down"], "--fault"),
    ],
)
def test_a_devnet_that_cannot_be(options: list[str], named: str) -> None:
    done = invoke("devnet", *options)
    assert done.exit_code == 2, done.output
    assert named in done.stderr
    assert "Usage:" in done.stderr
    assert done.stdout == ""


def test_a_port_that_is_taken_is_not_wrong_usage(run: Run) -> None:
    code, stderr = run("devnet", "--host", "192.0.2.1")
    assert code == 1, stderr
    assert stderr.startswith("SettingsError: 192.0.2.1 port")


@pytest.mark.parametrize("ttl", ["0", "-1", "0.5", "nan", "inf", "2592001", "soon"])
def test_a_lifetime_that_cannot_be(tmp_path: Path, ttl: str) -> None:
    done = invoke(*session(tmp_path / "network.json", ttl=ttl))
    assert done.exit_code == 2, done.output
    assert "--ttl" in done.stderr
    assert "Usage:" in done.stderr


@pytest.mark.parametrize(
    "allow", ["nonsense", "a=b", "access-control-condition-decryption=lit-pkp://*", "=", ""]
)
def test_a_scope_that_cannot_be(tmp_path: Path, allow: str) -> None:
    done = invoke(*session(tmp_path / "network.json", allow=allow))
    assert done.exit_code == 2, done.output
    assert "--allow" in done.stderr
    assert "Usage:" in done.stderr


def test_an_environment_variable_that_is_not_set_is_not_wrong_usage(tmp_path: Path, run: Run) -> None:
    code, stderr = run(*session(tmp_path / "network.json"))
    assert code == 1
    assert stderr.startswith(f"SettingsError: The environment variable {KEY} is not set.")


def test_a_network_that_does_not_answer_is_not_wrong_usage(
    tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(KEY, "11" * 32)
    code, stderr = run(*session(tmp_path / "network.json"))
    assert code == 1
    assert stderr.startswith("ChainUnavailableError: ")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ('[{"contractAddress": ""}]', 'Write {"chain": "ethereum", "accessControlConditions": […]}'),
        ('"conditions"', "must be a JSON object"),
        ('{\n// who may read\n"chain": "ethereum"}', "is not valid JSON (line 2, column 1)"),
        ("{'chain': 'ethereum'}", "double quotes"),
    ],
)
def test_a_file_of_conditions_that_is_not_an_object(tmp_path: Path, content: str, said: str) -> None:
    conditions = tmp_path / "f.json"
    conditions.write_text(content)
    done = invoke("encrypt", "--network", "datil-dev", "--conditions", str(conditions))
    assert done.exit_code != 0
    assert str(conditions) in str(done.exception)
    assert said in str(done.exception)


WITHOUT_AIRFLOW = """
import sys
import importlib.machinery
find = importlib.machinery.PathFinder.find_spec
importlib.machinery.PathFinder.find_spec = classmethod(
    lambda cls, name, *rest: None if name.partition(".")[0] == "airflow" else find(name, *rest)
)
from lit_airflow.cli import main
main()
"""


def test_doctor_where_airflow_is_not_installed() -> None:
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_AIRFLOW, "doctor", "--conn-id", "lit_default"],
        capture_output=True,
        text=True,
        check=False,
        timeout=900,
    )
    assert done.returncode == 1, done.stderr
    assert done.stderr.startswith(
        "SettingsError: doctor checks an Airflow connection, and Airflow is not installed"
    )
    assert "Traceback" not in done.stderr


def test_an_api_key_with_a_line_break_at_its_end_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIT_TEST_API_KEY", "the key\n")
    assert _described("chipotle", "LIT_TEST_API_KEY") == {"network": "chipotle", "api_key": "the key"}
    monkeypatch.setenv("LIT_TEST_API_KEY", " \n")
    with pytest.raises(SettingsError, match="not set"):
        _described("chipotle", "LIT_TEST_API_KEY")

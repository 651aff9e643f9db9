"""``session``, ``encrypt`` and ``decrypt`` on a local network: files and streams of both kinds."""

from __future__ import annotations

import io
import json
import os
from pathlib import Path

import pytest
from click.testing import Result

from lit_airflow import LitClient, Wallet
from lit_airflow.cli import app
from tests.client.conftest import Job, only
from tests.invoking import CliRunner

MEBIBYTE = 1024 * 1024


class Shell:
    """The command line in a folder with a network, conditions and a session."""

    def __init__(self, job: Job, folder: Path) -> None:
        self.folder = folder
        (folder / "network.json").write_text(json.dumps(job.net.description))
        (folder / "conditions.json").write_text(json.dumps(job.conditions))
        self.call(
            "session", "--key-env", "KEY", "--ttl", "600", "--output", "session.json",
            "--allow", "access-control-condition-decryption=lit-accesscontrolcondition://*",
        )  # fmt: skip

    def run(self, command: str, *arguments: str, given: bytes = b"") -> Result:
        here = Path.cwd()
        os.chdir(self.folder)
        try:
            return CliRunner().invoke(
                app,
                [command, "--network", "network.json", *arguments],
                input=given,
                env={"KEY": "11" * 32, "NO_COLOR": "1", "COLUMNS": "200"},
            )
        finally:
            os.chdir(here)

    def call(self, command: str, *arguments: str, given: bytes = b"") -> Result:
        done = self.run(command, *arguments, given=given)
        assert done.exit_code == 0, done.output
        return done


@pytest.fixture
def shell(job: Job, tmp_path: Path) -> Shell:
    return Shell(job, tmp_path)


def test_a_container_from_stream_to_stream(shell: Shell) -> None:
    sealed = shell.call("encrypt", "--conditions", "conditions.json", given=b"words")
    assert set(json.loads(sealed.stdout)) == {"ciphertext", "dataToEncryptHash"}
    opened = shell.call(
        "decrypt", "--conditions", "conditions.json", "--session", "session.json", given=sealed.stdout_bytes
    )
    assert opened.stdout_bytes == b"words"


def test_files_that_only_their_owner_may_read(shell: Shell) -> None:
    shell.call("encrypt", "--conditions", "conditions.json", "--output", "sealed.json", given=b"words")
    shell.call(
        "decrypt",
        "--session",
        "session.json",
        "--output",
        "plain",
        given=(shell.folder / "sealed.json").read_bytes(),
    )
    assert (shell.folder / "plain").read_bytes() == b"words"
    for name in ("session.json", "sealed.json", "plain"):
        assert (shell.folder / name).stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("size", [0, 1, MEBIBYTE])
def test_up_to_a_mebibyte_is_a_container(shell: Shell, size: int) -> None:
    shell.call("encrypt", "--conditions", "conditions.json", "--output", "sealed", given=bytes(size))
    container = json.loads((shell.folder / "sealed").read_bytes())
    assert {"accessControlConditions", "chain", "network"} <= set(container)


@pytest.mark.parametrize("size", [MEBIBYTE + 1, 3 * MEBIBYTE + 5])
def test_more_is_an_envelope(shell: Shell, job: Job, size: int) -> None:
    plaintext = os.urandom(size)
    made = shell.call("encrypt", "--conditions", "conditions.json", given=plaintext)
    assert made.stdout_bytes.startswith(b"lit-envelope/2 ")
    assert " MB." in made.stderr
    opened = shell.call("decrypt", "--session", "session.json", given=made.stdout_bytes)
    assert opened.stdout_bytes == plaintext
    target = io.BytesIO()
    session = job.lit.open_session(job.wallet, job.lit.scope_of(head_of(made), job.conditions))
    assert job.lit.decrypt_file(io.BytesIO(made.stdout_bytes), target, session) == size
    assert target.getvalue() == plaintext


def head_of(made: Result) -> dict[str, object]:
    line = made.stdout_bytes.split(b"\n", 1)[0].removeprefix(b"lit-envelope/2 ")
    found: dict[str, object] = json.loads(line)
    return found


def test_an_altered_envelope_leaves_no_file(shell: Shell) -> None:
    made = shell.call("encrypt", "--conditions", "conditions.json", given=bytes(2 * MEBIBYTE))
    altered = made.stdout_bytes[:-1] + bytes([made.stdout_bytes[-1] ^ 1])
    done = shell.run("decrypt", "--session", "session.json", "--output", "plain", given=altered)
    assert done.exit_code == 1
    assert not (shell.folder / "plain").exists()


def test_a_container_without_conditions_needs_the_option(shell: Shell) -> None:
    sealed = shell.call("encrypt", "--conditions", "conditions.json", given=b"words")
    done = shell.run("decrypt", "--session", "session.json", given=sealed.stdout_bytes)
    assert done.exit_code == 2
    assert "--conditions" in done.stderr


@pytest.mark.parametrize("given", [b"", b"words", b"[]", b"\xff\xfe"])
def test_what_was_never_encrypted(shell: Shell, given: bytes) -> None:
    done = shell.run("decrypt", "--session", "session.json", given=given)
    assert done.exit_code == 1
    assert "neither a JSON object nor an envelope" in str(done.exception)


@pytest.mark.parametrize("place", ["missing/../.", "/dev/null", "session.json/x"])
def test_an_output_that_cannot_be_written(shell: Shell, place: str) -> None:
    done = shell.run("encrypt", "--conditions", "conditions.json", "--output", place, given=b"words")
    assert done.exit_code == 2, done.output
    assert "--output" in done.stderr


def test_a_session_for_files(shell: Shell) -> None:
    shell.call("encrypt", "--conditions", "conditions.json", "--output", "small", given=b"words")
    shell.call("encrypt", "--conditions", "conditions.json", "--output", "large", given=bytes(2 * MEBIBYTE))
    shell.call("encrypt", "--conditions", "conditions.json", "--output", "other", given=b"others")
    options = ["--encrypted", "small", "--encrypted", "large", "--output", "session.json"]
    shell.call("session", "--key-env", "KEY", "--ttl", "600", *options)
    for name, exit_code in (("small", 0), ("large", 0), ("other", 1)):
        sealed = (shell.folder / name).read_bytes()
        assert shell.run("decrypt", "--session", "session.json", given=sealed).exit_code == exit_code


def test_a_session_for_nothing_is_wrong_usage(shell: Shell) -> None:
    done = shell.run("session", "--key-env", "KEY", "--ttl", "600")
    assert done.exit_code == 2, done.output
    assert "--encrypted or --allow" in done.stderr


@pytest.mark.parametrize("command", ["encrypt", "decrypt", "session"])
def test_a_network_that_does_not_exist_is_wrong_usage(shell: Shell, command: str) -> None:
    options = {
        "encrypt": ["--conditions", "conditions.json"],
        "decrypt": ["--session", "session.json"],
        "session": ["--key-env", "KEY", "--ttl", "600", "--allow", "access-control-condition-decryption=lit-accesscontrolcondition://x"],
    }  # fmt: skip
    done = shell.run(command, *options[command], "--network", "datil-devv")
    assert done.exit_code == 2, done.output
    assert "--network" in done.stderr


@pytest.mark.parametrize(
    ("document", "named"),
    [
        ({"v": 2, "kind": "session-sigs/1", "network": "datil", "seal": "fernet", "sealed": "x"}, "a ticket"),
        ({"ciphertext": "x", "dataToEncryptHash": "y"}, "a container"),
    ],
)
def test_something_else_than_session_sigs_is_named(
    shell: Shell, document: dict[str, object], named: str
) -> None:
    sealed = shell.call("encrypt", "--conditions", "conditions.json", given=b"words")
    (shell.folder / "wrong.json").write_text(json.dumps(document))
    done = shell.run(
        "decrypt", "--conditions", "conditions.json", "--session", "wrong.json", given=sealed.stdout_bytes
    )
    assert done.exit_code == 1
    assert named in str(done.exception)


def test_a_network_with_small_containers_gets_an_envelope_earlier(wallet: Wallet, tmp_path: Path) -> None:
    """Encrypting for the service is offline, so that none is started."""
    network = {
        "generation": "chipotle",
        "api_url": "http://127.0.0.1:9/core/v1",
        "gate_key": "09" + "00" * 31,
    }
    lit = LitClient(network)
    (tmp_path / "network.json").write_text(json.dumps(network))
    (tmp_path / "conditions.json").write_text(json.dumps(only(wallet)))
    done = CliRunner().invoke(
        app,
        [
            "encrypt",
            "--network",
            str(tmp_path / "network.json"),
            "--conditions",
            str(tmp_path / "conditions.json"),
        ],
        input=bytes(lit.traits.max_plaintext_bytes + 1),
    )
    assert done.exit_code == 0, done.output
    assert done.stdout_bytes.startswith(b"lit-envelope/2 ")

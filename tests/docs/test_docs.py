"""README and docs are true: every block of commands and code in them is run, every link leads somewhere."""

from __future__ import annotations

import contextlib
import functools
import inspect
import json
import os
import re
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import fields
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import requests
from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_fixed

from lit_airflow import LitClient, Wallet, cli
from lit_airflow.devnet import Devnet
from lit_airflow.keys.hpke import public_key_of
from lit_airflow.networks.datil.description import DatilDescription
from lit_airflow.networks.descriptions import DEFAULT_NETWORK, known_networks
from lit_airflow.protocol.recovery import secret_key_from
from lit_airflow.provider.settings import NETWORK_FIELDS, SIGNER_TAKES, SIGNERS, Settings
from lit_airflow.sandbox.processes import free_port
from lit_airflow.sandbox.vault_server import POLICIES
from tests.invoking import CliRunner
from tests.vault.signing import signing_server

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
PAGES = [README, ROOT / "SECURITY.md", *sorted((ROOT / "docs").rglob("*.md"))]
KEY = "7b" * 32


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL)


def environment(**extra: str) -> dict[str, str]:
    """This one, with this interpreter's programs first."""
    bin_folder = str(Path(sys.executable).parent)
    return {**os.environ, "PATH": f"{bin_folder}:{os.environ['PATH']}", **extra}


def run(script: str, cwd: Path, **extra: str) -> str:
    """Run a script to its end, then end whatever it left in the background; what it printed on stdout."""
    with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as messages:
        child = subprocess.Popen(
            ["bash", "-euo", "pipefail", "-c", script],
            cwd=cwd,
            env=environment(**extra),
            stdout=output,
            stderr=messages,
            start_new_session=True,
        )
        try:
            code = child.wait(timeout=900)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGTERM)
        output.seek(0)
        messages.seek(0)
        printed = output.read()
        assert code == 0, printed + messages.read()
        return printed


def test_every_kind_of_block_is_known() -> None:
    kinds = {kind for page in PAGES for kind in re.findall(r"^```(\w+)$", page.read_text(), re.MULTILINE)}
    assert kinds <= {"sh", "python", "console", "text", "hcl", "json"}


def test_json_is_json() -> None:
    for page in PAGES:
        for block in blocks(page, "json"):
            json.loads(block)


def test_links_lead_somewhere() -> None:
    targets = [
        (page, target)
        for page in PAGES
        for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", page.read_text())
    ]
    assert targets
    assert [f"{page}: {target}" for page, target in targets if not (page.parent / target).exists()] == []


def test_make_commands_exist() -> None:
    commands = re.findall(r"^\$ make (\w+)", "".join(blocks(README, "console")), re.MULTILINE)
    assert commands == ["demo", "test"]
    recipe = subprocess.run(
        ["make", "-n", "-C", str(ROOT), "demo"], check=True, capture_output=True, text=True
    ).stdout
    assert "lit-airflow demo" in recipe  # which tests/sandbox runs
    assert "make test" in (ROOT / ".ci" / "run").read_text()


def test_the_audit_looks_at_what_is_pinned() -> None:
    assert "`make audit`" in (ROOT / "SECURITY.md").read_text()
    recipe = subprocess.run(
        ["make", "-n", "-C", str(ROOT), "audit"], check=True, capture_output=True, text=True
    ).stdout
    # Strict: a package that could not be asked about is a failure, too.
    assert "pip-audit --strict --require-hashes --disable-pip -r constraints.txt" in recipe
    pins = (ROOT / "constraints.txt").read_text()
    assert "--hash=sha256:" in pins
    assert re.search(r"^pip-audit==\S+ \\\n    --hash=sha256:", pins, re.MULTILINE)  # the tool itself, too
    assert "tool run" not in recipe


def test_readme_without_airflow(tmp_path: Path) -> None:
    """The local network, the client in Python, and the same from the shell, as they stand."""
    start, key, by_shell = (block for block in blocks(README, "sh") if "airflow connections" not in block)
    (in_python,) = (block for block in blocks(README, "python") if "LitClient" in block)
    (tmp_path / "snippet.py").write_text(in_python)
    output = run(f"umask 022\n{start}\n{key}\npython snippet.py\n{by_shell}", tmp_path)
    assert output == "for this wallet only\n"
    assert stat.S_IMODE((tmp_path / "session.json").stat().st_mode) == 0o600


def test_migration_makes_a_recovery_key(tmp_path: Path) -> None:
    (block,) = blocks(ROOT / "docs" / "migration.md", "sh")
    secret, public = run(f"{block.strip()} 2>&1", tmp_path).splitlines()[-2:]
    assert public_key_of(secret_key_from(secret)) == public


QUICK_START = ROOT / "docs" / "quickstart.md"


def test_quickstart_secret_and_faults(tmp_path: Path) -> None:
    """What the page encrypts opens for the wallet; what it asks of the network, the network does."""
    (encrypting,) = (block for block in blocks(QUICK_START, "python") if "LitClient" in block)
    (failing,) = (block for block in blocks(QUICK_START, "python") if "control_url" in block)
    (asked,) = (block for block in blocks(QUICK_START, "text") if "fault.py" in block)
    (tmp_path / "secret.py").write_text(encrypting)
    (tmp_path / "fault.py").write_text(failing)
    wallet = Wallet.from_key(KEY)
    with Devnet(nodes=3, threshold=2) as net:
        (tmp_path / "sandbox.json").write_text(
            json.dumps({"network": net.description, "wallet": wallet.address, "home": "/somewhere"})
        )
        run("python secret.py", tmp_path)
        container = json.loads((tmp_path / "secret.lit.json").read_text())
        lit = LitClient(net.description)
        session = lit.open_session(wallet, lit.scope_of(container, container), ttl_s=600)
        assert lit.decrypt(container, container, session) == b"for my wallet only"
        seen = []
        for line in asked.splitlines():
            printed = run(line.replace(".venv/bin/", ""), tmp_path)
            assert bool(printed) == line.endswith("fault.py")
            state = requests.get(net.description["control_url"], timeout=9).json()
            seen.append((state["nodes"][0]["fault"], state["chain"]["fault"]))
    assert seen == [(None, None), ("silent", None), (None, None), (None, "slow")]


def test_quickstart_finds_the_sandboxs_airflow_and_keeps_its_password(tmp_path: Path) -> None:
    (tmp_path / "sandbox.json").write_text(json.dumps({"home": "/somewhere"}))
    (finding,) = (block for block in blocks(QUICK_START, "text") if "AIRFLOW_HOME" in block)
    assert run(f'{finding.splitlines()[0]}\necho "$AIRFLOW_HOME"', tmp_path) == "/somewhere/airflow\n"
    (starting,) = (
        block for block in blocks(QUICK_START, "text") if "sandbox.json" in block and "sandbox --" in block
    )
    assert starting.splitlines()[0] == "umask 077"


def test_quickstart_needs_no_other_programs() -> None:
    text = QUICK_START.read_text()
    assert not re.search(r"\b(jq|curl|wget)\b", text)


# What the shell gave to `airflow`, command by command, and then a look at it: all in one process, because each
# would load Airflow anew.
COMMANDS = """
import sys
from airflow.__main__ import main

for call in ("db\\0migrate", *open("calls").read().split("\\0\\0")[:-1]):
    sys.argv = ["airflow", *call.split("\\0")]
    main()

from airflow.models.connection import Connection
from lit_airflow import cli
from lit_airflow.provider.settings import Settings

for name in ("lit_consumer", "lit_renewer"):
    connection = Connection.get_connection_from_secrets(name)
    settings = Settings.from_connection(connection)
    wallet = settings.wallet_address[:6]
    print("FOUND", connection.conn_type, settings.vault_conn_id, settings.vault_path, wallet)
sys.argv = ["lit-airflow", "doctor", "--conn-id", "lit_consumer"]
cli.main()
"""


def test_readme_connections(tmp_path: Path) -> None:
    (block,) = (block for block in blocks(README, "sh") if "airflow connections add" in block)
    network = tmp_path / "network.json"
    network.write_text(json.dumps({"network": "custom", "nodes": ["http://127.0.0.1:9"], "threshold": 1}))
    block = block.replace("/etc/lit/network.json", str(network))
    (tmp_path / "commands.py").write_text(COMMANDS)
    note = """airflow() { printf '%s\\0' "$@"; printf '\\0'; }"""
    output = run(
        f"{note}\n{{ {block}\n}} >calls\npython commands.py || test $? = 1",
        tmp_path,
        AIRFLOW_HOME=str(tmp_path / "home"),
    )
    found = [line for line in output.splitlines() if line.startswith("FOUND")]
    assert found == ["FOUND lit vault_consumer  ", "FOUND lit vault_renewer lit/wallet 0xFCAd"]
    # It finds what is stored, and that the Vault connection is still to be added.
    doctor = output[output.rindex(found[-1]) :]
    assert f"ok     fields            network {network}" in doctor
    assert "Vault connection 'vault_consumer' not found." in doctor
    assert "`airflow connections list` shows" in doctor


@pytest.fixture
def bao(tmp_path: Path) -> Iterator[dict[str, str]]:
    """An empty server in development mode, and the environment that the program `bao` reads."""
    program = shutil.which("bao", path=environment()["PATH"])
    assert program, "the extra sandbox is not installed"
    address, token = f"127.0.0.1:{free_port()}", "root-of-the-documentation-test"
    server = subprocess.Popen(
        [program, "server", "-dev", "-dev-no-store-token"],
        env=environment(BAO_DEV_LISTEN_ADDRESS=address, BAO_DEV_ROOT_TOKEN_ID=token),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=tmp_path,
    )
    try:
        for attempt in Retrying(
            stop=stop_after_delay(20),
            wait=wait_fixed(0.1),
            retry=retry_if_exception_type(requests.RequestException),
        ):
            with attempt:
                requests.get(f"http://{address}/v1/sys/health", timeout=2).raise_for_status()
        variables = {"BAO_ADDR": f"http://{address}", "BAO_TOKEN": token}
        run("bao secrets disable secret", tmp_path, **variables)  # development mode has mounted one
        yield variables
    finally:
        server.terminate()
        server.wait(timeout=300)


def test_vault_page(bao: dict[str, str], tmp_path: Path) -> None:
    page = ROOT / "docs" / "vault.md"
    renewer, consumer = blocks(page, "hcl")
    (tmp_path / "wallet-key").write_text(KEY)
    (tmp_path / "lit-renewer.hcl").write_text(renewer)
    (tmp_path / "lit-consumer.hcl").write_text(consumer)
    run("\n".join(blocks(page, "sh")), tmp_path, **bao)
    shown = run(
        "bao kv get -field=private_key secret/lit/wallet\nbao list -format=json auth/approle/role",
        tmp_path,
        **bao,
    )
    assert shown.startswith(KEY)
    assert json.loads(shown.removeprefix(KEY)) == ["lit-consumer", "lit-renewer"]


def test_runbook_rotations(bao: dict[str, str], tmp_path: Path) -> None:
    """On the server of the page about Vault: each rotation leaves a newer version, or one more secret id."""
    transit, secret_id = blocks(ROOT / "docs" / "runbook.md", "sh")
    set_up = (
        "bao secrets enable transit\nbao write -f transit/keys/lit-sessions\n"
        "bao auth enable approle\nbao write auth/approle/role/lit-consumer token_policies=lit-consumer"
    )
    output = run(
        f"{set_up}\n{transit}\nbao read -field=latest_version transit/keys/lit-sessions\necho\n{secret_id}",
        tmp_path,
        **bao,
    )
    assert re.search(r"^2$", output, re.MULTILINE)
    assert "secret_id_accessor" in output


CHIPOTLE = ROOT / "docs" / "chipotle.md"


def test_chipotle_page_has_the_policies_that_set_up_writes() -> None:
    from lit_airflow.cli_chipotle import _Place

    policies = _Place("secret", "lit/gate", "lit/account").policies
    assert [*policies] == ["lit-gate", "lit-account"]
    assert blocks(CHIPOTLE, "hcl") == [*policies.values()]


def test_chipotle_page_gives_the_roles_their_policies(bao: dict[str, str], tmp_path: Path) -> None:
    (block,) = blocks(CHIPOTLE, "sh")
    read = "bao read -format=json auth/approle/role/lit-consumer"
    output = run(
        f"bao auth enable approle >/dev/null\n{block.replace('15m', '15m >/dev/null')}\n{read}",
        tmp_path,
        **bao,
    )
    assert json.loads(output)["data"]["token_policies"] == ["lit-consumer", "lit-gate"]


def extras_of(block: str) -> list[dict[str, Any]]:
    return [json.loads(extra) for extra in re.findall(r"--conn-extra '(.*?)'", block, re.DOTALL)]


def test_connection_page_has_good_connections(tmp_path: Path) -> None:
    (block,) = blocks(ROOT / "docs" / "connection.md", "sh")
    network = tmp_path / "network.json"
    network.write_text(json.dumps({"network": "custom", "nodes": ["http://127.0.0.1:9"], "threshold": 1}))
    extras = extras_of(block.replace("/etc/lit/network.json", str(network)))
    for extra in extras:
        settings = Settings.from_connection(SimpleNamespace(conn_id="x", extra_dejson=extra))
        assert {name: getattr(settings, name) for name in extra} == extra
    assert len(extras) == 2


def commands() -> list[str]:
    """Commands that pages show in passing, not to be run one after the other."""
    texts = [line for page in PAGES for block in blocks(page, "text") for line in block.splitlines()]
    return [
        line.split("#")[0]
        for line in texts
        if re.match(r"(lit-airflow|make|uv|docker/\S+|\.venv/bin/\S+) ?", line)
    ]


@pytest.mark.parametrize("command", commands())
def test_commands_in_passing_exist(command: str) -> None:
    program, *arguments = command.partition(">")[0].split()
    program = program.removeprefix(".venv/bin/")  # as `make` leaves them in a clone
    if program == "lit-airflow":
        shown = help_of(*arguments[: 2 if arguments[0] == "chipotle" else 1])
        assert [word for word in arguments if word.startswith("--") and word not in shown] == []
    elif program == "make":
        targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
        assert arguments[0] in targets
    elif program == "uv":
        assert (ROOT / arguments[-1]).exists()
    elif program != "python":
        assert (ROOT / program).exists()


def test_vault_page_has_the_sandbox_policies() -> None:
    written = blocks(ROOT / "docs" / "vault.md", "hcl")
    assert [policy.split() for policy in written] == [
        POLICIES[name].split() for name in ("lit-renewer", "lit-consumer")
    ]


def test_signers_page_has_good_connections() -> None:
    """Its policy is that of tests/vault/test_signers.py."""
    page = ROOT / "docs" / "signers.md"
    extras = [
        json.loads(*re.findall(r"--conn-extra '(.*)'", block, re.DOTALL)) for block in blocks(page, "sh")
    ]
    found = [Settings.from_connection(SimpleNamespace(conn_id="x", extra_dejson=extra)) for extra in extras]
    assert [settings.signer for settings in found] == ["vault", "vault", "web3signer"]
    for settings, extra in zip(found, extras, strict=True):
        assert {name: getattr(settings, name) for name in extra} == extra
    for value in (*SIGNERS, *SIGNER_TAKES):
        assert f"`{value}`" in page.read_text()


def test_signers_page_without_airflow(tmp_path: Path) -> None:
    (block,) = blocks(ROOT / "docs" / "signers.md", "python")
    (tmp_path / "snippet.py").write_text(block)
    with (
        Devnet(nodes=3, threshold=2) as net,
        signing_server(bytes.fromhex("0123456789abcdef" * 4)) as signing,
    ):
        (tmp_path / "network.json").write_text(json.dumps(net.description))
        run("python snippet.py", tmp_path, SIGNER_URL=f"http://127.0.0.1:{signing.port}")
    assert [path for _, path, _ in signing.seen if "/sign/" in path]


HOMES = (
    "client",
    "sdk",
    "networks.committee",
    "networks.datil.description",
    "protocol.auth_method",
    "protocol.auth_sig",
    "protocol.conditions",
    "protocol.scope",
    "protocol.session",
    "protocol.session_storage",
)


def counterparts() -> list[str]:
    rows = re.findall(r"^\| .* \| (.*) \|$", (ROOT / "docs" / "sdk.md").read_text(), re.MULTILINE)
    return [name for row in rows if not row.startswith("none") for name in re.findall(r"`([^`]+)`", row)]


@pytest.mark.parametrize("counterpart", counterparts())
def test_sdk_page_names_what_exists(counterpart: str) -> None:
    """``Owner.member(parameter)``: a member of a class, or of a module in ``protocol``."""
    named = counterpart.replace("LitClient.sdk.", "SdkCalls.")
    path, parameter = re.fullmatch(r"([\w.]+)(?:\((\w+)\))?", named).groups()  # type: ignore[union-attr]
    owner, *members = path.split(".")
    candidates = [getattr(import_module(f"lit_airflow.{home}"), owner, None) for home in HOMES]
    found = next((c for c in candidates if c is not None), None) or import_module(
        f"lit_airflow.protocol.{owner}"
    )
    for member in members:
        assert hasattr(found, member) or member in getattr(found, "__annotations__", {})
        found = getattr(found, member, None)
    if parameter:
        assert parameter in inspect.signature(found).parameters


def test_proof_page_names_the_packages() -> None:
    rows = re.findall(r"^\| `([^`]+)` \| (\S+) \|$", (ROOT / "docs" / "proof.md").read_text(), re.MULTILINE)
    named = json.loads((ROOT / "tests" / "interop" / "package.json").read_text())["dependencies"]
    assert dict(rows) == named


def test_install_page(tmp_path: Path) -> None:
    page = ROOT / "docs" / "install.md"
    (block,) = blocks(page, "sh")
    version = run(block, tmp_path).strip().splitlines()[-1]
    assert re.fullmatch(r"\d+\.\d+\.\d+", version)
    (pinning,) = (block for block in blocks(page, "text") if "sed" in block)
    shutil.copy(ROOT / "constraints.txt", tmp_path)
    run(pinning.splitlines()[0], tmp_path)
    pins = (tmp_path / "pins.txt").read_text()
    assert "--hash" not in pins
    assert "\\" not in pins
    assert re.findall(r"^(\S+==\S+)", pins, re.MULTILINE) == re.findall(
        r"^(\S+==\S+)", (ROOT / "constraints.txt").read_text(), re.MULTILINE
    )


@pytest.mark.parametrize(
    "command", ["demo", "sandbox", "devnet", "session", "encrypt", "decrypt", "inspect", "doctor"]
)
def test_help_of_every_command(command: str) -> None:
    shown = help_of(command)
    assert f"Usage: lit-airflow {command}" in shown


@functools.cache
def help_of(*command: str) -> str:
    shown = CliRunner().invoke(
        cli.app, [*command, "--help"], prog_name="lit-airflow", env={"COLUMNS": "200", "NO_COLOR": "1"}
    )
    assert shown.exit_code == 0, shown.output
    return shown.output


LARGE_FILES = ROOT / "docs" / "large-files.md"


def test_large_files_without_airflow(tmp_path: Path) -> None:
    (in_python,) = (block for block in blocks(LARGE_FILES, "python") if "LitClient" in block)
    (head,) = (block for block in blocks(LARGE_FILES, "sh") if "head" in block)
    (shown,) = blocks(LARGE_FILES, "text")
    contents = os.urandom(3_000_000)
    (tmp_path / "dump.tar").write_bytes(contents)
    (tmp_path / "snippet.py").write_text(in_python)
    with Devnet(nodes=3, threshold=2) as network:
        (tmp_path / "network.json").write_text(json.dumps(network.description))
        line = run(f"python snippet.py\n{head}", tmp_path, WALLET_KEY=KEY)
    assert (tmp_path / "restored.tar").read_bytes() == contents
    version = "lit-envelope/2 "
    assert line.startswith(version)
    assert shown.startswith(version)
    assert re.findall(r'"(\w+)":', shown) == list(json.loads(line.removeprefix(version)))


def test_large_files_role(bao: dict[str, str], tmp_path: Path) -> None:
    """After what the page on Vault sets up, the role may seal plaintext, and read no key."""
    (policy,) = blocks(LARGE_FILES, "hcl")
    (tmp_path / "lit-sealer.hcl").write_text(policy)
    (commands,) = (block for block in blocks(LARGE_FILES, "sh") if "bao" in block)
    set_up = """
        bao secrets enable transit
        bao write -f transit/keys/lit-sessions
        bao auth enable approle
    """
    as_sealer = """
        export BAO_TOKEN="$(bao token create -policy=lit-sealer -field=token)"
        bao write -field=ciphertext transit/encrypt/lit-sessions plaintext=AAAA
        ! bao kv get -mount=secret lit/wallet
    """
    output = run(f"{set_up}\n{commands}\n{as_sealer}", tmp_path, **bao)
    assert "vault:v1:" in output


def test_networks_page_has_the_fields_that_describe_a_network() -> None:
    text = (ROOT / "docs" / "networks.md").read_text()
    datil = [field.name for field in fields(DatilDescription) if field.name != "default_scheme"]
    names = (*NETWORK_FIELDS, *datil, "capacity_path", "api_key_path", "account_key_path")
    assert [name for name in names if f"`{name}`" not in text] == []


def test_networks_page_names_the_networks_and_the_default() -> None:
    text = (ROOT / "docs" / "networks.md").read_text()
    assert [name for name in known_networks() if f"`{name}`" not in text] == []
    assert f"`{DEFAULT_NETWORK}` is the default of the connection's field `network`" in text

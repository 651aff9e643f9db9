"""From an account to a decryption: set-up on the command line, the connections that it prints, rotation.

On a real Vault server and a local Chipotle, whose gates run without JavaScript here.
"""

import json
import os
import shlex
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from lit_airflow import Wallet, clock
from lit_airflow.cli import app
from lit_airflow.cli_chipotle import _Place, _write_policies
from lit_airflow.devnet.chipotle import Chipotle
from lit_airflow.hooks import LitHook
from lit_airflow.keys.vault import Vault
from lit_airflow.keys.vault_token import TokenLogin
from lit_airflow.networks.contract import Verdict
from lit_airflow.operators import LitRotateApiKeyOperator
from lit_airflow.provider.doctor import examine, good
from lit_airflow.sandbox.vault_server import KV_MOUNT, POLICIES
from tests.airflow.running import make_dag, run_dag
from tests.airflow.test_example_dags import example
from tests.client.chipotle.quick_engine import use_quick_engine
from tests.invoking import CliRunner
from tests.vault.parts import Bao, Connections, conditions_for

pytestmark = pytest.mark.usefixtures("database")

ACCOUNT_KEY = "LIT_TEST_ACCOUNT_KEY"


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "sleep", lambda _seconds: None)


@pytest.fixture
def service() -> Iterator[Chipotle]:
    with Chipotle("june") as net:
        use_quick_engine(net)
        yield net


@pytest.fixture
def paths(request: pytest.FixtureRequest) -> list[str]:
    """Options that give each test secrets of its own in the server that all share."""
    name = request.node.name
    return ["--path", f"{name}/gate", "--account-key-path", f"{name}/account"]


class Cli:
    """The command, with this network and this server."""

    def __init__(self, bao: Bao, net: Chipotle, file: str, paths: list[str]) -> None:
        self.common = ["--network", file, "--mount", KV_MOUNT, *paths]
        self.environment = {
            "BAO_ADDR": bao.address,
            "BAO_TOKEN": str(bao.admin.token),
            ACCOUNT_KEY: str(net.description["account_key"]),
            "VAULT_ADDR": "",
            "VAULT_TOKEN": "",
            "COLUMNS": "200",
        }

    def __call__(self, command: str, *options: str) -> Result:
        return CliRunner().invoke(app, ["chipotle", command, *self.common, *options], env=self.environment)


@pytest.fixture
def cli(bao: Bao, service: Chipotle, tmp_path: Any, paths: list[str]) -> Cli:  # noqa: ANN401 - a path
    file = tmp_path / "network.json"
    file.write_text(
        json.dumps({key: service.description[key] for key in ("network", "generation", "api_url")})
    )
    return Cli(bao, service, str(file), paths)


def stored(bao: Bao, path: str) -> dict[str, Any]:
    found: dict[str, Any] = bao.admin.secrets.kv.v2.read_secret_version(
        path=path, mount_point=KV_MOUNT, raise_on_deleted_version=True
    )["data"]["data"]
    return found


def connect(connections: Connections, bao: Bao, printed: str) -> dict[str, dict[str, Any]]:
    """Add the connections as the printed commands would, each with the role of its name; return their extras."""
    policies = bao.admin.sys.read_policy("lit-gate")["data"], bao.admin.sys.read_policy("lit-account")["data"]
    reading, managing = (found.get("policy") or found["rules"] for found in policies)
    extras = {}
    for line in printed.splitlines():
        words = shlex.split(line)
        assert words[:3] == ["airflow", "connections", "add"]
        extras[words[3]] = json.loads(words[words.index("--conn-extra") + 1])
    for role, policy in (("consumer", POLICIES["lit-consumer"] + reading), ("account", managing)):
        connections.vault(f"vault_{role}", bao.port, bao.role(f"lit-test-{role}", policy))
    for name, extra in extras.items():
        connections._set(name, {"conn_type": "lit", "extra": extra})
    return extras


def test_from_an_account_to_a_decryption_and_a_rotation(  # noqa: PLR0917 - real parts
    cli: Cli, bao: Bao, service: Chipotle, connections: Connections, dag_id: str, paths: list[str]
) -> None:
    gate_path, account_path = paths[1], paths[3]
    planned = cli("setup", "--dry-run", "--account-key-env", ACCOUNT_KEY)
    assert planned.exit_code == 0, planned.output
    assert planned.stdout.splitlines()[-1].startswith("$0.05  in all")
    assert not service.bills

    done = cli("setup", "--account-key-env", ACCOUNT_KEY, "--recovery")
    assert done.exit_code == 0, done.output
    assert cli("status").exit_code == 0
    secret, account = stored(bao, gate_path), stored(bao, account_path)
    assert account == {"account_key": service.description["account_key"]}
    salts = [row["salt"] for row in json.loads(secret["gates"]).values()]
    hidden = [account["account_key"], secret["api_key"], *salts, *json.loads(secret["locks"]).values()]
    assert not [each for each in hidden if each in done.output + planned.output + cli("status").output]

    extras = connect(connections, bao, done.stdout)
    assert set(extras) == {"lit_renewer", "lit_consumer", "lit_account"}
    assert extras["lit_consumer"]["recovery_key"] not in done.stderr, "only its secret half is shown"
    renewer, consumer = LitHook("lit_renewer"), LitHook("lit_consumer")
    container = renewer.encrypt(b"the plaintext", conditions_for(bao.wallet.address))
    session = renewer.open_session(renewer.scope_of(container))
    assert consumer.decrypt(container, session) == b"the plaintext"
    assert good([check for check in examine(LitHook("lit_consumer")) if check.name != "seal"])
    found = {check.name: check for check in examine(LitHook("lit_account"))}
    assert good([*found.values()])
    assert found["account key"].verdict is Verdict.GOOD
    assert found["seal"].verdict is Verdict.NOTE

    with make_dag(dag_id) as dag:
        LitRotateApiKeyOperator(task_id="rotate", lit_conn_id="lit_account", drain_s=0)
    run = run_dag(dag)
    assert run.states() == {"rotate": "success"}
    rotated = run.xcom("rotate")
    assert (len(rotated["removed"]), rotated["unsure"], rotated["too_wide"]) == (1, [], [])
    assert stored(bao, gate_path)["api_key"] != secret["api_key"]
    assert consumer.decrypt(container, session) == b"the plaintext", "it reads the secret again"
    assert stored(bao, gate_path)["api_key"] not in json.dumps([rotated, run.rendered("rotate")])
    again = cli("setup")
    assert again.exit_code == 0, again.output
    assert again.stdout.splitlines()[0] == done.stdout.splitlines()[0].replace(
        f', "recovery_key": "{extras["lit_renewer"]["recovery_key"]}"', ""
    )


def test_the_old_key_drains_in_the_triggerer(
    cli: Cli, bao: Bao, connections: Connections, dag_id: str
) -> None:
    connect(connections, bao, cli("setup", "--account-key-env", ACCOUNT_KEY).stdout)
    with make_dag(dag_id) as dag:
        LitRotateApiKeyOperator(task_id="rotate", lit_conn_id="lit_account", drain_s=0.1)
    run = run_dag(dag)
    assert run.states() == {"rotate": "success"}
    assert len(run.xcom("rotate")["removed"]) == 1


def test_the_example_dag() -> None:
    dag = example("lit_rotate_api_key").lit_rotate_api_key()
    assert dag.max_active_runs == 1
    assert dag.get_task("rotate").drain_s == 20 * 60
    assert dag.start_date < datetime.now(UTC)


@pytest.mark.parametrize(
    ("options", "without", "message"),
    [
        (["--account-key-env", "LIT_NOT_SET"], "", "LIT_NOT_SET is not set"),
        ([], "", "--account-key-env"),
        (["--account-key-env", ACCOUNT_KEY], "BAO_ADDR", "VAULT_ADDR"),
        (["--account-key-env", ACCOUNT_KEY], "BAO_TOKEN", "VAULT_TOKEN"),
    ],
)
def test_what_is_missing_is_named(cli: Cli, options: list[str], without: str, message: str) -> None:
    if without:
        cli.environment[without] = ""
    failed = cli("setup", *options)
    assert failed.exit_code == 1
    assert message in str(failed.exception)


def test_an_account_key_that_is_wrong_is_not_kept(cli: Cli, bao: Bao, paths: list[str]) -> None:
    good_key, cli.environment[ACCOUNT_KEY] = cli.environment[ACCOUNT_KEY], "unknown"
    assert cli("setup", "--account-key-env", ACCOUNT_KEY).exit_code == 1
    cli.environment[ACCOUNT_KEY] = good_key
    assert cli("setup", "--account-key-env", ACCOUNT_KEY).exit_code == 0
    assert stored(bao, paths[3]) == {"account_key": good_key}


def test_another_accounts_key_is_not_replaced(cli: Cli, bao: Bao, paths: list[str]) -> None:
    bao.write(paths[3], {"account_key": "another"})
    failed = cli("setup", "--account-key-env", ACCOUNT_KEY)
    assert "another account" in str(failed.exception)
    assert stored(bao, paths[3]) == {"account_key": "another"}


def test_a_secret_that_was_deleted_is_not_replaced(cli: Cli, bao: Bao, paths: list[str]) -> None:
    bao.write(paths[1], {"gates": "{}"})
    bao.admin.secrets.kv.v2.delete_latest_version_of_secret(path=paths[1], mount_point=KV_MOUNT)
    failed = cli("setup", "--account-key-env", ACCOUNT_KEY)
    assert "was deleted" in str(failed.exception)


def test_a_token_that_may_not_write_policies(cli: Cli, bao: Bao) -> None:
    """Set-up goes on, and shows them."""
    policy = f'path "{KV_MOUNT}/*" {{ capabilities = ["create", "read", "update"] }}'
    bao.admin.sys.create_or_update_policy("lit-test-writer", policy)
    cli.environment["BAO_TOKEN"] = bao.admin.auth.token.create_orphan(policies=["lit-test-writer"], ttl="1h")[
        "auth"
    ]["client_token"]
    done = cli("setup", "--account-key-env", ACCOUNT_KEY)
    assert done.exit_code == 0, done.output
    assert "may not write policies" in done.stderr
    assert 'capabilities = ["read", "update"]' in done.stderr


def test_an_engine_without_versions_is_refused_before_anything_is_drawn(cli: Cli, bao: Bao) -> None:
    bao.admin.sys.enable_secrets_engine("kv", path="unversioned")
    failed = cli("setup", "--account-key-env", ACCOUNT_KEY, "--mount", "unversioned")
    assert "not a KV engine of version 2" in str(failed.exception)
    assert "Drawing" not in failed.stderr
    transit = cli("setup", "--account-key-env", ACCOUNT_KEY, "--mount", "transit")
    assert "not a KV engine of version 2" in str(transit.exception)


def test_a_policy_that_is_replaced_is_shown(cli: Cli, capsys: pytest.CaptureFixture[str]) -> None:
    """Another deployment may use the same server, and the same names."""
    vault = Vault(
        TokenLogin({name: cli.environment[name] for name in ("BAO_ADDR", "BAO_TOKEN")}, timeout_s=60)
    )
    one, other = (_Place(KV_MOUNT, f"{name}/gate", f"{name}/account") for name in ("one", "other"))
    _write_policies(vault, one)
    capsys.readouterr()
    _write_policies(vault, one)
    assert "before" not in capsys.readouterr().err
    _write_policies(vault, other)
    shown = capsys.readouterr().err
    assert all(text in shown for text in one.policies.values())


def test_a_status_that_is_not_good(cli: Cli, bao: Bao, service: Chipotle, paths: list[str]) -> None:
    empty = cli("status", "--account-key-env", ACCOUNT_KEY)
    assert empty.exit_code == 1
    assert "has no gate" in empty.stdout
    assert cli("setup", "--account-key-env", ACCOUNT_KEY).exit_code == 0
    secret = stored(bao, paths[1])
    bao.write(paths[1], {**secret, "api_key": str(service.description["api_key"])})
    foreign = cli("status")
    assert foreign.exit_code == 1
    assert "not the gate's" in foreign.stdout or "alone" in foreign.stdout
    bao.write(paths[1], {**secret, "api_key": "unknown"})
    assert "was revoked" in cli("status").stdout


def test_the_owners_key_of_a_probe_is_read_from_vault(
    cli: Cli, bao: Bao, service: Chipotle, tmp_path: Path
) -> None:
    key = "4d" * 32
    bao.write("probe/owner", {"private_key": key})
    file = tmp_path / "with_base.json"
    rpc = {"rpc": {"base": [service.description["rpc_url"]]}}
    description = {name: service.description[name] for name in ("network", "generation", "api_url")}
    file.write_text(json.dumps({**description, **rpc}))
    options = ["--network", str(file), "--mount", KV_MOUNT, "--owner-key-path", "probe/owner"]
    done = CliRunner().invoke(app, ["chipotle", "probe-namespace", *options], env=cli.environment)
    assert done.exit_code == 1
    assert f"could not be seen: The wallet {Wallet.from_key(key).address} owns no account" in done.stdout
    assert key not in done.output


@pytest.mark.parametrize(("command", "name"), [("setup", "account"), ("probe-namespace", "owner")])
def test_the_command_is_no_place_for_keys(command: str, name: str) -> None:
    shown = CliRunner().invoke(app, ["chipotle", command, "--help"], env={"COLUMNS": "200"}).output
    assert f"--{name}-key-env" in shown
    assert f"--{name}-key " not in shown
    assert os.environ.get(ACCOUNT_KEY) is None

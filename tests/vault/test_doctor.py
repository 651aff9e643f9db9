"""The doctor on real parts: everything well, then one thing wrong at a time, and what it says then."""

import json
import subprocess
import sys
from collections.abc import Iterator

import pytest
from click.testing import Result
from cryptography.fernet import Fernet

from lit_airflow.cli import app
from lit_airflow.devnet import Devnet
from lit_airflow.devnet.chain import CHAIN_ID
from lit_airflow.hooks import LitHook
from lit_airflow.keys.secret import Secret
from lit_airflow.networks.contract import Check, Verdict
from lit_airflow.provider.doctor import examine, text
from lit_airflow.sandbox.processes import free_port
from lit_airflow.sandbox.vault_server import KV_PATH, AppRole
from tests.invoking import CliRunner
from tests.vault.parts import TOKEN, Bao, Connections

SEAL_ONLY = 'path "transit/encrypt/lit-sessions" { capabilities = ["update"] }'


def found(conn_id: str = "lit_renewer") -> dict[str, Check]:
    return {finding.name: finding for finding in examine(LitHook(conn_id))}


def only_wrong(findings: dict[str, Check]) -> Check:
    """The one thing that is wrong; it says what to do."""
    (wrong,) = (each for each in findings.values() if each.verdict is Verdict.BAD)
    assert wrong.advice
    return wrong


@pytest.fixture
def urls(net: Devnet) -> Iterator[list[str]]:
    """The nodes; good again afterwards."""
    nodes = net.description["nodes"]
    assert isinstance(nodes, list)
    yield nodes
    for node in range(len(nodes)):
        net.set_fault(node, None)


def test_a_good_renewer(bao: Bao, connections: Connections, urls: list[str]) -> None:
    findings = found()
    assert list(findings) == [
        *("fields", "vault login", "wallet key", "wallet", "seal", "chain", "staking contract"),
        *urls,
        *("network key", "clock", "threshold"),
    ]
    assert {each.verdict for each in findings.values()} <= {Verdict.GOOD, Verdict.NOTE}
    assert findings["network key"].verdict is Verdict.NOTE  # nobody pinned it
    assert "lit-renewer" in findings["vault login"].found
    assert bao.wallet.address in findings["wallet"].found
    assert "opened again" in findings["seal"].found
    assert str(CHAIN_ID) in findings["chain"].found
    assert "3 nodes, 2 needed" in findings["staking contract"].found
    assert all(" ms" in findings[url].found for url in urls)
    assert "1 more may fail" in findings["threshold"].found


def test_a_good_consumer(net: Devnet, connections: Connections) -> None:
    connections.lit(
        "lit_consumer", "vault_consumer", network_public_key=net.description["network_public_key"]
    )
    findings = found("lit_consumer")
    assert "lit-consumer" in findings["vault login"].found
    assert findings["wallet key"].verdict is Verdict.NOTE
    assert findings["seal"].verdict is Verdict.GOOD
    assert "open and not seal" in findings["seal"].found
    assert findings["network key"].verdict is Verdict.GOOD


def test_it_uses_nothing_but_what_it_checks(bao: Bao, connections: Connections) -> None:
    with bao.watched() as paths:
        found()
    assert paths == [
        *("auth/approle/login", f"secret/data/{KV_PATH}"),
        *("transit/encrypt/lit-sessions", "transit/decrypt/lit-sessions"),
    ]


def test_no_such_connection(connections: Connections) -> None:
    findings = found("lit_of_nobody")
    assert list(findings) == ["fields"]
    assert "lit_of_nobody" in only_wrong(findings).found


def test_a_field_that_cannot_be_right(connections: Connections) -> None:
    connections.lit("lit_renewer", session_ttl_s=5)
    assert "session_ttl_s must be from 60" in only_wrong(found()).found


def test_no_such_vault_connection(connections: Connections) -> None:
    connections.lit("lit_renewer", "vault_of_nobody", vault_path=KV_PATH)
    findings = found()
    assert only_wrong(findings).name == "vault login"
    assert not {"wallet key", "seal"} & set(findings)
    assert "threshold" in findings  # the network does not depend on Vault


def test_vault_is_away(connections: Connections, bao: Bao) -> None:
    connections.vault("vault_renewer", free_port(), bao.renewer)
    wrong = only_wrong(found())
    assert (wrong.name, "cannot be reached" in wrong.found) == ("vault login", True)


def test_the_login_is_refused(connections: Connections, bao: Bao) -> None:
    connections.vault("vault_renewer", bao.port, AppRole("x", bao.renewer.role_id, Secret(b"guessed")))
    wrong = only_wrong(found())
    assert (wrong.name, "login" in wrong.found) == ("vault login", True)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"vault_path": "lit/nothing"}, "lit/nothing"),
        ({"vault_mount": "elsewhere"}, "elsewhere"),
        ({"vault_path": KV_PATH, "vault_field": "nothing"}, "nothing"),
    ],
)
def test_the_key_is_not_there(bao: Bao, connections: Connections, change: dict[str, str], words: str) -> None:
    role = bao.role("curious", 'path "*" { capabilities = ["read", "update"] }')
    connections.vault("vault_renewer", bao.port, role)
    connections.lit("lit_renewer", **({"vault_path": KV_PATH} | change))
    wrong = only_wrong(found())
    assert wrong.name == "wallet key"
    assert words in wrong.found


def test_the_role_may_not_read_the_key(bao: Bao, connections: Connections) -> None:
    connections.vault("vault_renewer", bao.port, bao.role("sealer", SEAL_ONLY))
    wrong = only_wrong(found())
    assert wrong.name == "wallet key"
    assert KV_PATH in wrong.found


@pytest.mark.parametrize("text", ["not hex", "0x" + "00" * 32, "0x" + "11" * 31])
def test_what_lies_there_is_no_key(bao: Bao, connections: Connections, text: str) -> None:
    bao.write("lit/other", {"private_key": text})
    role = bao.role("curious", 'path "*" { capabilities = ["read", "update"] }')
    connections.vault("vault_renewer", bao.port, role)
    connections.lit("lit_renewer", vault_path="lit/other")
    findings = found()
    assert findings["wallet key"].verdict is Verdict.GOOD
    assert only_wrong(findings).name == "wallet"


def test_the_key_is_another_wallets(connections: Connections, bao: Bao) -> None:
    connections.lit("lit_renewer", vault_path=KV_PATH, wallet_address="0x" + "12" * 20)
    wrong = only_wrong(found())
    assert (wrong.name, bao.wallet.address in wrong.found) == ("wallet", True)


def test_no_transit_key(bao: Bao, connections: Connections) -> None:
    role = bao.role("curious", 'path "*" { capabilities = ["read", "update"] }')
    connections.vault("vault_renewer", bao.port, role)
    connections.lit("lit_renewer", vault_path=KV_PATH, transit_key="of-nobody")
    wrong = only_wrong(found())
    assert (wrong.name, "of-nobody" in wrong.found) == ("seal", True)


def test_a_consumer_that_may_not_open(bao: Bao, connections: Connections) -> None:
    connections.vault("vault_consumer", bao.port, bao.role("sealer", SEAL_ONLY))
    assert "may not open" in only_wrong(found("lit_consumer")).found


def test_a_renewer_that_may_not_seal(bao: Bao, connections: Connections) -> None:
    read = f'path "secret/data/{KV_PATH}" {{ capabilities = ["read"] }}'
    role = bao.role("reader", f'{read}\npath "transit/decrypt/lit-sessions" {{ capabilities = ["update"] }}')
    connections.vault("vault_renewer", bao.port, role)
    assert "may not seal" in only_wrong(found()).found


def test_roles_that_may_more_or_less_than_usual(bao: Bao, connections: Connections) -> None:
    connections.lit("lit_consumer", "vault_renewer")
    assert found("lit_consumer")["seal"].verdict is Verdict.NOTE
    read = f'path "secret/data/{KV_PATH}" {{ capabilities = ["read"] }}'
    connections.vault("vault_renewer", bao.port, bao.role("seal-and-read", f"{read}\n{SEAL_ONLY}"))
    seal = found()["seal"]
    assert (seal.verdict, "cannot decrypt" in seal.found) == (Verdict.NOTE, True)


def test_fernet_needs_no_vault(connections: Connections, bao: Bao) -> None:
    connections.lit(
        "lit_consumer", "vault_of_nobody", seal="fernet", seal_secret=Fernet.generate_key().decode()
    )
    with bao.watched() as paths:
        findings = found("lit_consumer")
    assert paths == []
    assert findings["vault login"].verdict is Verdict.NOTE
    assert findings["seal"].verdict is Verdict.GOOD
    connections.lit("lit_consumer", "vault_of_nobody", seal="fernet", seal_secret="too-short")
    assert only_wrong(found("lit_consumer")).name == "seal"


def test_the_chain_is_away(connections: Connections) -> None:
    secret = "/v3/the-customers-key"
    connections.lit("lit_renewer", vault_path=KV_PATH, rpc_url=f"http://127.0.0.1:{free_port()}{secret}")
    findings = found()
    assert only_wrong(findings).name == "chain"
    assert "staking contract" not in findings
    assert secret not in "".join(text(each) for each in findings.values())


def test_a_server_that_is_no_chain(bao: Bao, connections: Connections) -> None:
    connections.lit("lit_renewer", vault_path=KV_PATH, rpc_url=bao.address)
    assert only_wrong(found()).name == "chain"


def test_another_chain(connections: Connections, net: Devnet) -> None:
    connections.lit(
        "lit_renewer", vault_path=KV_PATH, network="datil-dev", rpc_url=net.description["rpc_url"]
    )
    wrong = only_wrong(found())
    assert wrong.name == "chain"
    assert str(CHAIN_ID) in wrong.found


def test_no_such_contract(connections: Connections) -> None:
    connections.lit("lit_renewer", vault_path=KV_PATH, staking_address="0x" + "12" * 20)
    assert only_wrong(found()).name == "staking contract"


@pytest.mark.parametrize("fault", ["down", "silent", "err-key", "garbled", "broken"])
def test_one_node_in_trouble_is_named(
    net: Devnet, connections: Connections, urls: list[str], fault: str
) -> None:
    net.set_fault(1, fault)
    connections.lit("lit_renewer", vault_path=KV_PATH, timeout_s=3)
    findings = found()
    assert [url for url in urls if findings[url].verdict is Verdict.NOTE] == [urls[1]]
    assert findings[urls[1]].advice
    assert findings["threshold"].verdict is Verdict.NOTE
    assert "none may fail" in findings["threshold"].found


def test_a_node_with_another_key_is_named(net: Devnet, connections: Connections, urls: list[str]) -> None:
    net.set_fault(2, "wrong-key")
    findings = found()
    assert "another network key" in findings[urls[2]].found
    assert findings["threshold"].verdict is Verdict.NOTE


def test_too_few_nodes(net: Devnet, connections: Connections, urls: list[str]) -> None:
    net.stop_node(0)
    net.stop_node(2)
    findings = found()
    assert [findings[url].verdict for url in urls] == [Verdict.BAD, Verdict.GOOD, Verdict.BAD]
    assert "1 of 3 nodes answered, 2 needed" in findings["threshold"].found


def test_a_clock_that_is_wrong(net: Devnet, connections: Connections) -> None:
    net.set_clock_offset(-90)
    try:
        wrong = only_wrong(found())
    finally:
        net.set_clock_offset(0)
    assert wrong.name == "clock"
    assert "ahead of" in wrong.found


def test_another_key_than_the_pinned_one(connections: Connections) -> None:
    connections.lit("lit_renewer", vault_path=KV_PATH, network_public_key="a1" * 48)
    wrong = only_wrong(found())
    assert wrong.name == "network key"


def test_the_command(
    bao: Bao, connections: Connections, net: Devnet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("_AIRFLOW_PROCESS_CONTEXT", "server")  # the command sets it, and this process goes on

    def doctor(*arguments: str) -> Result:
        return CliRunner().invoke(app, ["doctor", "--conn-id", "lit_renewer", *arguments])

    well = doctor()
    assert well.exit_code == 0, well.output
    assert "each step takes up to 30 s" in well.stderr
    lines = well.stdout.splitlines()
    assert lines[0].startswith("ok     fields")
    assert any(line.startswith("ok     wallet ") and bao.wallet.address in line for line in lines)

    net.stop_node(0)
    argv = [sys.executable, "-m", "lit_airflow.cli", "doctor", "--conn-id", "lit_renewer", "--json"]
    limping = subprocess.run(argv, capture_output=True, text=True, timeout=900, check=False)
    assert limping.returncode == 0, limping.stderr
    assert "missing at the handshake" in limping.stderr
    assert json.loads(limping.stdout)["good"]  # nothing but the object, though there was something to log

    net.stop_node(1)
    ill = doctor("--json")
    assert ill.exit_code == 1
    report = json.loads(ill.stdout)
    assert (report["conn_id"], report["good"]) == ("lit_renewer", False)
    assert {each["verdict"] for each in report["findings"]} == {"ok", "wrong"}

    said = "".join(run.stdout + run.stderr for run in (well, limping, ill)).encode()
    assert not TOKEN.search(said)
    assert bao.key.reveal().hex().encode() not in said
    assert bao.renewer.secret_id.reveal() not in said

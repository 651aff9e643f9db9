"""Wrong usage of any command ends with exit code 2, and the message names the option."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lit_airflow.cli import app
from tests.invoking import CliRunner

ANY = "access-control-condition-decryption=lit-accesscontrolcondition://*"
PKP = "0x" + "11" * 20
SESSION = f"session --network net.json --key-env KEY --ttl 600 --allow {ANY}"
CONVERT = "convert --from net.json --to net.json --session empty.json --output-dir out file.lit.json"
RUN = "action run --network chipotle --code code.js"


def other(command: str, option: str, value: str) -> str:
    """Return the command with another value of an option."""
    words = command.split()
    words[words.index(option) + 1] = value
    return " ".join(words)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    network = {"network": "custom", "rpc_url": "http://127.0.0.1:9", "staking_address": PKP}
    (tmp_path / "net.json").write_text(json.dumps(network))
    for name in ("empty.json", "file.lit.json"):
        (tmp_path / name).write_text("{}")
    (tmp_path / "code.js").write_text("async function main() {}")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KEY", "11" * 32)


@pytest.mark.parametrize(
    ("command", "named"),
    [
        ("nonsense", "nonsense"),
        ("demo --network naga", "--network"),
        ("sandbox --dags net.json", "--dags"),
        ("sandbox --network naga", "--network"),
        ("devnet --nodes 1", "--nodes"),
        ("devnet --threshold 4", "--threshold"),
        ("devnet --generation naga", "--generation"),
        ("devnet --fault 9=silent", "--fault"),
        ("devnet --generation chipotle --nodes 3", "--nodes"),
        ("devnet --threshold 2 --generation chipotle", "--threshold"),
        ("devnet --port 70000", "--port"),
        ("devnet --port 65534", "--port"),
        ("session", "--network"),
        (other(SESSION, "--network", "nonsense"), "--network"),
        (other(SESSION, "--ttl", "0"), "--ttl"),
        (other(SESSION, "--ttl", "nan"), "--ttl"),
        (other(SESSION, "--allow", "x"), "--allow"),
        (SESSION.partition(" --allow")[0], "--allow"),
        (f"{SESSION} --output .", "--output"),
        ("encrypt --network nonsense --conditions empty.json", "--network"),
        ("encrypt --network net.json --conditions none.json", "--conditions"),
        ("encrypt --network net.json --conditions empty.json --output .", "--output"),
        ("decrypt --network nonsense --session empty.json", "--network"),
        ("decrypt --network net.json --session none.json", "--session"),
        (other(CONVERT, "--from", "nonsense"), "--from"),
        (other(CONVERT, "--to", "nonsense"), "--to"),
        (other(CONVERT, "--session", "none.json"), "--session"),
        (other(CONVERT, "--output-dir", "."), "--output-dir"),
        (other(CONVERT, "--output-dir", "net.json"), "--output-dir"),
        (CONVERT.replace("file.lit.json", "*.none"), "FILE"),
        ("recover --key-env KEY --output-dir net.json file.lit.json", "--output-dir"),
        ("recover --key-env KEY --output-dir out *.none", "FILE"),
        ("inspect none.json", "FILE"),
        ("doctor", "--conn-id"),
        (other(RUN, "--network", "nonsense"), "--network"),
        (other(RUN, "--network", "net.json"), "--network"),
        (other(RUN, "--code", "none.js"), "--code"),
        (f"{RUN} --gate {'ab' * 32}", "--code or --gate"),
        (RUN.partition(" --code")[0], "--code or --gate"),
        (f"{RUN} --timeout 0", "--timeout"),
        (f"{RUN} --params none.json", "--params"),
        ("action cid", "--code or --pkp"),
        (f"action cid --code code.js --pkp {PKP}", "--code or --pkp"),
        ("action cid --code code.js --chain-id 5", "--pkp"),
        (f"action cid --pkp {PKP} --chain-id 5", "--address"),
        ("action cid --pkp x", "--pkp"),
        ("chipotle nonsense", "nonsense"),
        ("chipotle setup --network nonsense", "--network"),
        ("chipotle setup --network datil", "--network"),
        ("chipotle setup --path lit/account", "--path"),
        ("chipotle status --mount /", "--mount"),
        ("chipotle status --network net.json", "--network"),
    ],
)
def test_wrong_usage(command: str, named: str) -> None:
    done = CliRunner().invoke(app, command.split(), env={"COLUMNS": "200"})
    assert done.exit_code == 2, done.output
    assert named in done.stderr
    assert "Error: " in done.stderr

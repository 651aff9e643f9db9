"""One sandbox inside the test's own process, so that its secrets are known and its network can be hurt."""

import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from lit_airflow.keys.secret import Secret
from lit_airflow.keys.wallet import Wallet
from lit_airflow.sandbox import watchdog
from lit_airflow.sandbox.environment import Sandbox, SandboxOptions, open_sandbox
from lit_airflow.sandbox.processes import SandboxError
from lit_airflow.sandbox.progress import Progress
from lit_airflow.sandbox.report import run_report
from lit_airflow.sandbox.stop_signal import StopSignal

KEY = Secret(secrets.token_bytes(32))


@pytest.fixture(scope="module")
def parts() -> Iterator[Sandbox]:
    options = SandboxOptions(examples="lit_decrypt_report.py", triggerer=False, wallet_key=KEY)
    with open_sandbox(StopSignal(), Progress(), options) as sandbox:
        yield sandbox


def test_the_dataset_is_for_the_wallet_whose_key_is_in_vault(parts: Sandbox) -> None:
    encrypted = parts.plaintext.with_name("orders.csv.lit.json").read_text()
    assert parts.wallet == Wallet.from_key(KEY).address
    assert parts.wallet in encrypted
    assert "ORD-" not in encrypted


def test_no_secret_is_in_an_argument_an_environment_or_a_log(parts: Sandbox) -> None:
    hunted = [KEY.reveal().hex(), parts.airflow.password.reveal().decode()]
    family = watchdog.family({child.leader for child in parts.children._children})
    assert len(family) >= 4
    texts = [file.read_text(errors="replace") for file in parts.home.rglob("*.log") if file.is_file()]
    facts = [Path(f"/proc/{process.pid}/{part}") for process in family for part in ("cmdline", "environ")]
    texts += [fact.read_text(errors="replace") for fact in facts]
    assert not [text for text in texts for secret in hunted if secret in text]


def test_two_absent_nodes_fail_the_run_and_the_failure_names_both(parts: Sandbox) -> None:
    urls = parts.network.description["nodes"]
    assert isinstance(urls, list)
    parts.network.stop_node(0)
    parts.network.stop_node(2)
    with pytest.raises(SandboxError, match=r"Task \w+ failed\.") as caught:
        run_report(parts, StopSignal(), Progress())
    for url in (urls[0], urls[2]):
        assert str(url) in caught.value.details
    assert not parts.plaintext.exists()

"""Connections that need no Vault: the key is elsewhere or with a signer, and the seal is Fernet's."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from cryptography.fernet import Fernet

from lit_airflow import Conditions, LitClient, Wallet
from lit_airflow.devnet import Devnet
from lit_airflow.errors import SecretNotFoundError, SettingsError, WalletKeyError
from lit_airflow.hooks import LitHook
from lit_airflow.networks.contract import Verdict
from lit_airflow.operators import LitDecryptOperator, LitSessionSigsOperator
from lit_airflow.provider.doctor import examine
from lit_airflow.provider.settings import Settings
from tests.airflow.running import make_dag, run_dag
from tests.docs.test_docs import blocks, extras_of, run
from tests.unit.frames import recorded
from tests.vault.signing import signing_server

PAGE = Path(__file__).parents[2] / "docs" / "without-vault.md"
KEY = "ab" * 32
WALLET = Wallet.from_key(KEY)
CONDITIONS = Conditions.for_wallet(WALLET.address)
SEAL = {"seal": "fernet", "seal_secret": Fernet.generate_key().decode()}

Connect = Callable[..., LitHook]


@pytest.fixture(scope="module")
def net() -> Iterator[Devnet]:
    with Devnet(nodes=3, threshold=2) as running:
        yield running


@pytest.fixture
def connect(net: Devnet, monkeypatch: pytest.MonkeyPatch) -> Connect:
    network = {name: net.description[name] for name in ("network", "rpc_url", "staking_address")}

    def connect(conn_id: str = "lit_default", **extra: object) -> LitHook:
        connection = {"conn_type": "lit", "extra": {**network, **SEAL, **extra}}
        monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", json.dumps(connection))
        return LitHook(conn_id)

    return connect


@pytest.fixture(params=["env", "file", "connection"])
def source(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Where the key is, as the connection's fields say it; ``place`` gets another value put there."""
    monkeypatch.setenv("LIT_KEY", f"0x{KEY}")
    (tmp_path / "key").write_text(f"{KEY}\n")
    fields = {"env": {"key_env": "LIT_KEY"}, "file": {"key_file": str(tmp_path / "key")}}
    return {"signer": request.param, **fields.get(request.param, {"wallet_secret": KEY})}


def test_the_key_is_read(connect: Connect, source: dict[str, str]) -> None:
    hook = connect(**source, wallet_address=WALLET.address)
    assert not hook.settings.uses_vault
    assert hook.get_wallet().address == WALLET.address


def test_another_wallets_key(connect: Connect, source: dict[str, str]) -> None:
    hook = connect(**source, wallet_address="0x" + "11" * 20)
    with pytest.raises(WalletKeyError, match="It was read from") as raised:
        hook.get_wallet()
    assert KEY not in f"{raised.value}{recorded(raised.value)}"


def test_doctor(connect: Connect, source: dict[str, str]) -> None:
    checks = {check.name: check for check in examine(connect(**source, wallet_address=WALLET.address))}
    assert [check for check in checks.values() if check.verdict is Verdict.BAD] == []
    weakest = source["signer"] == "connection"
    assert checks["wallet key"].verdict is (Verdict.NOTE if weakest else Verdict.GOOD)
    assert KEY not in str(checks)


@pytest.mark.parametrize(
    "fields", [{"signer": "env", "key_env": "LIT_NOT_SET"}, {"signer": "file", "key_file": "/nowhere/key"}]
)
def test_a_key_that_is_not_there(connect: Connect, fields: dict[str, str]) -> None:
    with pytest.raises(SecretNotFoundError, match=r"LIT_NOT_SET|/nowhere/key"):
        connect(**fields).get_wallet()


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"signer": "env"}, "key_env"),
        ({"signer": "file"}, "key_file"),
        ({"wallet_secret": KEY}, "wallet_secret"),
        ({"signer": "file", "key_file": "/key", "wallet_secret": KEY}, "wallet_secret"),
    ],
)
def test_fields_that_do_not_fit(connect: Connect, fields: dict[str, str], named: str) -> None:
    with pytest.raises(SettingsError) as raised:
        _ = connect(**fields).settings
    assert raised.value.field == named
    assert KEY not in f"{raised.value}{recorded(raised.value)}"


def test_a_connection_whose_key_is_missing(connect: Connect) -> None:
    with pytest.raises(SettingsError, match="wallet_secret is empty"):
        connect(signer="connection").get_wallet()


@pytest.mark.usefixtures("database")
@pytest.mark.parametrize("signer", ["eth_sign", "file"])
def test_a_dag_run(net: Devnet, connect: Connect, tmp_path: Path, dag_id: str, signer: str) -> None:
    container: dict[str, Any] = LitClient(net.description).make_container(b"the plaintext", CONDITIONS)
    connect("lit_consumer", wallet_address=WALLET.address)
    with signing_server(bytes.fromhex(KEY)) as server:
        (tmp_path / "key").write_text(KEY)
        fields = {
            "eth_sign": {"signer_url": f"http://127.0.0.1:{server.port}"},
            "file": {"key_file": str(tmp_path / "key")},
        }
        connect("lit_renewer", signer=signer, wallet_address=WALLET.address, **fields[signer])
        with make_dag(dag_id) as dag:
            session = LitSessionSigsOperator(
                task_id="session", encrypted=container, lit_conn_id="lit_renewer"
            )
            LitDecryptOperator(
                task_id="decrypt", encrypted=container, session=session.output,
                output_path=tmp_path / "out", lit_conn_id="lit_consumer",
            )  # fmt: skip
        run = run_dag(dag)
    assert run.states() == {"session": "success", "decrypt": "success"}
    assert (tmp_path / "out").read_bytes() == b"the plaintext"
    assert KEY not in json.dumps(run.xcom("session"))


def test_the_pages_first_connections(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A session is opened, handed on and used, and nobody asks for a Vault server."""
    block, with_file = blocks(PAGE, "sh")
    (making,) = blocks(PAGE, "python")
    (tmp_path / "key.py").write_text(making)
    secret = bytes.fromhex("0123456789abcdef" * 4)
    with Devnet(nodes=3, threshold=2) as net, signing_server(secret) as signing:
        network = tmp_path / "network.json"
        network.write_text(json.dumps(net.description))
        (extra,) = extras_of(with_file.replace("/etc/lit/network.json", str(network)))
        assert not Settings.from_connection(SimpleNamespace(conn_id="x", extra_dejson=extra)).uses_vault
        filled = (
            block.replace("/etc/lit/network.json", str(network))
            .replace("https://signer.example.org:8545", f"http://127.0.0.1:{signing.port}")
            .replace("FERNET-KEY", run("python key.py", tmp_path).strip())
        )
        for name, extra in zip(("LIT_RENEWER", "LIT_CONSUMER"), extras_of(filled), strict=True):
            monkeypatch.setenv(f"AIRFLOW_CONN_{name}", json.dumps({"conn_type": "lit", "extra": extra}))
        renewer, consumer = LitHook("lit_renewer"), LitHook("lit_consumer")
        conditions = Conditions.for_wallet(renewer.settings.wallet_address).to_json()
        container = consumer.encrypt(b"the plaintext", conditions)
        ticket = renewer.make_ticket(renewer.open_session(renewer.scope_of(container)))
        assert consumer.decrypt(container, consumer.hold(ticket)) == b"the plaintext"

"""The profile ``chipotle``: what the local network hands over, and what is in Vault afterwards."""

import json
import os
import stat
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import hvac
import pytest

from lit_airflow import Conditions, LitClient, Scope, Wallet
from lit_airflow.sandbox import compose
from lit_airflow.sandbox.processes import free_port
from lit_airflow.sandbox.vault_server import GATE_PATH, KV_MOUNT
from tests.compose.conftest import Serving

PATIENCE_S = 600.0
KEY = "11" * 32
SECRET = ("api_key", "gates", "locks")


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("public", "handover", "chipotle"):
        (tmp_path / name).mkdir()
    (tmp_path / "wallet_key").write_text(KEY)
    monkeypatch.setattr(compose, "PUBLIC", tmp_path / "public")
    monkeypatch.setattr(compose, "HANDOVER", tmp_path / "handover")
    monkeypatch.setattr(compose, "WALLET_KEY", tmp_path / "wallet_key")
    monkeypatch.setattr(compose, "CHIPOTLE_FOLDER", tmp_path / "chipotle")
    monkeypatch.setattr(compose, "CHIPOTLE_AT", ("localhost", free_port()))
    monkeypatch.setenv("LIT_NETWORK", str(tmp_path / "public" / "network.json"))
    return tmp_path


@contextmanager
def network(folders: Path) -> Iterator[dict[str, Any]]:
    """Run the service; its description."""
    stop, described = threading.Event(), folders / "public" / "network.json"
    described.unlink(missing_ok=True)
    service = threading.Thread(target=compose.chipotle, args=(stop,))
    service.start()
    try:
        end = time.monotonic() + PATIENCE_S
        while not described.is_file() or not described.read_text():
            assert service.is_alive()
            assert time.monotonic() < end
            time.sleep(0.05)
        yield json.loads(described.read_text())
    finally:
        stop.set()
        service.join()


def test_vault_gets_what_decrypts_and_it_decrypts_after_a_restart_too(
    folders: Path, serving: Serving
) -> None:
    wallet = Wallet.from_key(KEY)
    (folders / "chipotle" / "seed").touch(0o600)  # a first start was interrupted
    with network(folders) as described:
        assert not {*SECRET, "account_key"} & {*described}
        assert described["api_url"].startswith("http://localhost:")
        # The other services reach it by its name, without TLS.
        LitClient({**described, "api_url": described["api_url"].replace("localhost", "chipotle")})
        container = LitClient(described).make_container(b"before", Conditions.for_wallet(wallet.address))
    files = sorted(file for file in (folders / "chipotle").iterdir())
    assert len((folders / "chipotle" / "seed").read_text()) == 64
    assert [(file.name, stat.S_IMODE(file.stat().st_mode)) for file in files] == [
        ("gate.json", 0o600),
        ("seed", 0o600),
    ]
    with serving(""):
        compose.vault()
        created = json.loads((folders / "handover" / "connections.json").read_text())
        assert created["lit_consumer"]["extra"]["api_key_path"] == GATE_PATH
        assert "api_key_path" not in created["lit_renewer"]["extra"]
        role = created["vault_consumer"]
        client = hvac.Client(os.environ["VAULT_ADDR"])
        client.auth.approle.login(role["login"], role["password"])
        read = client.secrets.kv.v2.read_secret_version(
            GATE_PATH, mount_point=KV_MOUNT, raise_on_deleted_version=True
        )
        secret = read["data"]["data"]
    assert {*secret} == {*SECRET}
    with network(folders) as again:
        assert again == described
        lit = LitClient({**again, **secret})
        session = lit.open_session(wallet, Scope.to_decrypt("*"))
        assert lit.decrypt(container, container, session) == b"before"

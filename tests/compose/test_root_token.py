"""The way back to a root token, on a server with the installation's own configuration."""

import os
import re
from pathlib import Path

import hvac
import pytest

from lit_airflow.sandbox import compose
from lit_airflow.sandbox.processes import SandboxError
from tests.compose.composition import ROOT
from tests.compose.conftest import Serving

(SWITCH,) = re.findall(r"^disable_\w+ = \w+$", (ROOT / "docs" / "compose.md").read_text(), re.MULTILINE)
"""The line that the page has one write into the listener."""


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

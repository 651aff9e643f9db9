"""``lit-airflow action``: run one on the local Chipotle, and compute CIDs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import Result

from lit_airflow import LitClient
from lit_airflow.cli import app
from lit_airflow.devnet.chipotle import Chipotle
from lit_airflow.networks.chipotle.cid import cid_v0
from lit_airflow.protocol.signing import SigningPolicy
from tests.devnet_chipotle.warm_engine import WarmEngine
from tests.invoking import CliRunner

CODE = 'async function main(params) {\r\n  console.log("one\\u001b");\r\n  return params;\r\n}'
PKP = "0x74D6f908A320FED7e1c0002eBA7996C4376A8071"


@pytest.fixture(scope="module")
def net(warm: WarmEngine) -> Iterator[Chipotle]:
    with Chipotle() as net:
        yield warm.serve(net)


@pytest.fixture
def code(tmp_path: Path) -> str:
    (tmp_path / "echo.js").write_bytes(CODE.encode())
    return str(tmp_path / "echo.js")


def invoke(*arguments: str, stdin: bytes = b"", **environment: str) -> Result:
    env = {"NO_COLOR": "1", "COLUMNS": "200", **environment}
    return CliRunner().invoke(app, ["action", *arguments], input=stdin, env=env)


def running(net: Chipotle, folder: Path, *arguments: str, stdin: bytes = b"") -> Result:
    description = {name: net.description[name] for name in ("network", "generation", "api_url", "gates")}
    network = folder / "network.json"
    network.write_text(json.dumps(description))
    given = ("run", "--network", str(network), "--api-key-env", "API_KEY", *arguments)
    return invoke(*given, stdin=stdin, API_KEY=net.permit(CODE))


def test_run(net: Chipotle, tmp_path: Path, code: str) -> None:
    params = b'{"a": [1, "\\u00e4"]}'
    done = running(
        net, tmp_path, "--code", code, "--params", "-", "--expected-cid", cid_v0(CODE), stdin=params
    )
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout) == {"a": [1, "ä"]}
    assert cid_v0(CODE) in done.stderr
    assert "one\\x1b" in done.stderr
    noted = running(net, tmp_path, "--code", code, "--params", "-", stdin=b'"12"')
    assert (noted.stdout, "may have been a text" in noted.stderr) == ("12\n", True)


@pytest.mark.parametrize(
    ("arguments", "stdin", "named"),
    [
        (("--expected-cid", "Qm"), b"", "SettingsError"),
        (("--params", "-"), b"{", "--params"),
    ],
)
def test_what_is_refused(  # noqa: PLR0917 - fixtures
    net: Chipotle, tmp_path: Path, code: str, arguments: tuple[str, ...], stdin: bytes, named: str
) -> None:
    done = running(net, tmp_path, "--code", code, *arguments, stdin=stdin)
    assert done.exit_code == 1
    assert named in f"{type(done.exception).__name__}: {done.exception}"
    assert done.stdout == ""


def test_cid(code: str) -> None:
    assert invoke("cid", "--code", code).stdout == cid_v0(CODE) + "\n"
    assert invoke("cid", "--code", code, "--show-code").stdout_bytes == CODE.encode()


def test_cid_of_the_signer() -> None:
    text, cid = LitClient("chipotle").signing_code(SigningPolicy.of(PKP, 8453, PKP))
    arguments = ("cid", "--pkp", PKP, "--chain-id", "8453", "--address", PKP)
    assert invoke(*arguments).stdout == cid + "\n"
    assert invoke(*arguments, "--show-code").stdout == text


@pytest.mark.parametrize(
    "arguments", [(), ("--pkp", "0x12"), ("--pkp", PKP, "--chain-id", "1"), ("--pkp", PKP, "--address", "x")]
)
def test_wrong_usage(arguments: tuple[str, ...]) -> None:
    assert invoke("cid", *arguments).exit_code == 2

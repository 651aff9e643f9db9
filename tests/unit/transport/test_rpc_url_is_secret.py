"""Providers of a chain's RPC put the customer's key in its URL."""

from __future__ import annotations

import contextlib
import logging
import traceback
from pathlib import Path

import pytest
import requests

from lit_airflow import LitClient
from lit_airflow.clock import Deadline
from lit_airflow.errors import LitError, SettingsError
from lit_airflow.keys.signers import SignerServer
from lit_airflow.networks.descriptions import describe
from lit_airflow.provider.settings import Settings
from lit_airflow.transport.chain import Chain
from lit_airflow.transport.http import Http
from tests.unit.frames import recorded
from tests.unit.http_server import FaultyServer

CANARY = "k3y-0f-the-cust0mer"


@pytest.mark.parametrize(
    "rpc_url",
    [
        f"http://127.0.0.1:9/v3/{CANARY}",
        f"http://127.0.0.1:9/?apikey={CANARY}",
        f"http://user:{CANARY}@127.0.0.1:9/",
        f"ftp://127.0.0.1:9/{CANARY}",
    ],
)
def test_no_error_shows_the_key_in_it(rpc_url: str) -> None:
    network = {"network": "custom", "rpc_url": rpc_url, "staking_address": "0x" + "11" * 20}
    with pytest.raises(LitError) as caught:
        LitClient(network, timeout_s=60).sdk.survey()
    assert CANARY not in "".join(traceback.format_exception(caught.value))
    assert "127.0.0.1:9" in str(caught.value) or "rpc_url" in str(caught.value)
    if not rpc_url.startswith("ftp"):  # there the test's own argument is refused
        assert CANARY not in recorded(caught.value)


KEYED = [
    f"https://rpc.example/v3/{CANARY}",
    f"https://rpc.example/?apikey={CANARY}",
    f"https://user:{CANARY}@rpc.example/",
]


@pytest.mark.parametrize("url", KEYED)
def test_no_repr_shows_the_key_in_it(url: str) -> None:
    contract = {"staking_address": "0x" + "11" * 20}
    settings = Settings(network="datil-dev", rpc_url=url, signer="web3signer", signer_url=url)
    for shown in (
        settings,
        settings.description(),
        describe({"network": "custom", "rpc_url": url, **contract}),
        describe({"network": "chipotle", "rpc": {"ethereum": [KEYED[0]]}}),
        Settings(network="chipotle", rpc=f'{{"ethereum": ["{KEYED[0]}"]}}'),
        Chain(Http(), url),
        SignerServer(url),
    ):
        assert CANARY not in repr(shown)


@pytest.mark.parametrize("path", ["/json", "/text", "/401", "/reset", "/cut-short", "/malformed-headers"])
def test_no_log_line_shows_the_key_in_it(
    faulty_server: FaultyServer, caplog: pytest.LogCaptureFixture, path: str
) -> None:
    """At DEBUG urllib3 logs path and query of each request, and whole URLs in warnings about headers."""
    caplog.set_level(logging.DEBUG)
    http, url = Http(), f"{faulty_server.url.replace('//', f'//user:{CANARY}@')}{path}?apikey={CANARY}"
    for send in (
        lambda: http.post(url, "{}", deadline=Deadline.after(5)),
        lambda: http.get(url, deadline=Deadline.after(1)),
    ):
        with contextlib.suppress(LitError):
            send()
    assert faulty_server.seen
    assert CANARY not in caplog.text
    requests.get(f"{faulty_server.url}/json?what=another's", timeout=300)
    assert "what=another" in caplog.text  # what others send is logged as before


class _Connection:
    """As far as settings look at one."""

    def __init__(self, **extra: object) -> None:
        self.extra_dejson = extra

    def __repr__(self) -> str:
        return f"Connection({self.extra_dejson})"


@pytest.mark.parametrize(
    "wrong", [{"seal": "wax"}, {"timeout_s": "soon"}, {"rpc_url": f"ftp://{CANARY}"}, {"network": "mars"}]
)
def test_no_frame_of_a_connections_error_holds_a_secret(wrong: dict[str, object]) -> None:
    fields = {"network": "datil-dev", "rpc_url": KEYED[0], "seal_secret": CANARY, **wrong}
    with pytest.raises(SettingsError) as caught:
        Settings.from_connection(_Connection(**fields))
    assert CANARY not in recorded(caught.value)


def test_no_frame_of_a_signers_error_holds_the_key(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="does not exist") as caught:
        SignerServer(KEYED[0], certificate=str(tmp_path / "absent.pem"))
    assert CANARY not in recorded(caught.value)


def test_the_services_url_contains_no_password() -> None:
    with pytest.raises(SettingsError) as caught:
        describe({"network": "chipotle", "api_url": f"https://user:{CANARY}@api.example/core/v1"})
    assert caught.value.field == "api_url"
    assert CANARY not in str(caught.value)

"""Where a Chipotle network's service may be."""

from __future__ import annotations

import pytest

from lit_airflow.devnet.chipotle import Chipotle
from lit_airflow.errors import SettingsError
from lit_airflow.networks.chipotle import describe
from lit_airflow.sandbox.networks import gate_fields


@pytest.mark.parametrize(
    "url",
    [
        "https://chipotle.example",
        "http://127.0.0.1:7470",
        "http://127.9.9.9",
        "http://localhost",
        "http://[::1]:7470",
    ],
)
def test_the_api_key_is_sent_where_nobody_on_the_way_can_read_it(url: str) -> None:
    assert describe({"api_url": f"{url}/core/v1"}, None).api_url == f"{url}/core/v1"


@pytest.mark.parametrize(
    "url",
    ["http://chipotle.example", "http://10.0.0.7:7470", "http://127.0.0.1.example", "http://169.254.169.254"],
)
def test_plain_http_to_another_host_has_to_be_allowed(url: str) -> None:
    for known in (None, {"api_url": "https://chipotle.example/core/v1"}):
        with pytest.raises(SettingsError, match="read on the way") as caught:
            describe({"api_url": url}, known)
        assert caught.value.field == "api_url"
    assert describe({"api_url": url, "plain_http": True}, None).plain_http


def test_a_permission_is_true_or_false() -> None:
    for name in ("plain_http", "allow_unlocked"):
        with pytest.raises(SettingsError) as caught:
            describe({"api_url": "http://10.0.0.7", name: "yes"}, None)
        assert caught.value.field == name


def test_a_local_service_on_another_address_says_that_it_speaks_plain_http() -> None:
    """As in Compose, where the other containers read the description from a file."""
    with Chipotle(host="127.0.0.2") as net:
        told = {"network": "custom", "generation": "chipotle", **gate_fields(net.description)}
    assert describe({**told, "api_url": "http://chipotle:9000/core/v1"}, None).plain_http

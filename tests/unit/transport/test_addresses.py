from __future__ import annotations

import pytest

from lit_airflow.errors import FailureKind, NodeError, SettingsError
from lit_airflow.transport.addresses import check_public, check_url

PRIVATE = "127.0.0.1 10.1.2.3 172.16.0.1 192.168.1.1 169.254.169.254 100.64.0.1 0.0.0.0 224.0.0.1 192.0.2.1"
CLOUDS = "169.254.169.254 168.63.129.16 192.0.0.192 100.100.100.200"
IPV6 = "[::1] [fe80::1] [fc00::1] [fd00:ec2::254] [ff02::1] [::ffff:10.0.0.1] [::ffff:169.254.169.254] [::]"


@pytest.mark.parametrize(
    "host", [*PRIVATE.split(), *CLOUDS.split(), *IPV6.split(), "240.0.0.1", "255.255.255.255"]
)
def test_addresses_that_no_public_server_has(host: str) -> None:
    with pytest.raises(NodeError, match="not a public address") as caught:
        check_public(f"https://{host}:443")
    assert (caught.value.kind, caught.value.sent) == (FailureKind.UNTRUSTED, False)


@pytest.mark.parametrize(
    "host", ["localhost", "node.example.org", "metadata.google.internal", "0x7f000001", "1.1"]
)
def test_names_are_not_addresses(host: str) -> None:
    with pytest.raises(NodeError, match="not an IP address") as caught:
        check_public(f"https://{host}:443")
    assert (caught.value.kind, caught.value.sent) == (FailureKind.UNTRUSTED, False)


@pytest.mark.parametrize(
    "host",
    ["8.8.8.8", "1.1.1.1", "172.15.255.255", "223.255.255.254", "[2606:4700::1111]", "[::ffff:8.8.8.8]"],
)
def test_public_addresses(host: str) -> None:
    check_public(f"https://{host}:7470")


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:8545", "https://rpc.example.org/v3/key?x=1", "http://[::1]/"]
)
def test_urls(url: str) -> None:
    assert check_url(url, "rpc_url").geturl() == url


@pytest.mark.parametrize(
    "url",
    [
        "",
        "rpc.example.org",
        "ftp://a/SECRET",
        "http://",
        "http://[::1",
        "http://a:0/SECRET",
        "http://a:65536",
        5,
        None,
    ],
)
def test_what_is_no_url(url: object) -> None:
    with pytest.raises(SettingsError, match="rpc_url must be an http or https URL") as caught:
        check_url(url, "rpc_url")
    assert caught.value.field == "rpc_url"
    assert "SECRET" not in str(caught.value)

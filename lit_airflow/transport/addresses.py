"""URLs and addresses of servers: which are well-formed, and which a public network may have."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address
from urllib.parse import SplitResult, urlsplit

from lit_airflow.errors import FailureKind, NodeError, SettingsError

# Services of clouds at addresses that not every Python release counts as private.
_CLOUD_METADATA = frozenset(
    map(ip_address, ("169.254.169.254", "168.63.129.16", "192.0.0.192", "100.100.100.200", "fd00:ec2::254"))
)


def check_public(url: str) -> None:
    """Return nothing if a URL's host is a public IP address.

    A chain that names this machine, its network or a cloud's own services would have us send requests there.

    Raises:
        NodeError: It is private, reserved, a cloud's metadata service, or not an IP address.
    """
    host = str(urlsplit(url).hostname)
    try:
        address: IPv4Address | IPv6Address = ip_address(host)
    except ValueError:
        raise NodeError("its host is not an IP address", kind=FailureKind.UNTRUSTED, sent=False) from None
    if isinstance(address, IPv6Address):
        address = address.ipv4_mapped or address
    if not address.is_global or address.is_multicast or address in _CLOUD_METADATA:
        raise NodeError(f"{address} is not a public address", kind=FailureKind.UNTRUSTED, sent=False)


def check_private_transport(url: str) -> None:
    """Return nothing if what is sent to a URL cannot be read on the way: https, or this machine itself.

    Raises:
        NodeError: It is plain http to another host.
    """
    parts = urlsplit(url)
    if parts.scheme == "https" or is_loopback(str(parts.hostname)):
        return
    raise NodeError(
        "it is reached over plain http, which plain_http in the network description would have to allow",
        kind=FailureKind.UNTRUSTED,
        sent=False,
    )


def is_loopback(host: str) -> bool:
    """Return whether a host, as a URL names it, is this machine."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def check_url(url: object, field: str) -> SplitResult:
    """Return the parts of an http or https URL.

    Args:
        url: The URL.
        field: The name of the setting, for the error.

    Raises:
        SettingsError: It is not such a URL; the error does not show it, since it may contain an API key.
    """
    try:
        parts = urlsplit(url if isinstance(url, str) else "")
        usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:  # brackets that do not match, a port beyond 65535
        usable = False
    if not usable:
        raise SettingsError(f"{field} must be an http or https URL.", field=field)
    return parts

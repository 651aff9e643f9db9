"""Who the nodes are now: what the chain lists, and what their handshakes agree on. Rules only, no I/O.

Source: spec of the protocol, sections 1.1, 1.2 and 3.1.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import TypeVar
from urllib.parse import urlsplit

from lit_airflow.errors import NodeError, NodesUnavailableError, ProtocolError
from lit_airflow.transport.fan_out import if_waited

# For this long after an epoch began, the one before is still the one to ask for.
_SETTLING_S = 45
_FIRST_SETTLED_EPOCH = 3
_HTTPS_PORT = 443

Value = TypeVar("Value", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Epoch:
    """The chain's epoch tuple; times in seconds since 1970.

    Attributes:
        length_s: How long an epoch lasts.
        number: The epoch the chain is in.
        end_time: When it is due to end.
    """

    length_s: int
    number: int
    end_time: int

    def current(self, now_s: float) -> int:
        """The number to name in requests: the one before, while the newest is settling in."""
        start = self.end_time - self.length_s
        settling = int(now_s) < start + _SETTLING_S
        return self.number - 1 if settling and start and self.number >= _FIRST_SETTLED_EPOCH else self.number


@dataclass(frozen=True, slots=True)
class Handshake:
    """One node's answer.

    Attributes:
        public_key: The network's BLS key, 96 hex digits.
        nonce: The latest block hash it knows, ``0x`` hex.
        took_s: Seconds until it was there, retries and attestation included.
        skew_s: Seconds by which our clock is ahead of its, negative where behind; ``None`` where it cannot be told.
    """

    public_key: str
    nonce: str
    took_s: float = 0.0
    skew_s: float | None = None


def node_url(ip: int, port: int, *, default_scheme: str) -> str:
    """A node's URL: the port always written, no trailing slash; port 443 is always https."""
    scheme = "https" if port == _HTTPS_PORT else default_scheme
    return f"{scheme}://{IPv4Address(ip)}:{port}"


def check_public(url: str) -> None:
    """Whether a node may have this address where anybody may run one.

    A chain that names this machine, its network or a cloud's own services would have us send requests there.

    Raises:
        NodeError: It may not.
    """
    address = IPv4Address(str(urlsplit(url).hostname))
    if not address.is_global or address.is_multicast:
        raise NodeError(f"{address} is not a public address")


def most_common(values: Sequence[Value]) -> Value:
    """The most common value; on a tie, the one whose last occurrence is latest."""
    counts = Counter(values)
    return max(reversed(values), key=lambda value: counts[value])


def votes(handshakes: Iterable[Handshake], only: str = "") -> int:
    """How many name the same network key: the one that most name, or the only acceptable one."""
    keys = Counter(shake.public_key for shake in handshakes)
    return keys[only] if only else max(keys.values(), default=0)


def consensus(handshakes: Sequence[Handshake], threshold: int, only: str = "") -> Handshake:
    """What the nodes agree on.

    Args:
        handshakes: In the order they arrived.
        threshold: At least so many must name the same network key.
        only: The only acceptable key, where one is pinned or known from before.

    Raises:
        ProtocolError: No key has enough nodes behind it, or several have, or not the acceptable one.
    """
    keys = Counter(shake.public_key for shake in handshakes)
    public_key = only or most_common([shake.public_key for shake in handshakes])
    if only and keys[only] < threshold <= len(handshakes) and most_common(list(keys.elements())) != only:
        raise ProtocolError(
            "The nodes name another network key than the one that is pinned or was named before.",
            hint="Nothing was encrypted or decrypted. Find out why before changing network_public_key.",
        )
    if keys[public_key] < threshold:
        raise ProtocolError(
            f"The nodes disagree on the network's key: at most {keys[public_key]} name the same, "
            f"{threshold} must.",
            hint="Some of them are not of this network, or not ready; run the task again later.",
        )
    if not only and sum(count >= threshold for count in keys.values()) > 1:
        raise ProtocolError(
            "The nodes name more than one network key, each with enough of them behind it.",
            hint="Nothing was encrypted or decrypted. Pin the right one as network_public_key.",
        )
    return Handshake(public_key, most_common([shake.nonce for shake in handshakes]))


def unavailable(what: str, needed: int, reached: int, failures: Mapping[str, str]) -> NodesUnavailableError:
    """The error that says how many answered and why each of the others did not."""
    causes = "; ".join(f"{node}: {cause}" for node, cause in failures.items())
    return NodesUnavailableError(
        f"{what} needs {needed} usable answers and got {reached}. {causes}.",
        needed=needed,
        reached=reached,
        failures=failures,
        hint=f"Try again later, or ask whoever runs these nodes. {if_waited(*failures.values())}".rstrip(),
    )

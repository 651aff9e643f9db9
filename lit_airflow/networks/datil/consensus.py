"""What the nodes agree on: epoch, network key and nonce, by majority. Rules only, no I/O.

Source: docs/protocol/discovery.md and docs/protocol/handshake.md.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import TypeVar

from lit_airflow.errors import Failure, FailureKind, NodesUnavailableError, ProtocolError
from lit_airflow.networks.committee import Handshake
from lit_airflow.transport.fan_out import TIMEOUT_HINT

# For this long after an epoch began, requests still name the one before.
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
        """Return the number to name in requests: the one before, while the newest settles in."""
        start = self.end_time - self.length_s
        settling = int(now_s) < start + _SETTLING_S
        return self.number - 1 if settling and start and self.number >= _FIRST_SETTLED_EPOCH else self.number


def node_url(ip: int, port: int, *, default_scheme: str) -> str:
    """Return a node's URL: the port always written, no trailing slash; port 443 is always https."""
    scheme = "https" if port == _HTTPS_PORT else default_scheme
    return f"{scheme}://{IPv4Address(ip)}:{port}"


def most_common(values: Sequence[Value]) -> Value:
    """Return the most common value; on a tie, the one whose last occurrence is latest.

    Args:
        values: At least one.
    """
    counts = Counter(values)
    return max(reversed(values), key=lambda value: counts[value])


def votes(handshakes: Iterable[Handshake], only: str = "") -> int:
    """Return how many handshakes name the same network key.

    Args:
        handshakes: What the nodes answered.
        only: Count this key; by default the one that most name.
    """
    keys = Counter(shake.public_key for shake in handshakes)
    return keys[only] if only else max(keys.values(), default=0)


def consensus(handshakes: Sequence[Handshake], threshold: int, only: str = "") -> Handshake:
    """Return the network key and the nonce that the nodes agree on.

    Args:
        handshakes: In the order they arrived.
        threshold: At least so many must name the same network key.
        only: The only acceptable key, where one is pinned or was agreed on before.

    Raises:
        ProtocolError: No key has enough votes, or several have, or not the acceptable one.
    """
    keys = Counter(shake.public_key for shake in handshakes)
    public_key = only or most_common([shake.public_key for shake in handshakes])
    if only and keys[only] < threshold <= len(handshakes) and most_common(list(keys.elements())) != only:
        raise ProtocolError(
            "The nodes name another network key than the one that is pinned or was agreed on before.",
            hint="Nothing was encrypted or decrypted. Find out why before you change network_public_key.",
        )
    if keys[public_key] < threshold:
        raise ProtocolError(
            f"The nodes disagree on the network key: at most {keys[public_key]} name the same one, "
            f"{threshold} are needed.",
            hint="Some of them are not part of this network, or not ready; run the task again later.",
        )
    if not only and sum(count >= threshold for count in keys.values()) > 1:
        raise ProtocolError(
            "Enough nodes agree on more than one network key.",
            hint="Nothing was encrypted or decrypted. Pin the right key as network_public_key.",
        )
    return Handshake(public_key, most_common([shake.nonce for shake in handshakes]))


def unavailable(
    what: str, needed: int, reached: int, failures: Mapping[str, Failure]
) -> NodesUnavailableError:
    """Return the error for too few usable answers; it names each node and why it gave none."""
    causes = "; ".join(f"{node}: {cause}" for node, cause in failures.items())
    timed_out = any(failure.kind is FailureKind.TIMEOUT for failure in failures.values())
    return NodesUnavailableError(
        f"{what} needs {needed} usable answers and got {reached}. {causes}.",
        needed=needed,
        reached=reached,
        failures=failures,
        hint=f"Try again later, or ask the nodes' operators. {TIMEOUT_HINT if timed_out else ''}".rstrip(),
    )

"""The network's BLS key, cut into shares: dealt once, dealt anew with every epoch.

Signatures are points of G2, keys of G1, messages are hashed with the proof-of-possession suite
(RFC 9380 section 8.8.2). The share of node ``i`` (from 0) is ``f(i + 1)``, where ``f`` is a polynomial of
degree ``threshold - 1`` whose value at 0 is the network's secret. Who holds shares may change with each epoch;
a node's number stays its own.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from functools import lru_cache, reduce

from py_arkworks_bls12381 import G1Point, G2Point, Scalar

SUITE = b"BLS_SIG_BLS12381G2_XMD:SHA-256_SSWU_RO_POP_"
SMALLEST_THRESHOLD = 2  # the clients' combine refuses a single share
MOST_NODES = 255  # a share's identifier is one byte, and 0 is the secret's own place


@lru_cache(maxsize=256)
def hash_to_g2(message: bytes) -> G2Point:
    """The point that stands for a message; all nodes of one process share the work."""
    return G2Point.hash_to_curve(message, SUITE)


def random_scalar() -> Scalar:
    """A scalar from the system's randomness; 48 bytes leave no noticeable bias."""
    return Scalar.from_be_bytes_mod_order(secrets.token_bytes(48))


def random_public_key() -> str:
    """A network key that nobody holds, 96 hex."""
    return (G1Point() * random_scalar()).to_compressed_bytes().hex()


def evaluate(polynomial: list[Scalar], place: int) -> Scalar:
    """The polynomial's value at ``place``; coefficients begin with the constant one."""
    at = Scalar(place)
    return reduce(lambda sum_, coefficient: sum_ * at + coefficient, reversed(polynomial), Scalar(0))


class Dealer:
    """Holds the secret and everybody's shares, of this epoch and of the one before.

    Args:
        nodes: How many share the key, at most 255.
        threshold: How many shares make a signature, from 2 to ``nodes``.
        epoch: The number of the first epoch, from 1.
        secret: The network's secret; drawn at random when absent.

    Raises:
        ValueError: The numbers do not go together.
    """

    def __init__(self, nodes: int, threshold: int, epoch: int = 1, secret: Scalar | None = None) -> None:
        _check_possible(nodes, threshold)
        if epoch < 1:
            raise ValueError("the first epoch's number is 1")
        self.nodes = tuple(range(nodes))
        self.threshold = threshold
        self.epoch = epoch
        self._secret = random_scalar() if secret is None else secret
        self.public_key = (G1Point() * self._secret).to_compressed_bytes().hex()
        self._current = self._deal()
        self._previous = self._current

    def reshare(self, nodes: Iterable[int] | None = None) -> None:
        """Begin the next epoch: a new polynomial through the same secret.

        Args:
            nodes: Who shares the key from now on, by number from 0; as before when absent.

        Raises:
            ValueError: Fewer than the threshold, more than 255, or a number that fits no share.
        """
        chosen = self.nodes if nodes is None else tuple(sorted(set(nodes)))
        _check_possible(len(chosen), self.threshold)
        if not 0 <= chosen[0] <= chosen[-1] < MOST_NODES:
            raise ValueError(f"nodes are numbered from 0 to {MOST_NODES - 1}")
        self.nodes = chosen
        self._previous, self._current = self._current, self._deal()
        self.epoch += 1

    def share(self, node: int, message: bytes, epoch: int) -> bytes:
        """One node's signature share, 97 bytes: identifier, then the compressed point.

        Args:
            node: Its number, from 0.
            message: What is signed.
            epoch: The previous number gets the previous shares; any other number, 0 for "current"
                included, the current ones. There is no such thing as a wrong epoch.

        Raises:
            LookupError: The node held no share in that epoch.
        """
        dealt = self._previous if epoch == self.epoch - 1 and epoch > 0 else self._current
        if node not in dealt:
            raise LookupError(f"node {node} holds no share of epoch {epoch or self.epoch}")
        return bytes([node + 1]) + (hash_to_g2(message) * dealt[node]).to_compressed_bytes()

    def neighbour(self, node: int) -> int:
        """The number after this one, or the first after the last."""
        return self.nodes[(self.nodes.index(node) + 1) % len(self.nodes)]

    def _deal(self) -> dict[int, Scalar]:
        polynomial = [self._secret, *(random_scalar() for _ in range(self.threshold - 1))]
        return {node: evaluate(polynomial, node + 1) for node in self.nodes}


def _check_possible(nodes: int, threshold: int) -> None:
    if not SMALLEST_THRESHOLD <= threshold <= nodes <= MOST_NODES:
        raise ValueError(
            f"{SMALLEST_THRESHOLD} <= threshold <= nodes <= {MOST_NODES} is needed, "
            f"not threshold {threshold} of {nodes} nodes"
        )

"""The trusted dealer that holds the network's BLS key and deals Shamir shares of it in every epoch.

Signatures are points of G2, keys are points of G1, and messages are hashed with the proof-of-possession suite
(RFC 9380 section 8.8.2). The share of node ``i`` (from 0) is ``f(i + 1)``, where ``f`` is a polynomial of
degree ``threshold - 1`` whose value at 0 is the network's secret. The nodes that hold shares may change with
every epoch; a node keeps its number.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from functools import lru_cache, reduce

from py_arkworks_bls12381 import G1Point, G2Point, Scalar

SUITE = b"BLS_SIG_BLS12381G2_XMD:SHA-256_SSWU_RO_POP_"
MIN_THRESHOLD = 2  # the clients' combine function rejects a single share
MAX_NODES = 255  # a share's identifier is one byte, and 0 is the place of the secret


@lru_cache(maxsize=256)
def hash_to_g2(message: bytes) -> G2Point:
    """Hash a message to a point of G2; the cache serves all nodes of the process."""
    return G2Point.hash_to_curve(message, SUITE)


def random_scalar() -> Scalar:
    """Draw a scalar from the system's randomness; 48 bytes keep the bias of the reduction negligible."""
    return Scalar.from_be_bytes_mod_order(secrets.token_bytes(48))


def random_public_key() -> str:
    """Return a network key whose secret nobody knows, 96 hex digits."""
    return (G1Point() * random_scalar()).to_compressed_bytes().hex()


def evaluate(polynomial: list[Scalar], x: int) -> Scalar:
    """Return the value of a polynomial at ``x``; its coefficients start with the constant one."""
    at = Scalar(x)
    return reduce(lambda total, coefficient: total * at + coefficient, reversed(polynomial), Scalar(0))


class Dealer:
    """Holds the network's secret and the key shares of the current and the previous epoch.

    Args:
        nodes: How many nodes hold a share, at most 255.
        threshold: How many shares make a signature, from 2 to ``nodes``.
        epoch: The number of the first epoch, at least 1.
        secret: The network's secret; random if absent.

    Raises:
        ValueError: A number is out of range.
    """

    def __init__(self, nodes: int, threshold: int, epoch: int = 1, secret: Scalar | None = None) -> None:
        _check_sizes(nodes, threshold)
        if epoch < 1:
            raise ValueError(f"epoch must be at least 1, got {epoch}")
        self.nodes = tuple(range(nodes))
        self.threshold = threshold
        self.epoch = epoch
        self._secret = random_scalar() if secret is None else secret
        self.public_key = (G1Point() * self._secret).to_compressed_bytes().hex()
        self._current = self._deal()
        self._previous = self._current

    def reshare(self, nodes: Iterable[int] | None = None) -> None:
        """Start the next epoch with new shares of the same secret.

        Args:
            nodes: The numbers of the nodes that hold shares from now on; unchanged if absent.

        Raises:
            ValueError: There are fewer nodes than the threshold or more than 255, or a number is out of range.
        """
        chosen = self.nodes if nodes is None else tuple(sorted(set(nodes)))
        _check_sizes(len(chosen), self.threshold)
        if not 0 <= chosen[0] <= chosen[-1] < MAX_NODES:
            raise ValueError(
                f"node numbers must be from 0 to {MAX_NODES - 1}, got {chosen[0]} to {chosen[-1]}"
            )
        self.nodes = chosen
        self._previous, self._current = self._current, self._deal()
        self.epoch += 1

    def signature_share(self, node: int, message: bytes, epoch: int) -> bytes:
        """Sign a message with the key share of one node.

        Args:
            node: Its number, from 0.
            message: The message to sign.
            epoch: The number of the previous epoch selects the previous key share. Any other number selects the
                current one, as on real nodes: no epoch number is an error.

        Returns:
            97 bytes: the share's identifier, then the compressed point.

        Raises:
            LookupError: The node held no share in that epoch.
        """
        shares = self._previous if epoch == self.epoch - 1 and epoch > 0 else self._current
        if node not in shares:
            raise LookupError(f"node {node} holds no share of epoch {epoch or self.epoch}")
        return bytes([node + 1]) + (hash_to_g2(message) * shares[node]).to_compressed_bytes()

    def next_node(self, node: int) -> int:
        """Return the number of the node after this one, or of the first after the last."""
        return self.nodes[(self.nodes.index(node) + 1) % len(self.nodes)]

    def _deal(self) -> dict[int, Scalar]:
        polynomial = [self._secret, *(random_scalar() for _ in range(self.threshold - 1))]
        return {node: evaluate(polynomial, node + 1) for node in self.nodes}


def _check_sizes(nodes: int, threshold: int) -> None:
    if not MIN_THRESHOLD <= threshold <= nodes <= MAX_NODES:
        raise ValueError(
            f"threshold must be from {MIN_THRESHOLD} to the number of nodes, which is at most {MAX_NODES}; "
            f"got threshold {threshold} for {nodes} nodes"
        )

"""The network's BLS key, cut into shares: dealt once, dealt anew with every epoch.

Signatures are points of G2, keys of G1, messages are hashed with the proof-of-possession suite
(RFC 9380 section 8.8.2). The share of node ``i`` (from 0) is ``f(i + 1)``, where ``f`` is a polynomial of
degree ``threshold - 1`` whose value at 0 is the network's secret.
"""

from __future__ import annotations

import secrets
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
        if not SMALLEST_THRESHOLD <= threshold <= nodes <= MOST_NODES:
            raise ValueError(
                f"{SMALLEST_THRESHOLD} <= threshold <= nodes <= {MOST_NODES} is needed, "
                f"not threshold {threshold} of {nodes} nodes"
            )
        if epoch < 1:
            raise ValueError("the first epoch's number is 1")
        self.nodes = nodes
        self.threshold = threshold
        self.epoch = epoch
        self._secret = random_scalar() if secret is None else secret
        self.public_key = (G1Point() * self._secret).to_compressed_bytes().hex()
        self._current = self._deal()
        self._previous = self._current

    def reshare(self) -> None:
        """Begin the next epoch: a new polynomial through the same secret."""
        self._previous, self._current = self._current, self._deal()
        self.epoch += 1

    def share(self, node: int, message: bytes, epoch: int) -> bytes:
        """One node's signature share, 97 bytes: identifier, then the compressed point.

        Args:
            node: From 0.
            message: What is signed.
            epoch: The previous number gets the previous shares; any other number, 0 for "current"
                included, the current ones. There is no such thing as a wrong epoch.
        """
        key = (self._previous if epoch == self.epoch - 1 and epoch > 0 else self._current)[node]
        return bytes([node + 1]) + (hash_to_g2(message) * key).to_compressed_bytes()

    def _deal(self) -> list[Scalar]:
        polynomial = [self._secret, *(random_scalar() for _ in range(self.threshold - 1))]
        return [evaluate(polynomial, node + 1) for node in range(self.nodes)]

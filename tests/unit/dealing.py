"""Network keys and shares of them, for tests."""

from __future__ import annotations

from dataclasses import dataclass

from py_arkworks_bls12381 import G2Point, Scalar

from lit_airflow.threshold import curve
from lit_airflow.threshold.shares import Share


@dataclass(frozen=True)
class Deal:
    """A network key cut into shares by a polynomial of fixed coefficients."""

    coefficients: tuple[int, ...]

    @property
    def key(self) -> bytes:
        """The network's public key."""
        return curve.times_generator(_scalar(self.coefficients[0])).to_compressed_bytes()

    def share(self, identifier: int, message: bytes) -> Share:
        """One node's share of a signature."""
        value = sum(c * identifier**power for power, c in enumerate(self.coefficients))
        return Share(identifier, curve.hash_to_g2(message) * _scalar(value))

    def signature(self, message: bytes) -> G2Point:
        """What the network signs with its whole secret."""
        return curve.hash_to_g2(message) * _scalar(self.coefficients[0])


def _scalar(value: int) -> Scalar:
    return curve.scalar(value.to_bytes(64, "big"))

"""BLS12-381 as Lit uses it: public keys in G1, signatures in G2.

Source: RFC 9380 section 8.8.2 (hash to G2), draft-irtf-cfrg-bls-signature (proof-of-possession suite); the
encodings are ZCash's compressed ones.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from py_arkworks_bls12381 import GT, G1Point, G2Point, Scalar

from lit_airflow.errors import BadShareError, CiphertextError

G1_BYTES = 48
G2_BYTES = 96
_FIELD_BYTES = 48

SUITE = b"BLS_SIG_BLS12381G2_XMD:SHA-256_SSWU_RO_POP_"
"""Domain separation tag of signatures. Another tag is another scheme."""

Signature = G2Point
"""A decoded signature, or a share of one."""

_NEGATIVE_GENERATOR = -G1Point()


def public_key(encoded: bytes) -> G1Point:
    """Decode a public key: a point of G1, 48 compressed bytes.

    Raises:
        CiphertextError: It is not on the curve, outside the subgroup, or the identity.
    """
    try:
        point = G1Point.from_compressed_bytes(encoded)
    except ValueError:
        raise CiphertextError("The bytes do not encode a point of G1.") from None
    if point == G1Point.identity():
        raise CiphertextError("The point of G1 is the identity.")
    return point


def signature(encoded: bytes) -> G2Point:
    """Decode a signature or a share of one: a point of G2, 96 compressed bytes.

    Raises:
        BadShareError: It is not on the curve, outside the subgroup, or the identity.
    """
    try:
        point = G2Point.from_compressed_bytes(encoded)
    except ValueError:
        raise BadShareError("The bytes do not encode a point of G2.") from None
    if point == G2Point.identity():
        raise BadShareError("The point of G2 is the identity.")
    return point


def hash_to_g2(message: bytes) -> G2Point:
    """Hash a message to the point of G2 that is signed."""
    return G2Point.hash_to_curve(message, SUITE)


def signs(key: G1Point, message: bytes, point: G2Point) -> bool:
    """Return whether ``point`` is the signature of ``message``: e(key, H(m)) = e(g, point)."""
    return GT.pairing_check([key, _NEGATIVE_GENERATOR], [hash_to_g2(message), point])


def pairing_bytes(left: G1Point, right: G2Point) -> bytes:
    """Return the pairing as 576 bytes: twelve field elements in tower order, each big-endian."""
    little = bytes.fromhex(str(GT.pairing(left, right)))
    blocks = (little[at : at + _FIELD_BYTES] for at in range(0, len(little), _FIELD_BYTES))
    return b"".join(block[::-1] for block in blocks)


def scalar(big_endian: bytes) -> Scalar:
    """Return the scalar of big-endian bytes of any length, modulo the order of the group."""
    return Scalar.from_be_bytes_mod_order(big_endian)


def times_generator(factor: Scalar) -> G1Point:
    """Return ``factor`` times the generator of G1."""
    return G1Point() * factor


def lagrange(identifiers: Sequence[int], at: int = 0) -> list[Scalar]:
    """Return the coefficients for interpolation at ``at``: product over j of (at - x_j) / (x_i - x_j).

    Args:
        identifiers: Distinct, positive, below 256.
        at: Where to interpolate; zero for the value of the group.
    """
    xs = [Scalar(x) for x in identifiers]
    point = Scalar(at)
    coefficients = []
    for i, xi in enumerate(xs):
        numerator, denominator = Scalar(1), Scalar(1)
        for j, xj in enumerate(xs):
            if i != j:
                numerator = numerator * (point - xj)
                denominator = denominator * (xi - xj)
        coefficients.append(numerator * denominator.inverse())
    return coefficients


def combine(points: Iterable[G2Point], coefficients: Sequence[Scalar]) -> G2Point:
    """Return the sum of ``coefficients[i] * points[i]``."""
    return G2Point.multiexp_unchecked(list(points), list(coefficients))

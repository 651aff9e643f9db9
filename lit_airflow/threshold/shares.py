"""Signature shares: decode, combine, verify, and find the wrong ones.

Source: docs/protocol/encryption.md.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, islice

from py_arkworks_bls12381 import G2Point

from lit_airflow.errors import BadShareError, NotEnoughSharesError
from lit_airflow.threshold import curve
from lit_airflow.threshold.error_locator import suspects

SHARE_BYTES = 1 + curve.G2_BYTES


@dataclass(frozen=True, slots=True, eq=False)
class Share:
    """A node's share of a signature.

    Attributes:
        identifier: The node's index plus one, 1 to 255.
        point: The share.
    """

    identifier: int
    point: G2Point

    @classmethod
    def decode(cls, encoded: bytes) -> Share:
        """Decode a share from 97 bytes: the identifier and a compressed point.

        Raises:
            BadShareError: It has another length or the identifier zero, or its point is not on the curve,
                outside the subgroup, or the identity.
        """
        if len(encoded) != SHARE_BYTES:
            raise BadShareError(f"The share has {len(encoded)} bytes instead of {SHARE_BYTES}.")
        if encoded[0] == 0:
            raise BadShareError("The identifier of the share is zero.")
        return cls(encoded[0], curve.signature(encoded[1:]))


@dataclass(frozen=True, slots=True, eq=False)
class Recovered:
    """A verified group signature, and the wrong shares.

    Attributes:
        signature: The group signature.
        bad: The shares that are not shares of it.
    """

    signature: G2Point
    bad: tuple[Share, ...]


def combine(shares: Sequence[Share], threshold: int) -> G2Point:
    """Interpolate signature shares at zero.

    Args:
        shares: At least ``threshold`` shares with distinct identifiers, in any order.
        threshold: The committee's threshold; never derived from the number of shares.

    Returns:
        The group signature, unverified: if a share is wrong, so is the signature.

    Raises:
        NotEnoughSharesError: There are fewer than ``threshold`` shares, or fewer than two.
        BadShareError: Two shares have the same identifier.
    """
    identifiers = [share.identifier for share in shares]
    if len(set(identifiers)) != len(identifiers):
        raise BadShareError("Two shares have the same identifier.")
    needed = max(threshold, 2)
    if len(shares) < needed:
        raise NotEnoughSharesError(
            f"{needed} shares are needed for a signature, got {len(shares)}.",
            needed=needed,
            good=len(shares),
        )
    return curve.combine((share.point for share in shares), curve.lagrange(identifiers))


def verify(network_public_key: bytes, message: bytes, signature: bytes) -> bool:
    """Return whether ``signature`` is the network's signature of ``message``.

    Args:
        network_public_key: 48 bytes, a compressed point of G1.
        message: The message.
        signature: 96 bytes, a compressed point of G2.

    Raises:
        CiphertextError: The key is not a point of G1, or the identity.
        BadShareError: The signature is not a point of G2, or the identity.
    """
    return curve.signs(curve.public_key(network_public_key), message, curve.signature(signature))


def recover(  # noqa: PLR0913 - two of them optional
    shares: Sequence[Share],
    threshold: int,
    network_public_key: bytes,
    message: bytes,
    *,
    opens: Callable[[G2Point], bool] | None = None,
    over: Callable[[], bool] = bool,
) -> Recovered | None:
    """Recover the group signature of a message from shares of which some may be wrong.

    Subsets without a set of suspects (see :func:`suspects`) are tried first; they exist if more than
    ``threshold`` shares are right. If exactly ``threshold`` shares are right, all subsets have to be tried.
    Several shares may claim the same identifier. When a subset gives the signature, every other share is
    verified by interpolation at its own identifier.

    Args:
        shares: The shares, in the order of their arrival.
        threshold: The committee's threshold.
        network_public_key: 48 bytes, a compressed point of G1.
        message: The signed message.
        opens: Returns whether a candidate proved right in its use, such as decryption; others are verified by
            pairing.
        over: Returns whether to stop. With many wrong shares of many nodes, there are too many subsets to try.

    Returns:
        The verified signature and the wrong shares; ``None`` if no subset (yet) gives the signature.

    Raises:
        CiphertextError: The key is not a point of G1.
    """
    if len(shares) < threshold:
        return None

    def right(candidate: G2Point) -> bool:
        if opens is not None and opens(candidate):
            return True
        return curve.signs(curve.public_key(network_public_key), message, candidate)

    for chosen in _subsets(shares, threshold, over):
        if over():
            break
        candidate = curve.combine(
            (share.point for share in chosen),
            curve.lagrange([share.identifier for share in chosen]),
        )
        if right(candidate):
            return Recovered(candidate, _not_on(chosen, [s for s in shares if s not in chosen]))
    return None


def _subsets(shares: Sequence[Share], threshold: int, over: Callable[[], bool]) -> Iterator[Sequence[Share]]:
    """Yield subsets of ``threshold`` shares with distinct identifiers: newest, without suspects, all."""
    claims = Counter(share.identifier for share in shares)
    unique = [share for share in shares if claims[share.identifier] == 1]
    newest_first = shares[::-1]
    any_of_them = (
        c for c in combinations(newest_first, threshold) if len({s.identifier for s in c}) == threshold
    )
    yield from islice(any_of_them, 1)
    points, identifiers = [share.point for share in unique], [share.identifier for share in unique]
    for suspected in suspects(points, identifiers, threshold, over):
        yield [share for share in unique if share.identifier not in suspected][:threshold]
    yield from any_of_them


def _not_on(good: Sequence[Share], judged: Sequence[Share]) -> tuple[Share, ...]:
    identifiers = [share.identifier for share in good]
    points = [share.point for share in good]
    return tuple(
        share
        for share in judged
        if curve.combine(points, curve.lagrange(identifiers, share.identifier)) != share.point
    )

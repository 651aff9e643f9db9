"""Signature shares: decode, combine, verify, and find the ones that are bad.

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
    """One node's share of a signature.

    Attributes:
        identifier: The node's index plus one, 1 to 255.
        point: The share itself.
    """

    identifier: int
    point: G2Point

    @classmethod
    def decode(cls, encoded: bytes) -> Share:
        """From 97 bytes: the identifier and a compressed point.

        Raises:
            BadShareError: Another length, identifier zero, off the curve, outside the subgroup, the identity.
        """
        if len(encoded) != SHARE_BYTES:
            raise BadShareError(f"A share has {SHARE_BYTES} bytes, not {len(encoded)}.")
        if encoded[0] == 0:
            raise BadShareError("A share's identifier is never zero.")
        return cls(encoded[0], curve.signature(encoded[1:]))


@dataclass(frozen=True, slots=True, eq=False)
class Recovered:
    """A group signature that is proved right, and who was wrong.

    Attributes:
        signature: The group signature.
        bad: The shares that do not belong to it.
    """

    signature: G2Point
    bad: tuple[Share, ...]


def combine(shares: Sequence[Share], threshold: int) -> G2Point:
    """Interpolate signature shares at zero.

    Args:
        shares: One per node, at least ``threshold``, distinct identifiers; any order.
        threshold: From the committee; never guessed from the number of shares.

    Returns:
        The group signature. Unverified: fewer good shares than the threshold give a wrong one.

    Raises:
        NotEnoughSharesError: Fewer than ``threshold`` or fewer than two.
        BadShareError: A repeated identifier.
    """
    identifiers = [share.identifier for share in shares]
    if len(set(identifiers)) != len(identifiers):
        raise BadShareError("Two shares carry the same identifier.")
    needed = max(threshold, 2)
    if len(shares) < needed:
        raise NotEnoughSharesError(
            f"{len(shares)} shares do not make a signature; {needed} are needed.",
            needed=needed,
            good=len(shares),
        )
    return curve.combine((share.point for share in shares), curve.lagrange(identifiers))


def verify(network_public_key: bytes, message: bytes, signature: bytes) -> bool:
    """Whether the 96-byte ``signature`` of ``message`` is the network's.

    Raises:
        CiphertextError: The key is no point of G1, or the identity.
        BadShareError: The signature is no point of G2, or the identity.
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
    """The group signature of ``message``, from shares some of which may be wrong.

    A set of shares without which all others agree is tried before others; which those are, :func:`suspects` tells
    as long as more than ``threshold`` are right. Where just so many are, it takes trying one subset after another.
    Several shares may bear one identifier, all but one of them falsely. Once one subset is right, every other share
    is judged by interpolating at its own identifier.

    Args:
        shares: In the order they arrived.
        threshold: From the committee.
        network_public_key: 48 bytes, compressed G1.
        message: What was signed.
        opens: Proves a candidate right by something that is to be done with it anyway; one that it does not
            prove is verified.
        over: Whether to stop; with many liars among many nodes, there are more subsets than anybody can try.

    Returns:
        The signature, proved right, and the bad shares; ``None`` if no subset makes it (yet).

    Raises:
        CiphertextError: The key is no point of G1.
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
    """``threshold`` shares of distinct identifiers each: the newest, then the likely ones, then all."""
    bearers = Counter(share.identifier for share in shares)
    unique = [share for share in shares if bearers[share.identifier] == 1]
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

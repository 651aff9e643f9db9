"""Which shares are wrong, told from the shares alone: no pairing, no signature.

More shares than the threshold lie on one polynomial, if all are right: they are a Reed-Solomon code word, in the
exponent. Its syndromes, as many as there are shares to spare, then vanish. Leaving one share out makes of every two
neighbouring syndromes one; whoever has left out all wrong shares sees what remains vanish. That costs an addition
of points per set that is tried, where combining and verifying costs hundreds.

Source: F. J. MacWilliams, N. J. A. Sloane, The Theory of Error-Correcting Codes, chapters 10 and 12.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise

from py_arkworks_bls12381 import G2Point, Scalar

from lit_airflow.threshold import curve

_NOTHING = G2Point.identity()


def suspects(
    points: Sequence[G2Point], identifiers: Sequence[int], threshold: int, over: Callable[[], bool]
) -> Iterator[tuple[int, ...]]:
    """The smallest sets of identifiers without which all other shares lie on one polynomial; smaller ones first.

    More than ``threshold`` are left by each set: just so many always lie on one.

    Args:
        points: The shares.
        identifiers: Theirs, in the same order; distinct, 1 to 255.
        threshold: How many shares determine the polynomial.
        over: Whether to stop.
    """
    levels = [_syndromes(points, identifiers, len(points) - threshold)] if len(points) > threshold else []
    while levels and len(levels[-1]) > 1:
        # Smaller sets need fewer. Mixed by chance, so that no liar can have a wrong set seem right.
        levels.append(_without(levels[-1], curve.scalar(secrets.token_bytes(48))))
    named: list[set[int]] = []
    for syndromes in reversed(levels):
        for found in _explaining(syndromes, sorted(identifiers), over):
            if not any(smaller.issubset(found) for smaller in named):
                named.append(set(found))
                yield found


def _syndromes(points: Sequence[G2Point], identifiers: Sequence[int], count: int) -> list[G2Point]:
    """The sums over i of x_i^r P_i / product over j of (x_i - x_j), for r below ``count``."""
    xs = [Scalar(x) for x in identifiers]
    factors = []
    for i, xi in enumerate(xs):
        product = Scalar(1)
        for xj in (*xs[:i], *xs[i + 1 :]):
            product = product * (xi - xj)
        factors.append(product.inverse())
    syndromes = []
    for _ in range(count):
        syndromes.append(curve.combine(points, factors))
        factors = [factor * x for factor, x in zip(factors, xs, strict=True)]
    return syndromes


def _without(syndromes: Sequence[G2Point], x: Scalar) -> list[G2Point]:
    """The syndromes, one fewer, of the shares but the one at ``x``."""
    return [later - earlier * x for earlier, later in pairwise(syndromes)]


def _explaining(
    syndromes: Sequence[G2Point], identifiers: Sequence[int], over: Callable[[], bool]
) -> Iterator[tuple[int, ...]]:
    """The sets of ascending identifiers, one fewer than the syndromes, without which these vanish."""
    if syndromes[0] == _NOTHING:
        # With syndromes left, a smaller set explains everything; it has been named already.
        if len(syndromes) == 1:
            yield ()
    elif len(syndromes) == 2:  # noqa: PLR2004 - the last of a set
        yield from ((x,) for x in _quotients(syndromes[0], syndromes[1], identifiers))
    elif len(syndromes) > 1:
        for at, x in enumerate(identifiers):
            if over():
                return
            for others in _explaining(_without(syndromes, Scalar(x)), identifiers[at + 1 :], over):
                yield (x, *others)


def _quotients(base: G2Point, sought: G2Point, identifiers: Sequence[int]) -> Iterator[int]:
    """The ascending identifiers that times ``base`` are ``sought``. Adding is cheaper than multiplying."""
    multiple, at = base, 1
    for x in identifiers:
        while at < x:
            multiple, at = multiple + base, at + 1
        if multiple == sought:
            yield x

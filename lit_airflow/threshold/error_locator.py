"""Locate wrong shares from the shares alone, without pairings or signatures.

If all shares are right, they lie on one polynomial: they are a Reed-Solomon code word in the exponent, with as
many syndromes as there are shares beyond the threshold, and all of them vanish. Leaving out a share combines
every two neighbouring syndromes into one; when all wrong shares are left out, the remaining syndromes vanish.
Trying a set this way costs one addition of points, while combining and verifying costs hundreds.

Source: F. J. MacWilliams, N. J. A. Sloane, The Theory of Error-Correcting Codes, chapters 10 and 12.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise

from py_arkworks_bls12381 import G2Point, Scalar

from lit_airflow.threshold import curve

_ZERO = G2Point.identity()


def suspects(
    points: Sequence[G2Point], identifiers: Sequence[int], threshold: int, over: Callable[[], bool]
) -> Iterator[tuple[int, ...]]:
    """Yield the minimal sets of identifiers without which all other shares lie on one polynomial.

    Smaller sets come first. Each set leaves more than ``threshold`` shares, because ``threshold`` shares always
    lie on a polynomial.

    Args:
        points: The shares.
        identifiers: The shares' identifiers, in the same order; distinct, 1 to 255.
        threshold: The number of shares that determine the polynomial.
        over: Returns whether to stop.
    """
    levels = [_syndromes(points, identifiers, len(points) - threshold)] if len(points) > threshold else []
    while levels and len(levels[-1]) > 1:
        # Smaller sets need fewer syndromes. They are combined at random, so that no node can make a wrong set fit.
        levels.append(_without(levels[-1], curve.scalar(secrets.token_bytes(48))))
    named: list[set[int]] = []
    for syndromes in reversed(levels):
        for found in _explaining(syndromes, sorted(identifiers), over):
            if not any(smaller.issubset(found) for smaller in named):
                named.append(set(found))
                yield found


def _syndromes(points: Sequence[G2Point], identifiers: Sequence[int], count: int) -> list[G2Point]:
    """Return the sums over i of x_i^r P_i / product over j of (x_i - x_j), for r below ``count``."""
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
    """Return the syndromes without the share at ``x``, one fewer."""
    return [later - earlier * x for earlier, later in pairwise(syndromes)]


def _explaining(
    syndromes: Sequence[G2Point], identifiers: Sequence[int], over: Callable[[], bool]
) -> Iterator[tuple[int, ...]]:
    """Yield the sets of ascending identifiers, one fewer than the syndromes, without which these vanish."""
    if syndromes[0] == _ZERO:
        # If more than one syndrome is left, a smaller set suffices, which was yielded before.
        if len(syndromes) == 1:
            yield ()
    elif len(syndromes) == 2:  # noqa: PLR2004 - the last identifier of a set
        yield from ((x,) for x in _quotients(syndromes[0], syndromes[1], identifiers))
    elif len(syndromes) > 1:
        for at, x in enumerate(identifiers):
            if over():
                return
            for others in _explaining(_without(syndromes, Scalar(x)), identifiers[at + 1 :], over):
                yield (x, *others)


def _quotients(base: G2Point, sought: G2Point, identifiers: Sequence[int]) -> Iterator[int]:
    """Yield the ascending identifiers whose product with ``base`` is ``sought``. Addition is cheap."""
    multiple, at = base, 1
    for x in identifiers:
        while at < x:
            multiple, at = multiple + base, at + 1
        if multiple == sought:
            yield x

from __future__ import annotations

import random
from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from py_arkworks_bls12381 import G2Point, Scalar

from lit_airflow.threshold import curve, shares
from lit_airflow.threshold.error_locator import suspects
from lit_airflow.threshold.shares import Share
from tests.unit.dealing import Deal

MESSAGE = b"identity"


def never() -> bool:
    return False


def told(dealt: list[Share], threshold: int) -> list[tuple[int, ...]]:
    return [*suspects([s.point for s in dealt], [s.identifier for s in dealt], threshold, never)]


@settings(max_examples=25)
@given(threshold=st.integers(2, 5), spare=st.integers(1, 6), seed=st.integers(0, 2**32), data=st.data())
def test_who_lies_is_told_as_long_as_one_more_than_the_threshold_does_not(
    threshold: int, spare: int, seed: int, data: st.DataObject
) -> None:
    rng = random.Random(seed)
    network = Deal(tuple(rng.randrange(1, 2**250) for _ in range(threshold)))
    identifiers = rng.sample(range(1, 256), threshold + spare)
    liars = data.draw(st.sets(st.sampled_from(identifiers), max_size=spare - 1))
    dealt = [network.share(i, b"by %d" % i if i in liars else MESSAGE) for i in identifiers]
    assert told(dealt, threshold) == [tuple(sorted(liars))]


@pytest.mark.parametrize(("nodes", "lying"), [(3, 0), (4, 1), (5, 2), (6, 3)])
def test_each_set_of_liars_is_told_when_only_one_more_than_the_threshold_does_not_lie(
    nodes: int, lying: int
) -> None:
    network, identifiers = Deal((5, 6)), range(1, nodes + 1)
    for liars in combinations(identifiers, lying):
        dealt = [network.share(i, b"by %d" % i if i in liars else MESSAGE) for i in identifiers]
        assert told(dealt, 2) == [liars]


@pytest.mark.parametrize("count", [0, 1, 3])
def test_without_shares_to_spare_nobody_is_suspected(count: int) -> None:
    network = Deal((5, 6, 7))
    assert told([network.share(i + 1, MESSAGE) for i in range(count)], 3) == []
    assert told([network.share(i + 1, b"%d" % i) for i in range(count)], 3) == []


def test_liars_cannot_agree_on_whom_to_have_suspected() -> None:
    """Their errors cancel out where an honest share alone would have made them: in the first two syndromes."""
    network, (first, second, honest) = Deal((5, 6)), (2, 3, 5)
    dealt = {i: network.share(i, MESSAGE) for i in range(1, 7)}
    signed = curve.hash_to_g2(MESSAGE)
    for liar, sign in ((first, Scalar(1)), (second, -Scalar(1))):
        weight = Scalar(liar) - Scalar(honest)
        for other in set(dealt) - {liar}:
            weight = weight * (Scalar(liar) - Scalar(other)).inverse()
        error = weight.inverse() * sign
        dealt[liar] = Share(liar, dealt[liar].point + signed * error)
    assert told([*dealt.values()], 2)[0] == (first, second)


def test_liars_who_agree_on_another_polynomial_are_found_out_by_the_signature() -> None:
    """With good shares they make up a majority for a signature that is none."""
    network, threshold = Deal((5, 6, 7)), 3
    rng = random.Random(1)
    good = {i: network.share(i, MESSAGE) for i in (1, 2, 3, 4)}
    # A polynomial that goes through two of the good shares, and bears the three liars'.
    through = [good[1].point, good[2].point, curve.hash_to_g2(b"another")]
    lies = [Share(i, curve.combine(through, curve.lagrange([1, 2, 9], i))) for i in (5, 6, 7)]
    for _ in range(10):
        dealt = [*good.values(), *lies]
        rng.shuffle(dealt)
        assert told(dealt, threshold)[0] == (3, 4)
        recovered = shares.recover(dealt, threshold, network.key, MESSAGE)
        assert recovered is not None
        assert recovered.signature == network.signature(MESSAGE)
        assert {share.identifier for share in recovered.bad} == {5, 6, 7}


def test_four_liars_among_thirty_take_few_signatures(monkeypatch: pytest.MonkeyPatch) -> None:
    """There are 30 million subsets of twenty; who is suspected is told without making any of their signatures."""
    rng = random.Random(2)
    network = Deal(tuple(rng.randrange(1, 2**250) for _ in range(20)))
    liars = {3, 11, 29, 30}
    dealt = [network.share(i, b"another" if i in liars else MESSAGE) for i in range(1, 31)]
    made: list[G2Point] = []
    signs = curve.signs

    def noted(key: curve.G1Point, message: bytes, candidate: G2Point) -> bool:
        made.append(candidate)
        return signs(key, message, candidate)

    monkeypatch.setattr(curve, "signs", noted)
    recovered = shares.recover(dealt, 20, network.key, MESSAGE)
    assert recovered is not None
    assert {share.identifier for share in recovered.bad} == liars
    assert len(made) == 2  # the newest twenty, and the right ones


def test_the_newest_shares_are_tried_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever came before them has been tried when it came."""
    network = Deal((5, 6))
    dealt = [network.share(1, b"another"), network.share(2, MESSAGE), network.share(3, MESSAGE)]
    made: list[G2Point] = []
    signs = curve.signs
    monkeypatch.setattr(curve, "signs", lambda *given: made.append(given[2]) or signs(*given))
    recovered = shares.recover(dealt, 2, network.key, MESSAGE)
    assert recovered is not None
    assert recovered.bad == (dealt[0],)
    assert made == [network.signature(MESSAGE)]


def test_a_search_stops_when_it_is_told_to() -> None:
    network = Deal((5, 6))
    dealt = [network.share(i, b"%d" % i) for i in range(1, 40)]
    asked = iter(range(1000))
    points, identifiers = [share.point for share in dealt], [share.identifier for share in dealt]
    assert [*suspects(points, identifiers, 2, lambda: next(asked) >= 50)] == []
    assert shares.recover(dealt, 2, network.key, MESSAGE, over=lambda: True) is None

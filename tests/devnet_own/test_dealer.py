"""Shares: any threshold of them combines to the network's signature, also across a resharing."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import combinations

import pytest
from py_arkworks_bls12381 import G1Point, Scalar

from lit_airflow.devnet.dealer import Dealer
from tests.devnet_own.wire_client import combine, verifies

MESSAGE = b"lit-accesscontrolcondition://a/b"


def shares(dealer: Dealer, epoch: int, nodes: Iterable[int]) -> list[bytes]:
    return [dealer.signature_share(node, MESSAGE, epoch) for node in nodes]


@pytest.mark.parametrize(("nodes", "threshold"), [(2, 2), (3, 2), (5, 3), (7, 7)])
def test_any_threshold_of_shares_combines(nodes: int, threshold: int) -> None:
    dealer = Dealer(nodes, threshold)
    made = {
        combine(shares(dealer, 1, chosen)).to_compressed_bytes()
        for chosen in combinations(range(nodes), threshold)
    }
    assert len(made) == 1
    assert verifies(dealer.public_key, MESSAGE, combine(shares(dealer, 1, range(nodes))))
    fewer = combine(shares(dealer, 1, range(threshold - 1)))
    assert fewer.to_compressed_bytes() not in made


def test_identifier_is_the_index_and_one() -> None:
    assert [share[0] for share in shares(Dealer(3, 2), 0, range(3))] == [1, 2, 3]


def test_epochs() -> None:
    dealer = Dealer(3, 2)
    first = shares(dealer, 1, range(3))
    dealer.reshare()
    second = shares(dealer, 2, range(3))
    assert dealer.epoch == 2
    assert all(one != other for one, other in zip(first, second, strict=True))
    assert combine(first) == combine(second)
    assert combine([first[0], second[1]]) != combine(second)
    assert shares(dealer, 1, range(3)) == first
    assert shares(dealer, 0, range(3)) == shares(dealer, 9, range(3)) == second
    dealer.reshare()
    third = shares(dealer, 3, range(3))
    assert shares(dealer, 2, range(3)) == second
    assert shares(dealer, 1, range(3)) == third


def test_given_secret() -> None:
    assert Dealer(2, 2, secret=Scalar(5)).public_key == (G1Point() * Scalar(5)).to_compressed_bytes().hex()


@pytest.mark.parametrize(
    ("nodes", "threshold", "epoch"), [(3, 1, 1), (2, 3, 1), (0, 0, 1), (256, 2, 1), (3, 2, 0)]
)
def test_impossible_networks(nodes: int, threshold: int, epoch: int) -> None:
    with pytest.raises(ValueError, match="must be"):
        Dealer(nodes, threshold, epoch)

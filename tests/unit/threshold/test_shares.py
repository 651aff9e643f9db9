from __future__ import annotations

import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lit_airflow.errors import BadShareError, CiphertextError, NotEnoughSharesError
from lit_airflow.threshold import curve, shares
from lit_airflow.threshold.shares import Share
from tests.unit.dealing import Deal

MESSAGE = b"identity"
shared = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


@settings(shared, max_examples=15)
@given(threshold=st.integers(2, 5), spare=st.integers(0, 4), seed=st.integers(0, 2**32))
def test_any_threshold_of_shares_makes_the_same_signature(threshold: int, spare: int, seed: int) -> None:
    rng = random.Random(seed)
    network = Deal(tuple(rng.randrange(1, 2**250) for _ in range(threshold)))
    identifiers = rng.sample(range(1, 256), threshold + spare)
    all_shares = [network.share(identifier, MESSAGE) for identifier in identifiers]
    wanted = network.signature(MESSAGE)
    for count in (threshold, len(all_shares)):
        assert shares.combine(rng.sample(all_shares, count), threshold) == wanted
    assert shares.verify(network.key, MESSAGE, wanted.to_compressed_bytes())


@settings(shared, max_examples=15)
@given(threshold=st.integers(2, 4), spare=st.integers(0, 3), seed=st.integers(0, 2**32), data=st.data())
def test_bad_shares_are_found_and_named(threshold: int, spare: int, seed: int, data: st.DataObject) -> None:
    """Up to n - t liars do not stop the others. Shares arrive one by one, as from the network."""
    rng = random.Random(seed)
    network = Deal(tuple(rng.randrange(1, 2**250) for _ in range(threshold)))
    count = threshold + spare
    liars = data.draw(st.sets(st.integers(1, count), max_size=spare))
    arriving = [
        network.share(identifier, b"another" if identifier in liars else MESSAGE)
        for identifier in rng.sample(range(1, count + 1), count)
    ]
    for seen in range(1, count + 1):
        recovered = shares.recover(arriving[:seen], threshold, network.key, MESSAGE)
        arrived = {share.identifier for share in arriving[:seen]}
        assert (recovered is not None) == (len(arrived - liars) >= threshold)
        if recovered is not None:
            assert recovered.signature == network.signature(MESSAGE)
            assert {share.identifier for share in recovered.bad} == arrived & liars
            return
    pytest.fail("there were enough good shares")


def test_too_few_and_repeated() -> None:
    network = Deal((5, 7, 9))
    two = [network.share(1, MESSAGE), network.share(2, MESSAGE)]
    with pytest.raises(NotEnoughSharesError) as caught:
        shares.combine(two, 3)
    assert (caught.value.needed, caught.value.good) == (3, 2)
    with pytest.raises(NotEnoughSharesError):
        shares.combine(two[:1], 1)
    with pytest.raises(BadShareError, match="same identifier"):
        shares.combine([*two, two[0]], 2)
    assert shares.recover([], 2, network.key, MESSAGE) is None


IDENTITY_G2 = bytes([0xC0]) + bytes(95)
IDENTITY_G1 = bytes([0xC0]) + bytes(47)
OFF_SUBGROUP_G2 = bytes([0x80]) + bytes(94) + bytes([2])


@pytest.mark.parametrize(
    "encoded",
    [
        b"",
        bytes(97),
        b"\1" + bytes(95),
        b"\1" + bytes(96),
        b"\1" + b"\xff" * 96,
        b"\1" + IDENTITY_G2,
        b"\1" + IDENTITY_G2 + b"\0",
        b"\1" + OFF_SUBGROUP_G2,
    ],
)
def test_bytes_that_are_no_share(encoded: bytes) -> None:
    with pytest.raises(BadShareError):
        Share.decode(encoded)


def test_identifier_zero_is_the_secrets_own() -> None:
    encoded = Deal((5, 7)).share(1, MESSAGE).point.to_compressed_bytes()
    assert Share.decode(b"\xff" + encoded).identifier == 255
    with pytest.raises(BadShareError, match="identifier of the share is zero"):
        Share.decode(b"\0" + encoded)


@pytest.mark.parametrize("key", [b"", bytes(48), b"\xff" * 48, IDENTITY_G1, bytes(47)])
def test_keys_that_are_none(key: bytes) -> None:
    with pytest.raises(CiphertextError):
        curve.public_key(key)


def test_a_signature_of_something_else() -> None:
    network = Deal((5, 7))
    signature = network.signature(MESSAGE).to_compressed_bytes()
    assert not shares.verify(network.key, b"another", signature)
    assert not shares.verify(Deal((6, 7)).key, MESSAGE, signature)
    with pytest.raises(BadShareError):
        shares.verify(network.key, MESSAGE, IDENTITY_G2)

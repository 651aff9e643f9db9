from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lit_airflow.errors import Failure, FailureKind, ProtocolError
from lit_airflow.networks.committee import Handshake
from lit_airflow.networks.datil.consensus import (
    Epoch,
    consensus,
    most_common,
    node_url,
    unavailable,
    votes,
)

A, B = "aa" * 48, "bb" * 48


@given(st.lists(st.sampled_from("abc"), min_size=1))
def test_most_common(values: list[str]) -> None:
    winner, counts = most_common(values), Counter(values)
    rivals = [value for value in counts if counts[value] == counts[winner]]
    assert counts[winner] == max(counts.values())
    last = {value: len(values) - 1 - values[::-1].index(value) for value in rivals}
    assert winner == max(rivals, key=last.__getitem__)


def shakes(*keys: str) -> list[Handshake]:
    return [Handshake(key, f"0x{index:064x}") for index, key in enumerate(keys)]


def test_agreement() -> None:
    assert consensus(shakes(A, B, A), 2).public_key == A
    assert consensus(shakes(A, B, A), 2, only=A).public_key == A


def test_the_only_acceptable_key_needs_no_majority() -> None:
    assert consensus(shakes(A, B, A, A, B), 2, only=B).public_key == B
    assert votes(shakes(A, B, A, A, B), only=B) == 2
    assert votes(shakes(A, B, A, A, B)) == 3
    assert votes([]) == votes([], only=A) == 0


@pytest.mark.parametrize(
    ("keys", "threshold", "pinned", "told"),
    [
        ((A, B), 2, "", "at most 1 name the same one, 2 are"),
        ((A, B, A), 3, "", "at most 2 name the same one, 3 are"),
        ((A, A), 2, B, "another network key than the one that is pinned"),
        ((A, A, B), 2, B, "another network key than the one that is pinned"),
        ((A, B), 2, B, "at most 1 name the same one, 2 are"),
        ((A, B, A, B), 2, "", "more than one network key"),
    ],
)
def test_disagreement(keys: tuple[str, ...], threshold: int, pinned: str, told: str) -> None:
    with pytest.raises(ProtocolError, match=told) as caught:
        consensus(shakes(*keys), threshold, pinned)
    assert caught.value.hint


@given(st.integers(0, 2**32 - 1), st.integers(0, 65535), st.sampled_from(["http", "https"]))
def test_node_urls(ip: int, port: int, scheme: str) -> None:
    url = node_url(ip, port, default_scheme=scheme)
    dotted = ".".join(str(byte) for byte in ip.to_bytes(4, "big"))
    assert url == f"{'https' if port == 443 else scheme}://{dotted}:{port}"


@pytest.mark.parametrize(
    ("number", "after_s", "current"),
    [
        (7, 0, 6),
        (7, 44.999, 6),
        (7, 45, 7),
        (7, 599, 7),
        (3, 0, 2),
        (2, 0, 2),
        (1, 0, 1),
        (0, 0, 0),
        (7, -5, 6),
    ],
)
def test_the_epoch_to_name(number: int, after_s: float, current: int) -> None:
    assert Epoch(600, number, 10_600).current(10_000 + after_s) == current


REFUSED = Failure(FailureKind.UNREACHABLE, "connection refused")
BROKEN = Failure(FailureKind.BUSY, "HTTP 500")
LATE = Failure(FailureKind.TIMEOUT, "no answer in time")


def test_who_is_missing_is_named() -> None:
    error = unavailable("Decrypting", 2, 1, {"http://a:1": REFUSED, "http://b:2": BROKEN})
    assert (error.needed, error.reached) == (2, 1)
    assert error.failures == {"http://a:1": REFUSED, "http://b:2": BROKEN}
    assert "http://a:1: connection refused; http://b:2: HTTP 500" in str(error)
    assert error.retryable


def test_what_decides_how_long_is_waited_is_named_where_waiting_was_the_trouble() -> None:
    assert "timeout_s" in unavailable("Decrypting", 2, 1, {"a": REFUSED, "b": LATE}).hint
    late_in_words_only = Failure(FailureKind.MALFORMED, "it did not answer in time")
    assert "timeout_s" not in unavailable("Decrypting", 2, 1, {"a": REFUSED, "b": late_in_words_only}).hint

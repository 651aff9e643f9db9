from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lit_airflow.errors import NodeError, ProtocolError
from lit_airflow.networks.datil.consensus import (
    Epoch,
    Handshake,
    check_public,
    consensus,
    most_common,
    node_url,
    unavailable,
    votes,
)
from lit_airflow.transport.clock_skew import skew_s, wrong_clock
from lit_airflow.transport.fan_out import if_waited

A, B = "aa" * 48, "bb" * 48
NOON = datetime(2026, 1, 15, 12, tzinfo=UTC)


@given(st.lists(st.sampled_from("abc"), min_size=1))
def test_most_common(values: list[str]) -> None:
    winner, counts = most_common(values), Counter(values)
    rivals = [value for value in counts if counts[value] == counts[winner]]
    assert counts[winner] == max(counts.values())
    last = {value: len(values) - 1 - values[::-1].index(value) for value in rivals}
    assert winner == max(rivals, key=last.__getitem__)


def test_who_decides_how_long_is_waited_is_said_where_waiting_was_the_trouble() -> None:
    said = "How long is waited is timeout_s, of the connection or the client."
    assert if_waited("refused", "did not answer in time") == said
    assert if_waited("answered in time, but wrongly") == if_waited() == ""


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
        ((A, B), 2, "", "at most 1 name the same, 2 must"),
        ((A, B, A), 3, "", "at most 2 name the same, 3 must"),
        ((A, A), 2, B, "another network key than the one that is pinned"),
        ((A, A, B), 2, B, "another network key than the one that is pinned"),
        ((A, B), 2, B, "at most 1 name the same, 2 must"),
        ((A, B, A, B), 2, "", "more than one network key"),
    ],
)
def test_disagreement(keys: tuple[str, ...], threshold: int, pinned: str, told: str) -> None:
    with pytest.raises(ProtocolError, match=told) as caught:
        consensus(shakes(*keys), threshold, pinned)
    assert caught.value.hint


@pytest.mark.parametrize(
    ("ahead_s", "told"),
    [
        (None, ""),
        (4.9, ""),
        (-4.9, ""),
        (5.0, "This machine's clock is 5 s ahead of the nodes'."),
        (-90.2, "This machine's clock is 90 s behind the nodes'."),
    ],
)
def test_a_clock_that_should_be_mended(ahead_s: float | None, told: str) -> None:
    assert wrong_clock(ahead_s) == told


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


PRIVATE = "127.0.0.1 10.1.2.3 172.16.0.1 192.168.1.1 169.254.169.254 100.64.0.1 0.0.0.0 224.0.0.1 192.0.2.1"


@pytest.mark.parametrize("ip", [*PRIVATE.split(), "240.0.0.1", "255.255.255.255"])
def test_addresses_that_no_public_node_has(ip: str) -> None:
    with pytest.raises(NodeError, match="not a public address"):
        check_public(node_url(int(IPv4Address(ip)), 443, default_scheme="https"))


@pytest.mark.parametrize("ip", ["8.8.8.8", "1.1.1.1", "172.15.255.255", "223.255.255.254"])
def test_public_addresses(ip: str) -> None:
    check_public(node_url(int(IPv4Address(ip)), 7470, default_scheme="https"))


def test_who_is_missing_is_named() -> None:
    error = unavailable("Decrypting", 2, 1, {"http://a:1": "connection refused", "http://b:2": "HTTP 500"})
    assert (error.needed, error.reached) == (2, 1)
    assert "http://a:1: connection refused; http://b:2: HTTP 500" in str(error)
    assert error.retryable


@pytest.mark.parametrize(
    ("now", "date", "took_s", "wanted"),
    [
        (NOON, NOON, 0.0, -0.5),
        (NOON + timedelta(seconds=61), NOON, 1.0, 60.0),
        (NOON - timedelta(seconds=59), NOON, 1.0, -60.0),
        (NOON, NOON, 2.0, -1.5),
        (NOON, NOON, 2.1, None),
        (NOON, None, 0.0, None),
    ],
)
def test_how_far_a_clock_is_off(
    now: datetime, date: datetime | None, took_s: float, wanted: float | None
) -> None:
    assert skew_s(now, date, took_s) == wanted

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lit_airflow.clock import Deadline, iso, now, parse_iso


def test_milliseconds_are_cut() -> None:
    assert iso(datetime(2025, 1, 15, 12, 34, 56, 789999, UTC)) == "2025-01-15T12:34:56.789Z"
    assert iso(datetime(2025, 1, 15, tzinfo=UTC)) == "2025-01-15T00:00:00.000Z"
    assert iso(datetime(2025, 1, 15, 1, tzinfo=timezone(timedelta(hours=2)))) == "2025-01-14T23:00:00.000Z"


@given(
    st.integers(0, 10**11 * 2).map(
        lambda ms: datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=ms * 997)
    )
)
def test_what_is_written_reads_back(moment: datetime) -> None:
    assert timedelta(0) <= moment - parse_iso(iso(moment)) < timedelta(milliseconds=1)


@pytest.mark.parametrize(
    "text",
    [
        "tomorrow",
        "",
        "2025-01-15T12:34:56",
        "2025-02-30T00:00:00Z",
        "9999-12-31T23:59:59-14:00",
        "0001-01-01T00:00:00+14:00",
        "\x1b[2J" * 5000,
    ],
)
def test_what_is_no_time(text: str) -> None:
    with pytest.raises(ValueError, match=r"time|years") as caught:
        parse_iso(text)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 1200


def test_now_is_aware() -> None:
    assert now().utcoffset() == timedelta(0)


def test_a_deadline_never_goes_below_zero() -> None:
    assert Deadline.after(-5).left_s() == 0
    assert 0 < Deadline.after(5).left_s() <= 5

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from lit_airflow.transport.clock_skew import clock_sentence, clock_warning, skew_s

NOON = datetime(2026, 1, 15, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("ahead_s", "told"),
    [
        (None, ""),
        (4.9, ""),
        (-4.9, ""),
        (5.0, "This machine's clock is 5 s ahead of the servers'."),
        (-90.2, "This machine's clock is 90 s behind the servers'."),
    ],
)
def test_a_clock_that_is_off_is_warned_of(ahead_s: float | None, told: str) -> None:
    assert clock_warning(ahead_s) == told


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


@pytest.mark.parametrize(
    ("ahead_s", "told"),
    [
        (None, "No server told the time."),
        (0.2, "This machine's clock agrees with theirs to 1 s."),
        (-3.4, "This machine's clock agrees with theirs to 3 s."),
        (90, "This machine's clock is 90 s ahead of the servers'."),
    ],
)
def test_what_people_are_told(ahead_s: float | None, told: str) -> None:
    assert clock_sentence(ahead_s) == told

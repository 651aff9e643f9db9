"""What a session's lifetime may be, to the second."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from lit_airflow.clock import iso
from lit_airflow.errors import SettingsError
from lit_airflow.protocol.lifetime import checked_ttl, ending

NOW = datetime(2025, 1, 15, 12, tzinfo=UTC)
LONGEST = timedelta(days=30)
MOMENT = timedelta(milliseconds=1)


@pytest.mark.parametrize("ttl_s", [1, LONGEST.total_seconds()])
def test_the_shortest_and_the_longest(ttl_s: float) -> None:
    assert checked_ttl(ttl_s) == ttl_s
    assert ending(NOW, ttl_s=ttl_s) == iso(NOW + timedelta(seconds=ttl_s))


@pytest.mark.parametrize("ttl_s", [0.999, LONGEST.total_seconds() + 1])
def test_shorter_and_longer(ttl_s: float) -> None:
    with pytest.raises(SettingsError, match="between 1 second and 30 days") as caught:
        ending(NOW, ttl_s=ttl_s)
    assert caught.value.field == "ttl_s"


@pytest.mark.parametrize("left", [MOMENT, LONGEST])
def test_an_end_that_is_named_is_kept_as_it_was_written(left: timedelta) -> None:
    end = iso(NOW + left).replace("Z", "+00:00")
    assert ending(NOW, ttl_s=0, expiration=end) == end


@pytest.mark.parametrize("end", ["tomorrow", "2025-01-16T00:00:00", "9999-12-31T23:59:59-14:00", "\x1b[2J"])
def test_an_end_that_is_not_a_time(end: str) -> None:
    with pytest.raises(SettingsError, match="not a time") as caught:
        ending(NOW, ttl_s=1, expiration=end)
    assert caught.value.field == "expiration"
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("left", [timedelta(), -MOMENT, LONGEST + MOMENT])
def test_an_end_out_of_reach(left: timedelta) -> None:
    with pytest.raises(SettingsError, match="at most 30 days away") as caught:
        ending(NOW, ttl_s=1, expiration=iso(NOW + left))
    assert caught.value.field == "expiration"

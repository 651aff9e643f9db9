from __future__ import annotations

from collections.abc import Iterator

import pytest

from lit_airflow.networks.chipotle.api_errors import ApiFailure, ApiFailureKind
from lit_airflow.networks.chipotle.readiness import LONGEST_WAIT_S, wait_until_ready

NOT_YET = ApiFailure(ApiFailureKind.NOT_YET, "HTTP 403", retryable=True)
REFUSED = ApiFailure(ApiFailureKind.CREDIT, "HTTP 402", retryable=False)


def test_a_key_that_is_known_is_not_waited_for() -> None:
    waited: list[float] = []
    assert wait_until_ready(lambda: None, waited.append) is None
    assert waited == []


@pytest.mark.parametrize("end", [None, REFUSED])
def test_it_is_waited_for_until_the_answer_is_another(end: ApiFailure | None) -> None:
    answers: Iterator[ApiFailure | None] = iter([NOT_YET, NOT_YET, NOT_YET, NOT_YET, NOT_YET, end])
    waited: list[float] = []
    assert wait_until_ready(lambda: next(answers), waited.append) is end
    assert waited == [0.5, 1, 2, 4, 4]


def test_a_key_that_never_comes_is_given_up() -> None:
    waited: list[float] = []
    assert wait_until_ready(lambda: NOT_YET, waited.append) is NOT_YET
    assert LONGEST_WAIT_S <= sum(waited) < LONGEST_WAIT_S + 4

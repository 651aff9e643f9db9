from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lit_airflow.errors import CiphertextError, LitError, ProtocolError, SettingsError
from lit_airflow.networks.chipotle.batching import (
    LIMITS,
    Limits,
    RunFailed,
    Weight,
    check_size,
    check_weight,
    largest_given,
    plan,
    run_all,
    to_run_now,
)

ERROR = ProtocolError("failed")
LARGEST = 76_734


def base64_text(size: int) -> str:
    return "A" * (4 * -(-size // 3))


def response_bytes(sizes: Sequence[int]) -> int:
    """How long the gate's answer really is."""
    answers = [{"ok": True, "sealed": base64_text(size + 48)} for size in sizes]
    whole = answers[0] if len(answers) == 1 else {"ok": True, "items": answers}
    return len(json.dumps(whole, separators=(",", ":")))


def test_the_largest_that_fits() -> None:
    assert largest_given() == LARGEST
    assert response_bytes([LARGEST]) <= LIMITS.response_bytes < response_bytes([LARGEST + 1])


def test_data_that_no_gate_could_give_out_is_refused_before() -> None:
    check_size(LARGEST, locked=False)
    check_size(LARGEST - 48, locked=True)
    for size, locked in ((LARGEST + 1, False), (LARGEST - 47, True)):
        with pytest.raises(SettingsError) as caught:
            check_size(size, locked=locked)
        assert f"{LARGEST - 48 * locked:,}" in caught.value.message
        assert "envelope" in caught.value.hint


def test_a_run_with_room_left_waits_for_further_containers() -> None:
    weight = Weight("g", 1000, 100)
    waiting, runs, read, total = 0, [], 0, 1000
    while read < total or waiting:
        read_now = min(LIMITS.items - waiting, total - read)
        read, waiting = read + read_now, waiting + read_now
        batches, done = to_run_now(plan([weight] * waiting), waiting, more=read < total)
        assert [index for batch in batches for index in batch] == list(range(done))
        runs += [len(batch) for batch in batches]
        waiting -= done
    assert sum(runs) == total
    assert len(runs) == -(-total // 69) == 15


def test_a_run_does_not_wait_where_others_have_containers_behind_its_first() -> None:
    batches = [[0, 2], [1], [3]]
    assert to_run_now(batches, 4, more=True) == (batches[:2], 3)
    assert to_run_now(batches, 4, more=False) == (batches, 4)
    interleaved = [[0, 3], [1, 2]]
    assert to_run_now(interleaved, 4, more=True) == (interleaved, 4)
    assert to_run_now([[0, 1]], 3, more=True) == ([[0, 1]], 3)
    assert to_run_now([], 3, more=True) == ([], 3)


def test_a_container_that_does_not_fit_a_run() -> None:
    check_weight(Weight("g", LARGEST, 100), LIMITS, 50)
    with pytest.raises(CiphertextError):
        check_weight(Weight("g", LARGEST + 1, 100), LIMITS, 50)
    with pytest.raises(CiphertextError):
        check_weight(Weight("g", 5, LIMITS.request_bytes - 49), LIMITS, 50)


WEIGHTS = st.lists(
    st.builds(
        Weight,
        st.sampled_from("ab"),
        st.integers(0, LARGEST),
        st.integers(1, 1000),
        st.frozensets(st.integers(0, 60), max_size=45),
    ),
    max_size=150,
)


@given(WEIGHTS)
def test_every_run_keeps_within_the_limits(weights: list[Weight]) -> None:
    limits = Limits(request_bytes=20_000)
    batches = plan(weights, limits, frame_bytes=500)
    assert sorted(index for batch in batches for index in batch) == list(range(len(weights)))
    for batch in batches:
        assert batch == sorted(batch)
        assert len({weights[index].group for index in batch}) == 1
        assert len(batch) <= 100
        assert 500 + sum(weights[index].request_bytes for index in batch) <= 20_000
        assert len(frozenset().union(*(weights[index].fetches for index in batch))) <= 45
        assert response_bytes([weights[index].given_bytes for index in batch]) <= limits.response_bytes


def test_a_refusal_is_planned_for_where_the_data_is_small() -> None:
    batches = plan([Weight("g", 0, 1)] * 1000, Limits(items=1000))
    assert max(map(len, batches)) == (LIMITS.response_bytes - 22) // 300


def test_a_hundred_go_together_and_shared_questions_count_once() -> None:
    weights = [Weight("g", 32, 500, frozenset({"read"}))] * 100
    assert [len(batch) for batch in plan(weights)] == [100]
    assert [len(batch) for batch in plan(weights + weights[:1])] == [100, 1]


def test_groups_do_not_mix_and_do_not_end_each_other() -> None:
    weights = [Weight("ab"[index % 2], 1, 1) for index in range(6)]
    assert plan(weights) == [[0, 2, 4], [1, 3, 5]]


def spoilt_by(bad: set[int], runs: list[list[int]]) -> dict[int, str]:
    def run(batch: Sequence[int]) -> list[str]:
        runs.append(list(batch))
        if bad & set(batch):
            raise RunFailed(ERROR)
        return [f"plain {index}" for index in batch]

    return dict(run_all([[0, 1, 2, 3], [4, 5]], run, lambda error: type(error).__name__))


def test_one_that_makes_the_run_fail_does_not_spoil_the_others() -> None:
    runs: list[list[int]] = []
    outcomes = spoilt_by({2}, runs)
    assert outcomes == {index: f"plain {index}" for index in (0, 1, 3, 4, 5)} | {2: "ProtocolError"}
    assert runs == [[0, 1, 2, 3], [0, 1], [2, 3], [2], [3], [4, 5]]


def test_when_all_fail_each_is_tried_alone_once() -> None:
    runs: list[list[int]] = []
    assert set(spoilt_by({0, 1, 2, 3, 4, 5}, runs).values()) == {"ProtocolError"}
    assert Counter(run[0] for run in runs if len(run) == 1) == Counter(range(6))


def test_other_errors_end_the_whole() -> None:
    def run(_batch: Sequence[int]) -> list[str]:
        raise ERROR

    with pytest.raises(LitError):
        list(run_all([[0, 1]], run, str))

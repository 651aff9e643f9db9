"""Ten thousand random fault schedules, and a share of them on real sockets."""

from __future__ import annotations

import multiprocessing
import secrets
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from functools import partial

import pytest

from lit_airflow.devnet.faults import CHAIN_FAULTS, FAULTS
from lit_airflow.threshold import curve
from tests.faults.simulator import NodeStats, Simulation, run_many
from tests.faults.sockets import SocketWorld
from tests.faults.world import ImaginaryWorld

SCHEDULES = 10_000
ON_SOCKETS = 120
LONG_SCHEDULES = 100_000
_PROCESSES = 2
_AT_ONCE = 4


def check(found: Iterable[tuple[NodeStats, list[str]]], tally: NodeStats) -> None:
    """Add up; fail with the first few that must not be."""
    violations: list[str] = []
    for counted, wrong in found:
        tally.update(counted)
        violations += wrong
    assert not violations, (
        f"{len(violations)} schedules went wrong; replay one with python -m tests.faults.simulator SEED\n\n"
        + "\n\n".join(violations[:5])
    )


def simulate(first: int, count: int, tally: NodeStats) -> None:
    """Without sockets, on all processors."""
    seeds = range(first, first + count)
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(_PROCESSES, context) as pool:
        check(pool.map(run_many, [seeds[at : at + 250] for at in range(0, count, 250)]), tally)


@pytest.mark.timeout(3600)
def test_random_schedules(tally: NodeStats) -> None:
    before = tally.copy()
    simulate(0, SCHEDULES, tally)
    tried = {fault for fault, _ in tally - before}
    assert tried == {*FAULTS, *(f"chain {name}" for name in CHAIN_FAULTS)}


@pytest.mark.timeout(900)
def test_random_schedules_on_sockets(tally: NodeStats) -> None:
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        seeds = [range(at, ON_SOCKETS, _AT_ONCE) for at in range(_AT_ONCE)]
        check(pool.map(partial(run_many, make=SocketWorld), seeds), tally)


@pytest.mark.soak
@pytest.mark.timeout(3 * 3600)
def test_random_schedules_for_long(tally: NodeStats) -> None:
    first = secrets.randbelow(10**9)
    print(f"seeds from {first}")  # noqa: T201 - pytest shows it on failure
    simulate(first, LONG_SCHEDULES, tally)
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        seeds = [range(first + at, first + 1000, _AT_ONCE) for at in range(_AT_ONCE)]
        check(pool.map(partial(run_many, make=SocketWorld), seeds), tally)


def test_a_seed_is_the_same_schedule_again() -> None:
    for seed in range(5):
        first, second = Simulation(seed), Simulation(seed)
        first.run()
        second.run()
        assert first.told == second.told


def test_the_oracle_sees_a_client_that_believes_everybody(monkeypatch: pytest.MonkeyPatch) -> None:

    monkeypatch.setattr(curve, "signs", lambda *_: True)
    _, violations = run_many(range(150))
    assert violations
    assert all("enough nodes are good" in violation for violation in violations)


def test_the_oracle_sees_an_unbounded_read(monkeypatch: pytest.MonkeyPatch) -> None:
    from lit_airflow.transport import http

    monkeypatch.setattr(http, "MOST_BYTES", 2**40)
    _, violations = run_many(range(40))
    assert any("bytes of one answer" in violation for violation in violations)


def test_nothing_of_the_imaginary_world_is_left() -> None:
    import time

    from lit_airflow import clock
    from lit_airflow.transport.fan_out import FanOut

    before = (clock.time, FanOut.next, FanOut.__enter__)
    with ImaginaryWorld(0).entered():
        assert clock.time is not time
    assert (clock.time, FanOut.next, FanOut.__enter__) == before

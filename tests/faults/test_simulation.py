"""Random fault schedules, and some of them on real sockets; more of both in `make soak`."""

from __future__ import annotations

import multiprocessing
import random
import secrets
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from functools import partial

import pytest

from lit_airflow.devnet.faults import CHAIN_FAULTS, FAULTS
from lit_airflow.threshold import curve
from lit_airflow.transport.http import Http
from tests.faults.in_memory import InMemoryEnvironment
from tests.faults.simulator import NodeStats, Simulation, run_many, wrongs
from tests.faults.sockets import SocketEnvironment

SCHEDULES, FIRST_SEED = 260, 6184  # so few contain every fault from there on
ON_SOCKETS = 20
LONG_SCHEDULES = 20_000
LONG_ON_SOCKETS = 300
_PROCESSES = 2
_AT_ONCE = 4
_PIECE = 50

Found = tuple[NodeStats, list[str]]


def check(found: Iterable[Found], tally: NodeStats) -> None:
    """Add up; fail with the first few that must not be."""
    violations: list[str] = []
    for counted, wrong in found:
        tally.update(counted)
        violations += wrong
    assert not violations, (
        f"{len(violations)} schedules went wrong; replay one with python -m tests.faults.simulator SEED\n\n"
        + "\n\n".join(violations[:5])
    )


def first_violations(run: Callable[[Iterable[int]], Found], most: int) -> list[str]:
    """Run ten schedules after the other until some of them go wrong."""
    found = (run(seeds)[1] for seeds in pieces(0, most, 10))
    return next(filter(None, found), [])


def pieces(first: int, count: int, size: int) -> list[range]:
    seeds = range(first, first + count)
    return [seeds[at : at + size] for at in range(0, count, size)]


@pytest.mark.parametrize("seeds", pieces(FIRST_SEED, SCHEDULES, SCHEDULES // 2), ids=str)
def test_random_schedules(tally: NodeStats, seeds: range) -> None:
    check([run_many(seeds)], tally)


def test_among_them_is_every_fault() -> None:
    names: set[str] = set()
    for seed in range(FIRST_SEED, FIRST_SEED + SCHEDULES):
        draw = random.Random(seed)
        names |= {wrong.name for wrong in wrongs(draw, list(range(10)), 7)}
    assert names == {*FAULTS, *(f"chain {name}" for name in CHAIN_FAULTS)}


def test_random_schedules_on_sockets(tally: NodeStats) -> None:
    on_sockets(0, ON_SOCKETS, tally)


def on_sockets(
    first: int, count: int, tally: NodeStats, tell: Callable[[str], None] = lambda _: None
) -> None:
    """In real time, several at once."""
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        found = pool.map(partial(run_many, make=SocketEnvironment), pieces(first, count, 5))
        check(counted(found, 5, count, first, tell), tally)


def counted(
    found: Iterable[Found], piece: int, count: int, first: int, tell: Callable[[str], None]
) -> Iterator[Found]:
    """Tell after each piece how far it is."""
    for number, each in enumerate(found, 1):
        tell(f"{min(number * piece, count)} of {count} schedules, seeds from {first}")
        yield each


@pytest.mark.soak
def test_random_schedules_for_long(tally: NodeStats, progress: Callable[[str], None]) -> None:
    first = secrets.randbelow(10**9)
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(_PROCESSES, context) as pool:
        found = pool.map(run_many, pieces(first, LONG_SCHEDULES, _PIECE))
        check(counted(found, _PIECE, LONG_SCHEDULES, first, progress), tally)


@pytest.mark.soak
def test_random_schedules_on_sockets_for_long(tally: NodeStats, progress: Callable[[str], None]) -> None:
    on_sockets(secrets.randbelow(10**9), LONG_ON_SOCKETS, tally, progress)


def test_a_seed_is_the_same_schedule_again() -> None:
    for seed in range(5):
        first, second = Simulation(seed), Simulation(seed)
        first.run()
        second.run()
        assert first.told == second.told


def test_the_oracle_sees_a_client_that_believes_everybody(monkeypatch: pytest.MonkeyPatch) -> None:

    monkeypatch.setattr(curve, "signs", lambda *_: True)
    violations = first_violations(run_many, 150)
    assert violations
    assert all("enough nodes are good" in violation for violation in violations)


def test_the_oracle_sees_an_unbounded_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(Http.post.__kwdefaults__, "max_bytes", 2**40)
    violations = first_violations(run_many, 40)
    assert any("bytes of one answer" in violation for violation in violations)


def test_nothing_of_the_in_memory_environment_is_left() -> None:
    import time

    from lit_airflow import clock
    from lit_airflow.transport.fan_out import FanOut

    before = (clock.time, FanOut.next, FanOut.__enter__)
    with InMemoryEnvironment(0).entered():
        assert clock.time is not time
    assert (clock.time, FanOut.next, FanOut.__enter__) == before

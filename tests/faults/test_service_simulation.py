"""Random fault schedules for a local Chipotle, of both builds; more of them in `make soak`."""

from __future__ import annotations

import multiprocessing
import random
import secrets
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import pytest

from lit_airflow.devnet.chipotle.faults import FAULTS
from lit_airflow.networks.chipotle import gate_container
from lit_airflow.transport.http import Http
from tests.faults.service_in_memory import ServiceEnvironment
from tests.faults.service_simulator import Simulation, run_many, wrongs
from tests.faults.simulator import NodeStats
from tests.faults.test_simulation import check, counted, first_violations, pieces

SCHEDULES = range(4640, 4740)  # so few contain every fault from there on
LONG_SCHEDULES = 10_000
_PROCESSES = 2
_PIECE = 50


def test_random_schedules(tally: NodeStats) -> None:
    check([run_many(SCHEDULES)], tally)


def test_among_them_is_every_fault_on_both_builds() -> None:
    drawn = {wrong.fault for seed in SCHEDULES for wrong in wrongs(random.Random(seed))}
    assert drawn == set(FAULTS)
    assert {ServiceEnvironment(seed).state.profile.name for seed in range(10)} == {"april", "june"}


@pytest.mark.soak
def test_random_schedules_for_long(tally: NodeStats, progress: Callable[[str], None]) -> None:
    first = secrets.randbelow(10**9)
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(_PROCESSES, context) as pool:
        found = pool.map(run_many, pieces(first, LONG_SCHEDULES, _PIECE))
        check(counted(found, _PIECE, LONG_SCHEDULES, first, progress), tally)


def test_a_seed_is_the_same_schedule_again() -> None:
    for seed in range(5):
        first, second = Simulation(seed), Simulation(seed)
        first.run()
        second.run()
        assert first.told == second.told


def test_the_oracle_sees_a_client_that_takes_any_plaintext(monkeypatch: pytest.MonkeyPatch) -> None:
    def another(*_: Any, **__: Any) -> bytes:  # noqa: ANN401 - whatever it is called with
        return b"another"

    monkeypatch.setattr(gate_container.GateContainer, "unlock", another)
    _, violations = run_many(range(10))
    assert violations
    assert any("the plaintext b'another'" in violation for violation in violations)


def test_the_oracle_sees_an_unbounded_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(Http.post.__kwdefaults__, "max_bytes", 2**40)
    violations = first_violations(run_many, 60)
    assert any("bytes of one answer" in violation for violation in violations)


def test_the_oracle_sees_an_error_of_no_tree(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any, **__: Any) -> bytes:  # noqa: ANN401 - whatever it is called with
        raise KeyError("response")

    monkeypatch.setattr(gate_container.GateContainer, "unlock", broken)
    _, violations = run_many(range(10))
    assert any("an error of no tree" in violation for violation in violations)

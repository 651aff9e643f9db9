"""Set-up and rotation when each of their requests in turn is lost, or is the last thing that the process does."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, cast

import pytest

from lit_airflow.errors import LitError
from lit_airflow.networks.chipotle.managing import NEW_KEY_S
from tests.client.chipotle.deploying import CrashError, Deploying, answer_is_lost, process_ends
from tests.client.chipotle.local import Local, MovedClock
from tests.faults.service_in_memory import API_URL, ServiceEnvironment

Act = Callable[[Deploying], object]
Step = tuple[str, str, int]
"""A call's name, ``before`` or ``after`` it takes effect, and which one of that name, from 1."""


@dataclass(slots=True)
class SimulatedClock(MovedClock):
    """The environment's."""

    environment: Any = None

    def __call__(self) -> datetime:
        return cast("datetime", self.environment.clock())

    def wait(self, seconds: float) -> None:
        self.environment.sleep(seconds)


@dataclass(slots=True)
class InMemory(Local):
    """A service without sockets."""

    environment: Any = field(default=None)

    @property
    def description(self) -> dict[str, Any]:
        return {"api_url": API_URL, "rpc_url": "", "account_key": self.environment.account.account_key}

    def __post_init__(self) -> None:
        self.environment.wire(self.http)


def rotate(deploying: Deploying) -> None:
    deploying.rotation.rotate(drain_s=0)
    deploying.rotation.sweep()


def deployment(environment: ServiceEnvironment, before: Sequence[Act]) -> Deploying:
    """A deployment; nothing is lost in what is done before."""
    account = environment.state.chain.head.accounts[environment.account.account_hash]
    environment.state.ledger.set_credit(account.admin, 1_000)
    clock = SimulatedClock(environment=environment)
    local = InMemory(cast("Any", None), clock, environment=environment)
    deploying = Deploying(local, asks_base=False)
    for act in before:
        act(deploying)
    deploying.crashes.seen.clear()
    return deploying


ACTS: dict[str, tuple[list[Act], Act]] = {
    "set-up": ([], Deploying.set_up),
    "set-up again": ([Deploying.set_up], Deploying.set_up),
    "rotation": ([Deploying.set_up], rotate),
}
CHANGES = {
    "vault",
    "lit_action",
    "add_action",
    "add_action_to_group",
    "add_group",
    "add_usage_api_key",
    "remove_usage_api_key",
}


def steps(profile: str, name: str, *, reads: bool) -> list[Step]:
    """Every request of an act, before and after it takes effect; one that only reads has none."""
    before, act = ACTS[name]
    environment = ServiceEnvironment(1, profile)
    with environment.entered():
        good = deployment(environment, before)
        act(good)
    return [
        (call, when, number)
        for call, count in good.crashes.seen.items()
        for number in range(1, count + 1)
        for when in ("before", "after")
        if call in CHANGES or (reads and when == "before")
    ]


def check_finished_by_the_next(
    profile: str, name: str, step: Step, error: Callable[[str], BaseException]
) -> None:
    before, act = ACTS[name]
    environment = ServiceEnvironment(1, profile)
    with environment.entered():
        deploying = deployment(environment, before)
        deploying.crashes.at, deploying.crashes.error = step, error
        try:
            act(deploying)
        except (LitError, CrashError):
            environment.sleep(NEW_KEY_S + 1)
            act(deploying)
        assert deploying.crashes.hit, step
        if act is rotate:
            environment.sleep(NEW_KEY_S + 1)
            deploying.rotation.sweep()
        assert deploying.is_whole(), (step, deploying.left())


@pytest.mark.parametrize("profile", ["april", "june"])
@pytest.mark.parametrize("name", ACTS)
def test_each_request_is_lost_in_turn(profile: str, name: str) -> None:
    """The next run finishes what this one began, and nothing that it made is left over."""
    listed = steps(profile, name, reads=profile == "june")
    assert "lit_action" in {call for call, *_ in listed}
    for step in listed:
        check_finished_by_the_next(profile, name, step, answer_is_lost)


@pytest.mark.parametrize("name", ["set-up", "rotation"])
def test_the_process_ends_at_each_change_in_turn(name: str) -> None:
    listed = steps("june", name, reads=False)
    assert {"vault", "add_usage_api_key", "lit_action"} <= {call for call, *_ in listed}
    for step in listed:
        check_finished_by_the_next("june", name, step, process_ends)

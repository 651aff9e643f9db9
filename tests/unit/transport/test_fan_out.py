from __future__ import annotations

import threading
import time

import pytest

from lit_airflow.clock import Deadline
from lit_airflow.errors import NodeError
from lit_airflow.transport.fan_out import FanOut


def test_answers_come_in_the_order_of_their_arrival() -> None:
    gates = {node: threading.Event() for node in "abc"}

    def ask(node: str, _cancelled: threading.Event) -> str:
        assert gates[node].wait(300)
        return node.upper()

    with FanOut("abc", ask, Deadline.after(300)) as asking:
        for node in "cab":
            gates[node].set()
            outcome = asking.next()
            assert outcome is not None
            assert (outcome.server, outcome.answer, outcome.error) == (node, node.upper(), None)
            assert outcome.took_s < 300
        assert asking.waiting == ()
        assert asking.next() is None


def test_nobody_waits_for_the_slowest() -> None:
    started, released = time.monotonic(), threading.Event()

    def ask(node: str, _cancelled: threading.Event) -> str:
        if node == "slow":
            released.wait(3600)
        return node

    with FanOut(["slow", "fast"], ask, Deadline.after(300)) as asking:
        outcome = asking.next()
        assert outcome is not None
        assert outcome.server == "fast"
        assert asking.next(within_s=0.1) is None
        assert asking.waiting == ("slow",)
    released.set()
    assert time.monotonic() - started < 300


def test_the_deadline_ends_the_waiting() -> None:
    started = time.monotonic()
    with FanOut("ab", lambda _node, cancelled: cancelled.wait(3600), Deadline.after(0.2)) as asking:
        assert asking.next() is None
        assert asking.waiting == ("a", "b")
    assert time.monotonic() - started < 300


def test_leaving_cancels_those_still_asked() -> None:
    cancelled_all = threading.Barrier(3)

    def ask(_node: str, cancelled: threading.Event) -> None:
        assert cancelled.wait(300)
        cancelled_all.wait(300)

    with FanOut("ab", ask, Deadline.after(300)):
        pass
    cancelled_all.wait(300)


def test_errors_are_outcomes() -> None:
    def ask(node: str, _cancelled: threading.Event) -> str:
        if node == "typed":
            raise NodeError("HTTP 500", status=500)
        raise RuntimeError("canary in a foreign error")

    with FanOut(["typed", "foreign"], ask, Deadline.after(300)) as asking:
        outcomes = {outcome.server: outcome for outcome in (asking.next(), asking.next()) if outcome}
    typed, foreign = outcomes["typed"].error, outcomes["foreign"].error
    assert isinstance(typed, NodeError)
    assert typed.status == 500
    assert isinstance(foreign, NodeError)
    assert str(foreign) == "the request failed (RuntimeError)"
    # Its frames may hold a session, its text anything.
    assert foreign.__cause__ is foreign.__context__ is None


@pytest.mark.parametrize("nodes", [[], ()])
def test_nobody_to_ask(nodes: list[str]) -> None:
    with FanOut(nodes, lambda _node, _cancelled: None, Deadline.after(300)) as asking:
        assert asking.next() is None

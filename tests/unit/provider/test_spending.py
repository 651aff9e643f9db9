"""Budgets, balances, and what is noted of costs."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from lit_airflow.errors import BudgetError, NodesUnavailableError, SettingsError
from lit_airflow.networks.contract import Cost
from lit_airflow.provider import sessions_page
from lit_airflow.provider.sessions_page import Row, ShownCost
from lit_airflow.provider.spending import COSTS, Spending, check_budget, last_run_s, last_runs, push_costs

NOW = datetime(2026, 11, 27, 12, tzinfo=UTC)


class Task:
    def __init__(self) -> None:
        self.left: dict[str, Any] = {}

    def xcom_push(self, key: str, value: Any) -> None:  # noqa: ANN401 - Airflow's
        self.left[key] = value


def spending(*, credit: int = 0, least: int = 0) -> Spending:
    return Spending(dag_id=lambda: "reports", credit_cents=lambda: credit, low_balance_cents=lambda: least)


def price(seconds: float) -> int:
    return max(1, int(seconds))


@pytest.mark.parametrize(("expected_s", "budget"), [(0.5, 1), (1.9, 1), (5, 5), (0, 1)])
def test_a_budget_that_suffices(expected_s: float, budget: int) -> None:
    assert check_budget(price, expected_s, budget) <= budget


@pytest.mark.parametrize(("expected_s", "budget"), [(0.5, 0), (2, 1), (900, 899)])
def test_a_budget_that_does_not(expected_s: float, budget: int) -> None:
    with pytest.raises(BudgetError, match="Nothing was sent") as caught:
        check_budget(price, expected_s, budget)
    assert (caught.value.estimate_cents, caught.value.budget_cents) == (price(expected_s), budget)


def test_several_runs() -> None:
    assert check_budget(price, 2.5, 20, runs=10) == 20
    with pytest.raises(BudgetError, match=r"10 runs of 2\.5 s cost \$0\.20"):
        check_budget(price, 2.5, 19, runs=10)


@pytest.mark.parametrize("budget", [-1, True, 1.5, "5", float("inf")])
def test_what_is_no_budget(budget: Any) -> None:  # noqa: ANN401 - anything
    with pytest.raises(SettingsError) as caught:
        check_budget(price, 1, budget)
    assert caught.value.field == "budget_cents"


@pytest.mark.parametrize("expected_s", [-1, float("nan"), float("inf"), 10**400, "5", True])
def test_how_long_no_run_takes(expected_s: Any) -> None:  # noqa: ANN401 - anything
    with pytest.raises(SettingsError) as caught:
        check_budget(price, expected_s, 5)
    assert caught.value.field == "expected_s"


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ({"runs": 2, "seconds": 5.0, "cents": 4}, 2.5),
        ({"runs": 1, "seconds": 0}, 0),
        (None, 1.0),
        ("12", 1.0),
        ({"runs": 0, "seconds": 5}, 1.0),
        ({"runs": "1", "seconds": 5}, 1.0),
        ({"runs": 1, "seconds": float("nan")}, 1.0),
        ({"runs": 1, "seconds": float("inf")}, 1.0),
        ({"runs": 1, "seconds": -1}, 1.0),
        ({"runs": 1, "seconds": 10**9}, 1.0),
        ({"runs": 10**400, "seconds": 5.0}, 1.0),
        ({"runs": 10**400, "seconds": 10**400}, 1.0),
    ],
)
def test_what_an_earlier_run_noted(facts: object, expected: float) -> None:
    assert last_run_s(facts) == expected
    assert last_runs(facts) == (2 if expected == 2.5 else 1)


def test_the_balance_is_asked_for_once_and_only_if_wanted(caplog: pytest.LogCaptureFixture) -> None:
    asked: list[int] = []

    def credit() -> int:
        asked.append(1)
        return 99

    low = Spending(dag_id=lambda: "", credit_cents=credit, low_balance_cents=lambda: 100)
    off = Spending(dag_id=lambda: "", credit_cents=credit, low_balance_cents=lambda: 0)
    with caplog.at_level(logging.WARNING):
        for each in (low, off):
            for _ in range(3):
                each(Cost(1.0, 1))
    assert len(asked) == 1
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "$0.99" in caplog.text


def test_enough_is_not_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        spending(credit=100, least=100)(Cost(1.0, 1))
    assert caplog.text == ""


def test_a_balance_that_cannot_be_read_is_no_failure(caplog: pytest.LogCaptureFixture) -> None:
    def credit() -> int:
        raise NodesUnavailableError("down", needed=1, reached=0, failures={})

    each = Spending(dag_id=lambda: "", credit_cents=credit, low_balance_cents=lambda: 100)
    with caplog.at_level(logging.INFO):
        each(Cost(1.0, 1))
    assert "not known" in caplog.text


def test_what_was_spent_is_pushed_also_by_a_task_that_fails() -> None:
    task, spent = Task(), spending()

    def fail() -> None:
        with push_costs(task, spent):
            spent(Cost(1.25, 1))
            spent(Cost(2.5, 2))
            raise ValueError("later")

    with pytest.raises(ValueError, match="later"):
        fail()
    assert task.left == {COSTS: {"runs": 2, "seconds": 3.75, "cents": 3}}


def test_nothing_is_pushed_where_nothing_was_spent() -> None:
    task = Task()
    with push_costs(task, spending()):
        pass
    assert task.left == {}


def row(dag_id: str, at: datetime, value: object) -> Row:
    return Row(dag_id, "run", "task", -1, at, value)


def test_the_page_adds_up_by_dag_and_day() -> None:
    day = timedelta(days=1)
    rows = [
        row("a", NOW, {"runs": 1, "seconds": 1.5, "cents": 1}),
        row("a", NOW, {"runs": 2, "seconds": 1.0, "cents": 2}),
        row("b", NOW, {"runs": 1, "seconds": 9, "cents": 9}),
        row("a", NOW - day, {"runs": 1, "seconds": 1, "cents": 1}),
    ]
    assert sessions_page.shown_costs(rows) == [
        ShownCost(day="2026-11-27", dag_id="b", runs=1, seconds=9, cents=9),
        ShownCost(day="2026-11-27", dag_id="a", runs=3, seconds=2.5, cents=3),
        ShownCost(day="2026-11-26", dag_id="a", runs=1, seconds=1, cents=1),
    ]
    html = sessions_page.render([], [], costs=rows, now=NOW)
    assert html.count("<td>a</td>") == 2


@pytest.mark.parametrize(
    "value",
    [None, [], "x", {}, {"runs": 1, "seconds": 1}, {"runs": -1, "seconds": 1, "cents": 1}]
    + [{"runs": bad, "seconds": 1, "cents": 1} for bad in (True, "1", 10**13, float("nan"), None)],
)
def test_what_is_no_cost_is_left_out(value: object) -> None:
    assert sessions_page.shown_costs([row("a", NOW, value)]) == []
    assert "cost" not in sessions_page.render([], [], costs=[row("a", NOW, value)], now=NOW)


def test_a_dags_name_is_escaped() -> None:
    html = sessions_page.render(
        [], [], costs=[row("<script>", NOW, {"runs": 1, "seconds": 1, "cents": 1})], now=NOW
    )
    assert "<script>" not in html.partition("<main>")[2]

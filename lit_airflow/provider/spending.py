"""What a task spends on the network: counted as metrics, noted for the page, checked against budget and balance."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from lit_airflow.errors import BudgetError, LitError, SettingsError
from lit_airflow.provider import telemetry

if TYPE_CHECKING:
    from lit_airflow.networks.contract import Cost
    from lit_airflow.provider.xcom_facts import XCom

log = logging.getLogger(__name__)

COSTS = "lit_costs"
"""XCom key of what a task spent: ``{runs, seconds, cents}``."""

LONGEST_RUN_S = 15 * 60
"""No estimate is longer: services end a run by then."""

_MOST_RUNS = 10**9


@dataclass(slots=True)
class Spending:
    """What one hook has spent. Safe to use from several threads.

    Attributes:
        dag_id: Returns the DAG whose task runs; empty outside any.
        credit_cents: Asks for the account's credit.
        low_balance_cents: Returns the credit below which to warn; 0 for never.
    """

    dag_id: Callable[[], str]
    credit_cents: Callable[[], int]
    low_balance_cents: Callable[[], int]
    runs: int = field(default=0, init=False)
    seconds: float = field(default=0.0, init=False)
    cents: int = field(default=0, init=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False, repr=False)

    def __call__(self, cost: Cost) -> None:
        """Count one run."""
        with self._lock:
            first = not self.runs
            self.runs += 1
            self.seconds += cost.seconds
            self.cents += cost.cents
        telemetry.spent(cost, self.dag_id())
        if first:
            self._check_balance()

    def to_json(self) -> dict[str, Any]:
        """Return the sums, as :data:`COSTS` describes them."""
        with self._lock:
            return {"runs": self.runs, "seconds": round(self.seconds, 3), "cents": self.cents}

    def _check_balance(self) -> None:
        """Warn if the credit is low. Not knowing it fails no task."""
        least = self.low_balance_cents()
        if not least:
            return
        try:
            cents = self.credit_cents()
        except LitError as error:
            log.info("The balance is not known: %s", error.message)
            return
        telemetry.balance(cents)
        if cents < least:
            log.warning(
                "The account has %s left, less than %s (low_balance_cents). Top it up: without credit nothing "
                "runs and nothing is decrypted.",
                dollars(cents),
                dollars(least),
            )


def check_budget(
    price_cents: Callable[[float], int], expected_s: float, budget_cents: int, *, runs: int = 1
) -> int:
    """Return the estimate of what runs will cost, if the budget allows it.

    Args:
        price_cents: What a run of so many seconds costs.
        expected_s: How long one run is expected to take, seconds.
        budget_cents: What may be spent, US cents.
        runs: How many runs.

    Raises:
        BudgetError: The estimate is above the budget.
        SettingsError: No run takes that long, or a number is not one.
    """
    is_number = isinstance(expected_s, int | float) and not isinstance(expected_s, bool)
    if not is_number or not 0 <= expected_s <= LONGEST_RUN_S:
        raise SettingsError(
            f"expected_s must be between 0 and {LONGEST_RUN_S} seconds.",
            field="expected_s",
            hint="Services end a run by then.",
        )
    if isinstance(budget_cents, bool) or not isinstance(budget_cents, int) or budget_cents < 0:
        raise SettingsError("budget_cents must be a whole number from 0.", field="budget_cents")
    estimate = runs * price_cents(expected_s)
    if estimate > budget_cents:
        costs = f"A run of {expected_s:g} s costs" if runs == 1 else f"{runs:,} runs of {expected_s:g} s cost"
        raise BudgetError(
            f"{costs} {dollars(estimate)}, and the budget is {dollars(budget_cents)}. Nothing was sent.",
            estimate_cents=estimate,
            budget_cents=budget_cents,
            hint="Raise budget_cents, or find out why a run takes so long.",
        )
    return estimate


def last_run_s(facts: object) -> float:
    """Return how long a run took, by what an earlier run of a task noted; 1 s where that is not known.

    Args:
        facts: What was found in XCom, where anybody may have put anything: it decides an estimate only.
    """
    return _noted(facts)[1]


def last_runs(facts: object) -> int:
    """Return how many runs an earlier run of a task noted; 1 where that is not known.

    Args:
        facts: See :func:`last_run_s`.
    """
    return _noted(facts)[0]


def _noted(facts: object) -> tuple[int, float]:
    found = facts if isinstance(facts, dict) else {}
    runs, seconds = found.get("runs"), found.get("seconds")
    if not isinstance(runs, int) or not isinstance(seconds, int | float) or not 1 <= runs <= _MOST_RUNS:
        return 1, 1.0
    # The bound also refuses infinities and NaN.
    return (runs, seconds / runs) if 0 <= seconds <= runs * LONGEST_RUN_S else (1, 1.0)


def dollars(cents: int) -> str:
    """Return an amount as people write it, such as ``$0.05``."""
    return f"${cents / 100:.2f}"


@contextmanager
def push_costs(task: XCom, spending: Spending) -> Iterator[None]:
    """Push at the end of a task what it spent, also if it failed."""
    try:
        yield
    finally:
        if spending.runs:
            task.xcom_push(key=COSTS, value=spending.to_json())

"""What a run of an action costs: a cent per completed second, at least one, taken in steps of five seconds.

Source: lit-api-server ``actions/client``, April 2026.
"""

from __future__ import annotations

from collections.abc import Callable

from lit_airflow.devnet.chipotle.ledger import SECOND_CENTS

_STEP_S = 5


class Meter:
    """Counts the seconds of one run.

    Args:
        elapsed_s: Tells how long the run has taken.
        charge: Takes an amount in cents; raises ``CreditError`` when the credit does not cover it.
    """

    def __init__(self, elapsed_s: Callable[[], float], charge: Callable[[int], None]) -> None:
        self._elapsed_s = elapsed_s
        self._charge = charge
        self._counted = 0
        self._owed = 0

    def tick(self) -> None:
        """Count what has passed, and charge when a step is full.

        Raises:
            CreditError: The credit is used up. What was owed is not charged any more.
        """
        completed = int(self._elapsed_s())
        self._owed += completed - self._counted
        self._counted = completed
        if self._owed >= _STEP_S:
            owed, self._owed = self._owed, 0
            self._charge(owed * SECOND_CENTS)

    def settle(self) -> int:
        """Charge what is owed at the end of the run; how many seconds that are.

        Raises:
            CreditError: The credit does not cover it.
        """
        least = 0 if self._counted else 1
        seconds, self._owed = max(self._owed, least), 0
        if seconds:
            self._charge(seconds * SECOND_CENTS)
        return seconds

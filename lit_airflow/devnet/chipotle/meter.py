"""Billing of a run: one cent per completed second, at least one, charged in steps of five seconds.

Source: lit-api-server ``actions/client``, April 2026.
"""

from __future__ import annotations

from collections.abc import Callable

from lit_airflow.devnet.chipotle.ledger import SECOND_CENTS

_STEP_S = 5


class Meter:
    """Bills one run.

    Args:
        elapsed_s: Returns how long the run has taken.
        charge: Charges an amount in cents; raises ``CreditError``.
    """

    def __init__(self, elapsed_s: Callable[[], float], charge: Callable[[int], None]) -> None:
        self._elapsed_s = elapsed_s
        self._charge = charge
        self._counted = 0
        self._owed = 0

    def tick(self) -> None:
        """Count completed seconds and charge full steps.

        Raises:
            CreditError: The credit is used up. The step is not charged again.
        """
        completed = int(self._elapsed_s())
        self._owed += completed - self._counted
        self._counted = completed
        if self._owed >= _STEP_S:
            owed, self._owed = self._owed, 0
            self._charge(owed * SECOND_CENTS)

    def settle(self) -> int:
        """Charge the rest at the end of the run and return the seconds charged.

        Raises:
            CreditError: The credit does not cover it.
        """
        least = 0 if self._counted else 1
        seconds, self._owed = max(self._owed, least), 0
        if seconds:
            self._charge(seconds * SECOND_CENTS)
        return seconds

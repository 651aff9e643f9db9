"""Prepaid credit: balances per account wallet, charges and payments.

Source: lit-api-server ``stripe.rs``, April 2026.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime

from lit_airflow.clock import Clock

WRITE_CENTS = 1
SECOND_CENTS = 1
LEAST_TOP_UP_CENTS = 500


class CreditError(Exception):
    """The credit is less than a charge.

    Attributes:
        credit_cents: The credit; never negative.
        needed_cents: The charge.
    """

    def __init__(self, credit_cents: int, needed_cents: int) -> None:
        self.credit_cents = credit_cents
        self.needed_cents = needed_cents
        super().__init__(
            f"Insufficient credits: this call needs {dollars(needed_cents)} "
            f"but your balance is {dollars(credit_cents)}."
        )


class PaymentError(Exception):
    """A payment cannot be created or confirmed."""


@dataclass(frozen=True, slots=True)
class Bill:
    """A charge.

    Attributes:
        at: Time of the charge.
        wallet: Wallet of the account that paid.
        cents: The amount.
        what: The call, such as ``add_group`` or ``lit_action``.
    """

    at: datetime
    wallet: int
    cents: int
    what: str


@dataclass(slots=True)
class Payment:
    """A payment intent.

    Attributes:
        wallet: Wallet of the account.
        cents: The amount.
        paid: Whether it has been paid.
        credited: Whether it was added to the credit.
    """

    wallet: int
    cents: int
    paid: bool = False
    credited: bool = False


class Ledger:
    """Balances, charges and payments.

    Args:
        clock: The clock.

    Attributes:
        bills: All charges.
        down: Whether the payment back end is unreachable.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._credit_cents: defaultdict[int, int] = defaultdict(int)
        self._payments: dict[str, Payment] = {}
        self.bills: list[Bill] = []
        self.down = False

    def credit_cents(self, wallet: int) -> int:
        """Return the credit of a wallet's account."""
        return self._credit_cents[wallet]

    def set_credit(self, wallet: int, cents: int) -> None:
        """Set the credit of a wallet's account."""
        self._credit_cents[wallet] = cents

    def check(self, wallet: int, cents: int) -> None:
        """Check that the credit covers an amount.

        Raises:
            CreditError: It does not.
        """
        if self._credit_cents[wallet] < cents:
            raise CreditError(max(0, self._credit_cents[wallet]), cents)

    def charge(self, wallet: int, cents: int, what: str) -> None:
        """Charge an amount.

        Raises:
            CreditError: The credit does not cover it. Nothing is charged.
        """
        self.check(wallet, cents)
        self._credit_cents[wallet] -= cents
        self.bills.append(Bill(self._clock(), wallet, cents, what))

    def create_payment(self, wallet: int, cents: int) -> str:
        """Create a payment and return its id.

        Raises:
            PaymentError: The amount is below the minimum.
        """
        if cents < LEAST_TOP_UP_CENTS:
            raise PaymentError(f"Minimum top-up is {dollars(LEAST_TOP_UP_CENTS)} ({LEAST_TOP_UP_CENTS})")
        payment_id = f"pi_{len(self._payments) + 1:08d}"
        self._payments[payment_id] = Payment(wallet, cents)
        return payment_id

    def mark_paid(self, payment_id: str) -> None:
        """Mark a payment as paid.

        Raises:
            KeyError: Unknown payment.
        """
        self._payments[payment_id].paid = True

    def confirm_payment(self, payment_id: str, wallet: int) -> None:
        """Add a paid payment to the credit.

        Raises:
            PaymentError: Unknown, not paid, already credited, or for another account.
        """
        payment = self._payments.get(payment_id)
        if payment is None:
            raise PaymentError(f"No such payment_intent: '{payment_id}'")
        if not payment.paid:
            raise PaymentError(f"PaymentIntent {payment_id} has not succeeded")
        if payment.credited:
            raise PaymentError(f"PaymentIntent {payment_id} has already been credited")
        if payment.wallet != wallet:
            raise PaymentError(f"PaymentIntent {payment_id} does not belong to this account")
        payment.credited = True
        self._credit_cents[wallet] += payment.cents


def dollars(cents: int) -> str:
    """Format cents as ``$1.05``."""
    return f"${cents // 100}.{cents % 100:02d}"

"""Prepaid credit: a balance per account wallet, and a bill for everything that was charged.

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
    """The credit does not cover a charge.

    Attributes:
        credit_cents: What there is; never negative.
        needed_cents: What is asked for.
    """

    def __init__(self, credit_cents: int, needed_cents: int) -> None:
        self.credit_cents = credit_cents
        self.needed_cents = needed_cents
        super().__init__(
            f"Insufficient credits: this call needs {dollars(needed_cents)} "
            f"but your balance is {dollars(credit_cents)}."
        )


class PaymentError(Exception):
    """A payment that cannot be made or confirmed."""


@dataclass(frozen=True, slots=True)
class Bill:
    """One charge.

    Attributes:
        at: When.
        wallet: Whose credit paid: the account's wallet.
        cents: How much.
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
        wallet: Whose credit it raises.
        cents: By how much.
        paid: Whether the payer has paid.
        credited: Whether the credit was raised.
    """

    wallet: int
    cents: int
    paid: bool = False
    credited: bool = False


class Ledger:
    """All balances.

    Args:
        clock: Tells the time.

    Attributes:
        bills: Every charge so far.
        down: Whether the payment back end is unreachable.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._credit_cents: defaultdict[int, int] = defaultdict(int)
        self._payments: dict[str, Payment] = {}
        self.bills: list[Bill] = []
        self.down = False

    def credit_cents(self, wallet: int) -> int:
        """What a wallet's account can still spend."""
        return self._credit_cents[wallet]

    def set_credit(self, wallet: int, cents: int) -> None:
        """Set what an account can spend."""
        self._credit_cents[wallet] = cents

    def check(self, wallet: int, cents: int) -> None:
        """Check that a charge would be covered.

        Raises:
            CreditError: It would not.
        """
        if self._credit_cents[wallet] < cents:
            raise CreditError(max(0, self._credit_cents[wallet]), cents)

    def charge(self, wallet: int, cents: int, what: str) -> None:
        """Take an amount.

        Raises:
            CreditError: The credit does not cover it; nothing is taken.
        """
        self.check(wallet, cents)
        self._credit_cents[wallet] -= cents
        self.bills.append(Bill(self._clock(), wallet, cents, what))

    def intend(self, wallet: int, cents: int) -> str:
        """Prepare a payment; its id.

        Raises:
            PaymentError: Less than the least top-up.
        """
        if cents < LEAST_TOP_UP_CENTS:
            raise PaymentError(f"Minimum top-up is {dollars(LEAST_TOP_UP_CENTS)} ({LEAST_TOP_UP_CENTS})")
        payment_id = f"pi_{len(self._payments) + 1:08d}"
        self._payments[payment_id] = Payment(wallet, cents)
        return payment_id

    def pay(self, payment_id: str) -> None:
        """Let the payer pay.

        Raises:
            KeyError: No such payment.
        """
        self._payments[payment_id].paid = True

    def confirm(self, payment_id: str, wallet: int) -> None:
        """Raise the credit by a payment that was made.

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
    """``$1.05``."""
    return f"${cents // 100}.{cents % 100:02d}"

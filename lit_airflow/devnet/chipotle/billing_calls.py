"""Endpoints for credit, and the billing guards of other endpoints."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from lit_airflow.devnet.chipotle.account_calls import OK
from lit_airflow.devnet.chipotle.call import Call
from lit_airflow.devnet.chipotle.ledger import CreditError, PaymentError, dollars
from lit_airflow.devnet.chipotle.process import ChainDownError
from lit_airflow.devnet.chipotle.refusals import RefusalError, bad_request, failed, guarded
from lit_airflow.devnet.chipotle.reverts import RevertError
from lit_airflow.devnet.chipotle.signed_calls import billing_owner

_T = TypeVar("_T")
_UNAUTHORIZED, _PAYMENT_REQUIRED = 401, 402
UNKNOWN_KEY = "API key does not resolve to any account"


def balance(call: Call) -> object:
    """Return the account's balance. Credit is negative."""
    cents = call.state.ledger.credit_cents(_wallet(call))
    return {
        "balance_cents": -cents,
        "balance_display": f"{dollars(cents)} credit" if cents > 0 else "No credits",
    }


def stripe_config(_call: Call) -> object:
    """Return the payment provider's public key."""
    return {"publishable_key": "pk_test_local"}


def create_payment_intent(call: Call) -> object:
    """Create a payment intent."""
    wallet = _wallet(call)
    payment_id = _paying(lambda: call.state.ledger.create_payment(wallet, call.number("amount_cents")))
    return {"client_secret": f"{payment_id}_secret_local", "payment_intent_id": payment_id}


def confirm_payment(call: Call) -> object:
    """Add a completed payment to the credit."""
    wallet = _wallet(call)
    _paying(lambda: call.state.ledger.confirm_payment(call.text("payment_intent_id"), wallet))
    return OK


def check_credit(call: Call, cents: int) -> int:
    """Return the wallet that pays for the call, after checking that its credit covers the amount.

    Raises:
        RefusalError: 401, 402 or 503, by profile.
    """
    wallet = account_wallet(call)
    try:
        call.state.ledger.check(wallet, cents)
    except CreditError as error:
        raise guarded(_PAYMENT_REQUIRED, str(error)) from error
    return wallet


def account_wallet(call: Call) -> int:
    """Return the wallet whose credit pays for the call.

    Raises:
        RefusalError: 401, 402 or 503, by profile.
    """
    profile = call.state.profile
    if call.state.ledger.down:
        raise guarded(profile.outage_status)
    try:
        return call.process.account_wallet(call.hashed)
    except RevertError as revert:
        raise guarded(profile.unknown_key_status, UNKNOWN_KEY) from revert
    except ChainDownError as error:
        raise guarded(profile.outage_status) from error


def _wallet(call: Call) -> int:
    """Return the account's wallet for a billing endpoint."""
    profile = call.state.profile
    if call.state.ledger.down:
        raise (
            guarded(profile.outage_status) if profile.json_refusals else failed("Stripe error", "unreachable")
        )
    if call.wallet_auth:
        return billing_owner(call)
    try:
        return call.process.account_wallet(call.hashed)
    except RevertError as revert:
        raise _unknown_key(call) from revert
    except ChainDownError as error:
        raise failed("Billing lookup failed", "internal billing lookup error") from error


def _unknown_key(call: Call) -> RefusalError:
    if call.state.profile.json_refusals:
        return guarded(_UNAUTHORIZED, UNKNOWN_KEY)
    return bad_request("Invalid API key", "account not found for API key")


def _paying(act: Callable[[], _T]) -> _T:
    try:
        return act()
    except PaymentError as error:
        raise failed("Stripe error", error) from error

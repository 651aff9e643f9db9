"""Endpoints for owners of ChainSecured accounts, who prove themselves by signature."""

from __future__ import annotations

import base64
import binascii

from lit_airflow.devnet.chipotle.account_calls import OK
from lit_airflow.devnet.chipotle.call import Call
from lit_airflow.devnet.chipotle.identifiers import hex_address, parse_address
from lit_airflow.devnet.chipotle.refusals import bad_request
from lit_airflow.devnet.strict_json import parse

_BAD_SIGNATURE = "Invalid signature"


def create_wallet_with_signature(call: Call) -> object:
    """Create a wallet; the owner registers it on chain."""
    _signer(call, "CreateWallet")
    wallet = call.state.new_wallet()
    return {"wallet_address": hex_address(wallet.address), "derivation_path": f"0x{wallet.path:x}"}


def add_usage_api_key_with_signature(call: Call) -> object:
    """Create a usage key; the owner sends both transactions."""
    _signer(call, "AddUsageApiKey")
    wallet = call.state.new_wallet()
    return {
        "usage_api_key": wallet.as_key,
        "wallet_address": hex_address(wallet.address),
        "derivation_path": f"0x{wallet.path:x}",
    }


def convert_to_chain_secured_account(call: Call) -> object:
    """Transfer an account to a wallet. Irreversible."""
    context = "new_admin_wallet_address is not an address"
    admin = call.parsed(context, parse_address, call.text("new_admin_wallet_address"))
    if admin == 0:
        raise bad_request("new_admin_wallet_address must be non-zero", "zero address")
    if _signer(call, "ConvertAccount") != admin:
        raise bad_request(_BAD_SIGNATURE, "the signer is not new_admin_wallet_address")
    call.write("convert_to_chain_secured_account", call.hashed, admin)
    call.clear_account_caches()
    call.process.clear_wallet(call.hashed)
    return OK


def billing_owner(call: Call) -> int:
    """Return the signer of the header ``X-Wallet-Auth``: base64 of JSON ``{typed_data, signature}``.

    Raises:
        RefusalError: 400.
    """
    from lit_airflow.devnet.chipotle.wallet_signatures import (  # noqa: PLC0415 - slow to import, seldom needed
        signer_of_typed_data,
    )

    try:
        proof = parse(base64.b64decode(call.wallet_auth, validate=True))
        if not isinstance(proof, dict) or not isinstance(proof.get("signature"), str):
            raise bad_request(_BAD_SIGNATURE, "X-Wallet-Auth holds no signature")
        signature, data = proof["signature"], proof.get("typed_data")
        return signer_of_typed_data(data, signature, "BillingAuth", call.state.now())
    except (ValueError, binascii.Error) as error:
        raise bad_request(_BAD_SIGNATURE, error) from error


def _signer(call: Call, purpose: str) -> int:
    from lit_airflow.devnet.chipotle.wallet_signatures import (  # noqa: PLC0415 - slow to import, seldom needed
        signer_of_text,
        signer_of_typed_data,
    )

    now, signature = call.state.now(), call.text("signature")
    try:
        if call.state.profile.typed_signatures:
            return signer_of_typed_data(call.body["typed_data"], signature, purpose, now)
        return signer_of_text(call.text("message"), signature, now)
    except ValueError as error:
        raise bad_request(_BAD_SIGNATURE, error) from error

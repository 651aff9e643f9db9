"""Endpoints for accounts, usage keys and wallets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from lit_airflow.devnet.chipotle.call import Call
from lit_airflow.devnet.chipotle.identifiers import hex_address, key_hash, parse_address, usage_key_hash
from lit_airflow.devnet.chipotle.key_transactions import Scopes
from lit_airflow.devnet.chipotle.refusals import failed
from lit_airflow.devnet.chipotle.state import Wallet

OK = {"success": True}
_TEN_YEARS_S = 10 * 365 * 86400
_STORED_BALANCE = 10_000_000
_INTERNAL = "Internal server error."


def new_account(call: Call) -> object:
    """Create an account in API mode. Its key is the secret of its master wallet."""
    wallet = call.state.new_wallet()
    hashed = key_hash(wallet.as_key)
    name, description = call.text("account_name"), call.text("account_description")
    call.write("new_account", hashed, True, name, description, wallet.address, context=_INTERNAL)  # noqa: FBT003
    _register(call, hashed, wallet, "AMW", "Account Master Wallet")
    return {"api_key": wallet.as_key, "wallet_address": hex_address(wallet.address)}


def account_exists(call: Call) -> object:
    """Return whether the key belongs to an account in API mode; false for ChainSecured accounts."""
    payer = call.state.api_payers[0]
    return call.read(lambda storage: storage.exists_and_is_mutable(call.hashed, payer))


def add_usage_api_key(call: Call) -> object:
    """Mint a usage key in two transactions: register its wallet, then store the key."""
    wallet = call.state.new_wallet()
    _register(call, call.hashed, wallet, "API Key Wallet", "Usage API Key Wallet")
    if call.split:
        raise failed(f"{call.name} failed", "Failed to send transaction: the chain did not answer")
    usage_hash = key_hash(wallet.as_key)
    _set_usage_key(call, usage_hash)
    call.clear_key_caches(usage_hash)
    return {**OK, "usage_api_key": wallet.as_key}


def update_usage_api_key(call: Call) -> object:
    """Replace everything stored for a usage key. The key need not exist."""
    usage_hash = usage_key_hash(call.text("usage_api_key"))
    _set_usage_key(call, usage_hash)
    call.clear_key_caches(usage_hash)
    return OK


def update_usage_api_key_metadata(call: Call) -> object:
    """Rename a usage key."""
    usage_hash = usage_key_hash(call.text("usage_api_key"))
    call.write(call.name, call.hashed, usage_hash, call.text("name"), call.text("description"))
    return OK


def remove_usage_api_key(call: Call) -> object:
    """Remove a usage key."""
    argument = call.text("usage_api_key")
    usage_hash = usage_key_hash(argument)
    call.write(call.name, call.hashed, usage_hash)
    call.clear_key_caches(usage_hash)
    # Billing evicts the text that was sent as if it were a key, so a key removed by its hash stays cached.
    call.process.clear_wallet(key_hash(argument))
    return OK


def create_wallet(call: Call) -> object:
    """Create a wallet (PKP) for the account."""
    wallet = call.state.new_wallet()
    _register(call, call.hashed, wallet, "Wallet", "Wallet", context=f"{call.name} failed")
    return {"wallet_address": hex_address(wallet.address)}


def prepare_wallet(call: Call) -> object:
    """Create a wallet without registering it. The owner of a ChainSecured account does that on chain."""
    wallet = call.state.new_wallet()
    return {"wallet_address": hex_address(wallet.address), "derivation_path": f"0x{wallet.path:x}"}


def delete_wallet(call: Call) -> object:
    """Delete a wallet's entry from the account."""
    wallet = call.parsed("Invalid wallet address", parse_address, call.text("wallet_address"))
    call.write("delete_wallet", call.hashed, wallet)
    call.clear_account_caches()
    return OK


def _register(  # noqa: PLR0913 - what is registered
    call: Call, hashed: int, wallet: Wallet, name: str, description: str, *, context: str = _INTERNAL
) -> None:
    call.write(
        "register_wallet_derivation", hashed, wallet.address, wallet.path, name, description, context=context
    )
    call.clear_account_caches()


def _set_usage_key(call: Call, usage_hash: int) -> None:
    lists = ("manage_ipfs_ids_in_groups", "add_pkp_to_groups", "remove_pkp_from_groups", "execute_in_groups")
    manage, add, remove, execute = (cast("Sequence[int]", call.body[name]) for name in lists)
    scopes = Scopes(
        can_create_groups=call.body["can_create_groups"] is True,
        can_delete_groups=call.body["can_delete_groups"] is True,
        can_create_pkps=call.body["can_create_pkps"] is True,
        groups=(manage, add, remove, execute),
    )
    expiration = int(call.state.now().timestamp()) + _TEN_YEARS_S
    call.write(
        "set_usage_api_key",
        call.hashed,
        usage_hash,
        expiration,
        _STORED_BALANCE,
        call.text("name"),
        call.text("description"),
        scopes,
    )

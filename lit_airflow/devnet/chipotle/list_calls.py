"""Endpoints that list the contents of an account. Any of its keys may call them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from lit_airflow.devnet.chipotle.call import Call
from lit_airflow.devnet.chipotle.identifiers import hex_address, hex_number, parse_number
from lit_airflow.devnet.chipotle.storage import Account, Metadata, UsageKey, page

Item = dict[str, object]


def list_api_keys(call: Call) -> object:
    """List the usage keys."""
    return _listed(call, lambda account: account.usage_key_list.values, _usage_key)


def list_groups(call: Call) -> object:
    """List the groups."""
    return _listed(
        call,
        lambda account: account.group_list.values,
        lambda account, number: _named(account.group(number).metadata, "Any group in this account."),
    )


def list_wallets(call: Call) -> object:
    """List the wallets, including the master wallet and those of usage keys."""
    return _listed(call, lambda account: account.pkp_list, _wallet)


def list_wallets_in_group(call: Call) -> object:
    """List the wallets of a group. They need not belong to the account."""
    number = call.numbers["group_id"]
    return _listed(call, lambda account: account.group(number).pkps.values, _wallet)


def list_actions(call: Call) -> object:
    """List the actions with metadata, or all actions of a group."""
    group = call.query.get("group_id")
    number = 0 if group is None else call.parsed("Unable to parse group ID", parse_number, group)

    def actions(account: Account) -> Sequence[int]:
        return account.group(number).cid_hashes.values if number else account.action_list.values

    return _listed(
        call,
        actions,
        lambda account, cid_hash: _named(account.actions.get(cid_hash, Metadata()), "Any action received."),
    )


def _listed(
    call: Call, items: Callable[[Account], Sequence[int]], show: Callable[[Account, int], Item]
) -> list[Item]:
    account = call.read(lambda storage: storage.account_of(call.hashed), f"{call.name} failed")
    shown = page(items(account), call.numbers["page_number"], call.numbers["page_size"])
    return [show(account, each) for each in shown]


def _named(metadata: Metadata, wildcard: str) -> Item:
    if metadata.id == 0:
        return {"id": "n/a", "name": "Any", "description": wildcard}
    return {"id": hex_number(metadata.id), "name": metadata.name, "description": metadata.description}


def _wallet(account: Account, wallet: int) -> Item:
    metadata = account.pkps.get(wallet, Metadata())
    return {
        "id": "0",
        "name": metadata.name,
        "description": metadata.description,
        "wallet_address": hex_address(wallet),
    }


def _usage_key(account: Account, hashed: int) -> Item:
    key: UsageKey = account.usage_key(hashed)
    return {
        "id": hex_number(key.metadata.id),
        "api_key_hash": hex_number(key.key_hash),
        "name": key.metadata.name,
        "description": key.metadata.description,
        "expiration": str(key.expiration),
        "balance": key.balance,
        "can_create_groups": key.can_create_groups,
        "can_delete_groups": key.can_delete_groups,
        "can_create_pkps": key.can_create_pkps,
        "can_manage_ipfs_ids_in_groups": list(key.manage_ipfs_ids_in_groups.values),
        "can_add_pkp_to_groups": list(key.add_pkp_to_groups.values),
        "can_remove_pkp_from_groups": list(key.remove_pkp_from_groups.values),
        "can_execute_in_groups": list(key.execute_in_groups.values),
    }

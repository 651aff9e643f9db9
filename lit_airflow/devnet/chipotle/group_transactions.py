"""Transactions of the account contract: groups and action metadata.

Each function checks everything before it writes, so a revert leaves no trace.
Source: ``WritesFacet.sol`` of April 2026, with its order of checks.
"""

from __future__ import annotations

from collections.abc import Sequence

from lit_airflow.devnet.chipotle.access import as_master, revert_if_not_master, writable
from lit_airflow.devnet.chipotle.reverts import RevertError, invalid_request
from lit_airflow.devnet.chipotle.storage import Account, Metadata, Storage

_MOST_ITEMS = 10
# RefusalError -> which of a usage key's lists grants the right.
_RIGHTS = {
    "NotAllowedToManageIPFSIdsInGroup": 0,
    "NotAllowedToAddPkpToGroup": 1,
    "NotAllowedToRemovePkpFromGroup": 2,
}


def add_group(  # noqa: PLR0913, PLR0917 - the contract's own signature
    storage: Storage,
    sender: int,
    hashed: int,
    name: str,
    description: str,
    cid_hashes: Sequence[int],
    pkps: Sequence[int],
) -> int:
    """Create a group and return its number."""
    _check_lengths(cid_hashes, pkps)
    account = writable(storage, sender, hashed)
    if account.key_hash != hashed and not account.usage_key(hashed).can_create_groups:
        raise RevertError("NotAllowedToCreateGroup", (hashed,))
    account.group_count += 1
    number = account.group_count
    account.group_list.add(number)
    account.group(number).metadata = Metadata(number, name, description)
    _fill(account, number, cid_hashes, pkps)
    return number


def update_group(  # noqa: PLR0913, PLR0917 - the contract's own signature
    storage: Storage,
    sender: int,
    hashed: int,
    number: int,
    name: str,
    description: str,
    cid_hashes: Sequence[int],
    pkps: Sequence[int],
) -> None:
    """Replace everything stored for a group."""
    _check_lengths(cid_hashes, pkps)
    writable(storage, sender, hashed)
    # The contract looks under the given hash; a usage key's hash has no groups.
    account = storage.accounts.get(hashed)
    if account is None or account.group(number).metadata.id != number:
        raise RevertError("GroupDoesNotExist", (hashed, number))
    revert_if_not_master(storage, hashed)
    group = account.group(number)
    group.metadata.name, group.metadata.description = name, description
    group.cid_hashes.clear()
    group.pkps.clear()
    _fill(account, number, cid_hashes, pkps)


def remove_group(storage: Storage, sender: int, hashed: int, number: int) -> None:
    """Remove a group."""
    account = writable(storage, sender, hashed)
    if account.key_hash != hashed and not account.usage_key(hashed).can_delete_groups:
        raise RevertError("NotAllowedToDeleteGroup", (hashed,))
    _revert_if_no_group(account, number)
    account.group_list.remove(number)
    group = account.group(number)
    group.metadata = Metadata()
    group.cid_hashes.erase()
    group.pkps.erase()


def add_action(  # noqa: PLR0913, PLR0917 - the contract's own signature
    storage: Storage, sender: int, hashed: int, name: str, description: str, cid_hash: int
) -> None:
    """Store the metadata of an action."""
    account = as_master(storage, sender, hashed)
    account.action_list.add(cid_hash)
    account.actions[cid_hash] = Metadata(cid_hash, name, description)


def remove_action(storage: Storage, sender: int, hashed: int, cid_hash: int) -> None:
    """Delete an action's metadata and remove it from all groups. Unknown actions are ignored."""
    account = as_master(storage, sender, hashed)
    account.action_list.remove(cid_hash)
    for number in account.group_list.values:
        account.group(number).cid_hashes.remove(cid_hash)
    account.actions.pop(cid_hash, None)


def update_action_metadata(  # noqa: PLR0913, PLR0917 - the contract's own signature
    storage: Storage, sender: int, hashed: int, cid_hash: int, name: str, description: str
) -> None:
    """Change the metadata of an action."""
    account = as_master(storage, sender, hashed)
    if cid_hash not in account.action_list:
        raise RevertError("ActionDoesNotExist", (hashed, 0, cid_hash))
    account.actions[cid_hash].name, account.actions[cid_hash].description = name, description


def add_action_to_group(storage: Storage, sender: int, hashed: int, number: int, cid_hash: int) -> None:
    """Add an action to a group."""
    account = _with_right(storage, sender, hashed, number, "NotAllowedToManageIPFSIdsInGroup")
    account.group(number).cid_hashes.add(cid_hash)


def remove_action_from_group(storage: Storage, sender: int, hashed: int, number: int, cid_hash: int) -> None:
    """Remove an action from a group."""
    account = _with_right(storage, sender, hashed, number, "NotAllowedToManageIPFSIdsInGroup")
    if cid_hash not in account.group(number).cid_hashes:
        raise RevertError("ActionDoesNotExist", (account.key_hash, number, cid_hash))
    account.group(number).cid_hashes.remove(cid_hash)


def add_pkp_to_group(storage: Storage, sender: int, hashed: int, number: int, wallet: int) -> None:
    """Add a wallet to a group. It need not belong to the account."""
    account = _with_right(storage, sender, hashed, number, "NotAllowedToAddPkpToGroup")
    account.group(number).pkps.add(wallet)


def remove_pkp_from_group(storage: Storage, sender: int, hashed: int, number: int, wallet: int) -> None:
    """Remove a wallet from a group."""
    account = _with_right(storage, sender, hashed, number, "NotAllowedToRemovePkpFromGroup")
    if wallet not in account.group(number).pkps:
        raise RevertError("PkpDoesNotExist", (account.key_hash, number, wallet))
    account.group(number).pkps.remove(wallet)


def _with_right(storage: Storage, sender: int, hashed: int, number: int, refusal: str) -> Account:
    """Check that the key may change the group. Usage keys need the group's number; 0 does not count."""
    account = writable(storage, sender, hashed)
    if account.key_hash != hashed and number not in account.usage_key(hashed).sets()[_RIGHTS[refusal]]:
        raise RevertError(refusal, (hashed, number))
    _revert_if_no_group(account, number)
    return account


def _revert_if_no_group(account: Account, number: int) -> None:
    # Group 0 passes in every account: the stored number of a missing group is 0.
    if account.group(number).metadata.id != number:
        raise RevertError("GroupDoesNotExist", (account.key_hash, number))


def _check_lengths(cid_hashes: Sequence[int], pkps: Sequence[int]) -> None:
    for title, items in (("cidHashes", cid_hashes), ("pkpIds", pkps)):
        if len(items) > _MOST_ITEMS:
            raise invalid_request(f"{title} must be {_MOST_ITEMS} items or fewer")


def _fill(account: Account, number: int, cid_hashes: Sequence[int], pkps: Sequence[int]) -> None:
    group = account.group(number)
    for cid_hash in cid_hashes:
        group.cid_hashes.add(cid_hash)
    for wallet in pkps:
        group.pkps.add(wallet)

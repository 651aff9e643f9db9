"""Transactions of the account contract: accounts, usage keys and wallets.

Each function checks everything before it writes, so a revert leaves no trace.
Source: ``WritesFacet.sol`` of April 2026, with its order of checks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from lit_airflow.devnet.chipotle.access import as_master, revert_if_not_master, writable
from lit_airflow.devnet.chipotle.identifiers import wallet_account_hash
from lit_airflow.devnet.chipotle.reverts import RevertError, invalid_request
from lit_airflow.devnet.chipotle.storage import Account, Metadata, Storage

_MOST_GROUPS = 50
_SCOPE_LISTS = ("manageIPFSIdsInGroups", "addPkpToGroups", "removePkpFromGroups", "executeInGroups")


@dataclass(frozen=True, slots=True)
class Scopes:
    """Rights of a usage key: three flags and four lists of groups."""

    can_create_groups: bool
    can_delete_groups: bool
    can_create_pkps: bool
    groups: tuple[Sequence[int], Sequence[int], Sequence[int], Sequence[int]]


def new_account(  # noqa: PLR0913, PLR0917 - the contract's own signature
    storage: Storage,
    sender: int,
    hashed: int,
    managed: bool,  # noqa: FBT001
    name: str,
    description: str,
    admin: int,
) -> None:
    """Create an account."""
    if sender not in storage.api_payers:
        if managed:
            raise invalid_request("ChainSecured accounts must be unmanaged.")
        if hashed != wallet_account_hash(sender):
            raise invalid_request("ChainSecured apiKeyHash must equal the keccak256 of the sender.")
        if admin != sender:
            raise invalid_request("ChainSecured adminWalletAddress must equal the sender.")
    if hashed in storage.masters:
        raise RevertError("AccountAlreadyExists", (hashed,))
    storage.accounts[hashed] = Account(hashed, admin, managed, Metadata(hashed, name, description))
    storage.masters[hashed] = hashed


def new_chain_secured_account(storage: Storage, sender: int, name: str, description: str) -> None:
    """Create an account owned by the sender."""
    new_account(storage, sender, wallet_account_hash(sender), False, name, description, sender)  # noqa: FBT003


def convert_to_chain_secured_account(storage: Storage, sender: int, hashed: int, admin: int) -> None:
    """Transfer an account to a wallet. It keeps its hash."""
    if sender not in storage.api_payers:
        raise RevertError("OnlyApiPayerOrOwner", (sender,))
    if admin == 0:
        raise invalid_request("newAdminWalletAddress must be non-zero")
    if storage.masters.get(hashed) != hashed:
        raise RevertError("AccountDoesNotExist", (hashed,))
    account = storage.accounts[hashed]
    if not account.managed:
        raise invalid_request("Account is already ChainSecured.")
    account.managed = False
    account.admin = admin


def set_usage_api_key(  # noqa: PLR0913, PLR0917 - the contract's own signature
    storage: Storage,
    sender: int,
    hashed: int,
    usage_hash: int,
    expiration: int,
    balance: int,
    name: str,
    description: str,
    scopes: Scopes,
) -> None:
    """Create a usage key or replace everything stored for it. This also revives removed keys."""
    for title, groups in zip(_SCOPE_LISTS, scopes.groups, strict=True):
        if len(groups) > _MOST_GROUPS:
            raise invalid_request(f"{title} must be {_MOST_GROUPS} items or fewer")
    master = writable(storage, sender, hashed)
    if not storage.rules.weak_scope_writes:
        revert_if_not_master(storage, hashed)
    key = master.usage_key(usage_hash)
    key.key_hash = usage_hash
    key.metadata = Metadata(usage_hash, name, description)
    key.expiration, key.balance = expiration, balance
    key.can_create_groups = scopes.can_create_groups
    key.can_delete_groups = scopes.can_delete_groups
    key.can_create_pkps = scopes.can_create_pkps
    for stored, groups in zip(key.sets(), scopes.groups, strict=True):
        stored.clear()
        for group in groups:
            stored.add(group)
    master.usage_key_list.add(usage_hash)
    storage.masters[usage_hash] = master.key_hash


def update_usage_api_key_metadata(  # noqa: PLR0913, PLR0917 - the contract's own signature
    storage: Storage, sender: int, hashed: int, usage_hash: int, name: str, description: str
) -> None:
    """Change the metadata of a usage key."""
    account = _with_usage_key(storage, sender, hashed, usage_hash)
    key = account.usage_key(usage_hash)
    key.metadata.name, key.metadata.description = name, description


def remove_usage_api_key(storage: Storage, sender: int, hashed: int, usage_hash: int) -> None:
    """Remove a usage key. The index of its scopes survives, see ``EnumerableSet``."""
    account = _with_usage_key(storage, sender, hashed, usage_hash)
    account.usage_key_list.remove(usage_hash)
    key = account.usage_key(usage_hash)
    key.key_hash = key.expiration = key.balance = 0
    key.metadata = Metadata()
    key.can_create_groups = key.can_delete_groups = key.can_create_pkps = False
    for stored in key.sets():
        stored.erase()
    storage.masters.pop(usage_hash, None)


def register_wallet_derivation(  # noqa: PLR0913, PLR0917 - the contract's own signature
    storage: Storage, sender: int, hashed: int, wallet: int, path: int, name: str, description: str
) -> int:
    """Store the derivation path of a wallet and return the account's hash.

    Nothing proves that path and address belong together.
    """
    account = writable(storage, sender, hashed)
    if account.key_hash != hashed and not account.usage_key(hashed).can_create_pkps:
        raise RevertError("NotAllowedToCreatePkp", (hashed,))
    if path == 0:
        raise invalid_request("derivationPath must be non-zero")
    if wallet in account.pkps:
        raise invalid_request("PKP already registered")
    if storage.rules.owns_addresses and storage.pkp_owners.get(wallet, account.key_hash) != account.key_hash:
        raise invalid_request("PKP owned by another account")
    if storage.rules.owns_paths and storage.path_owners.get(path, account.key_hash) != account.key_hash:
        raise invalid_request("derivation path owned by another account")
    storage.pkp_owners.setdefault(wallet, account.key_hash)
    storage.path_owners.setdefault(path, account.key_hash)
    account.pkps[wallet] = Metadata(path, name, description)
    account.pkp_list.append(wallet)
    return account.key_hash


def delete_wallet(storage: Storage, sender: int, hashed: int, wallet: int) -> None:
    """Delete a wallet's entry. The address still belongs to the account."""
    account = as_master(storage, sender, hashed)
    if wallet not in account.pkps:
        raise RevertError("PkpDoesNotExist", (hashed, 0, wallet))
    del account.pkps[wallet]
    account.pkp_list.remove(wallet)
    for number in account.group_list.values:
        account.group(number).pkps.remove(wallet)


def upgrade(storage: Storage, _sender: int, change: Callable[[Storage], None]) -> None:
    """Upgrade the contract."""
    change(storage)


def _with_usage_key(storage: Storage, sender: int, hashed: int, usage_hash: int) -> Account:
    writable(storage, sender, hashed)
    account = storage.accounts.get(hashed)
    if account is None or account.usage_key(usage_hash).key_hash != usage_hash:
        raise RevertError("UsageApiKeyDoesNotExist", (hashed, usage_hash))
    revert_if_not_master(storage, hashed)
    return account

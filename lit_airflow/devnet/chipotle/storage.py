"""Storage and views of the account contract. Addresses and hashes are integers.

Source: ``AppStorage.sol`` and ``ViewsFacet.sol`` of April 2026; ownership of addresses and paths from July and
September.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from lit_airflow.devnet.chipotle.reverts import RevertError
from lit_airflow.devnet.chipotle.storage_set import EnumerableSet

_T = TypeVar("_T")
WILDCARD = 0


@dataclass(slots=True)
class Metadata:
    """Id, name and description.

    Attributes:
        id: Number of a group, hash of an action, derivation path of a wallet; 0 if missing.
    """

    id: int = 0
    name: str = ""
    description: str = ""


@dataclass(slots=True)
class UsageKey:
    """A usage key. ``expiration`` (Unix seconds) is stored but never checked."""

    key_hash: int = 0
    metadata: Metadata = field(default_factory=Metadata)
    expiration: int = 0
    balance: int = 0
    can_create_groups: bool = False
    can_delete_groups: bool = False
    can_create_pkps: bool = False
    manage_ipfs_ids_in_groups: EnumerableSet = field(default_factory=EnumerableSet)
    add_pkp_to_groups: EnumerableSet = field(default_factory=EnumerableSet)
    remove_pkp_from_groups: EnumerableSet = field(default_factory=EnumerableSet)
    execute_in_groups: EnumerableSet = field(default_factory=EnumerableSet)

    def sets(self) -> tuple[EnumerableSet, ...]:
        """Return the four lists of groups in the order of ``setUsageApiKey``."""
        return (
            self.manage_ipfs_ids_in_groups,
            self.add_pkp_to_groups,
            self.remove_pkp_from_groups,
            self.execute_in_groups,
        )


@dataclass(slots=True)
class Group:
    """Actions (CID hashes) and wallets of a group; 0 is a wildcard in both."""

    metadata: Metadata = field(default_factory=Metadata)
    cid_hashes: EnumerableSet = field(default_factory=EnumerableSet)
    pkps: EnumerableSet = field(default_factory=EnumerableSet)


@dataclass(slots=True)
class Account:
    """An account.

    Attributes:
        key_hash: Its id.
        admin: Address of the owner; in API mode the master wallet.
        managed: Whether it is in API mode, where the service writes to it.
    """

    key_hash: int
    admin: int
    managed: bool
    metadata: Metadata
    usage_key_list: EnumerableSet = field(default_factory=EnumerableSet)
    usage_keys: dict[int, UsageKey] = field(default_factory=dict)
    group_list: EnumerableSet = field(default_factory=EnumerableSet)
    groups: dict[int, Group] = field(default_factory=dict)
    group_count: int = 0
    action_list: EnumerableSet = field(default_factory=EnumerableSet)
    actions: dict[int, Metadata] = field(default_factory=dict)
    pkp_list: list[int] = field(default_factory=list)
    pkps: dict[int, Metadata] = field(default_factory=dict)

    def group(self, number: int) -> Group:
        """Return a group; an empty one if missing, like a Solidity mapping."""
        return self.groups.setdefault(number, Group())

    def usage_key(self, hashed: int) -> UsageKey:
        """Return a usage key; an empty one if missing."""
        return self.usage_keys.setdefault(hashed, UsageKey())


@dataclass(slots=True)
class ContractRules:
    """Differences between deployed versions of the contract.

    Attributes:
        weak_scope_writes: Usage keys can write usage keys (source before 20 September 2026).
        owns_addresses: An address belongs to the account that registers it first (July 2026).
        owns_paths: A derivation path belongs to the account that registers it first (20 September 2026).
    """

    weak_scope_writes: bool = True
    owns_addresses: bool = False
    owns_paths: bool = False


@dataclass(slots=True)
class Storage:
    """The contract's storage.

    Attributes:
        masters: Hash of any key -> hash of its account.
        pkp_owners: Address -> the account that registered it first.
        path_owners: Derivation path -> the account that registered it first.
        api_payers: Addresses of the service's signers.
    """

    api_payers: frozenset[int]
    rules: ContractRules = field(default_factory=ContractRules)
    accounts: dict[int, Account] = field(default_factory=dict)
    masters: dict[int, int] = field(default_factory=dict)
    pkp_owners: dict[int, int] = field(default_factory=dict)
    path_owners: dict[int, int] = field(default_factory=dict)

    def account_of(self, hashed: int) -> Account:
        """Return the account of any key's hash.

        Raises:
            RevertError: ``AccountDoesNotExist``.
        """
        master = self.masters.get(hashed)
        if not master:
            raise RevertError("AccountDoesNotExist", (hashed,))
        return self.accounts[master]

    def exists_and_is_mutable(self, hashed: int, sender: int) -> bool:
        """Return whether the account exists and the sender may write to it."""
        master = self.masters.get(hashed)
        if not master:
            return False
        account = self.accounts[master]
        return (account.managed and sender in self.api_payers) or account.admin == sender

    def can_execute(self, hashed: int, cid_hash: int) -> bool:
        """Return whether a key may run an action.

        Raises:
            RevertError: ``AccountDoesNotExist``.
        """
        return self._can(hashed, cid_hash, None)

    def can_use_wallet(self, hashed: int, cid_hash: int, wallet: int) -> bool:
        """Return whether a key may use a wallet in an action. One group must hold both.

        Raises:
            RevertError: ``AccountDoesNotExist``.
        """
        return self._can(hashed, cid_hash, wallet)

    def _can(self, hashed: int, cid_hash: int, wallet: int | None) -> bool:
        account = self.account_of(hashed)
        granted = account.usage_key(hashed).execute_in_groups
        if WILDCARD in granted:
            return True
        for number in account.group_list.values:
            group = account.group(number)
            runs = cid_hash in group.cid_hashes or WILDCARD in group.cid_hashes
            uses = wallet is None or wallet in group.pkps or WILDCARD in group.pkps
            if runs and uses and number in granted:
                return True
        return False

    def derivation(self, hashed: int, wallet: int) -> int:
        """Return the derivation path of an account's wallet; 0 if missing.

        Raises:
            RevertError: ``AccountDoesNotExist``.
        """
        found = self.account_of(hashed).pkps.get(wallet)
        return found.id if found else 0


def page(items: Sequence[_T], number: int, size: int) -> Sequence[_T]:
    """Return one page of a list. If the page size exceeds the list, that is the whole list."""
    if size > len(items):
        return items
    return items[number * size : (number + 1) * size]

"""What the account contract stores, and its questions about it. Addresses and hashes are numbers.

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
    """Name and description of a thing.

    Attributes:
        id: A group's number, an action's hash, a wallet's derivation path; 0 where there is no such thing.
    """

    id: int = 0
    name: str = ""
    description: str = ""


@dataclass(slots=True)
class UsageKey:
    """A scoped key. ``expiration`` (Unix seconds) is stored and never looked at."""

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
        """The four lists of groups, in the order of ``setUsageApiKey``."""
        return (
            self.manage_ipfs_ids_in_groups,
            self.add_pkp_to_groups,
            self.remove_pkp_from_groups,
            self.execute_in_groups,
        )


@dataclass(slots=True)
class Group:
    """Actions (hashes of CIDs; 0 is any) and wallets (the zero address is any)."""

    metadata: Metadata = field(default_factory=Metadata)
    cid_hashes: EnumerableSet = field(default_factory=EnumerableSet)
    pkps: EnumerableSet = field(default_factory=EnumerableSet)


@dataclass(slots=True)
class Account:
    """One account.

    Attributes:
        key_hash: Its own id.
        admin: The owner's address; in API mode the account's master wallet.
        managed: Whether the service may write for it (API mode).
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
        """A group, empty where there is none, as a Solidity mapping gives it."""
        return self.groups.setdefault(number, Group())

    def usage_key(self, hashed: int) -> UsageKey:
        """A usage key, empty where there is none."""
        return self.usage_keys.setdefault(hashed, UsageKey())


@dataclass(slots=True)
class ContractRules:
    """What deployed versions of the contract differ in.

    Attributes:
        weak_scope_writes: A usage key may write usage keys (until pull request 691, September 2026).
        owns_addresses: A wallet's address belongs to the account that registers it first (July 2026).
        owns_paths: So does a derivation path (pull request 690, September 2026).
    """

    weak_scope_writes: bool = True
    owns_addresses: bool = False
    owns_paths: bool = False


@dataclass(slots=True)
class Storage:
    """Everything the contract knows.

    Attributes:
        masters: Hash of any key -> hash of its account; itself for an account's own.
        pkp_owners: Address -> the account that registered it first.
        path_owners: Derivation path -> the same.
        api_payers: Addresses that the service signs with.
    """

    api_payers: frozenset[int]
    rules: ContractRules = field(default_factory=ContractRules)
    accounts: dict[int, Account] = field(default_factory=dict)
    masters: dict[int, int] = field(default_factory=dict)
    pkp_owners: dict[int, int] = field(default_factory=dict)
    path_owners: dict[int, int] = field(default_factory=dict)

    def account_of(self, hashed: int) -> Account:
        """The account that any of its keys' hashes names.

        Raises:
            RevertError: ``AccountDoesNotExist``.
        """
        master = self.masters.get(hashed)
        if not master:
            raise RevertError("AccountDoesNotExist", (hashed,))
        return self.accounts[master]

    def exists_and_is_mutable(self, hashed: int, sender: int) -> bool:
        """Whether there is such an account and the sender may write for it."""
        master = self.masters.get(hashed)
        if not master:
            return False
        account = self.accounts[master]
        return (account.managed and sender in self.api_payers) or account.admin == sender

    def can_execute(self, hashed: int, cid_hash: int) -> bool:
        """Whether a key may run an action.

        Raises:
            RevertError: ``AccountDoesNotExist``.
        """
        return self._can(hashed, cid_hash, None)

    def can_use_wallet(self, hashed: int, cid_hash: int, wallet: int) -> bool:
        """Whether a key may use a wallet in an action; one group must hold both.

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
        """The derivation path under which an account has a wallet; 0 where it has none.

        Raises:
            RevertError: ``AccountDoesNotExist``.
        """
        found = self.account_of(hashed).pkps.get(wallet)
        return found.id if found else 0


def page(items: Sequence[_T], number: int, size: int) -> Sequence[_T]:
    """Return one page of a list.

    A page larger than the list is the whole list, whatever its number.
    """
    if size > len(items):
        return items
    return items[number * size : (number + 1) * size]

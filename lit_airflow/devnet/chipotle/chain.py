"""The chain that the account contract lives on, and how late a server sees what is written there."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from lit_airflow.clock import Clock
from lit_airflow.devnet.chipotle import group_transactions, key_transactions
from lit_airflow.devnet.chipotle.storage import Storage

METHODS: dict[str, Callable[..., object]] = {
    function.__name__: function
    for function in (
        key_transactions.new_account,
        key_transactions.new_chain_secured_account,
        key_transactions.convert_to_chain_secured_account,
        key_transactions.set_usage_api_key,
        key_transactions.update_usage_api_key_metadata,
        key_transactions.remove_usage_api_key,
        key_transactions.register_wallet_derivation,
        key_transactions.delete_wallet,
        key_transactions.upgrade,
        group_transactions.add_group,
        group_transactions.update_group,
        group_transactions.remove_group,
        group_transactions.add_action,
        group_transactions.remove_action,
        group_transactions.update_action_metadata,
        group_transactions.add_action_to_group,
        group_transactions.remove_action_from_group,
        group_transactions.add_pkp_to_group,
        group_transactions.remove_pkp_from_group,
    )
}


@dataclass(frozen=True, slots=True)
class Transaction:
    """One change, made; one to a block.

    Attributes:
        sender: Address of who signed it.
        method: A key of ``METHODS``.
        arguments: What the method takes after storage and sender.
        made_at: When.
        seen_at: From when on servers see it.
        result: What the method returned.
    """

    sender: int
    method: str
    arguments: tuple[object, ...]
    made_at: datetime
    seen_at: datetime
    result: object


class Chain:
    """The contract's newest state, and every change that led to it.

    Args:
        clock: Tells the time.
        api_payers: Addresses that the service signs with.

    Attributes:
        delay_s: How long after a change servers see it; for changes made from now on.
    """

    def __init__(self, clock: Clock, api_payers: frozenset[int]) -> None:
        self._clock = clock
        self._api_payers = api_payers
        self.head = self.empty()
        self.transactions: list[Transaction] = []
        self.delay_s = 0.0

    def empty(self) -> Storage:
        """The contract's state before the first change."""
        return Storage(self._api_payers)

    def send(self, sender: int, method: str, *arguments: object) -> object:
        """Make a change; what the method returns.

        Raises:
            RevertError: The contract refuses it.
        """
        result = METHODS[method](self.head, sender, *arguments)
        now = self._clock()
        self.transactions.append(
            Transaction(sender, method, arguments, now, now + timedelta(seconds=self.delay_s), result)
        )
        return result

    def now(self) -> datetime:
        """The time."""
        return self._clock()

    def settle(self) -> None:
        """Let every change be seen at once."""
        self.transactions = [replace(each, seen_at=each.made_at) for each in self.transactions]


class Replica:
    """The chain as one server sees it: each change from its ``seen_at`` on, in their order."""

    def __init__(self, chain: Chain) -> None:
        self._chain = chain
        self._storage = chain.empty()
        self._seen = 0

    @property
    def storage(self) -> Storage:
        """The contract's state, as seen now."""
        now = self._chain.now()
        for each in self._chain.transactions[self._seen :]:
            if each.seen_at > now:
                break
            METHODS[each.method](self._storage, each.sender, *each.arguments)
            self._seen += 1
        return self._storage

    def simulate(self, sender: int, method: str, *arguments: object) -> object:
        """Try a change on the state as seen now; what it would return.

        Raises:
            RevertError: It would be refused.
        """
        return METHODS[method](copy.deepcopy(self.storage), sender, *arguments)

    @property
    def behind(self) -> bool:
        """Whether there are changes that are not seen yet."""
        _ = self.storage
        return self._seen < len(self._chain.transactions)

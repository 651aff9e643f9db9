"""The chain of the account contract, and the delay with which servers see changes."""

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
    """An executed transaction. Each block holds one.

    Attributes:
        sender: Address of the signer.
        method: A key of ``METHODS``.
        arguments: The method's arguments after storage and sender.
        made_at: When it was executed.
        seen_at: When servers begin to see it.
        result: What the method returned.
    """

    sender: int
    method: str
    arguments: tuple[object, ...]
    made_at: datetime
    seen_at: datetime
    result: object


class Chain:
    """The contract's latest state and the transactions that led to it.

    Args:
        clock: The clock.
        api_payers: Addresses of the service's signers.

    Attributes:
        delay_s: Delay with which servers see transactions made from now on.
    """

    def __init__(self, clock: Clock, api_payers: frozenset[int]) -> None:
        self._clock = clock
        self._api_payers = api_payers
        self.head = self.empty()
        self.transactions: list[Transaction] = []
        self.delay_s = 0.0

    def empty(self) -> Storage:
        """Return the contract's state before the first transaction."""
        return Storage(self._api_payers)

    def send(self, sender: int, method: str, *arguments: object) -> object:
        """Execute a transaction and return the method's result.

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
        """Make all transactions visible immediately."""
        self.transactions = [replace(each, seen_at=each.made_at) for each in self.transactions]


class Replica:
    """The chain as one server sees it: transactions in order, each from its ``seen_at`` on."""

    def __init__(self, chain: Chain) -> None:
        self._chain = chain
        self._storage = chain.empty()
        self._seen = 0

    @property
    def storage(self) -> Storage:
        """The contract's state as visible now."""
        now = self._chain.now()
        for each in self._chain.transactions[self._seen :]:
            if each.seen_at > now:
                break
            METHODS[each.method](self._storage, each.sender, *each.arguments)
            self._seen += 1
        return self._storage

    def simulate(self, sender: int, method: str, *arguments: object) -> object:
        """Execute a transaction on a copy of the visible state and return the method's result.

        Raises:
            RevertError: The contract refuses it.
        """
        return METHODS[method](copy.deepcopy(self.storage), sender, *arguments)

    @property
    def behind(self) -> bool:
        """Whether some transactions are not visible yet."""
        _ = self.storage
        return self._seen < len(self._chain.transactions)

"""The request as an endpoint sees it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TypeVar, cast

from lit_airflow.devnet.chipotle.identifiers import key_hash
from lit_airflow.devnet.chipotle.process import ChainDownError, ServerProcess
from lit_airflow.devnet.chipotle.refusals import bad_request, failed, reverted_read, reverted_write
from lit_airflow.devnet.chipotle.reverts import RevertError
from lit_airflow.devnet.chipotle.state import State
from lit_airflow.devnet.chipotle.storage import Storage

_T = TypeVar("_T")
_INTERNAL = "Internal server error."


@dataclass(slots=True)
class Call:
    """A request that has passed the guards.

    Attributes:
        name: The endpoint's name.
        process: The server process that handles it.
        others: The other processes.
        key: The API key; empty if none was sent.
        body: The fields that the endpoint declares; ``{"": value}`` if the body is a plain value.
        query: The query parameters.
        numbers: The query parameters that the endpoint declares as numbers.
        headers: ``Lit.Headers``: ``x-request-id`` and, if sent, ``x-correlation-id``.
        wallet_auth: The header ``X-Wallet-Auth``, in profiles that know it.
        split: Whether a mint fails between its two transactions.
    """

    name: str
    process: ServerProcess
    others: Sequence[ServerProcess]
    key: str = field(default="", repr=False)
    body: Mapping[str, object] = field(default_factory=dict, repr=False)
    query: Mapping[str, str] = field(default_factory=dict, repr=False)
    numbers: Mapping[str, int] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    wallet_auth: str = field(default="", repr=False)
    split: bool = False

    @property
    def state(self) -> State:
        """The state of the service."""
        return self.process.state

    @property
    def hashed(self) -> int:
        """The hash of the key, its id on chain."""
        return key_hash(self.key)

    def text(self, name: str) -> str:
        """Return a field that the shape declares as text."""
        return cast("str", self.body[name])

    def number(self, name: str) -> int:
        """Return a field that the shape declares as an integer."""
        return cast("int", self.body[name])

    def texts(self, name: str) -> Sequence[str]:
        """Return a field that the shape declares as a list of texts."""
        return cast("Sequence[str]", self.body[name])

    def parsed(self, context: str, parse: Callable[[str], _T], text: str) -> _T:
        """Parse an argument.

        Raises:
            RefusalError: 400 with the context.
        """
        try:
            return parse(text)
        except ValueError as error:
            raise bad_request(context, error) from error

    def read(self, ask: Callable[[Storage], _T], context: str = _INTERNAL) -> _T:
        """Query the contract.

        Raises:
            RefusalError: 500 with the context.
        """
        try:
            return ask(self.process.storage())
        except RevertError as revert:
            raise reverted_read(context, revert, self.state.profile) from revert
        except ChainDownError as error:
            raise failed(context, error) from error

    def write(self, method: str, *arguments: object, context: str = "") -> object:
        """Send a transaction to the contract.

        Raises:
            RefusalError: 403 or 500 with the context.
        """
        context = context or f"{self.name} failed"
        try:
            return self.process.send(method, *arguments)
        except RevertError as revert:
            raise reverted_write(context, revert, self.state.profile) from revert
        except ChainDownError as error:
            raise failed(context, error) from error

    def clear_account_caches(self) -> None:
        """Clear the permission caches of all keys of the account, after a change to it."""
        self.process.clear_account_caches(self.hashed)
        storage = self.state.chain.head
        master = storage.masters.get(self.hashed)
        if master is not None:
            account = storage.accounts[master]
            self._tell_others(master, *account.usage_key_list.values)

    def clear_key_caches(self, usage_hash: int) -> None:
        """Clear the permission caches of a usage key and the calling key, after a change to it."""
        self.process.clear(self.hashed, usage_hash)
        self._tell_others(self.hashed, usage_hash)

    def _tell_others(self, *hashes: int) -> None:
        listens_s = self.state.profile.listens_s
        if listens_s is not None:
            at = self.state.time() + timedelta(seconds=listens_s)
            for other in self.others:
                other.clear_later(hashes, at)

"""Managing an account: groups and usage keys, without doing twice what costs or changes something.

The service knows no idempotency keys. When the answer to a change is lost, the account's lists tell what became of
it; they may lag some seconds behind.

Source: docs/protocol/chipotle.md#what-may-be-repeated, #waiting-for-a-new-key and
#a-key-that-may-only-decrypt.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar

from lit_airflow.errors import OutcomeUnknownError, ProtocolError
from lit_airflow.keys.secret import Secret
from lit_airflow.networks.chipotle import api_calls
from lit_airflow.networks.chipotle.account_answers import (
    Group,
    UsageKey,
    all_rows,
    check_success,
    read_credit_cents,
    read_group,
    read_minted_key,
    read_new_group,
    read_usage_key,
)
from lit_airflow.networks.chipotle.api_calls import ApiCall, Key
from lit_airflow.networks.chipotle.usage_key_name import UsageKeyName

Send = Callable[[ApiCall], Any]
"""Sends a call with the account key and returns the JSON of its answer. Repeats only what may be repeated, and
raises ``OutcomeUnknownError`` where the answer to a change was lost."""

_DESCRIPTION = "lit-airflow"
# Looks at a list that may lag behind: at once, then after growing pauses, 14 s in all.
_LOOKS = 4
_FIRST_PAUSE_S = 2.0

Found = TypeVar("Found")


@dataclass(frozen=True, slots=True)
class Minted:
    """A new usage key.

    Attributes:
        name: What it was minted under.
        key: The key itself.
    """

    name: str
    key: Secret


@dataclass(slots=True)
class Sweep:
    """What a sweep found and did; each a list of names.

    Attributes:
        removed: Left over, and revoked.
        unsure: Left over, and it is not known whether the service has revoked them.
        too_wide: Ours, but they may do more than run the gate's group. Not touched: somebody has to look.
        strangers: Not ours. Not touched.
    """

    removed: list[str] = field(default_factory=list)
    unsure: list[str] = field(default_factory=list)
    too_wide: list[str] = field(default_factory=list)
    strangers: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Account:
    """An account of the service, managed with its account key.

    Attributes:
        send: Sends a call.
        wait: Waits so many seconds.
    """

    send: Send
    wait: Callable[[float], None]

    def credit_cents(self) -> int:
        """Return the account's credit in US cents.

        Raises:
            LitError: The service does not answer, or does not know the key.
        """
        return read_credit_cents(self.send(api_calls.balance(Key.ACCOUNT)))

    def usage_keys(self) -> list[UsageKey]:
        """Return all usage keys, read to the last page.

        Raises:
            LitError: The service does not answer, or does not know the key.
        """
        rows = all_rows(lambda page: self.send(api_calls.listing("list_api_keys", page)))
        return [read_usage_key(row) for row in rows]

    def groups(self) -> list[Group]:
        """Return all groups.

        Raises:
            LitError: The service does not answer, or does not know the key.
        """
        rows = all_rows(lambda page: self.send(api_calls.listing("list_groups", page)))
        return [read_group(row) for row in rows]

    def groups_named(self, name: str) -> list[int]:
        """Return the numbers of all groups of a name, lowest first. A name is not unique to the service.

        Raises:
            LitError: As :meth:`groups`.
        """
        return sorted(group.number for group in self.groups() if group.name == name)

    def actions(self, group: int | None = None) -> list[Mapping[str, Any]]:
        """Return the account's labelled actions, or the actions of a group.

        Raises:
            LitError: The service does not answer, or does not know the key.
        """
        return self._rows("list_actions", {} if group is None else {"group_id": str(group)})

    def wallets(self, group: int) -> list[Mapping[str, Any]]:
        """Return the wallets of a group.

        Raises:
            LitError: The service does not answer, or does not know the key.
        """
        return self._rows("list_wallets_in_group", {"group_id": str(group)})

    def is_labelled(self, cid_hash: str) -> bool:
        """Return whether the account has a label for an action.

        Raises:
            LitError: As :meth:`actions`.
        """
        return any(str(row.get("id")).lower() == cid_hash for row in self.actions())

    def label(self, cid: str, cid_hash: str, name: str) -> None:
        """Label an action, and wait until the label is listed; $0.01.

        Args:
            cid: The action's CID.
            cid_hash: Its id on the chain.
            name: The label; public for ever.

        Raises:
            OutcomeUnknownError: The label is not listed.
            LitError: The service refuses.
        """
        try:
            check_success(self.send(api_calls.add_action(cid, name, _DESCRIPTION)))
        except OutcomeUnknownError:
            if self.look(lambda: self.is_labelled(cid_hash) or None) is None:
                raise
        else:
            self.seen("add_action", lambda: self.is_labelled(cid_hash) or None)

    def remove_group(self, number: int) -> None:
        """Remove a group; $0.01.

        Raises:
            OutcomeUnknownError: The answer was lost, and the group is still listed.
            LitError: The service refuses.
        """

        def gone() -> bool | None:
            return all(group.number != number for group in self.groups()) or None

        try:
            check_success(self.send(api_calls.remove_group(number)))
        except OutcomeUnknownError:
            if self.look(gone) is None:
                raise

    def create_group(self, name: str, *cid_hashes: str) -> int:
        """Make a group of actions and return its number; $0.01.

        Args:
            name: One that no other group has; public for ever.
            cid_hashes: The actions' ids on the chain.

        Raises:
            OutcomeUnknownError: The answer was lost, and the group does not show in the list.
            LitError: The service refuses.
        """
        try:
            return read_new_group(self.send(api_calls.add_group(name, _DESCRIPTION, cid_hashes)))
        except OutcomeUnknownError:
            made = self.look(
                lambda: next((group.number for group in self.groups() if group.name == name), None)
            )
            if made is None:
                raise
            return made

    def add_to_group(self, number: int, cid: str, cid_hash: str) -> None:
        """Let the keys of a group run an action too, and wait until the group lists it; $0.01.

        Args:
            number: The group's number.
            cid: The action's CID. It has a label; without one it would not be listed.
            cid_hash: Its id on the chain.

        Raises:
            OutcomeUnknownError: The group does not list it.
            LitError: The service refuses.
        """

        def listed() -> bool | None:
            return any(str(row.get("id")).lower() == cid_hash for row in self.actions(number)) or None

        if listed():
            return
        try:
            check_success(self.send(api_calls.add_action_to_group(number, cid)))
        except OutcomeUnknownError:
            if self.look(listed) is None:
                raise
        else:
            self.seen("add_action_to_group", listed)

    def mint(self, new_name: Callable[[], str], group: int) -> Minted:
        """Mint a usage key that may run the actions of one group, and nothing else; $0.01, or twice that.

        When the answer is lost the key is revoked, since nobody knows it, and another is minted under another name,
        once.

        Args:
            new_name: Makes a name; see :func:`lit_airflow.networks.chipotle.usage_key_name.usage_key_name`.
            group: The group's number.

        Raises:
            OutcomeUnknownError: The answer was lost twice. What was minted is left over for a sweep.
            ProtocolError: The service minted a key and did not show it; it was revoked.
            LitError: The service refuses.
        """
        name = new_name()
        try:
            return self._minted(name, group)
        except OutcomeUnknownError:
            self.look(lambda: self.revoke_named(name) or None)
        return self._minted(new_name(), group)

    def revoke(self, key_hash: str) -> None:
        """Revoke a usage key by its hash; $0.01. One that is not there counts as revoked.

        Other processes of the service may take it for some seconds more.

        Raises:
            OutcomeUnknownError: The answer was lost, and the key still shows in the list.
            LitError: The service refuses.
        """
        try:
            check_success(self.send(api_calls.remove_usage_key(key_hash)))
        except OutcomeUnknownError:
            gone = self.look(
                lambda: True if all(key.key_hash != key_hash for key in self.usage_keys()) else None
            )
            if not gone:
                raise

    def revoke_named(self, name: str) -> int:
        """Revoke every usage key of a name, and return how many there were. A name is not unique to the service.

        Raises:
            LitError: As :meth:`revoke`.
        """
        named = [key.key_hash for key in self.usage_keys() if key.name == name]
        for key_hash in named:
            self.revoke(key_hash)
        return len(named)

    def sweep(self, tag: str, group: int, *, in_use: Collection[str], now: datetime) -> Sweep:
        """Revoke the usage keys that failed or forgotten rotations have left; $0.01 each.

        Args:
            tag: The deployment's, as in the keys' names.
            group: The group whose actions its keys may run.
            in_use: Hashes of the keys that tasks may be using: never revoked.
            now: Keys whose name ends later stay: somebody may be minting them.

        Raises:
            LitError: The keys cannot be listed.
        """
        swept = Sweep()
        for key in self.usage_keys():
            name = UsageKeyName.parse(key.name)
            if name is None or name.tag != tag:
                swept.strangers.append(key.name)
                continue
            if not key.may_only_run(group):
                swept.too_wide.append(key.name)
            if key.key_hash not in in_use and name.ends_at < now:
                self._sweep_away(key, swept)
        return swept

    def _sweep_away(self, key: UsageKey, swept: Sweep) -> None:
        try:
            self.revoke(key.key_hash)
        except OutcomeUnknownError:
            swept.unsure.append(key.name)
        else:
            swept.removed.append(key.name)

    def _rows(self, name: str, filters: Mapping[str, str]) -> list[Mapping[str, Any]]:
        return list(all_rows(lambda page: self.send(api_calls.listing(name, page, **filters))))

    def _minted(self, name: str, group: int) -> Minted:
        answer: list[Any] = [self.send(api_calls.add_usage_key(name, _DESCRIPTION, group))]
        try:
            return Minted(name, read_minted_key(answer.pop()))
        except ProtocolError:
            self.revoke_named(name)
            raise

    def seen(self, operation: str, ask: Callable[[], Found | None]) -> Found:
        """Wait until the lists show a change that the service has confirmed.

        Args:
            operation: The change, for the error.
            ask: Looks once.

        Raises:
            OutcomeUnknownError: They do not show it.
            LitError: The lists cannot be read.
        """
        found = self.look(ask)
        if found is None:
            raise OutcomeUnknownError(
                f"The service confirmed {operation}, and its lists do not show the change.",
                operation=operation,
                hint="Wait a minute and run the same again.",
            )
        return found

    def look(self, ask: Callable[[], Found | None]) -> Found | None:
        """Ask until something is found, or a list that lags must have caught up: some 14 s."""
        from tenacity import (  # noqa: PLC0415 - only a lost answer pays for it
            RetryError,
            Retrying,
            retry_if_result,
            stop_after_attempt,
            wait_exponential,
        )

        looking = Retrying(
            stop=stop_after_attempt(_LOOKS),
            wait=wait_exponential(multiplier=_FIRST_PAUSE_S),
            retry=retry_if_result(lambda found: found is None),
            sleep=self.wait,
        )
        try:
            return looking(ask)
        except RetryError:
            return None

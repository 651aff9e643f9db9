"""What the service lists of an account: keys, groups, actions, balance.

Fields that this package does not need are ignored; a live service may have more of them.

Source: docs/protocol/chipotle.md#calls and #paging.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from lit_airflow.errors import ProtocolError
from lit_airflow.keys.secret import Secret
from lit_airflow.networks.chipotle.api_calls import PAGE_SIZE
from lit_airflow.networks.chipotle.identifiers import credit_cents, group_number

_HASH = re.compile(r"0x[0-9a-fA-F]{64}")
_SENDABLE = re.compile(r"[!-~]+")
_MOST_PAGES = 1000
_FLAGS = ("can_create_groups", "can_delete_groups", "can_create_pkps")
_SCOPES = ("can_manage_ipfs_ids_in_groups", "can_add_pkp_to_groups", "can_remove_pkp_from_groups")


@dataclass(frozen=True, slots=True)
class UsageKey:
    """A usage key as the account lists it; not the key itself.

    Attributes:
        name: What it was minted under.
        key_hash: ``0x`` and 64 hex digits, lower case.
        groups: Whose actions it may run.
        only_runs: Whether it may do nothing but run actions.
    """

    name: str
    key_hash: str
    groups: tuple[int, ...]
    only_runs: bool

    def may_only_run(self, group: int) -> bool:
        """Return whether running the actions of one group is all that it may do."""
        return self.only_runs and self.groups == (group,)


@dataclass(frozen=True, slots=True)
class Group:
    """A group as the account lists it.

    Attributes:
        number: From 1.
        name: What it was made under.
    """

    number: int
    name: str


def read_usage_key(row: object) -> UsageKey:
    """Read one entry of ``list_api_keys``.

    Raises:
        ProtocolError: A field is missing or malformed.
    """
    fields = _fields(row)
    key_hash = _text(fields, "api_key_hash")
    if not _HASH.fullmatch(key_hash):
        raise ProtocolError("The service listed a key without its hash.")
    groups = tuple(_number(item) for item in _list(fields, "can_execute_in_groups"))
    only_runs = not any(fields.get(flag) for flag in _FLAGS) and not any(
        _list(fields, scope) for scope in _SCOPES
    )
    return UsageKey(_text(fields, "name"), key_hash.lower(), groups, only_runs)


def read_group(row: object) -> Group:
    """Read one entry of ``list_groups``.

    Raises:
        ProtocolError: A field is missing or malformed.
    """
    fields = _fields(row)
    return Group(group_number(fields.get("id")), _text(fields, "name"))


def read_minted_key(answer: object) -> Secret:
    """Read the answer to a mint; the only time that the key is shown.

    Raises:
        ProtocolError: There is no key in it.
    """
    key = answer.get("usage_api_key") if isinstance(answer, Mapping) else None
    if isinstance(key, str) and _SENDABLE.fullmatch(key):
        return Secret(key.encode())
    del answer, key  # no frame of the error may hold a key
    raise ProtocolError("The service minted a key and did not show it.")


def read_new_group(answer: object) -> int:
    """Read the number of the group that was made.

    Raises:
        ProtocolError: There is none.
    """
    return group_number(_fields(answer).get("group_id"))


def read_credit_cents(answer: object) -> int:
    """Read the account's credit in US cents.

    Raises:
        ProtocolError: There is no balance.
    """
    balance = _fields(answer).get("balance_cents")
    if type(balance) is not int:
        raise ProtocolError("The service did not tell the balance.")
    return credit_cents(balance)


def check_success(answer: object) -> None:
    """Check the answer to a change.

    Raises:
        ProtocolError: It does not say that the change was made.
    """
    if _fields(answer).get("success") is not True:
        raise ProtocolError("The service did not say that the change was made.")


def all_rows(page: Callable[[int], object]) -> Iterator[Mapping[str, Any]]:
    """Read a list to its end, page by page.

    A page that is not full is the last: a page size beyond the length of the list is answered with all of it,
    whatever the page's number. Rows that were read already are left out.

    Args:
        page: Reads one page, by its number from 0.

    Raises:
        ProtocolError: A page is not a list of objects, or the list does not end.
    """
    seen: set[str] = set()
    for number in range(_MOST_PAGES):
        rows = page(number)
        if not isinstance(rows, list):
            raise ProtocolError("The service's list is not a list.")
        for row in rows:
            fields = _fields(row)
            identity = str(fields.get("api_key_hash") or fields.get("wallet_address") or fields.get("id"))
            if identity not in seen:
                seen.add(identity)
                yield fields
        if len(rows) < PAGE_SIZE:
            return
    raise ProtocolError(f"The service's list does not end after {_MOST_PAGES} pages.")


def _fields(row: object) -> Mapping[str, Any]:
    if not isinstance(row, Mapping):
        raise ProtocolError("The service's answer is not an object.")
    return row


def _text(fields: Mapping[str, Any], key: str) -> str:
    text = fields.get(key)
    if not isinstance(text, str):
        raise ProtocolError(f"The service's answer has no text {key}.")
    return text


def _list(fields: Mapping[str, Any], key: str) -> list[Any]:
    found = fields.get(key)
    if not isinstance(found, list):
        raise ProtocolError(f"The service's answer has no list {key}.")
    return found


def _number(item: object) -> int:
    return item if type(item) is int else group_number(item)

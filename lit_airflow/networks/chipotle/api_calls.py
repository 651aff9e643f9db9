"""The calls of the service's API: what is sent, what it costs, and whether it may be repeated.

Field names, and numbers in one place where another has texts, are the service's own.

Source: the service's OpenAPI document and server source of April 2026; docs/protocol/chipotle.md#headers,
#calls and #what-may-be-repeated.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any
from urllib.parse import urlencode

from lit_airflow.errors import SettingsError
from lit_airflow.keys.secret import Secret
from lit_airflow.networks.chipotle import gate_requests

WRITE_CENTS = 1
"""What each change of the account costs; the same is the least that a run costs."""
PAGE_SIZE = 50

_READ_TIMEOUT_S = 15.0
_WRITE_TIMEOUT_S = 90.0
_SENDABLE = re.compile(r"[!-~]+")

# Sending these again has the same outcome as sending them once.
REPEATABLE = frozenset({
    "account_exists",
    "add_action_to_group",
    "add_pkp_to_group",
    "billing/balance",
    "billing/stripe_config",
    "get_admin_api_payer",
    "get_api_payers",
    "get_chain_config_keys",
    "get_lit_action_client_config",
    "get_lit_action_ipfs_id",
    "get_node_chain_config",
    "list_actions",
    "list_api_keys",
    "list_groups",
    "list_wallets",
    "list_wallets_in_group",
    "lit_action",
    "update_action_metadata",
    "update_group",
    "update_usage_api_key",
    "update_usage_api_key_metadata",
    "version",
})  # fmt: skip


class Key(Enum):
    """Which key a call is made with."""

    NONE = "none"
    ACCOUNT = "account key"
    USAGE = "usage key"


@dataclass(frozen=True, slots=True)
class ApiCall:
    """One call.

    Attributes:
        name: The path below the base URL.
        key: Whose authority it needs.
        body: The exact JSON text to post; ``None`` for a GET.
        query: What follows the path in a GET.
        timeout_s: Seconds to wait for the answer.
        cents: What it costs; for a run the least.
    """

    name: str
    key: Key = Key.NONE
    body: str | None = field(default=None, repr=False)
    query: str = ""
    timeout_s: float = _READ_TIMEOUT_S
    cents: int = 0

    @property
    def method(self) -> str:
        """``GET`` or ``POST``."""
        return "GET" if self.body is None else "POST"

    @property
    def path(self) -> str:
        """What follows the base URL."""
        return f"/{self.name}{'?' if self.query else ''}{self.query}"

    @property
    def repeatable(self) -> bool:
        """Whether the same may be sent again when its answer was lost."""
        return self.name in REPEATABLE


def headers(key: Secret | None) -> dict[str, str]:
    """Return the headers of a call; with the key in them, so they must not reach a log.

    ``X-Privacy-Mode`` keeps the request out of the service's own logs, which have contained keys before.

    Raises:
        SettingsError: The key cannot stand in a header.
    """
    sent = {"Accept": "application/json", "X-Privacy-Mode": "true"}
    if key is not None:
        bearer = key.reveal().decode("ascii", errors="replace")
        if not _SENDABLE.fullmatch(bearer):
            del bearer
            raise SettingsError("The API key must be printable ASCII without blanks.", field="api_key")
        sent["Authorization"] = f"Bearer {bearer}"
    return sent


def run(code: Secret, params: Any, *, timeout_s: float) -> ApiCall:  # noqa: ANN401 - JSON
    """Run an action; the time-out is the action's own limit and some 15 s more.

    Args:
        code: The action's text; a gate's contains its salt.
        params: What the action is given.
        timeout_s: Seconds to wait for the answer.
    """
    body = gate_requests.run_body(code.reveal().decode(), params)
    return ApiCall("lit_action", Key.USAGE, body, timeout_s=timeout_s, cents=WRITE_CENTS)


def action_cid(code: Secret) -> ApiCall:
    """Ask which CID the service gives a text; answers the CID as one text."""
    return ApiCall("get_lit_action_ipfs_id", body=_json(code.reveal().decode()))


def version() -> ApiCall:
    """Ask which build the service runs."""
    return ApiCall("version")


def chain_config() -> ApiCall:
    """Ask which contract keeps the accounts, and on which chain."""
    return ApiCall("get_node_chain_config")


def client_config() -> ApiCall:
    """Ask for the service's limits."""
    return ApiCall("get_lit_action_client_config")


def balance(key: Key = Key.USAGE) -> ApiCall:
    """Ask for the account's balance."""
    return ApiCall("billing/balance", key)


def account_exists(key: Key = Key.USAGE) -> ApiCall:
    """Ask whether a key is alive; for the keys of an account that the service manages."""
    return ApiCall("account_exists", key)


def listing(name: str, page: int, **filters: str) -> ApiCall:
    """Ask for one page of a list, such as ``list_api_keys`` or ``list_wallets_in_group``."""
    query = urlencode({**filters, "page_number": page, "page_size": PAGE_SIZE})
    return ApiCall(name, Key.ACCOUNT, query=query)


def add_group(name: str, description: str, cid_hashes: Sequence[str]) -> ApiCall:
    """Make a group of actions, without wallets: a gate needs none."""
    return _write(
        "add_group",
        group_name=name,
        group_description=description,
        pkp_ids_permitted=[],
        cid_hashes_permitted=list(cid_hashes),
    )


def remove_group(group: int) -> ApiCall:
    """Remove a group."""
    return _write("remove_group", group_id=str(group))


def add_action(cid: str, name: str, description: str) -> ApiCall:
    """Label an action; without a label, lists show its CID in a group as they show a wildcard."""
    return _write("add_action", action_ipfs_cid=cid, name=name, description=description)


def add_action_to_group(group: int, cid: str) -> ApiCall:
    """Let the keys of a group run an action."""
    return _write("add_action_to_group", group_id=group, action_ipfs_cid=cid)


def remove_action_from_group(group: int, cid_hash: str) -> ApiCall:
    """Let the keys of a group no longer run an action."""
    return _write("remove_action_from_group", group_id=group, hashed_cid=cid_hash)


def add_usage_key(name: str, description: str, group: int) -> ApiCall:
    """Mint a usage key that may run the actions of one group, and nothing else.

    Raises:
        SettingsError: The group is 0, the wildcard: such a key could run anything.
    """
    if group < 1:
        raise SettingsError("A usage key must name a group, and 0 stands for all of them.", field="group")
    return _write(
        "add_usage_api_key",
        name=name,
        description=description,
        can_create_groups=False,
        can_delete_groups=False,
        can_create_pkps=False,
        manage_ipfs_ids_in_groups=[],
        add_pkp_to_groups=[],
        remove_pkp_from_groups=[],
        execute_in_groups=[group],
    )


def remove_usage_key(key_hash: str) -> ApiCall:
    """Revoke a usage key, named by its hash."""
    return _write("remove_usage_api_key", usage_api_key=key_hash)


def _write(call: str, /, **body: object) -> ApiCall:
    return ApiCall(call, Key.ACCOUNT, _json(body), timeout_s=_WRITE_TIMEOUT_S, cents=WRITE_CENTS)


def _json(value: object) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)

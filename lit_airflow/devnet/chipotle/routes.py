"""Table of endpoints."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum, auto

from lit_airflow.devnet.chipotle import (
    account_calls,
    billing_calls,
    config_calls,
    group_calls,
    list_calls,
    signed_calls,
)
from lit_airflow.devnet.chipotle.call import Call
from lit_airflow.devnet.chipotle.profiles import Profile
from lit_airflow.devnet.chipotle.shapes import (
    ANYTHING,
    FLAG,
    I64,
    OPTIONAL_ANYTHING,
    OPTIONAL_TEXT,
    OPTIONAL_TEXTS,
    TEXT,
    TEXTS,
    U64,
    U64S,
    Shape,
)

LIT_ACTION = "lit_action"


class Guard(Enum):
    """Check that precedes reading the query and body."""

    NOTHING = auto()
    KEY = auto()  # any API key; the endpoint looks it up
    PAYER = auto()  # an API key, or a signature of the account's owner
    PAID = auto()  # a known API key; the account pays a cent
    ACTION = auto()  # a known API key; the account has credit
    NEW = auto()  # rate limit per client address


@dataclass(frozen=True, slots=True)
class Route:
    """One endpoint.

    Attributes:
        serve: Handles the request. ``lit_action`` is handled by ``Actions`` instead.
        guard: Its guard.
        shape: Shape of the body; ``None`` for no body. The name ``""`` stands for the body itself.
        query: Numeric query parameters -> whether they are required.
    """

    serve: Callable[[Call], object]
    guard: Guard
    shape: Shape | None = None
    query: Mapping[str, bool] = field(default_factory=dict)

    @property
    def changes(self) -> bool:
        """Whether it writes to the chain."""
        return self.guard in {Guard.PAID, Guard.NEW}


_PAGED = {"page_number": True, "page_size": True}
_NAMED = {"name": TEXT, "description": TEXT}
_SCOPES = {
    **_NAMED,
    "can_create_groups": FLAG,
    "can_delete_groups": FLAG,
    "can_create_pkps": FLAG,
    "manage_ipfs_ids_in_groups": U64S,
    "add_pkp_to_groups": U64S,
    "remove_pkp_from_groups": U64S,
    "execute_in_groups": U64S,
}
_USAGE_KEY = {"usage_api_key": TEXT}
_NEW_ACCOUNT = {"account_name": TEXT, "account_description": TEXT, "email": OPTIONAL_TEXT}
_NEW_GROUP = {
    "group_name": TEXT,
    "group_description": TEXT,
    "pkp_ids_permitted": TEXTS,
    "cid_hashes_permitted": TEXTS,
}
_GROUP = {
    "group_id": U64,
    **_NAMED,
    "pkp_ids_permitted": OPTIONAL_TEXTS,
    "cid_hashes_permitted": OPTIONAL_TEXTS,
}
_ACTION = {"code": OPTIONAL_TEXT, "ipfs_id": OPTIONAL_TEXT, "js_params": OPTIONAL_ANYTHING}
_IN_GROUP = {"group_id": U64}
_HASHED = {"hashed_cid": TEXT}
_CID = {"action_ipfs_cid": TEXT}
_PKP = {"pkp_id": TEXT}


def _paid(serve: Callable[[Call], object], shape: Shape) -> Route:
    return Route(serve, Guard.PAID, shape)


def _listing(serve: Callable[[Call], object], **more: bool) -> Route:
    return Route(serve, Guard.KEY, query={**more, **_PAGED})


def _open(serve: Callable[[Call], object]) -> Route:
    return Route(serve, Guard.NOTHING)


def _run_elsewhere(_call: Call) -> object:
    raise NotImplementedError


_POSTS: dict[str, Route] = {
    "new_account": Route(account_calls.new_account, Guard.NEW, _NEW_ACCOUNT),
    "add_usage_api_key": _paid(account_calls.add_usage_api_key, _SCOPES),
    "update_usage_api_key": _paid(account_calls.update_usage_api_key, {**_SCOPES, **_USAGE_KEY}),
    "update_usage_api_key_metadata": _paid(
        account_calls.update_usage_api_key_metadata, {**_USAGE_KEY, **_NAMED}
    ),
    "remove_usage_api_key": _paid(account_calls.remove_usage_api_key, _USAGE_KEY),
    "add_group": _paid(group_calls.add_group, _NEW_GROUP),
    "update_group": _paid(group_calls.update_group, _GROUP),
    "remove_group": _paid(group_calls.remove_group, {"group_id": TEXT}),
    "add_action_to_group": _paid(group_calls.add_action_to_group, {**_IN_GROUP, **_CID}),
    "remove_action_from_group": _paid(group_calls.remove_action_from_group, {**_IN_GROUP, **_HASHED}),
    "add_pkp_to_group": _paid(group_calls.add_pkp_to_group, {**_IN_GROUP, **_PKP}),
    "remove_pkp_from_group": _paid(group_calls.remove_pkp_from_group, {**_IN_GROUP, **_PKP}),
    "add_action": _paid(group_calls.add_action, {**_CID, **_NAMED}),
    "delete_action": _paid(group_calls.delete_action, _HASHED),
    "update_action_metadata": _paid(group_calls.update_action_metadata, {**_HASHED, **_NAMED}),
    "get_lit_action_ipfs_id": Route(group_calls.get_lit_action_ipfs_id, Guard.NOTHING, {"": TEXT}),
    LIT_ACTION: Route(_run_elsewhere, Guard.ACTION, _ACTION),
    "billing/create_payment_intent": Route(
        billing_calls.create_payment_intent, Guard.PAYER, {"amount_cents": I64}
    ),
    "billing/confirm_payment": Route(billing_calls.confirm_payment, Guard.PAYER, {"payment_intent_id": TEXT}),
}
_GETS: dict[str, Route] = {
    "account_exists": Route(account_calls.account_exists, Guard.KEY),
    "create_wallet": Route(account_calls.create_wallet, Guard.PAID),
    "list_api_keys": _listing(list_calls.list_api_keys),
    "list_groups": _listing(list_calls.list_groups),
    "list_wallets": _listing(list_calls.list_wallets),
    "list_wallets_in_group": _listing(list_calls.list_wallets_in_group, group_id=True),
    "list_actions": _listing(list_calls.list_actions),
    "get_node_chain_config": _open(config_calls.get_node_chain_config),
    "get_chain_config_keys": _open(config_calls.get_chain_config_keys),
    "get_lit_action_client_config": _open(config_calls.get_lit_action_client_config),
    "get_api_payers": _open(config_calls.get_api_payers),
    "get_admin_api_payer": _open(config_calls.get_admin_api_payer),
    "version": _open(config_calls.version),
    "billing/balance": Route(billing_calls.balance, Guard.PAYER),
    "billing/stripe_config": _open(billing_calls.stripe_config),
}


def table(profile: Profile) -> dict[tuple[str, str], Route]:
    """Return the endpoints of a build by method and name."""
    signed = {"typed_data": ANYTHING} if profile.typed_signatures else {"message": TEXT}
    signed["signature"] = TEXT
    posts = {
        **_POSTS,
        "create_wallet_with_signature": Route(
            signed_calls.create_wallet_with_signature, Guard.NOTHING, signed
        ),
        "convert_to_chain_secured_account": _paid(
            signed_calls.convert_to_chain_secured_account, {"new_admin_wallet_address": TEXT, **signed}
        ),
    }
    if profile.posts_create_wallet:
        posts["create_wallet"] = _GETS["create_wallet"]
    if profile.has_later_calls:
        posts["add_usage_api_key_with_signature"] = Route(
            signed_calls.add_usage_api_key_with_signature, Guard.NOTHING, signed
        )
        posts["prepare_wallet"] = Route(account_calls.prepare_wallet, Guard.NOTHING)
        posts["delete_wallet"] = _paid(account_calls.delete_wallet, {"wallet_address": TEXT})
    return {("POST", name): route for name, route in posts.items()} | {
        ("GET", name): route for name, route in _GETS.items()
    }

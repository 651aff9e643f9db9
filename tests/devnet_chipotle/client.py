"""A plain HTTP client for the tests."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from typing import Any

import requests

from lit_airflow.devnet.chipotle import Chipotle
from lit_airflow.devnet.chipotle.cid import action_cid
from lit_airflow.devnet.chipotle.identifiers import hex_number, key_hash

Json = dict[str, Any]
TIMEOUT_S = 300
NO_SCOPES: Json = {
    "can_create_groups": False,
    "can_delete_groups": False,
    "can_create_pkps": False,
    "manage_ipfs_ids_in_groups": [],
    "add_pkp_to_groups": [],
    "remove_pkp_from_groups": [],
    "execute_in_groups": [],
}


def is_base64_of_32_bytes(text: str) -> bool:
    return len(base64.b64decode(text, validate=True)) == 32


def cid_hash(code: str) -> str:
    return hex_number(key_hash(action_cid(code)))


@dataclass
class Client:
    """Asks as one key."""

    net: Chipotle
    key: str = ""
    headers: dict[str, str] = field(default_factory=lambda: {"Accept": "application/json"})

    @property
    def url(self) -> str:
        return str(self.net.description["api_url"])

    def _headers(self, more: dict[str, str]) -> dict[str, str]:
        key = {"X-Api-Key": self.key} if self.key else {}
        return {**self.headers, **key, **more}

    def get(self, name: str, /, headers: dict[str, str] | None = None, **query: object) -> requests.Response:
        return requests.get(
            f"{self.url}/{name}", params=query, headers=self._headers(headers or {}), timeout=TIMEOUT_S
        )

    def post(
        self, name: str, /, body: object = None, headers: dict[str, str] | None = None, **fields: object
    ) -> requests.Response:
        return requests.post(
            f"{self.url}/{name}",
            json=fields if body is None else body,
            headers=self._headers(headers or {}),
            timeout=TIMEOUT_S,
        )

    def done(self, name: str, /, **fields: object) -> Json:
        answer = self.post(name, **fields)
        assert answer.status_code == 200, answer.text
        found: Json = answer.json()
        return found

    def listed(self, name: str, /, **query: object) -> list[Json]:
        answer = self.get(name, **{"page_number": 0, "page_size": 1000, **query})
        assert answer.status_code == 200, answer.text
        found: list[Json] = answer.json()
        return found

    def as_key(self, key: str) -> Client:
        return Client(self.net, key, self.headers)

    def new_account(self, cents: int = 500) -> Client:
        made = self.done("new_account", account_name="a", account_description="")
        hashed = hex_number(key_hash(made["api_key"]))
        self.net._call(lambda network: network.set_credit(cents, hashed))
        return self.as_key(made["api_key"])

    def mint(self, **scopes: object) -> Client:
        made = self.done("add_usage_api_key", **{"name": "k", "description": "", **NO_SCOPES, **scopes})
        return self.as_key(made["usage_api_key"])

    def group(self, *codes: str, pkps: tuple[str, ...] = ()) -> int:
        made = self.done(
            "add_group",
            group_name="g",
            group_description="",
            cid_hashes_permitted=[cid_hash(code) for code in codes],
            pkp_ids_permitted=list(pkps),
        )
        return int(made["group_id"])

    def wallet(self) -> str:
        return str(self.get("create_wallet").json()["wallet_address"])

    def run(self, code: str, params: object = None, **fields: object) -> requests.Response:
        return self.post("lit_action", **{"code": code, "js_params": params, **fields})

    def credit_cents(self) -> int:
        return -int(self.get("billing/balance").json()["balance_cents"])


def owner(net: Chipotle) -> Client:
    """The prepared account."""
    return Client(net, str(net.description["account_key"]))


def payer(net: Chipotle) -> Client:
    """The prepared usage key."""
    return Client(net, str(net.description["api_key"]))

"""Accounts, usage keys, groups, wallets, lists, configuration and headers."""

from __future__ import annotations

import base64
import re

import pytest
import requests

from lit_airflow.devnet.chipotle import Chipotle, Settings, key_service
from lit_airflow.devnet.chipotle.cid import CHUNK_BYTES, action_cid
from lit_airflow.devnet.chipotle.identifiers import hex_address, hex_number, key_hash
from tests.devnet_chipotle.client import (
    NO_SCOPES,
    TIMEOUT_S,
    Client,
    Json,
    cid_hash,
    is_base64_of_32_bytes,
    owner,
    payer,
)
from tests.devnet_chipotle.conftest import HandClock

CODE = "const main = () => 1;"
NAMED: Json = {"name": "n", "description": "d"}
UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"


def hashed(client: Client) -> str:
    return hex_number(key_hash(client.key))


def key_item(client: Client, key: Client) -> Json:
    return next(each for each in client.listed("list_api_keys") if each["api_key_hash"] == hashed(key))


class TestAccounts:
    def test_a_new_account(self, either: Client) -> None:
        made = either.as_key("").done("new_account", account_name="a", account_description="", email=None)
        assert set(made) == {"api_key", "wallet_address"}
        secret = base64.b64decode(made["api_key"], validate=True)
        assert made["wallet_address"] == hex_address(key_service.address(secret)), (
            "the key is the wallet's secret"
        )
        account = either.as_key(made["api_key"])
        assert account.get("account_exists").json() is True
        assert account.get("billing/balance").json() == {"balance_cents": 0, "balance_display": "No credits"}
        [master] = account.listed("list_wallets")
        assert master == {
            "id": "0",
            "name": "AMW",
            "description": "Account Master Wallet",
            "wallet_address": made["wallet_address"],
        }

    def test_accounts_are_apart(self, june: Client) -> None:
        other = june.new_account()
        group = june.group(CODE)
        assert other.listed("list_groups") == []
        assert other.post("remove_group", group_id=str(group)).status_code == 500
        assert other.mint(execute_in_groups=[group]).run(CODE).status_code == 403

    def test_account_creation_is_limited_per_address(self, hand_clock: HandClock) -> None:
        body = {"account_name": "a", "account_description": ""}
        with Chipotle("june", settings=Settings(clock=hand_clock)) as net:
            client = owner(net)
            statuses = [client.post("new_account", body=body).status_code for _ in range(32)]
            assert statuses == [200] * 30 + [429] * 2
            hand_clock.move(2.1)
            assert [client.post("new_account", body=body).status_code for _ in range(2)] == [200, 429]

    def test_account_creation_is_unlimited_in_april(self, april: Client) -> None:
        body = {"account_name": "a", "account_description": ""}
        assert {april.post("new_account", body=body).status_code for _ in range(32)} == {200}


class TestUsageKeys:
    def test_a_minted_key(self, still: Client) -> None:
        key = still.mint(execute_in_groups=[1, 0], can_create_pkps=True)
        assert is_base64_of_32_bytes(key.key)
        ten_years_later = 1795780800 + 10 * 365 * 86400
        assert key_item(still, key) == {
            "id": hashed(key),
            "api_key_hash": hashed(key),
            "name": "k",
            "description": "",
            "expiration": str(ten_years_later),
            "balance": 10_000_000,
            "can_create_groups": False,
            "can_delete_groups": False,
            "can_create_pkps": True,
            "can_manage_ipfs_ids_in_groups": [],
            "can_add_pkp_to_groups": [],
            "can_remove_pkp_from_groups": [],
            "can_execute_in_groups": [1, 0],
        }

    def test_each_mint_leaves_a_wallet_for_good(self, june: Client) -> None:
        before = june.listed("list_wallets")
        key = june.mint()
        june.done("remove_usage_api_key", usage_api_key=key.key)
        after = june.listed("list_wallets")
        assert after[: len(before)] == before
        [added] = after[len(before) :]
        assert (added["name"], added["description"]) == ("API Key Wallet", "Usage API Key Wallet")
        secret = base64.b64decode(key.key)
        assert added["wallet_address"] == hex_address(key_service.address(secret))

    def test_the_same_name_twice_is_two_keys(self, june: Client) -> None:
        assert june.mint().key != june.mint().key

    def test_remove_by_key_by_hash_twice(self, either: Client) -> None:
        first, second = either.mint(), either.mint()
        assert either.done("remove_usage_api_key", usage_api_key=f" {first.key}\n") == {"success": True}
        assert either.done("remove_usage_api_key", usage_api_key=hashed(second)) == {"success": True}
        assert either.post("remove_usage_api_key", usage_api_key=hashed(second)).status_code == 500
        left = {item["api_key_hash"] for item in either.listed("list_api_keys")}
        assert not left & {hashed(first), hashed(second)}
        assert first.get("account_exists").json() is False

    def test_an_update_replaces_everything_and_the_expiry(self, still: Client, hand_clock: HandClock) -> None:
        key = still.mint(execute_in_groups=[1], can_create_groups=True)
        hand_clock.move(86400)
        scopes = {**NO_SCOPES, "add_pkp_to_groups": [2]}
        still.done(
            "update_usage_api_key", usage_api_key=hashed(key), **{"name": "n", "description": "d", **scopes}
        )
        found = key_item(still, key)
        assert (found["name"], found["can_create_groups"]) == ("n", False)
        assert (found["can_execute_in_groups"], found["can_add_pkp_to_groups"]) == ([], [2])
        assert int(found["expiration"]) == 1795780800 + 86400 + 10 * 365 * 86400

    def test_metadata_only(self, june: Client) -> None:
        key = june.mint(execute_in_groups=[1])
        june.done("update_usage_api_key_metadata", usage_api_key=key.key, **NAMED)
        found = key_item(june, key)
        assert (found["name"], found["description"], found["can_execute_in_groups"]) == ("n", "d", [1])

    def test_an_update_makes_a_key_that_never_was(self, june: Client) -> None:
        june.done(
            "update_usage_api_key", usage_api_key="own text", **{"name": "n", "description": "", **NO_SCOPES}
        )
        assert june.as_key("own text").get("account_exists").json() is True

    def test_a_removed_key_that_is_updated_has_its_old_scopes_unlisted(self, june: Client) -> None:
        group = june.group()
        key = june.mint(add_pkp_to_groups=[group])
        june.done("remove_usage_api_key", usage_api_key=key.key)
        june.done(
            "update_usage_api_key", usage_api_key=key.key, **{"name": "n", "description": "", **NO_SCOPES}
        )
        assert key_item(june, key)["can_add_pkp_to_groups"] == []
        added = key.post("add_pkp_to_group", group_id=group, pkp_id="0x" + "11" * 20)
        assert added.json() == {"success": True}

    @pytest.mark.parametrize("weak", [True, False])
    def test_usage_keys_widening_themselves(self, june: Client, *, weak: bool) -> None:
        june.net.set_rule("weak_scope_writes", holds=weak)
        key = june.mint(execute_in_groups=[1])
        wider = {"name": "k", "description": "", **NO_SCOPES, "execute_in_groups": [0]}
        answer = key.post("update_usage_api_key", usage_api_key=key.key, **wider)
        assert answer.status_code == (200 if weak else 403)
        assert key_item(june, key)["can_execute_in_groups"] == ([0] if weak else [1])


class TestGroups:
    def test_forms_of_group_ids(self, either: Client) -> None:
        answer = either.done(
            "add_group",
            group_name="g",
            group_description="d",
            pkp_ids_permitted=["0x" + "AB" * 20],
            cid_hashes_permitted=[cid_hash(CODE)[2:]],
        )
        assert answer == {"success": True, "group_id": "2"}
        assert {"id": hex_number(2), "name": "g", "description": "d"} in either.listed("list_groups")
        assert either.done("remove_group", group_id="0x02") == {"success": True}
        assert len(either.listed("list_groups")) == 1

    def test_numbers_are_not_used_again(self, june: Client) -> None:
        group = june.group()
        june.done("remove_group", group_id=str(group))
        assert june.group() == group + 1

    def test_an_update_with_a_list_left_out_empties_it(self, june: Client) -> None:
        group = june.group(CODE, pkps=("0x" + "11" * 20,))
        june.done("update_group", group_id=group, **NAMED)
        assert june.listed("list_actions", group_id=str(group)) == []
        assert june.listed("list_wallets_in_group", group_id=group) == []

    def test_contents_come_and_go(self, june: Client) -> None:
        group, wallet = june.group(), june.wallet()
        june.done("add_action_to_group", group_id=group, action_ipfs_cid=action_cid(CODE))
        june.done("add_pkp_to_group", group_id=group, pkp_id=wallet)
        june.done("add_pkp_to_group", group_id=group, pkp_id=wallet)
        [found] = june.listed("list_wallets_in_group", group_id=group)
        assert (found["name"], found["wallet_address"]) == ("Wallet", wallet)
        june.done("remove_action_from_group", group_id=group, hashed_cid=cid_hash(CODE))
        june.done("remove_pkp_from_group", group_id=group, pkp_id=wallet)
        assert june.listed("list_actions", group_id=str(group)) == []
        assert june.listed("list_wallets_in_group", group_id=group) == []

    def test_an_action_without_a_name_is_listed_like_the_wildcard(self, june: Client) -> None:
        nameless = {"id": "n/a", "name": "Any", "description": "Any action received."}
        group = june.group(CODE)
        assert june.listed("list_actions", group_id=str(group)) == [nameless]
        cid = action_cid(CODE)
        june.done("add_action", action_ipfs_cid=cid, **{**NAMED, "name": "one"})
        named = {"id": cid_hash(CODE), "name": "one", "description": "d"}
        assert june.listed("list_actions", group_id=str(group)) == [named]
        june.done(
            "update_action_metadata", hashed_cid=cid_hash(CODE), **{**NAMED, "name": "two", "description": ""}
        )
        assert {**named, "name": "two", "description": ""} in june.listed("list_actions")
        june.done("delete_action", hashed_cid=str(int(cid_hash(CODE), 16)))
        assert june.listed("list_actions", group_id=str(group)) == []

    def test_removal_moves_the_last_one_into_its_place(self, june: Client) -> None:
        numbers = [june.group() for _ in range(4)]
        june.done("remove_group", group_id=str(numbers[0]))
        listed = [int(each["id"], 16) for each in june.listed("list_groups")]
        assert listed == [1, numbers[3], numbers[1], numbers[2]]

    def test_pages(self, june: Client) -> None:
        for _ in range(4):
            june.group()
        pages = [
            [int(each["id"], 16) for each in june.listed("list_groups", page_number=n, page_size=2)]
            for n in range(4)
        ]
        assert pages == [[1, 2], [3, 4], [5], []]
        assert len(june.listed("list_groups", page_number=7, page_size=6)) == 5, "larger than the list"


class TestWallets:
    def test_a_wallet(self, either: Client) -> None:
        wallet = either.wallet()
        assert re.fullmatch("0x[0-9a-f]{40}", wallet)
        assert {
            "name": "Wallet",
            "wallet_address": wallet,
            "id": "0",
            "description": "Wallet",
        } in either.listed("list_wallets")

    def test_by_post_from_june_on(self, june: Client) -> None:
        answer = requests.post(
            f"{june.url}/create_wallet", headers={"X-Api-Key": june.key}, timeout=TIMEOUT_S
        )
        assert set(answer.json()) == {"wallet_address"}

    def test_deleted_for_good_from_june_on(self, june: Client) -> None:
        wallet = june.wallet()
        group = june.group(pkps=(wallet,))
        assert june.done("delete_wallet", wallet_address=wallet) == {"success": True}
        assert wallet not in [each["wallet_address"] for each in june.listed("list_wallets")]
        assert june.listed("list_wallets_in_group", group_id=group) == []
        assert june.post("delete_wallet", wallet_address=wallet).status_code == 500

    def test_later_calls_are_not_in_april(self, april: Client) -> None:
        assert april.post("delete_wallet", wallet_address="0x" + "11" * 20).status_code == 404
        assert april.post("create_wallet").status_code == 404


class TestConfiguration:
    def test_chain(self, june: Client) -> None:
        config = june.as_key("").get("get_node_chain_config").json()
        assert (config["chain_id"], config["is_evm"], config["testnet"]) == (8453, True, False)
        assert config["contract_address"] == june.net.description["contract_address"]

    def test_limits(self, either: Client) -> None:
        limits = either.as_key("").get("get_lit_action_client_config").json()
        april = either.net.snapshot["profile"] == "april"
        assert limits["max_response_length"] == (102_400 if april else 2**20)
        assert (limits["timeout_ms"], limits["memory_limit_mb"], limits["max_fetch_count"]) == (
            900_000,
            64,
            50,
        )
        assert len(limits) == 10

    def test_the_rest(self, june: Client) -> None:
        nobody = june.as_key("")
        assert nobody.get("version").json()["commit_version"] == "v1.1.10"
        assert len(nobody.get("get_api_payers").json()) == 2
        assert re.fullmatch("0x[0-9a-f]{40}", nobody.get("get_admin_api_payer").json())
        assert all(isinstance(key, str) for key in nobody.get("get_chain_config_keys").json()["keys"])
        assert set(nobody.get("billing/stripe_config").json()) == {"publishable_key"}

    def test_cid(self, june: Client) -> None:
        assert june.as_key("").post("get_lit_action_ipfs_id", body="hello world").json() == (
            "Qmf412jQZiuVUtdgnB36FXFX7xg5V6KEbSJ4dpQuhkLyfD"
        )

    def test_a_whole_number_of_chunks_fails_in_april(self, either: Client) -> None:
        answer = either.post("get_lit_action_ipfs_id", body="q" * CHUNK_BYTES)
        april = either.net.snapshot["profile"] == "april"
        assert answer.status_code == (500 if april else 200)

    def test_health(self, june: Client) -> None:
        health = requests.get(june.url.removesuffix("/core/v1") + "/health", timeout=TIMEOUT_S)
        assert health.json() == {
            "lit_actions_reachable": True,
            "cpu_available": True,
            "billing_keys_present": True,
        }

    @pytest.mark.parametrize("path", ["attestation", "info", "evidences/quote.json"])
    def test_no_attestation(self, june: Client, path: str) -> None:
        answer = requests.get(june.url.removesuffix("core/v1") + path, timeout=TIMEOUT_S)
        assert (answer.status_code, answer.headers["content-type"]) == (503, "text/plain; charset=utf-8")


class TestHeaders:
    def test_request_ids_are_the_servers_own(self, june: Client) -> None:
        first = june.get("version", {"X-Request-Id": "mine"}).headers["x-request-id"]
        second = june.get("nothing").headers["x-request-id"]
        assert re.fullmatch(UUID, first)
        assert re.fullmatch(UUID, second)
        assert first != second

    def test_privacy_mode_marks_the_id(self, june: Client) -> None:
        marked = june.get("version", {"X-Privacy-Mode": "anything"}).headers["x-request-id"]
        assert re.fullmatch(UUID + "_privacy_mode", marked)
        assert [seen["private"] for seen in june.net.requests] == [True]

    def test_correlation_ids_are_echoed(self, june: Client) -> None:
        assert june.get("nothing", {"X-Correlation-Id": "c"}).headers["x-correlation-id"] == "c"
        assert "x-correlation-id" not in june.get("version", {"X-Correlation-Id": ""}).headers


class TestDefaultAccount:
    def test_the_description(self, june: Client) -> None:
        found = june.net.description
        assert (found["network"], found["generation"], found["chain_id"]) == ("custom", "chipotle", 8453)
        assert str(found["api_url"]).endswith("/core/v1")
        [gate] = found["gates"].items()
        assert gate[0] == found["gate_key"]
        assert (gate[1]["version"], len(gate[1]["salt"])) == (1, 64)
        assert list(found["locks"]) == [found["lock_key"]]

    def test_a_group_with_one_gate_and_a_key_that_runs_nothing_else(self, june: Client) -> None:
        assert june.credit_cents() == 5_000
        [group] = june.listed("list_groups")
        [action] = june.listed("list_actions", group_id="1")
        assert (group["name"], action["name"]) == ("gate", "gate")
        assert june.listed("list_wallets_in_group", group_id=1) == []
        found = key_item(june, payer(june.net))
        assert found["can_execute_in_groups"] == [1]
        assert not any(found[name] for name in found if name.startswith("can_") and "execute" not in name)
        assert payer(june.net).run(CODE).status_code == 403

    def test_each_time_another_one(self) -> None:
        with Chipotle() as first, Chipotle() as second:
            for name in ("gate_key", "lock_key", "account_key", "api_key"):
                assert first.description[name] != second.description[name]

    def test_the_same_from_the_same_randomness(self) -> None:
        drawn = []
        for _ in range(2):
            counter = iter(range(10**6))
            entropy = lambda size, counter=counter: next(counter).to_bytes(size)  # noqa: E731
            with Chipotle(settings=Settings(entropy=entropy)) as net:
                drawn.append({name: net.description[name] for name in ("gate_key", "api_key", "locks")})
        assert drawn[0] == drawn[1]

"""Refusals of every endpoint in both profiles: status and body."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import pytest
import requests

from lit_airflow.devnet.chipotle import Chipotle
from tests.devnet_chipotle.client import NO_SCOPES, TIMEOUT_S, Client, Json, cid_hash, owner, payer

PKP = "0x" + "11" * 20
HASH = "0x" + "22" * 32
NAMED: Json = {"name": "n", "description": "d"}
PAID: dict[str, Json] = {
    "add_usage_api_key": {**NAMED, **NO_SCOPES},
    "update_usage_api_key": {**NAMED, **NO_SCOPES, "usage_api_key": "k"},
    "update_usage_api_key_metadata": {**NAMED, "usage_api_key": "k"},
    "remove_usage_api_key": {"usage_api_key": "k"},
    "add_group": {
        "group_name": "g",
        "group_description": "",
        "pkp_ids_permitted": [],
        "cid_hashes_permitted": [],
    },
    "update_group": {"group_id": 1, **NAMED},
    "remove_group": {"group_id": "1"},
    "add_action_to_group": {"group_id": 1, "action_ipfs_cid": "Qm"},
    "remove_action_from_group": {"group_id": 1, "hashed_cid": HASH},
    "add_pkp_to_group": {"group_id": 1, "pkp_id": PKP},
    "remove_pkp_from_group": {"group_id": 1, "pkp_id": PKP},
    "add_action": {"action_ipfs_cid": "Qm", **NAMED},
    "delete_action": {"hashed_cid": HASH},
    "update_action_metadata": {"hashed_cid": HASH, **NAMED},
}
OPEN: dict[str, Json] = {"new_account": {"account_name": "a", "account_description": "d"}}
OPTIONAL = {"pkp_ids_permitted", "cid_hashes_permitted", "email"}
LISTS = ("list_api_keys", "list_groups", "list_wallets", "list_wallets_in_group", "list_actions")
KEYED_GETS = (*LISTS, "account_exists", "create_wallet", "billing/balance")
BILLING: dict[str, Json] = {
    "billing/create_payment_intent": {"amount_cents": 500},
    "billing/confirm_payment": {"payment_intent_id": "pi"},
}


class Scene(NamedTuple):
    profile: str
    owner: Client

    @property
    def is_april(self) -> bool:
        return self.profile == "april"

    def as_guard(self, answer: requests.Response, status: int) -> Json:
        """A refusal before the endpoint: the framework's own JSON in April, the envelope from June."""
        assert (answer.status_code, answer.headers["content-type"]) == (status, "application/json")
        body: Json = answer.json()
        if self.is_april:
            assert set(body) == {"error"}
            assert set(body["error"]) == {"code", "reason", "description"}
            assert body["error"]["code"] == status
        else:
            assert set(body) == {"error", "message", "fix", "docs_url"}
        return body


@pytest.fixture(scope="module", params=["april", "june"])
def scene(request: pytest.FixtureRequest) -> Iterator[Scene]:
    with Chipotle(request.param) as net:
        net.set_credit(100_000)
        yield Scene(request.param, owner(net))


class TestGuards:
    @pytest.mark.parametrize("name", [*PAID, *BILLING, "lit_action"])
    def test_posts_without_key(self, scene: Scene, name: str) -> None:
        scene.as_guard(scene.owner.as_key("").post(name, body="not even an object"), 401)

    @pytest.mark.parametrize("name", KEYED_GETS)
    def test_gets_without_key(self, scene: Scene, name: str) -> None:
        scene.as_guard(scene.owner.as_key("").get(name), 401)

    @pytest.mark.parametrize(
        "headers", [{"Authorization": "Basic x"}, {"Authorization": "Bearer"}, {"X-Api-Key": ""}]
    )
    def test_missing_and_blank_keys(self, scene: Scene, headers: dict[str, str]) -> None:
        scene.as_guard(scene.owner.as_key("").get("account_exists", headers), 401)

    @pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
    def test_bearer_tokens_take_precedence(self, scene: Scene, scheme: str) -> None:
        headers = {"Authorization": f"{scheme}   {scene.owner.key} ", "X-Api-Key": "unknown"}
        assert scene.owner.as_key("").get("account_exists", headers).json() is True

    def test_other_schemes_fall_through(self, scene: Scene) -> None:
        headers = {"Authorization": "Basic dTpw", "X-Api-Key": scene.owner.key}
        assert scene.owner.as_key("").get("account_exists", headers).json() is True

    @pytest.mark.parametrize("name", PAID)
    def test_unknown_keys_on_writes(self, scene: Scene, name: str) -> None:
        answer = scene.owner.as_key("unknown").post(name, body="not even an object")
        body = scene.as_guard(answer, 402 if scene.is_april else 401)
        if not scene.is_april:
            assert (body["error"], body["message"]) == (
                "unauthorized",
                "API key does not resolve to any account",
            )

    @pytest.mark.parametrize("name", [*PAID, *OPEN, *BILLING, "lit_action", "get_lit_action_ipfs_id"])
    @pytest.mark.parametrize(
        "text",
        [b"", b"{", b"{'a': 1}", b"nonsense", b'{"a": NaN}', b'"\\ud800"', b"[" * 200 + b"]" * 200, b"\xff"],
    )
    def test_malformed_json(self, scene: Scene, name: str, text: bytes) -> None:
        headers = {**scene.owner.headers, "X-Api-Key": scene.owner.key, "Content-Type": "application/json"}
        answer = requests.post(f"{scene.owner.url}/{name}", data=text, headers=headers, timeout=TIMEOUT_S)
        scene.as_guard(answer, 400)

    @pytest.mark.parametrize("name", {**PAID, **OPEN, **BILLING})
    def test_each_field(self, scene: Scene, name: str) -> None:
        fields = {**PAID, **OPEN, **BILLING}[name]
        for field, value in fields.items():
            if field not in OPTIONAL:
                without = {key: each for key, each in fields.items() if key != field}
                scene.as_guard(scene.owner.post(name, body=without), 422)
            wrong = [{}, None, 1 if isinstance(value, str) else "1"]
            if isinstance(value, list):
                wrong = [{}, None, [1.5], "[]", [-1], [2**64], [True]]
            elif isinstance(value, int) and not isinstance(value, bool):
                wrong = [{}, None, "1", 1.0, 2**64, True]
            for each in wrong:
                scene.as_guard(scene.owner.post(name, body={**fields, field: each}), 422)

    @pytest.mark.parametrize("body", [[], "text", 7, None])
    def test_bodies_of_another_type(self, scene: Scene, body: object) -> None:
        answer = requests.post(
            f"{scene.owner.url}/add_group",
            data="null" if body is None else None,
            json=body,
            headers={**scene.owner.headers, "X-Api-Key": scene.owner.key, "Content-Type": "application/json"},
            timeout=TIMEOUT_S,
        )
        scene.as_guard(answer, 422)

    def test_unknown_fields_are_ignored(self, scene: Scene) -> None:
        assert scene.owner.post("add_group", body={**PAID["add_group"], "more": 1}).status_code == 200

    @pytest.mark.parametrize("name", LISTS)
    @pytest.mark.parametrize("query", [{}, {"page_number": 0}, {"page_number": -1}, {"page_size": "x"}])
    def test_bad_queries(self, scene: Scene, name: str, query: Json) -> None:
        paging = (
            {"page_size": 1, "group_id": 1} if "page_number" in query else {"page_number": 0, "group_id": 1}
        )
        given = {**({} if query in ({}, {"page_number": 0}) else paging), **query}
        scene.as_guard(scene.owner.get(name, **given), 422)

    @pytest.mark.parametrize("size", [2**64, "1e3", "0x10", "1.0", "٣"])
    def test_page_sizes_that_are_not_u64(self, scene: Scene, size: object) -> None:
        scene.as_guard(scene.owner.get("list_groups", page_number=0, page_size=size), 422)

    @pytest.mark.parametrize("name", [*PAID, *OPEN, *BILLING, "lit_action"])
    def test_other_content_types_and_methods_have_no_route(self, scene: Scene, name: str) -> None:
        headers = {"Content-Type": "text/plain"}
        scene.as_guard(scene.owner.post(name, headers=headers), 404)
        scene.as_guard(scene.owner.get(name), 404)

    @pytest.mark.parametrize("path", ["nothing", "", "lit_action/", "openapi.json", "%00"])
    def test_unknown_paths(self, scene: Scene, path: str) -> None:
        scene.as_guard(scene.owner.get(path), 404)

    def test_a_body_that_is_too_large(self, scene: Scene) -> None:
        most = (10 if scene.is_april else 20) * 2**20
        body = scene.owner.post("get_lit_action_ipfs_id", body="x" * (most - 2))
        assert body.status_code in {200, 500}, "exactly as large as it may be"
        answer = scene.owner.post("get_lit_action_ipfs_id", body="x" * (most - 1))
        body = scene.as_guard(answer, 413)
        if not scene.is_april:
            assert body["error"] == "error"

    @pytest.mark.parametrize(
        ("accept", "is_json"),
        [
            ("application/json", True),
            ("application/json;q=0.9, text/html;q=0.8", True),
            ("*/*", False),
            ("text/html, application/json", False),
            ("", False),
            ("application/json;q=x", False),
        ],
    )
    def test_html_unless_json_is_preferred(self, scene: Scene, accept: str, *, is_json: bool) -> None:
        answer = Client(scene.owner.net, "", {"Accept": accept}).get("list_groups")
        expected = "application/json" if is_json or not scene.is_april else "text/html; charset=utf-8"
        assert (answer.status_code, answer.headers["content-type"]) == (401, expected)


class TestScopes:
    @pytest.mark.parametrize("name", PAID)
    def test_a_usage_key_without_scopes(self, scene: Scene, name: str) -> None:
        group = scene.owner.group()
        fields = {**PAID[name], **({"group_id": group} if "group_id" in PAID[name] else {})}
        if name == "remove_group":
            fields["group_id"] = str(group)
        answer = scene.owner.mint().post(name, body=fields)
        if name == "update_usage_api_key":
            # Any key of the account may write usage keys, as long as the rule is weak.
            assert answer.json() == {"success": True}
            return
        if name in {"update_usage_api_key_metadata", "remove_usage_api_key", "update_group"}:
            # Looked for under the usage key's own hash, where there is nothing.
            missing = "GroupDoesNotExist" if name == "update_group" else "UsageApiKeyDoesNotExist"
            assert answer.status_code == 500
            assert (missing in answer.json()) == (not scene.is_april)
            return
        if scene.is_april:
            assert answer.status_code == 500
            assert "failed: Simulation failed: Contract error: " in answer.json() or answer.json().startswith(
                "Internal server error.: Simulation failed: Contract error: "
            )
            assert "NotAllowed" not in answer.json()
        else:
            assert (answer.status_code, answer.json()) == (403, "Permission denied")

    def test_a_usage_key_without_the_right_to_make_wallets(self, scene: Scene) -> None:
        answer = scene.owner.mint().get("create_wallet")
        assert answer.status_code == (500 if scene.is_april else 403)
        assert scene.owner.mint(can_create_pkps=True).get("create_wallet").status_code == 200

    def test_rights_without_groups(self, scene: Scene) -> None:
        key = scene.owner.mint(can_create_groups=True, can_delete_groups=True)
        group = key.group()
        assert key.done("remove_group", group_id=str(group)) == {"success": True}

    def test_rights_in_one_group(self, scene: Scene) -> None:
        group, other = scene.owner.group(), scene.owner.group()
        key = scene.owner.mint(
            manage_ipfs_ids_in_groups=[group], add_pkp_to_groups=[group], remove_pkp_from_groups=[group]
        )
        code = "const main = () => 1;"
        for number, granted in ((group, True), (other, False)):
            answers = [
                key.post("add_action_to_group", group_id=number, action_ipfs_cid="Qm"),
                key.post("add_pkp_to_group", group_id=number, pkp_id=PKP),
                key.post("remove_pkp_from_group", group_id=number, pkp_id=PKP),
            ]
            assert [answer.status_code == 200 for answer in answers] == [granted] * 3
        assert scene.owner.done("add_action_to_group", group_id=group, action_ipfs_cid="Qm") == {
            "success": True
        }
        gone = key.post("remove_action_from_group", group_id=group, hashed_cid=cid_hash(code))
        assert gone.status_code == 500, "a right, but no such action in the group"

    def test_the_wildcard_is_for_execution_only(self, scene: Scene) -> None:
        group = scene.owner.group()
        everywhere = scene.owner.mint(
            manage_ipfs_ids_in_groups=[0], add_pkp_to_groups=[0], remove_pkp_from_groups=[0]
        )
        refused = 500 if scene.is_april else 403
        assert everywhere.post("add_pkp_to_group", group_id=group, pkp_id=PKP).status_code == refused
        added = everywhere.post("add_action_to_group", group_id=group, action_ipfs_cid="Qm")
        assert added.status_code == refused

    def test_account_keys_run_nothing(self, scene: Scene) -> None:
        answer = scene.owner.run("const main = () => 1;")
        assert answer.status_code == 403
        assert answer.json().startswith("The provided API key is not authorized to execute")


class TestArguments:
    @pytest.mark.parametrize(
        ("name", "fields"),
        [
            ("add_group", {"cid_hashes_permitted": ["xyz"]}),
            ("add_group", {"cid_hashes_permitted": ["0x123"]}),
            ("add_group", {"cid_hashes_permitted": ["0x" + "11" * 33]}),
            ("add_group", {"pkp_ids_permitted": ["0x1234"]}),
            ("add_group", {"pkp_ids_permitted": [PKP + "00"]}),
            ("update_group", {"group_id": 0}),
            ("remove_group", {"group_id": "0"}),
            ("remove_group", {"group_id": "x"}),
            ("remove_group", {"group_id": "-1"}),
            ("remove_group", {"group_id": "0x3e7"}),
            ("remove_action_from_group", {"group_id": 0}),
            ("remove_action_from_group", {"hashed_cid": "Qm"}),
            ("add_pkp_to_group", {"pkp_id": "0x12"}),
            ("add_pkp_to_group", {"pkp_id": "not hex"}),
            ("remove_pkp_from_group", {"pkp_id": ""}),
            ("delete_action", {"hashed_cid": "0"}),
            ("delete_action", {"hashed_cid": "0xzz"}),
            ("update_action_metadata", {"hashed_cid": "0x00"}),
        ],
    )
    def test_bad_arguments(self, scene: Scene, name: str, fields: Json) -> None:
        answer = scene.owner.post(name, body={**PAID[name], **fields})
        assert (answer.status_code, type(answer.json())) == (400, str)

    @pytest.mark.parametrize(
        ("name", "fields", "missing"),
        [
            ("update_group", {"group_id": 999}, "GroupDoesNotExist"),
            ("remove_group", {"group_id": "0x03e7"}, "GroupDoesNotExist"),
            ("add_action_to_group", {"group_id": 999}, "GroupDoesNotExist"),
            ("remove_action_from_group", {"group_id": 999}, "GroupDoesNotExist"),
            ("add_pkp_to_group", {"group_id": 999}, "GroupDoesNotExist"),
            ("remove_pkp_from_group", {"group_id": 999}, "GroupDoesNotExist"),
            ("remove_action_from_group", {"group_id": 1}, "ActionDoesNotExist"),
            ("remove_pkp_from_group", {"group_id": 1}, "PkpDoesNotExist"),
            ("update_action_metadata", {}, "ActionDoesNotExist"),
            ("remove_usage_api_key", {"usage_api_key": "never"}, "UsageApiKeyDoesNotExist"),
            ("update_usage_api_key_metadata", {"usage_api_key": "never"}, "UsageApiKeyDoesNotExist"),
            ("add_group", {"cid_hashes_permitted": [HASH] * 11}, "cidHashes must be 10 items or fewer"),
            ("add_group", {"pkp_ids_permitted": [PKP] * 11}, "pkpIds must be 10 items or fewer"),
            (
                "add_usage_api_key",
                {"execute_in_groups": [1] * 51},
                "executeInGroups must be 50 items or fewer",
            ),
            (
                "add_usage_api_key",
                {"add_pkp_to_groups": [1] * 51},
                "addPkpToGroups must be 50 items or fewer",
            ),
        ],
    )
    def test_reverts(self, scene: Scene, name: str, fields: Json, missing: str) -> None:
        answer = scene.owner.post(name, body={**PAID[name], **fields})
        text = answer.json()
        assert answer.status_code == 500
        assert text.startswith(f"{name} failed: Simulation failed: Contract error: ")
        assert (missing in text) == (not scene.is_april or "items" in missing)

    def test_longest_lists(self, scene: Scene) -> None:
        pkps = [f"0x{number:040x}" for number in range(10)]
        hashes = [f"{number:064x}" for number in range(10)]
        body = {**PAID["add_group"], "pkp_ids_permitted": pkps, "cid_hashes_permitted": hashes}
        group = scene.owner.post("add_group", body=body).json()["group_id"]
        assert len(scene.owner.listed("list_wallets_in_group", group_id=group)) == 10
        key = scene.owner.mint(execute_in_groups=list(range(50)))
        assert len(_stored(scene.owner, key)["can_execute_in_groups"]) == 50

    @pytest.mark.parametrize("name", LISTS)
    def test_an_unknown_key_lists_nothing(self, scene: Scene, name: str) -> None:
        answer = scene.owner.as_key("unknown").get(name, page_number=0, page_size=1, group_id=1)
        assert answer.status_code == 500
        assert answer.json().startswith(f"{name} failed: ")

    def test_account_exists(self, scene: Scene) -> None:
        assert scene.owner.get("account_exists").json() is True
        assert payer(scene.owner.net).get("account_exists").json() is True
        assert scene.owner.as_key("unknown").get("account_exists").json() is False


def _stored(client: Client, key: Client) -> Json:
    from lit_airflow.devnet.chipotle.identifiers import hex_number, key_hash

    return next(
        each
        for each in client.listed("list_api_keys")
        if each["api_key_hash"] == hex_number(key_hash(key.key))
    )


class TestOrder:
    """The first guard that refuses decides."""

    def test_of_lit_action(self, either: Client) -> None:
        nobody, unknown = either.as_key(""), either.as_key("unknown")
        either.net.set_credit(0)
        poor = payer(either.net)
        april = either.net.snapshot["profile"] == "april"
        assert poor.run("x").status_code == 402, "credit before code"
        assert unknown.run("x").status_code == (402 if april else 401)
        assert nobody.run("x").status_code == 401
        either.net.set_credit(100)
        assert poor.post("lit_action").status_code == 400, "code before permission"
        assert poor.post("lit_action", ipfs_id="QmUnknown").status_code == 400
        assert poor.post("lit_action", code="", ipfs_id="").status_code == 400
        assert poor.run("x").status_code == 403
        either.net.set_fault("overloaded", call="lit_action")
        assert nobody.run("x").status_code == 429, "load before key"

    def test_a_write_in_april_is_paid_before_its_body_is_read(self, april: Client) -> None:
        before = april.credit_cents()
        assert april.post("add_group", body={}).status_code == 422
        assert april.post("remove_group", group_id="999").status_code == 500
        assert before - april.credit_cents() == 2

    def test_a_write_from_june_on_is_paid_when_it_has_succeeded(self, june: Client) -> None:
        before = june.credit_cents()
        assert june.post("add_group", body={}).status_code == 422
        assert june.post("remove_group", group_id="999").status_code == 500
        assert june.credit_cents() == before
        june.group()
        assert before - june.credit_cents() == 1

    def test_no_credit_on_a_write(self, either: Client) -> None:
        either.net.set_credit(0)
        answer = either.post("add_group", body="not even an object")
        assert answer.status_code == 402
        if either.net.snapshot["profile"] == "june":
            assert answer.json()["message"] == (
                "Insufficient credits: this call needs $0.01 but your balance is $0.00."
            )

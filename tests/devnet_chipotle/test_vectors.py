"""The vectors in tests/vectors/chipotle/cases.json that concern the server."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests

from lit_airflow.devnet.chipotle import Chipotle, cipher, identifiers, key_service
from lit_airflow.devnet.chipotle.action_host import ActionHost
from lit_airflow.devnet.chipotle.call import Call
from lit_airflow.devnet.chipotle.cid import action_cid
from lit_airflow.devnet.chipotle.cipher import CipherError
from lit_airflow.devnet.chipotle.execution import reparsed
from lit_airflow.devnet.chipotle.identifiers import hex_address, hex_number
from lit_airflow.devnet.chipotle.process import ServerProcess
from lit_airflow.devnet.chipotle.profiles import JUNE
from lit_airflow.devnet.chipotle.state import State
from lit_airflow.devnet.chipotle.storage import Account, Group, Metadata, Storage, UsageKey, page
from lit_airflow.devnet.deno import CallError
from tests.devnet_chipotle.client import Client, Json, owner, payer
from tests.devnet_chipotle.conftest import HandClock

CASES: list[Json] = json.loads(
    (Path(__file__).parents[1] / "vectors/chipotle/cases.json").read_text("utf-8")
)["cases"]
MARK = "7c572d62"


def cases(op: str) -> list[Any]:
    found = [pytest.param(case, id=f"{op}-{at}") for at, case in enumerate(CASES) if case["op"] == op]
    assert found
    return found


def test_every_operation_is_tested() -> None:
    clients_only = {"balance"}  # what a client makes of the server's number
    tried = set(re.findall(r'cases\("(\w+)"\)', Path(__file__).read_text("utf-8")))
    assert {case["op"] for case in CASES} == tried | clients_only


@pytest.mark.parametrize("case", cases("cid"))
def test_cid(case: Json) -> None:
    cid = action_cid(case["code_utf8"] * case.get("code_repeat", 1))
    assert {"cid": cid, "cid_hash": hex_number(identifiers.key_hash(cid))} == case["expected"]


@pytest.mark.parametrize("case", cases("key_hash"))
def test_key_hash(case: Json) -> None:
    assert hex_number(identifiers.key_hash(case["key"])) == case["expected"]


@pytest.mark.parametrize("case", cases("wallet_account_hash"))
def test_wallet_account_hash(case: Json) -> None:
    address = identifiers.parse_address(case["address"])
    assert hex_number(identifiers.wallet_account_hash(address)) == case["expected"]


@pytest.mark.parametrize("case", cases("pkp_address"))
def test_pkp_address(case: Json) -> None:
    assert hex_address(key_service.address(bytes.fromhex(case["secret"]))) == case["expected"]


@pytest.mark.parametrize("case", cases("usage_key_argument"))
def test_usage_key_argument(case: Json) -> None:
    assert hex_number(identifiers.usage_key_hash(case["usage_api_key"])) == case["expected"]


@pytest.mark.parametrize("case", cases("group_id"))
def test_group_id(case: Json) -> None:
    assert identifiers.parse_number(case["text"]) == case["expected"]


@pytest.mark.parametrize("case", cases("page"))
def test_page(case: Json) -> None:
    items = range(case["items"])
    assert list(page(items, case["page_number"], case["page_size"])) == case["expected"]


@pytest.fixture
def host(hand_clock: HandClock) -> ActionHost:
    state = State(JUNE, hand_clock, bytes)
    return ActionHost(Call("lit_action", ServerProcess(state), []), "Qm", state.keys)


@pytest.mark.parametrize("case", cases("encrypt"))
def test_encrypt(case: Json, host: ActionHost) -> None:
    if "expected_error" in case:
        with pytest.raises(CallError, match=case["expected_error"]) as refused:
            host.encrypt({"pkpId": "0x" + "00" * 20, "message": case["message"]})
        assert refused.value.kind == "RangeError"
        return
    secret, nonce = bytes.fromhex(case["secret"]), bytes.fromhex(case["nonce"])
    assert cipher.encrypt(secret, case["message"], nonce) == case["expected"]


@pytest.mark.parametrize("case", cases("decrypt"))
def test_decrypt(case: Json, host: ActionHost) -> None:
    secret, ciphertext = bytes.fromhex(case["secret"]), case["ciphertext"]
    if case.get("expected_error") == "blank":
        with pytest.raises(CallError, match="must not be empty"):
            host.decrypt({"pkpId": "0x" + "00" * 20, "ciphertext": ciphertext})
    elif "expected_error" in case:
        with pytest.raises(CipherError) as refused:
            cipher.decrypt(secret, ciphertext)
        assert refused.value.reason == case["expected_error"]
    else:
        assert cipher.decrypt(secret, ciphertext) == case["expected"]


def _storage(case: Json) -> Storage:
    key = UsageKey(key_hash=2)
    for number in case["execute_in_groups"]:
        key.execute_in_groups.add(number)
    account = Account(1, 7, managed=True, metadata=Metadata(1), usage_keys={2: key})
    for name, content in case["groups"].items():
        group = Group(Metadata(int(name)))
        for each in content["cids"]:
            group.cid_hashes.add(int(each, 16))
        for each in content["pkps"]:
            group.pkps.add(int(each, 16))
        account.group_list.add(int(name))
        account.groups[int(name)] = group
    return Storage(frozenset(), accounts={1: account}, masters={1: 1, 2: 1})


@pytest.mark.parametrize("case", cases("rights"))
def test_rights(case: Json) -> None:
    storage, cid_hash, wallet = _storage(case), int(case["cid_hash"], 16), int(case["pkp"], 16)
    found = {"run": storage.can_execute(2, cid_hash), "use": storage.can_use_wallet(2, cid_hash, wallet)}
    assert found == case["expected"]
    assert not storage.can_execute(1, cid_hash), "an account's own key"


def test_response(june: Client) -> None:
    """What ``main`` returns, through the real engine: all in as few runs as there are kinds of values."""
    texts = [case for case in CASES if case["op"] == "response" and "returned_text" in case]
    for case in texts:
        assert reparsed(case["returned_text"]) == case["expected"]
    others = [param.values[0] for param in cases("response") if "returned_text" not in param.values[0]]
    code = "const main = (p) => p.undefined ? undefined : p.value;"
    runner = june.mint(execute_in_groups=[june.group(code)])
    for case in others:
        params = {"undefined": case.get("returned_undefined", False), "value": case.get("returned_value")}
        assert runner.run(code, params).json()["response"] == case["expected"]


def _provoked() -> dict[tuple[str, str, int], Callable[[Client], requests.Response]]:
    """(profile, call, status) -> how the server is brought to answer so."""
    code = "async function main(p) { return { n: 13484526 } }"

    def without_credit(client: Client) -> requests.Response:
        client.net.set_credit(0)
        return payer(client.net).run(code)

    def unpermitted_wallet(client: Client) -> requests.Response:
        text = 'const main = () => Lit.Actions.Decrypt({ pkpId: "0x" + "11".repeat(20), ciphertext: "00" });'
        return client.mint(execute_in_groups=[client.group(text)]).run(text)

    def too_large(client: Client) -> requests.Response:
        return payer(client.net).run("/" * 21 * 1024 * 1024)

    def faulty(name: str, call: str) -> Callable[[Client], requests.Response]:
        def provoke(client: Client) -> requests.Response:
            client.net.set_fault(name, call=call)
            plain = Client(client.net, client.key, {"Accept": "*/*"})
            return plain.get(call) if call.startswith("list") else plain.post(call)

        return provoke

    def unpermitted_code(client: Client) -> requests.Response:
        return payer(client.net).run(code)

    return {
        ("april", "lit_action", 401): lambda client: client.as_key("").run(code),
        ("april", "lit_action", 402): without_credit,
        ("april", "lit_action", 403): unpermitted_code,
        ("april", "lit_action", 500): unpermitted_wallet,
        ("april", "lit_action", 400): lambda client: payer(client.net).post("lit_action"),
        ("april", "lit_action", 429): faulty("overloaded", "lit_action"),
        ("april", "billing/balance", 400): lambda client: client.as_key("unknown").get("billing/balance"),
        ("june", "lit_action", 402): without_credit,
        ("june", "lit_action", 403): unpermitted_code,
        ("june", "lit_action", 401): lambda client: client.as_key("unknown").run(code),
        ("june", "new_account", 429): faulty("overloaded", "new_account"),
        ("june", "add_usage_api_key", 503): faulty("unavailable", "add_usage_api_key"),
        ("june", "remove_usage_api_key", 500): lambda client: client.post(
            "remove_usage_api_key", usage_api_key="unknown"
        ),
        ("june", "lit_action", 413): too_large,
        ("any", "lit_action", 502): faulty("bad-gateway", "lit_action"),
        ("any", "lit_action", 504): faulty("gateway-timeout", "lit_action"),
        ("any", "add_usage_api_key", 502): faulty("bad-gateway", "add_usage_api_key"),
        ("any", "list_api_keys", 500): faulty("empty-error", "list_api_keys"),
        ("any", "lit_action", 200): faulty("empty", "lit_action"),
    }


PROVOKED = _provoked()


@pytest.mark.parametrize("case", cases("error"))
def test_error(case: Json) -> None:
    """The server answers with the vector's status, type and body, apart from what is particular to one run."""
    with Chipotle("june" if case["profile"] == "any" else case["profile"]) as net:
        answer = PROVOKED[case["profile"], case["call"], case["status"]](owner(net))
        if case["status"] == 200 and case["body"]:
            net.set_fault("html", call=case["call"])
            answer = owner(net).post(case["call"])
    assert answer.status_code == case["status"]
    assert answer.headers["content-type"] == case["content_type"]
    assert _particulars(answer.text, case["content_type"]) == _particulars(case["body"], case["content_type"])


def _particulars(body: str, content_type: str) -> object:
    """A body without hashes, the vectors' mark, and the wording of descriptions."""
    if content_type.startswith("text/html"):
        return re.findall(r"<title>(.*?)</title>", body)
    if not content_type.startswith("application/json") or not body:
        return body.replace(f" {MARK}", "")
    content = json.loads(body)
    if isinstance(content, str):
        return re.sub(rf"at .*|\b(\d+|{MARK})\b", "#", content)
    inner = content["error"] if isinstance(content["error"], dict) else content
    return sorted(content), {key: inner[key] for key in ("code", "reason", "error") if key in inner}

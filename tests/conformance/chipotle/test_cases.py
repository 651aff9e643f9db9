"""Each rule where it is implemented: the client's own, and those of the service in the local network."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, cast

import pytest

from lit_airflow.devnet.chipotle import key_service
from lit_airflow.devnet.chipotle.action_host import ActionHost
from lit_airflow.devnet.chipotle.cid import action_cid
from lit_airflow.devnet.chipotle.cipher import CipherError
from lit_airflow.devnet.chipotle.execution import reparsed
from lit_airflow.devnet.chipotle.identifiers import hex_address
from lit_airflow.devnet.chipotle.storage import Account, Group, Metadata, Storage, page
from lit_airflow.devnet.deno import CallError
from lit_airflow.networks.chipotle.api_errors import ApiAnswer, classify
from lit_airflow.networks.chipotle.cid import cid_v0
from lit_airflow.networks.chipotle.identifiers import (
    credit_cents,
    group_number,
    key_hash,
    usage_key_hash,
    wallet_account_hash,
)

Case = dict[str, Any]
ACCOUNT, USAGE_KEY = 1, 2


def test_case(case: Case) -> None:
    answer = OPERATIONS[case["op"]]
    if "expected_error" not in case:
        assert answer(case) == case["expected"]
        return
    with pytest.raises(CallError) as caught:
        answer(case)
    cause = caught.value.__cause__
    assert (cause.reason if isinstance(cause, CipherError) else "blank") == case["expected_error"]


def cid(case: Case) -> object:
    text = case["code_utf8"] * case.get("code_repeat", 1)
    made = cid_v0(text)
    assert action_cid(text) == made
    return {"cid": made, "cid_hash": key_hash(made)}


def error(case: Case) -> object:
    answer = ApiAnswer(case["status"], case["content_type"], case["body"])
    failure = classify(case["call"], answer, probing="while" in case)
    assert failure is not None
    assert "7c572d62" not in failure.cause
    return {"class": failure.kind.value, "retry": failure.retryable}


def response(case: Case) -> object:
    if case.get("returned_undefined"):
        return reparsed("")
    text = case["returned_text"] if "returned_text" in case else json.dumps(case["returned_value"])
    return reparsed(text)


def rights(case: Case) -> object:
    account = Account(ACCOUNT, 0, True, Metadata())  # noqa: FBT003 - the contract's own order
    for number, group in case["groups"].items():
        account.group_list.add(int(number))
        account.groups[int(number)] = made = Group()
        for each in group["cids"]:
            made.cid_hashes.add(int(each, 16))
        for each in group["pkps"]:
            made.pkps.add(int(each, 16))
    for number in case["execute_in_groups"]:
        account.usage_key(USAGE_KEY).execute_in_groups.add(number)
    storage = Storage(
        frozenset(), accounts={ACCOUNT: account}, masters={ACCOUNT: ACCOUNT, USAGE_KEY: ACCOUNT}
    )
    cid_hash, wallet = int(case["cid_hash"], 16), int(case["pkp"], 16)
    return {
        "run": storage.can_execute(USAGE_KEY, cid_hash),
        "use": storage.can_use_wallet(USAGE_KEY, cid_hash, wallet),
    }


@dataclass(slots=True)
class OneWallet(ActionHost):
    """The calls of an action that may use any wallet, all of one secret."""

    secret: bytes = b""

    def _wallet_secret(self, pkp_id: str) -> bytes:
        return self.secret


def host(case: Case) -> OneWallet:
    state = SimpleNamespace(entropy=lambda _size: bytes.fromhex(case["nonce"]))
    call = cast("Any", SimpleNamespace(state=state))
    return OneWallet(call, "", key_service.KeyService(b""), secret=bytes.fromhex(case["secret"]))


def encrypt(case: Case) -> object:
    return host(case).encrypt({"pkpId": "0x", "message": case["message"]})


def decrypt(case: Case) -> object:
    return host(case).decrypt({"pkpId": "0x", "ciphertext": case["ciphertext"]})


OPERATIONS: dict[str, Callable[[Case], object]] = {
    "cid": cid,
    "key_hash": lambda case: key_hash(case["key"]),
    "usage_key_argument": lambda case: usage_key_hash(case["usage_api_key"]),
    "wallet_account_hash": lambda case: wallet_account_hash(case["address"]),
    "pkp_address": lambda case: hex_address(key_service.address(bytes.fromhex(case["secret"]))),
    "encrypt": encrypt,
    "decrypt": decrypt,
    "response": response,
    "error": error,
    "balance": lambda case: {"credit_cents": credit_cents(case["balance_cents"])},
    "group_id": lambda case: group_number(case["text"]),
    "rights": rights,
    "page": lambda case: list(page(range(case["items"]), case["page_number"], case["page_size"])),
}

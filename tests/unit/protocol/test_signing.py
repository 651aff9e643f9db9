"""What may be signed, and that a signature is believed only where it is the key's for the request."""

from __future__ import annotations

from typing import Any

import pytest
from eth_account import Account
from eth_account.messages import encode_defunct, encode_typed_data
from eth_utils.address import to_checksum_address

from lit_airflow.errors import SettingsError, SignatureError
from lit_airflow.keys.wallet import CURVE_ORDER
from lit_airflow.protocol.signing import SigningPolicy, SigningRequest

ACCOUNT = Account.from_key("11" * 32)
OTHER = Account.from_key("22" * 32)
TARGET = "0x" + "aB" * 20
POLICY = SigningPolicy.of(ACCOUNT.address, 8453, TARGET)
TRANSACTION: dict[str, Any] = {
    "to": TARGET,
    "nonce": 7,
    "gas": 21_000,
    "maxFeePerGas": 10**10,
    "maxPriorityFeePerGas": "0x1",
    "chainId": 8453,
    "value": str(2**100),
    "data": "0x00FF",
}
TYPED_DATA: dict[str, Any] = {
    "types": {
        "EIP712Domain": [
            {"name": "name", "type": "string"},
            {"name": "chainId", "type": "uint256"},
            {"name": "verifyingContract", "type": "address"},
        ],
        "Report": [{"name": "digest", "type": "bytes32"}, {"name": "rows", "type": "uint256"}],
    },
    "primaryType": "Report",
    "domain": {"name": "Reports", "chainId": 8453, "verifyingContract": TARGET},
    "message": {"digest": "0x" + "11" * 32, "rows": 2**200},
}


def changed(document: dict[str, Any], **changes: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    return {**document, **changes}


def with_domain(**changes: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    return changed(TYPED_DATA, domain=changed(TYPED_DATA["domain"], **changes))


def without_chain() -> dict[str, Any]:
    domain = {"name": "Reports", "verifyingContract": TARGET}
    fields = [field for field in TYPED_DATA["types"]["EIP712Domain"] if field["name"] in domain]
    return changed(TYPED_DATA, domain=domain, types={**TYPED_DATA["types"], "EIP712Domain": fields})


def hexed(raw: bytes) -> str:
    return "0x" + bytes(raw).hex()


def signed_transaction(account: Any = ACCOUNT, **changes: Any) -> str:  # noqa: ANN401 - eth_account's, JSON
    exact = {"to": to_checksum_address(TARGET), "type": 2, "value": 2**100, "maxPriorityFeePerGas": 1}
    fields = {**TRANSACTION, **exact, **changes}
    return hexed(account.sign_transaction(fields).raw_transaction)


def test_a_message_signed_by_the_key() -> None:
    request = SigningRequest.of(message="report ä")
    signature = hexed(ACCOUNT.sign_message(encode_defunct(text="report ä")).signature)
    signed = request.verified(signature, POLICY)
    assert signed.to_json() == {"kind": "message", "signer": ACCOUNT.address, "signature": signature}


def test_typed_data_signed_by_the_key() -> None:
    request = SigningRequest.of(typed_data=TYPED_DATA)
    request.check(POLICY)
    signature = hexed(ACCOUNT.sign_message(encode_typed_data(full_message=TYPED_DATA)).signature)
    assert request.verified(signature, POLICY).signature == signature


def test_a_transaction_signed_by_the_key() -> None:
    request = SigningRequest.of(transaction=TRANSACTION)
    request.check(POLICY)
    raw = signed_transaction()
    signed = request.verified(raw, POLICY)
    assert signed.raw_transaction == raw
    assert len(signed.transaction_hash) == 66


def malleated(signature: str) -> str:
    s, v = int(signature[66:130], 16), int(signature[130:], 16)
    return f"{signature[:66]}{CURVE_ORDER - s:064x}{27 + 28 - v:02x}"


GOOD = hexed(ACCOUNT.sign_message(encode_defunct(text="report")).signature)


@pytest.mark.parametrize(
    "answer",
    [
        hexed(OTHER.sign_message(encode_defunct(text="report")).signature),
        hexed(ACCOUNT.sign_message(encode_defunct(text="another")).signature),
        malleated(GOOD),
        GOOD.upper().replace("0X", "0x"),
        GOOD[2:],
        GOOD[:-2] + f"{int(GOOD[-2:], 16) - 27:02x}",
        GOOD[:-2],
        GOOD + "00",
        "0x" + "00" * 65,
        "",
    ],
)
def test_anything_else_than_the_keys_signature_of_the_message_is_refused(answer: str) -> None:
    assert SigningRequest.of(message="report").verified(GOOD, POLICY)
    with pytest.raises(SignatureError) as caught:
        SigningRequest.of(message="report").verified(answer, POLICY)
    assert "not used" in str(caught.value)


@pytest.mark.parametrize(
    "answer",
    [
        signed_transaction(OTHER),
        signed_transaction(nonce=8),
        signed_transaction(gas=21_001),
        signed_transaction(value=1),
        signed_transaction(data="0x00fe"),
        signed_transaction(chainId=1),
        signed_transaction(to=OTHER.address),
        signed_transaction(maxFeePerGas=10**10 + 1),
        signed_transaction(accessList=[{"address": OTHER.address, "storageKeys": []}]),
        signed_transaction() + "00",
        "0x02",
        "0x02c0",
        GOOD,
    ],
)
def test_anything_else_than_the_transaction_that_was_asked_for_is_refused(answer: str) -> None:
    with pytest.raises(SignatureError):
        SigningRequest.of(transaction=TRANSACTION).verified(answer, POLICY)


@pytest.mark.parametrize(
    "request_",
    [
        {"transaction": changed(TRANSACTION, chainId=1)},
        {"transaction": changed(TRANSACTION, to="0x" + "cd" * 20)},
        {"typed_data": with_domain(chainId=1)},
        {"typed_data": with_domain(verifyingContract="0x" + "cd" * 20)},
        {"typed_data": without_chain()},
    ],
)
def test_what_the_policy_does_not_name_is_refused(request_: dict[str, Any]) -> None:
    request = SigningRequest.of(**request_)
    with pytest.raises(SettingsError, match="permits"):
        request.check(POLICY)


def test_without_chain_and_address_messages_only() -> None:
    policy = SigningPolicy.of(ACCOUNT.address)
    SigningRequest.of(message="report").check(policy)
    for request in (SigningRequest.of(transaction=TRANSACTION), SigningRequest.of(typed_data=TYPED_DATA)):
        with pytest.raises(SettingsError, match="messages only"):
            request.check(policy)


def nested(levels: int) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for _ in range(levels):
        found = {"rows": found}
    return found


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"message": "a", "transaction": TRANSACTION},
        {"message": ""},
        {"message": "\ud800"},
        {"message": 5},
        {"transaction": []},
        {"transaction": changed(TRANSACTION, to=None)},
        {"transaction": changed(TRANSACTION, gas=-1)},
        {"transaction": changed(TRANSACTION, gas=True)},
        {"transaction": changed(TRANSACTION, gas=1.5)},
        {"transaction": changed(TRANSACTION, gas="08")},
        {"transaction": changed(TRANSACTION, nonce=2**53)},
        {"transaction": changed(TRANSACTION, value=2**256)},
        {"transaction": changed(TRANSACTION, data="0x0")},
        {"transaction": changed(TRANSACTION, data="00ff")},
        {"transaction": changed(TRANSACTION, gasPrice=1)},
        {"transaction": changed(TRANSACTION, accessList=[])},
        {"transaction": changed(TRANSACTION, type=1)},
        {"transaction": {name: value for name, value in TRANSACTION.items() if name != "nonce"}},
        {"typed_data": {}},
        {"typed_data": changed(TYPED_DATA, primaryType="Nothing")},
        {"typed_data": changed(TYPED_DATA, message=[])},
        {"typed_data": changed(TYPED_DATA, message={"digest": 1.5, "rows": 1})},
        {"typed_data": changed(TYPED_DATA, message={"rows": 1})},
        {"typed_data": changed(TYPED_DATA, more=1)},
        {"typed_data": changed(TYPED_DATA, message=nested(20_000))},
        {"typed_data": changed(TYPED_DATA, message={"rows": 10**5000})},
        {"typed_data": changed(TYPED_DATA, primaryType=[])},
        {"typed_data": changed(TYPED_DATA, types={"EIP712Domain": 5})},
        {"transaction": changed(TRANSACTION, value=10**5000)},
        {"transaction": changed(TRANSACTION, value=float("inf"))},
        {"transaction": {**TRANSACTION, "x" * 5_000_000: 1}},
    ],
)
def test_what_cannot_be_signed_is_refused_by_field(arguments: dict[str, Any]) -> None:
    with pytest.raises(SettingsError) as caught:
        SigningRequest.of(**arguments)
    assert caught.value.field in {"message", "typed_data", "transaction"}
    assert len(str(caught.value)) < 1000


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        (("",), "sign_pkp"),
        (("0x12",), "sign_pkp"),
        ((ACCOUNT.address, 1), "sign_address"),
        ((ACCOUNT.address, 0, TARGET), "sign_chain_id"),
        ((ACCOUNT.address, -1, TARGET), "sign_chain_id"),
        ((ACCOUNT.address, 1, "0x12"), "sign_address"),
    ],
)
def test_a_policy_that_cannot_be_right_names_the_field(arguments: tuple[Any, ...], field: str) -> None:
    with pytest.raises(SettingsError) as caught:
        SigningPolicy.of(*arguments)
    assert caught.value.field == field

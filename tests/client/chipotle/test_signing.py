"""Signatures by a PKP on the local Chipotle, through the shipped signer in real Deno."""

from __future__ import annotations

import json
from collections.abc import Iterator
from hashlib import sha256
from importlib.resources import files
from typing import Any

import pytest
from eth_account import Account

from lit_airflow import LitClient
from lit_airflow.devnet.chipotle import Chipotle
from lit_airflow.errors import AccessDeniedError, SettingsError, SignatureError
from lit_airflow.keys.wallet import recover
from lit_airflow.networks.chipotle import signer
from lit_airflow.networks.chipotle.cid import cid_v0
from lit_airflow.protocol.signing import SigningPolicy, SigningRequest
from tests.devnet_chipotle.warm_engine import WarmEngine
from tests.unit.protocol.test_signing import TARGET, TRANSACTION, TYPED_DATA, changed


@pytest.fixture(scope="module", params=["april", "june"])
def net(request: pytest.FixtureRequest, warm: WarmEngine) -> Iterator[Chipotle]:
    with Chipotle(request.param) as net:
        yield warm.serve(net)


@pytest.fixture(scope="module")
def policy(net: Chipotle) -> SigningPolicy:
    return SigningPolicy.of(net.new_pkp(), 8453, TARGET)


@pytest.fixture(scope="module")
def lit(net: Chipotle, policy: SigningPolicy) -> LitClient:
    text, _ = LitClient("chipotle").signing_code(policy)
    return LitClient({**net.description, "api_key": net.permit(text, pkps=[policy.signer])}, timeout_s=300)


@pytest.mark.parametrize("text", ["report 1: 0xabc", "ä \N{GOTHIC LETTER AHSA} \u2028\n", "0x00ff"])
def test_a_message(lit: LitClient, policy: SigningPolicy, text: str) -> None:
    costs: list[Any] = []
    signed = lit.sign(SigningRequest.of(message=text), policy, on_cost=costs.append)
    assert signed.signer == policy.signer
    assert recover(text, signed.signature) == policy.signer
    assert [cost.cents for cost in costs] == [max(1, int(costs[0].seconds))]


def test_typed_data(lit: LitClient, policy: SigningPolicy) -> None:
    assert lit.sign(SigningRequest.of(typed_data=TYPED_DATA), policy).signer == policy.signer


@pytest.mark.parametrize(
    "fields",
    [{}, {"nonce": 0, "value": 0, "data": "0x"}, {"data": "0x" + "ab" * 3000, "maxFeePerGas": 2**255}],
)
def test_a_transaction(lit: LitClient, policy: SigningPolicy, fields: dict[str, Any]) -> None:
    signed = lit.sign(SigningRequest.of(transaction=changed(TRANSACTION, **fields)), policy)
    assert Account.recover_transaction(signed.raw_transaction) == policy.signer


def test_typed_data_that_the_enclave_cannot_encode(lit: LitClient, policy: SigningPolicy) -> None:
    types = {**TYPED_DATA["types"], "Report": [{"name": "owner", "type": "address"}]}
    document = changed(TYPED_DATA, types=types, message={"owner": "0x" + "aB" * 20})
    with pytest.raises(SettingsError, match="cannot encode") as caught:
        lit.sign(SigningRequest.of(typed_data=document), policy)
    assert caught.value.field == "typed_data"


@pytest.mark.parametrize(
    "params",
    [
        {"transaction": {"chainId": "1"}},
        {"transaction": {"to": "0x" + "cd" * 20}},
        {"typedData": {"chainId": "1"}},
        {"typedData": {"chainId": 8453}},
        {"typedData": {"verifyingContract": "0x" + "cd" * 20}},
    ],
)
def test_the_enclave_refuses_another_chain_or_address_by_itself(
    lit: LitClient, policy: SigningPolicy, params: dict[str, Any]
) -> None:
    """Whoever has the API key can send any parameters: the text decides."""
    ((kind, change),) = params.items()
    content = SigningRequest.of(
        **({"transaction": TRANSACTION} if kind == "transaction" else {"typed_data": TYPED_DATA})
    ).content
    if kind == "transaction":
        content = changed(content, **change)
    else:
        content = changed(content, domain=changed(content["domain"], **change))
    text, _ = lit.signing_code(policy)
    assert lit.run_action(text, {kind: content}).response == {"ok": False, "code": "SignerPolicy"}


@pytest.mark.parametrize(
    "params",
    [
        None,
        [],
        "message",
        {},
        {"message": ""},
        {"message": 1},
        {"message": "a", "transaction": {}},
        {"constructor": "a"},
        {"__proto__": {"message": "a"}},
        {"transaction": {"to": TARGET}},
        {"transaction": None},
        {"typedData": {"domain": {}}},
    ],
)
def test_malformed_requests_are_answered_and_not_signed(
    lit: LitClient, policy: SigningPolicy, params: object
) -> None:
    text, _ = lit.signing_code(policy)
    answer = lit.run_action(text, params).response
    assert answer["ok"] is False
    assert answer["code"] == "SignerRequest"


def test_a_signer_without_chain_signs_messages_only(net: Chipotle, policy: SigningPolicy) -> None:
    narrow = SigningPolicy.of(policy.signer)
    text, _ = LitClient("chipotle").signing_code(narrow)
    lit = LitClient({**net.description, "api_key": net.permit(text, pkps=[policy.signer])}, timeout_s=300)
    assert lit.sign(SigningRequest.of(message="report"), narrow).signer == policy.signer
    content = SigningRequest.of(transaction=TRANSACTION).content
    assert lit.run_action(text, {"transaction": content}).response["code"] == "SignerPolicy"


def test_a_pkp_outside_of_the_group(net: Chipotle, policy: SigningPolicy) -> None:
    text, _ = LitClient("chipotle").signing_code(policy)
    lit = LitClient({**net.description, "api_key": net.permit(text)}, timeout_s=300)
    with pytest.raises(AccessDeniedError) as caught:
        lit.sign(SigningRequest.of(message="report"), policy)
    assert caught.value.code == "SignerKey"


def test_another_policy_is_another_action(net: Chipotle, lit: LitClient, policy: SigningPolicy) -> None:
    other = SigningPolicy.of(policy.signer, 1, TARGET)
    with pytest.raises(AccessDeniedError) as caught:
        lit.sign(SigningRequest.of(transaction=changed(TRANSACTION, chainId=1)), other)
    assert caught.value.code == "permission"
    sent = len(net.requests)
    with pytest.raises(SettingsError, match="permits"):
        lit.sign(SigningRequest.of(transaction=TRANSACTION), other)
    assert len(net.requests) == sent


def test_a_service_with_other_keys_is_noticed(net: Chipotle, policy: SigningPolicy) -> None:
    """The same PKP under another root is another key: the text itself refuses, and so does the client."""
    forged = Account.from_key("22" * 32)
    text, _ = LitClient("chipotle").signing_code(policy)
    assert forged.address != policy.signer
    request = SigningRequest.of(message="report")
    from eth_account.messages import encode_defunct

    signature = "0x" + bytes(forged.sign_message(encode_defunct(text="report")).signature).hex()
    with pytest.raises(SignatureError):
        request.verified(signature, policy)
    net.change_root()
    lit = LitClient({**net.description, "api_key": net.permit(text, pkps=[policy.signer])}, timeout_s=300)
    with pytest.raises(AccessDeniedError) as caught:
        lit.sign(request, policy)
    assert caught.value.code == "SignerKey"


def test_the_shipped_text_is_the_published_one_and_the_policy_its_last_line(policy: SigningPolicy) -> None:
    text, cid = LitClient("chipotle").signing_code(policy)
    template = files(signer).joinpath("1.js").read_bytes()
    assert sha256(template).hexdigest() == signer.SHA_256[1]
    assert template.isascii()
    assert text.startswith(template.decode())
    line = text.removeprefix(template.decode())
    assert json.loads(line.removeprefix("const POLICY = ").removesuffix(";\n")) == {
        "address": TARGET.lower(),
        "chain": "8453",
        "pkp": policy.signer.lower(),
    }
    assert cid == cid_v0(text)


def test_a_network_that_does_not_sign_says_so(policy: SigningPolicy) -> None:
    with pytest.raises(SettingsError, match="does not sign"):
        LitClient("datil-dev").sign(SigningRequest.of(message="report"), policy)

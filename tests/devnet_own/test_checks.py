"""The nodes' checklist, without a socket: recorded cases, recorded requests, and what is stricter here."""

from __future__ import annotations

import copy
import json
from datetime import UTC, datetime, timedelta

import pytest

from lit_airflow.devnet.checks import NodeContext, check_decryption_request
from lit_airflow.devnet.errors import NodeError
from lit_airflow.devnet.parsing import parse_rfc3339
from tests.devnet_own.wire_client import Json, WireClient, cases, load

NOW = datetime(2025, 1, 15, 12, 34, 56, 789000, tzinfo=UTC)
URL = "http://127.0.0.1:7470"
CONTEXT = NodeContext("127.0.0.1:7470", NOW)


def outcome(body: Json, context: NodeContext = CONTEXT) -> Json:
    try:
        check_decryption_request(body, context)
    except NodeError as error:
        return {"ok": False, "errorCode": error.code, "status": error.status}
    return {"ok": True}


def code(body: Json, context: NodeContext = CONTEXT) -> str:
    with pytest.raises(NodeError) as caught:
        check_decryption_request(body, context)
    return caught.value.code


@pytest.mark.parametrize("case", cases("node_checks"))
def test_recorded_case(case: Json) -> None:
    file = load("node_checks")
    good = file["cases"][0]
    assert outcome(good["request"], NodeContext(file["node_address"], parse_rfc3339(good["now"]))) == {
        "ok": True
    }
    here = NodeContext(file["node_address"], parse_rfc3339(case["now"]))
    assert outcome(case["request"], here) == case["expected"]
    assert outcome(good["request"], NodeContext(file["node_address"], parse_rfc3339(good["now"]))) == {
        "ok": True
    }


@pytest.mark.parametrize("case", cases("wire"))
def test_requests_of_the_real_client_are_served(case: Json) -> None:
    """Its raw bodies, at the recorded time, with the balances and calls its conditions ask about."""
    wallet = "0x19E7E376E7C213B7E7e7e46cc70A5dD086DAff2A"
    state = {
        f"polygon:0x7C7757a9675f06F3BE4618bB68732c4aB25D2e88.balanceOf({wallet},8)".lower(): 1,
        f"ethereum:{wallet}".lower(): 10**18,
    }
    asked = [t for t in case["transcript"] if t["request"]["path"].startswith("/web/encryption/sign")]
    assert len(asked) == len(case["nodes"])
    for step in asked:
        context = NodeContext(
            step["node"].removeprefix("http://"), parse_rfc3339(case["now"]), chain_state=state
        )
        signing = check_decryption_request(json.loads(step["request"]["raw_body"]), context)
        assert signing.epoch == case["epoch_sent"]
        assert signing.text.endswith("/" + case["encrypt_result"]["dataToEncryptHash"])
        elsewhere = NodeContext("127.0.0.1:7999", parse_rfc3339(case["now"]), chain_state=state)
        assert code(json.loads(step["request"]["raw_body"]), elsewhere) == "NodeNotAuthorized"


def test_identity_and_epoch(client: WireClient) -> None:
    body = client.body(URL, NOW, epoch=7)
    signing = check_decryption_request(body, CONTEXT)
    assert signing.text.encode() == client.identity(body)
    assert signing.epoch == 7
    assert check_decryption_request(client.body(URL, NOW, epoch=None), CONTEXT).epoch == 0


@pytest.mark.parametrize(
    "change",
    [
        {"dataToEncryptHash": 5},
        {"dataToEncryptHash": "\ud800"},
        {"authSig": "text"},
        {"authSig": None},
        {"epoch": -1},
        {"epoch": "1"},
        {"epoch": True},
        {"chain": 1},
        {"accessControlConditions": {}},
        {"accessControlConditions": [1]},
        {"accessControlConditions": [{"chain": "ethereum"}]},
        {"evmContractConditions": [{"returnValueTest": {}}]},
    ],
)
def test_unreadable_bodies(client: WireClient, change: Json) -> None:
    assert code(client.body(URL, NOW, **change)) == "NodeBadInput"


@pytest.mark.parametrize("body", [None, [], "text", 1])
def test_bodies_that_are_no_object(body: Json) -> None:
    assert code(body) == "NodeBadInput"


def test_number_in_a_return_value_test_is_refused(client: WireClient) -> None:
    condition = client.condition(returnValueTest={"comparator": ">", "value": 1})
    assert code(client.body(URL, NOW, [condition])) == "NodeBadInput"


def test_thirty_conditions_pass_groups_included(client: WireClient) -> None:
    one = client.condition()
    many = [one]
    for _ in range(28):
        many += [{"operator": "and"}, one]
    assert outcome(client.body(URL, NOW, [*many, {"operator": "or"}, [one]])) == {"ok": True}
    group = [one, {"operator": "or"}, one]
    assert code(client.body(URL, NOW, [*many, {"operator": "or"}, group])) == "NodeTooManyConditions"


def test_empty_lists(client: WireClient) -> None:
    assert code(client.body(URL, NOW, [])) == "NodeInvalidBooleanConditionType"
    unified = client.body(URL, NOW, accessControlConditions=None, unifiedAccessControlConditions=[])
    assert code(unified) == "NodeMissingAccessControlConditions"


def test_keys_that_are_no_curve_point_or_of_small_order(client: WireClient) -> None:
    body = client.body(URL, NOW)
    for key, refusal in (
        ("02" + "00" * 31, "NodeAuthSigSessionKeyConversionError"),
        ("01" + "00" * 31, "NodeInvalidAuthSigSessionKeySignature"),
    ):
        auth_sig = {**body["authSig"], "address": key}
        assert code({**body, "authSig": auth_sig}) == refusal


def test_identity_point_signature_of_a_small_order_key_is_refused(client: WireClient) -> None:
    """With the neutral point as key and nonce and s = 0, lax verifiers accept every message."""
    body = client.body(URL, NOW)
    neutral = "01" + "00" * 31
    forged = {**body["authSig"], "address": neutral, "sig": neutral + "00" * 32}
    assert code({**body, "authSig": forged}) == "NodeInvalidAuthSigSessionKeySignature"


@pytest.mark.parametrize("broken", ["sig", "derivedVia", "signedMessage", "address"])
def test_auth_sig_without_a_field(client: WireClient, broken: str) -> None:
    body = client.body(URL, NOW)
    del body["authSig"][broken]
    assert code(body) == "NodeInvalidMultipleAuthSigs"


def test_session_text_of_wrong_shape(client: WireClient) -> None:
    for change in (
        {"capabilities": {}},
        {"capabilities": [{"sig": "0x"}]},
        {"capabilities": [{**client.sign_in(NOW), "more": "x"}]},
        {"resourceAbilityRequests": [{"resource": "*"}]},
        {"issuedAt": 5},
    ):
        body = client.body(URL, NOW, authSig=client.auth_sig(URL, NOW, **change))
        assert code(body) == "NodeAuthSigSignedMessageConversionError"


@pytest.mark.parametrize(
    ("change", "served"),
    [
        ({"expires_at": NOW}, True),
        ({"expires_at": NOW - timedelta(milliseconds=1)}, False),
        ({"issued_at": NOW + timedelta(days=1), "expires_at": NOW + timedelta(days=2)}, True),
        ({"extra": ["Not Before: 2025-01-15T12:34:56.788Z"]}, True),
        ({"extra": ["Not Before: 2025-01-15T12:34:56.789Z"]}, False),
        ({"nonce": "1234567"}, False),
        ({"nonce": "12345678"}, True),
        ({"uri": "lit:session:00"}, False),
        ({"uri": "no uri"}, False),
        ({"statement": ""}, False),
        ({"statement": "Hello."}, False),
        ({"ability": "Signing"}, False),
        ({"resource": "abc"}, False),
        ({"domain": ""}, False),
    ],
)
def test_what_a_capability_needs(client: WireClient, change: Json, *, served: bool) -> None:
    auth_sig = client.auth_sig(URL, NOW, capabilities=[client.sign_in(NOW, **change)])
    wanted = (
        {"ok": True} if served else {"ok": False, "errorCode": "NodeSIWECapabilityInvalid", "status": 400}
    )
    assert outcome(client.body(URL, NOW, authSig=auth_sig)) == wanted


class TestWhereTheNodeSoftwareIsLaxer:
    def test_no_fallback_on_the_unversioned_path(self, client: WireClient) -> None:
        """The fallback would serve this: the session signature is good and the last URI names its key."""
        late = NOW + timedelta(days=3)
        assert code(client.body(URL, NOW), NodeContext(CONTEXT.address, late)) == "NodeExpWrongOrTooLarge"

    def test_address_field_must_be_the_signer(self, client: WireClient) -> None:
        capability = {**client.sign_in(NOW), "address": "0xFCAd0B19bB29D4674531d6f115237E16AfCE377c"}
        body = client.body(URL, NOW, authSig=client.auth_sig(URL, NOW, capabilities=[capability]))
        assert code(body) == "NodeSIWECapabilityInvalid"

    def test_a_bad_capability_beside_a_good_one_does_no_harm(self, client: WireClient) -> None:
        expired = client.sign_in(NOW, expires_at=NOW - timedelta(days=1))
        auth_sig = client.auth_sig(URL, NOW, capabilities=[expired, client.sign_in(NOW)])
        assert outcome(client.body(URL, NOW, authSig=auth_sig)) == {"ok": True}


@pytest.mark.parametrize("kind", ["EIP1271", "EIP1271_SHA256"])
def test_a_contract_signature_is_never_judged_as_a_wallet_signature(client: WireClient, kind: str) -> None:
    """The node would ask the contract, which the devnet cannot do: the capability is skipped."""
    labelled = {**client.sign_in(NOW), "derivedVia": kind}
    alone = client.body(URL, NOW, authSig=client.auth_sig(URL, NOW, capabilities=[labelled]))
    wanted = {"ok": False, "errorCode": "NodeSIWECapabilityInvalid", "status": 400}
    assert outcome(alone) == wanted
    both = client.auth_sig(URL, NOW, capabilities=[labelled, client.sign_in(NOW)])
    assert outcome(client.body(URL, NOW, authSig=both)) == {"ok": True}


class TestWalletWithoutSession:
    @staticmethod
    def ask(
        client: WireClient, context: NodeContext = CONTEXT, changed: Json | None = None, **change: object
    ) -> Json:
        auth_sig = {**client.sign_in(NOW, **{"uri": "https://localhost/login", **change}), **(changed or {})}
        return outcome(client.body(URL, NOW, authSig=auth_sig), context)

    def test_served_on_the_unversioned_path_only(self, client: WireClient) -> None:
        assert self.ask(client) == {"ok": True}
        versioned = NodeContext(CONTEXT.address, NOW, sessions_only=True)
        assert self.ask(client, versioned)["errorCode"] == "NodeCannotProvideAuthSigForEndpoint"

    @pytest.mark.parametrize("uri", ["lit:session:00", "lit:capability:delegation"])
    def test_delegations_do_not_stand_for_the_wallet(self, client: WireClient, uri: str) -> None:
        wanted = {"ok": False, "errorCode": "NodeInvalidAuthSig", "status": 401}
        assert self.ask(client, uri=uri) == wanted

    def test_grace_of_a_minute(self, client: WireClient) -> None:
        expires_at = NOW + timedelta(hours=1)
        just = NodeContext(CONTEXT.address, expires_at + timedelta(seconds=60))
        late = NodeContext(CONTEXT.address, expires_at + timedelta(seconds=61))
        assert self.ask(client, just) == {"ok": True}
        assert self.ask(client, late)["errorCode"] == "NodeExpWrongOrTooLarge"

    @pytest.mark.parametrize(
        ("changed", "refusal"),
        [
            ({"address": "0xFCAd0B19bB29D4674531d6f115237E16AfCE377c"}, "NodeInvalidAuthSig"),
            ({"sig": "0x00"}, "NodeAuthSigSignatureConversionError"),
            ({"sig": "0x" + "ff" * 65}, "NodeAuthSigSignatureConversionError"),
            ({"derivedVia": "EIP1271"}, "NodeRpcError"),
            ({"derivedVia": "lit.bls", "algo": "LIT_BLS"}, "NodeInvalidAuthSig"),
        ],
    )
    def test_refused(self, client: WireClient, changed: Json, refusal: str) -> None:
        assert self.ask(client, changed=changed)["errorCode"] == refusal

    def test_message_must_be_the_signers(self, client: WireClient) -> None:
        other = "0xFCAd0B19bB29D4674531d6f115237E16AfCE377c"
        assert self.ask(client, wallet=other)["errorCode"] == "NodeInvalidAuthSig"

    def test_not_valid_yet(self, client: WireClient) -> None:
        wanted = "NodeSIWEMessageError"
        assert self.ask(client, extra=["Not Before: 2025-01-15T12:35:56Z"]) == {"ok": True}
        assert self.ask(client, extra=["Not Before: 2025-01-15T12:35:57Z"])["errorCode"] == wanted

    def test_message_must_be_a_sign_in(self, client: WireClient) -> None:
        assert self.ask(client, nonce="short")["errorCode"] == "NodeSIWEMessageError"


def test_session_of_a_pkp(client: WireClient) -> None:
    """A capability that the network signed counts as long as it is in time and under this network's key."""
    recorded = [c for c in load("need_resign")["cases"] if c["name"].startswith("LIT_BLS")]
    served = {}
    for case in recorded:
        now = parse_rfc3339(case["now"])
        context = NodeContext(CONTEXT.address, now, bytes.fromhex(case["network_public_key"]))
        auth_sig = client.auth_sig(URL, now, capabilities=[case["auth_sig"]])
        served[case["name"]] = outcome(client.body(URL, now, authSig=auth_sig), context)["ok"]
    assert served == {case["name"]: not case["expected"] for case in recorded}
    assert set(served.values()) == {True, False}


def test_request_is_left_as_it_was(client: WireClient) -> None:
    body = client.body(URL, NOW)
    before = copy.deepcopy(body)
    check_decryption_request(body, CONTEXT)
    assert body == before

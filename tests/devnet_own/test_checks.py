"""The nodes' checklist, without a socket: recorded cases, recorded requests, and what is stricter here."""

from __future__ import annotations

import copy
import json
from datetime import UTC, datetime, timedelta

import pytest

from lit_airflow.devnet.checks import Place, admit
from lit_airflow.devnet.errors import NodeError
from lit_airflow.devnet.parsing import rfc3339
from tests.devnet_own.visitor import Json, Visitor, cases, load

NOW = datetime(2025, 1, 15, 12, 34, 56, 789000, tzinfo=UTC)
URL = "http://127.0.0.1:7470"
PLACE = Place("127.0.0.1:7470", NOW)


def outcome(body: Json, place: Place = PLACE) -> Json:
    try:
        admit(body, place)
    except NodeError as error:
        return {"ok": False, "errorCode": error.code, "status": error.status}
    return {"ok": True}


def code(body: Json, place: Place = PLACE) -> str:
    with pytest.raises(NodeError) as caught:
        admit(body, place)
    return caught.value.code


@pytest.mark.parametrize("case", cases("node_checks"))
def test_recorded_case(case: Json) -> None:
    file = load("node_checks")
    good = file["cases"][0]
    assert outcome(good["request"], Place(file["node_address"], rfc3339(good["now"]))) == {"ok": True}
    here = Place(file["node_address"], rfc3339(case["now"]))
    assert outcome(case["request"], here) == case["expected"]
    assert outcome(good["request"], Place(file["node_address"], rfc3339(good["now"]))) == {"ok": True}


@pytest.mark.parametrize("case", cases("wire"))
def test_requests_of_the_real_client_are_served(case: Json) -> None:
    """Its raw bodies, at the recorded time, with the balances and calls its conditions ask about."""
    wallet = "0x19E7E376E7C213B7E7e7e46cc70A5dD086DAff2A"
    ledger = {
        f"polygon:0x7C7757a9675f06F3BE4618bB68732c4aB25D2e88.balanceOf({wallet},8)".lower(): 1,
        f"ethereum:{wallet}".lower(): 10**18,
    }
    asked = [t for t in case["transcript"] if t["request"]["path"].startswith("/web/encryption/sign")]
    assert len(asked) == len(case["nodes"])
    for step in asked:
        place = Place(step["node"].removeprefix("http://"), rfc3339(case["now"]), ledger=ledger)
        admitted = admit(json.loads(step["request"]["raw_body"]), place)
        assert admitted.epoch == case["epoch_sent"]
        assert admitted.identity.decode().endswith("/" + case["encrypt_result"]["dataToEncryptHash"])
        elsewhere = Place("127.0.0.1:7999", rfc3339(case["now"]), ledger=ledger)
        assert code(json.loads(step["request"]["raw_body"]), elsewhere) == "NodeNotAuthorized"


def test_identity_and_epoch(visitor: Visitor) -> None:
    body = visitor.body(URL, NOW, epoch=7)
    admitted = admit(body, PLACE)
    assert admitted.identity == visitor.identity(body)
    assert admitted.epoch == 7
    assert admit(visitor.body(URL, NOW, epoch=None), PLACE).epoch == 0


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
def test_unreadable_bodies(visitor: Visitor, change: Json) -> None:
    assert code(visitor.body(URL, NOW, **change)) == "NodeBadInput"


@pytest.mark.parametrize("body", [None, [], "text", 1])
def test_bodies_that_are_no_object(body: Json) -> None:
    assert code(body) == "NodeBadInput"


def test_number_in_a_return_value_test_is_refused(visitor: Visitor) -> None:
    condition = visitor.condition(returnValueTest={"comparator": ">", "value": 1})
    assert code(visitor.body(URL, NOW, [condition])) == "NodeBadInput"


def test_thirty_conditions_pass_groups_included(visitor: Visitor) -> None:
    one = visitor.condition()
    many = [one]
    for _ in range(28):
        many += [{"operator": "and"}, one]
    assert outcome(visitor.body(URL, NOW, [*many, {"operator": "or"}, [one]])) == {"ok": True}
    group = [one, {"operator": "or"}, one]
    assert code(visitor.body(URL, NOW, [*many, {"operator": "or"}, group])) == "NodeTooManyConditions"


def test_empty_lists(visitor: Visitor) -> None:
    assert code(visitor.body(URL, NOW, [])) == "NodeInvalidBooleanConditionType"
    unified = visitor.body(URL, NOW, accessControlConditions=None, unifiedAccessControlConditions=[])
    assert code(unified) == "NodeMissingAccessControlConditions"


def test_keys_that_are_no_curve_point_or_of_small_order(visitor: Visitor) -> None:
    body = visitor.body(URL, NOW)
    for key, refusal in (
        ("02" + "00" * 31, "NodeAuthSigSessionKeyConversionError"),
        ("01" + "00" * 31, "NodeInvalidAuthSigSessionKeySignature"),
    ):
        auth_sig = {**body["authSig"], "address": key}
        assert code({**body, "authSig": auth_sig}) == refusal


def test_identity_point_signature_of_a_small_order_key_is_refused(visitor: Visitor) -> None:
    """With the neutral point as key and nonce and s = 0, lax verifiers accept every message."""
    body = visitor.body(URL, NOW)
    neutral = "01" + "00" * 31
    forged = {**body["authSig"], "address": neutral, "sig": neutral + "00" * 32}
    assert code({**body, "authSig": forged}) == "NodeInvalidAuthSigSessionKeySignature"


@pytest.mark.parametrize("broken", ["sig", "derivedVia", "signedMessage", "address"])
def test_auth_sig_without_a_field(visitor: Visitor, broken: str) -> None:
    body = visitor.body(URL, NOW)
    del body["authSig"][broken]
    assert code(body) == "NodeInvalidMultipleAuthSigs"


def test_session_text_of_wrong_shape(visitor: Visitor) -> None:
    for change in (
        {"capabilities": {}},
        {"capabilities": [{"sig": "0x"}]},
        {"capabilities": [{**visitor.sign_in(NOW), "more": "x"}]},
        {"resourceAbilityRequests": [{"resource": "*"}]},
        {"issuedAt": 5},
    ):
        body = visitor.body(URL, NOW, authSig=visitor.auth_sig(URL, NOW, **change))
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
def test_what_a_capability_needs(visitor: Visitor, change: Json, *, served: bool) -> None:
    auth_sig = visitor.auth_sig(URL, NOW, capabilities=[visitor.sign_in(NOW, **change)])
    wanted = (
        {"ok": True} if served else {"ok": False, "errorCode": "NodeSIWECapabilityInvalid", "status": 400}
    )
    assert outcome(visitor.body(URL, NOW, authSig=auth_sig)) == wanted


class TestWhereTheNodeSoftwareIsLaxer:
    def test_no_fallback_on_the_unversioned_path(self, visitor: Visitor) -> None:
        """The fallback would serve this: the session signature is good and the last URI names its key."""
        late = NOW + timedelta(days=3)
        assert code(visitor.body(URL, NOW), Place(PLACE.address, late)) == "NodeExpWrongOrTooLarge"

    def test_address_field_must_be_the_signer(self, visitor: Visitor) -> None:
        capability = {**visitor.sign_in(NOW), "address": "0xFCAd0B19bB29D4674531d6f115237E16AfCE377c"}
        body = visitor.body(URL, NOW, authSig=visitor.auth_sig(URL, NOW, capabilities=[capability]))
        assert code(body) == "NodeSIWECapabilityInvalid"

    def test_a_bad_capability_beside_a_good_one_does_no_harm(self, visitor: Visitor) -> None:
        expired = visitor.sign_in(NOW, expires_at=NOW - timedelta(days=1))
        auth_sig = visitor.auth_sig(URL, NOW, capabilities=[expired, visitor.sign_in(NOW)])
        assert outcome(visitor.body(URL, NOW, authSig=auth_sig)) == {"ok": True}


class TestWalletWithoutSession:
    @staticmethod
    def ask(visitor: Visitor, place: Place = PLACE, changed: Json | None = None, **change: object) -> Json:
        auth_sig = {**visitor.sign_in(NOW, **{"uri": "https://localhost/login", **change}), **(changed or {})}
        return outcome(visitor.body(URL, NOW, authSig=auth_sig), place)

    def test_served_on_the_unversioned_path_only(self, visitor: Visitor) -> None:
        assert self.ask(visitor) == {"ok": True}
        versioned = Place(PLACE.address, NOW, sessions_only=True)
        assert self.ask(visitor, versioned)["errorCode"] == "NodeCannotProvideAuthSigForEndpoint"

    @pytest.mark.parametrize("uri", ["lit:session:00", "lit:capability:delegation"])
    def test_delegations_do_not_stand_for_the_wallet(self, visitor: Visitor, uri: str) -> None:
        wanted = {"ok": False, "errorCode": "NodeInvalidAuthSig", "status": 401}
        assert self.ask(visitor, uri=uri) == wanted

    def test_grace_of_a_minute(self, visitor: Visitor) -> None:
        expires_at = NOW + timedelta(hours=1)
        just = Place(PLACE.address, expires_at + timedelta(seconds=60))
        late = Place(PLACE.address, expires_at + timedelta(seconds=61))
        assert self.ask(visitor, just) == {"ok": True}
        assert self.ask(visitor, late)["errorCode"] == "NodeExpWrongOrTooLarge"

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
    def test_refused(self, visitor: Visitor, changed: Json, refusal: str) -> None:
        assert self.ask(visitor, changed=changed)["errorCode"] == refusal

    def test_message_must_be_the_signers(self, visitor: Visitor) -> None:
        other = "0xFCAd0B19bB29D4674531d6f115237E16AfCE377c"
        assert self.ask(visitor, wallet=other)["errorCode"] == "NodeInvalidAuthSig"

    def test_not_valid_yet(self, visitor: Visitor) -> None:
        wanted = "NodeSIWEMessageError"
        assert self.ask(visitor, extra=["Not Before: 2025-01-15T12:35:56Z"]) == {"ok": True}
        assert self.ask(visitor, extra=["Not Before: 2025-01-15T12:35:57Z"])["errorCode"] == wanted

    def test_message_must_be_a_sign_in(self, visitor: Visitor) -> None:
        assert self.ask(visitor, nonce="short")["errorCode"] == "NodeSIWEMessageError"


def test_session_of_a_pkp(visitor: Visitor) -> None:
    """A capability that the network signed counts as long as it is in time and under this network's key."""
    recorded = [c for c in load("need_resign")["cases"] if c["name"].startswith("LIT_BLS")]
    served = {}
    for case in recorded:
        now = rfc3339(case["now"])
        place = Place(PLACE.address, now, bytes.fromhex(case["network_public_key"]))
        auth_sig = visitor.auth_sig(URL, now, capabilities=[case["auth_sig"]])
        served[case["name"]] = outcome(visitor.body(URL, now, authSig=auth_sig), place)["ok"]
    assert served == {case["name"]: not case["expected"] for case in recorded}
    assert set(served.values()) == {True, False}


def test_request_is_left_as_it_was(visitor: Visitor) -> None:
    body = visitor.body(URL, NOW)
    before = copy.deepcopy(body)
    admit(body, PLACE)
    assert body == before

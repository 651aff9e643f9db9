"""The network signs sessions for PKPs, and refuses what is not in order."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests
from eth_utils.crypto import keccak

from lit_airflow.devnet import Devnet
from lit_airflow.devnet.blocks import Blocks
from lit_airflow.devnet.capability import read_capability
from lit_airflow.devnet.errors import NodeError
from lit_airflow.devnet.pkp_sessions import Registrar, countersign
from lit_airflow.devnet.pkps import Pkps
from lit_airflow.devnet.proofs import network_signed, session_digest
from lit_airflow.devnet.recap import read_recap
from lit_airflow.devnet.siwe import read_sign_in
from tests.devnet_own.visitor import (
    HEADERS,
    SENTENCE,
    Json,
    Visitor,
    cases,
    combine,
    compact,
    load,
    share_of,
    verifies,
)

PATH = "/web/sign_session_key/v1"
NOW = datetime(2025, 1, 15, 12, 34, 56, 789000, UTC)


class Office:
    """What a node knows, at a fixed time, and a request that it grants unless one part is changed."""

    def __init__(self, visitor: Visitor, now: datetime = NOW) -> None:
        self.visitor = visitor
        self.now = now
        self.blocks = Blocks(lambda: self.now)
        self.pkps = Pkps()
        self.pkp = self.pkps.mint(visitor.address)

    def text(self, **change: Any) -> str:  # noqa: ANN401 - what ``sign_in`` takes
        asked = {"wallet": self.pkp.address, "nonce": self.blocks.latest_hash(), **change}
        return str(self.visitor.sign_in(self.now, **asked)["signedMessage"])

    def method(self, **change: Any) -> Json:  # noqa: ANN401 - the same
        wallet = change.pop("visitor", self.visitor)
        auth_sig = wallet.sign_in(change.pop("now", self.now), **{"uri": "https://localhost/login", **change})
        return {"authMethodType": 1, "accessToken": compact(auth_sig)}

    def body(self, **change: object) -> Json:
        return {
            "sessionKey": "lit:session:" + self.visitor.public,
            "authMethods": [self.method()],
            "pkpPublicKey": self.pkp.public_key,
            "siweMessage": self.text(),
            "curveType": "BLS",
            "epoch": 1,
            **change,
        }

    def ask(self, body: object) -> str:
        return countersign(body, Registrar(self.now, self.pkps, self.blocks.time_of)).text

    def refusal(self, **change: object) -> NodeError:
        assert self.ask(self.body())
        with pytest.raises(NodeError) as caught:
            self.ask(self.body(**change))
        assert self.ask(self.body())
        return caught.value


@pytest.fixture
def office(visitor: Visitor) -> Office:
    return Office(visitor)


def urn(att: Json) -> str:
    packed = base64.urlsafe_b64encode(compact({"att": att, "prf": []}).encode()).decode()
    return "urn:recap:" + packed.rstrip("=")


class TestMessage:
    def test_what_is_signed(self, office: Office) -> None:
        before = office.text()
        after = office.ask(office.body(siweMessage=before))
        old, new = before.split("\n"), after.split("\n")
        changed = [i for i, (a, b) in enumerate(zip(old, new, strict=True)) if a != b]
        assert changed == [3, 9, 12]
        assert new[9] == "Issued At: 2025-01-15T12:34:48Z"
        key = "lit-accesscontrolcondition://*"
        assert new[3] == (
            f"Hello. {SENTENCE} (1) 'Threshold': 'Decryption' for '{key}'. "
            f"{SENTENCE} (1) 'Threshold': 'Decryption' for '{key}'. "
            "(2) 'Auth': 'Auth' for 'lit-resolvedauthcontext://*'."
        )
        recap = read_recap(new[12].removeprefix("- "))
        assert new[3].endswith(recap.statement)
        assert recap.attenuations[key] == {"Threshold/Decryption": [{}]}
        (restriction,) = recap.attenuations["lit-resolvedauthcontext://*"]["Auth/Auth"]
        assert restriction == {
            "auth_context": {
                "actionIpfsIdStack": [],
                "authMethodContexts": [
                    {
                        "appId": "lit",
                        "authMethodType": 1,
                        "usedForSignSessionKeyRequest": True,
                        "userId": office.visitor.address,
                    }
                ],
                "authSigAddress": None,
                "customAuthResource": "",
                "resources": [],
            }
        }

    def test_further_lines_stay(self, office: Office) -> None:
        extra = ["Not Before: 2025-01-01T00:00:00Z", "Request ID: Resources:"]
        after = office.ask(office.body(siweMessage=office.text(extra=extra)))
        assert after.split("\n")[11:14] == [*extra, "Resources:"]
        assert read_sign_in(after).not_before is not None

    def test_the_key_may_be_left_out(self, office: Office) -> None:
        office.pkps.mint(office.visitor.address)
        body = office.body()
        assert office.ask({**body, "pkpPublicKey": None}) == office.ask(body)

    def test_an_older_block_is_as_good(self, office: Office) -> None:
        nonce = office.blocks.latest_hash()
        office.now += timedelta(days=29)
        after = office.ask(office.body(siweMessage=office.text(nonce=nonce)))
        assert "\nIssued At: 2025-01-15T12:34:48Z\n" in after

    def test_token_and_address(self, office: Office) -> None:
        raw = bytes.fromhex(office.pkp.public_key[2:])
        assert office.pkp.token_id == "0x" + keccak(raw).hex()
        assert office.pkp.address.lower() == "0x" + keccak(raw[1:])[-20:].hex()


class TestRefusals:
    @pytest.mark.parametrize(
        "change",
        [
            {"sessionKey": 1},
            {"authMethods": None},
            {"authMethods": [{"authMethodType": "1", "accessToken": "{}"}]},
            {"siweMessage": None},
            {"curveType": None},
            {"epoch": -1},
        ],
    )
    def test_shape(self, office: Office, change: Json) -> None:
        assert office.refusal(**change).code == "NodeBadInput"

    @pytest.mark.parametrize("curve", ["K256", "bls", "ECDSA_CAIT_SITH"])
    def test_curve(self, office: Office, curve: str) -> None:
        assert office.refusal(curveType=curve).code == "NodeInvalidCurveType"

    @pytest.mark.parametrize(
        "change",
        [
            {"wallet": "0x" + "11" * 20},
            {"uri": "lit:session:" + "00" * 32},
            {"expires_at": NOW + timedelta(days=31)},
            {"domain": ""},
        ],
    )
    def test_message(self, office: Office, change: Json) -> None:
        assert office.refusal(siweMessage=office.text(**change)).code == "NodeSIWEMessageError"

    @pytest.mark.parametrize(
        ("change", "code"),
        [
            ({"expires_at": NOW - timedelta(seconds=62), "issued_at": NOW - timedelta(hours=1)}, "Exp"),
            ({"issued_at": NOW + timedelta(seconds=62)}, "Iat"),
        ],
    )
    def test_times(self, office: Office, change: Json, code: str) -> None:
        assert office.refusal(siweMessage=office.text(**change)).code.startswith("Node" + code)

    def test_another_pkp(self, office: Office) -> None:
        other = office.pkps.mint(office.visitor.address)
        assert office.refusal(pkpPublicKey=other.public_key).code == "NodeSIWEMessageError"

    @pytest.mark.parametrize("nonce", ["0x" + "ab" * 32, "ab" * 32, "0123456789abcdef", "0x" + "00" * 32])
    def test_no_block(self, office: Office, nonce: str) -> None:
        refusal = office.refusal(siweMessage=office.text(nonce=nonce))
        assert (refusal.code, refusal.status) == ("NodeInvalidBlockhash", 502)

    @pytest.mark.parametrize("days", [-31, 1])
    def test_a_block_of_another_time(self, office: Office, days: int) -> None:
        real, office.now = office.now, office.now + timedelta(days=days)
        nonce = office.blocks.latest_hash()
        office.now = real
        assert office.refusal(siweMessage=office.text(nonce=nonce)).code == "NodeInvalidBlockhash"

    def test_the_statement_must_say_what_is_asked(self, office: Office) -> None:
        text = office.text(statement="Hello.")
        assert office.refusal(siweMessage=text).code == "NodeSIWECapabilityInvalid"

    def test_there_must_be_a_capability(self, office: Office) -> None:
        text = office.text().split("\nResources:")[0]
        assert office.refusal(siweMessage=text).code == "NodeSIWECapabilityInvalid"

    def test_nobody_brings_a_context_of_their_own(self, office: Office) -> None:
        key = "lit-resolvedauthcontext://*"
        says = f"{SENTENCE} (1) 'Auth': 'Auth' for '{key}'."
        lines = office.text(statement=says).split("\n")
        lines[-1] = "- " + urn({key: {"Auth/Auth": [{}]}})
        assert office.refusal(siweMessage="\n".join(lines)).code == "NodeInvalidAuthContextResource"

    @pytest.mark.parametrize("key", ["code", "litActionIpfsId"])
    def test_lit_actions_do_not_run(self, office: Office, key: str) -> None:
        refusal = office.refusal(**{key: "QmNothing"})
        assert (refusal.code, refusal.status) == ("NodeLitActionsSessionSigAuthenticationFailed", 401)


class TestMethods:
    def refused(self, office: Office, *methods: Json) -> str:
        refusal = office.refusal(authMethods=list(methods))
        assert (refusal.code, refusal.status) == ("NodePKPNotAuthorized", 401)
        return refusal.detail

    def test_none(self, office: Office) -> None:
        self.refused(office)

    def test_a_stranger(self, office: Office) -> None:
        self.refused(office, office.method(visitor=Visitor(b"\x22" * 32)))

    def test_another_kind(self, office: Office) -> None:
        assert "type 6" in self.refused(office, {**office.method(), "authMethodType": 6})

    @pytest.mark.parametrize("token", ["", "{", "5", "{}", '{"sig": "0x"}'])
    def test_no_auth_sig(self, office: Office, token: str) -> None:
        self.refused(office, {"authMethodType": 1, "accessToken": token})

    @pytest.mark.parametrize(
        "change",
        [
            {"expires_at": NOW - timedelta(seconds=62), "issued_at": NOW - timedelta(hours=1)},
            {"issued_at": NOW + timedelta(seconds=62)},
            {"uri": "lit:session:" + "00" * 32},
            {"uri": "lit:capability:delegation"},
        ],
        ids=["expired", "issued ahead", "a session's", "a delegation"],
    )
    def test_an_auth_sig_that_does_not_hold(self, office: Office, change: Json) -> None:
        self.refused(office, office.method(**change))

    @pytest.mark.parametrize("field", ["sig", "address", "signedMessage"])
    def test_an_auth_sig_that_is_altered(self, office: Office, field: str) -> None:
        auth_sig = json.loads(office.method()["accessToken"])
        other = json.loads(office.method(visitor=Visitor(b"\x22" * 32))["accessToken"])
        altered = compact({**auth_sig, field: other[field]})
        self.refused(office, {"authMethodType": 1, "accessToken": altered})

    def test_one_of_several_is_enough(self, office: Office) -> None:
        methods = [{**office.method(), "authMethodType": 6}, office.method()]
        assert office.ask(office.body(authMethods=methods)) == office.ask(office.body())


class TestNetwork:
    def ask(
        self, net: Devnet, visitor: Visitor, node: int, nonce: str | None = None, **change: object
    ) -> requests.Response:
        office = Office(visitor, datetime.now(UTC).replace(microsecond=0))
        facts = self.pkp_of(net, visitor)
        nonce = nonce or visitor.shake(net, 1).json()["latestBlockhash"]
        text = office.text(wallet=facts["ethAddress"], nonce=nonce)
        body = office.body(pkpPublicKey=facts["publicKey"], siweMessage=text, **change)
        return requests.post(net.description["nodes"][node] + PATH, json=body, headers=HEADERS, timeout=5)

    def pkp_of(self, net: Devnet, visitor: Visitor) -> Json:
        held = requests.get(net.description["control_url"], timeout=5).json()["pkps"]
        return held[0] if held else net.mint_pkp(visitor.address)

    def test_two_of_three_sign(self, net: Devnet, visitor: Visitor) -> None:
        answers = [self.ask(net, visitor, node).json() for node in (0, 2)]
        assert [list(answer) for answer in answers] == [
            [
                "result",
                "signatureShare",
                "shareIndex",
                "curveType",
                "siweMessage",
                "dataSigned",
                "blsRootPubkey",
            ]
        ] * 2
        key = net.description["network_public_key"]
        assert {(a["curveType"], a["blsRootPubkey"]) for a in answers} == {("BLS", key)}

    def test_the_signature_is_the_networks(self, net: Devnet, visitor: Visitor) -> None:
        nonce = visitor.shake(net, 0).json()["latestBlockhash"]
        while True:
            alike = [self.ask(net, visitor, node, nonce) for node in (0, 1)]
            texts = {response.json()["siweMessage"] for response in alike}
            if len(texts) == 1:  # else a second passed in between
                break
        (text,) = texts
        signature = combine([share_of(response) for response in alike])
        key = net.description["network_public_key"]
        digest = session_digest(text)
        assert alike[0].json()["dataSigned"] == digest.hex()
        assert verifies(key, digest, signature)
        sig = compact({"ProofOfPossession": signature.to_compressed_bytes().hex()})
        assert network_signed(bytes.fromhex(key), sig, text)
        assert not network_signed(bytes.fromhex(key), sig, text + " ")

    def test_faults_apply(self, net: Devnet, visitor: Visitor) -> None:
        good = self.ask(net, visitor, 0).json()
        net.lie(0, "other-text")
        lie = self.ask(net, visitor, 0).json()
        assert "Chain ID: 91\n" in lie["siweMessage"]
        assert lie["dataSigned"] == session_digest(lie["siweMessage"]).hex() != good["dataSigned"]
        net.lie(0, "overloaded")
        assert self.ask(net, visitor, 0).status_code == 429

    def test_refusal_in_the_nodes_form(self, net: Devnet, visitor: Visitor) -> None:
        response = self.ask(net, visitor, 1, authMethods=[])
        body = response.json()
        assert (response.status_code, body["errorCode"], body["status"]) == (401, "NodePKPNotAuthorized", 401)
        assert list(body) == ["errorKind", "errorCode", "status", "message", "correlationId", "details"]

    def test_switchboard(self, net: Devnet, visitor: Visitor) -> None:
        url = net.description["control_url"]
        minted = requests.post(url + "/pkps", json={"owner": visitor.address.lower()}, timeout=5).json()
        (pkp,) = minted["pkps"]
        assert sorted(pkp) == ["ethAddress", "owner", "publicKey", "tokenId"]
        assert pkp["owner"] == visitor.address
        assert self.ask(net, visitor, 0).status_code == 200
        wrong = requests.post(url + "/pkps", json={"owner": "nobody"}, timeout=5)
        assert (wrong.status_code, "nobody" in wrong.json()["error"]) == (400, True)
        with pytest.raises(ValueError, match="nobody"):
            net.mint_pkp("nobody")


@pytest.mark.parametrize("case", cases("need_resign", having="network_public_key"))
def test_vectors_of_network_signatures(case: Json) -> None:
    """The published examples, read as a node reads them inside a session."""
    now = datetime.fromisoformat(case["now"])
    digest = session_digest(case["auth_sig"]["signedMessage"]).hex()
    assert (digest == case["bls_message_hash"]) is ("without" not in case["name"])
    key = bytes.fromhex(case["network_public_key"])
    if case["expected"]:
        with pytest.raises(ValueError, match=r"network did not sign|not in time"):
            read_capability(case["auth_sig"], now, key)
    else:
        assert read_capability(case["auth_sig"], now, key).address == case["auth_sig"]["address"]


def _good() -> Json:
    return next(case for case in load("need_resign")["cases"] if case["name"] == "LIT_BLS good")


@pytest.mark.parametrize(
    "change",
    [
        {"sig": ""},
        {"sig": "{}"},
        {"sig": "[]"},
        {"sig": '{"ProofOfPossession": "c0' + "00" * 95 + '"}'},
        {"sig": '{"ProofOfPossession": "' + "ab" * 96 + '"}'},
        {"derivedVia": "web3.eth.personal.sign"},
        {"algo": "ed25519"},
        {"address": "0x" + "11" * 20},
    ],
)
def test_altered_network_signatures(change: Json) -> None:
    case = _good()
    now, key = datetime.fromisoformat(case["now"]), bytes.fromhex(case["network_public_key"])
    assert read_capability(case["auth_sig"], now, key)
    with pytest.raises(ValueError, match=r".+"):
        read_capability({**case["auth_sig"], **change}, now, key)


@pytest.mark.parametrize("line", range(13))
def test_altered_messages_of_the_network(line: int) -> None:
    case = _good()
    now, key = datetime.fromisoformat(case["now"]), bytes.fromhex(case["network_public_key"])
    lines = case["auth_sig"]["signedMessage"].split("\n")
    lines[line] += "0"
    with pytest.raises(ValueError, match=r".+"):
        read_capability({**case["auth_sig"], "signedMessage": "\n".join(lines)}, now, key)


def test_a_block_hash_tells_its_time() -> None:
    now = NOW
    blocks, others = Blocks(lambda: now), Blocks(lambda: now)
    latest = blocks.latest_hash()
    assert blocks.time_of(latest) == NOW.replace(second=48, microsecond=0)
    assert blocks.time_of(latest.removeprefix("0x")) == blocks.time_of(latest)
    assert others.time_of(latest) is None
    assert blocks.time_of(latest[:-1] + ("0" if latest[-1] != "0" else "1")) is None
    assert blocks.time_of("") is None
    now = NOW - timedelta(minutes=1)
    assert blocks.time_of(latest) is None

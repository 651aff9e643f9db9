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
from lit_airflow.devnet.capability import verify_capability
from lit_airflow.devnet.errors import NodeError
from lit_airflow.devnet.pkp_sessions import PkpContext, check_session_request
from lit_airflow.devnet.pkps import PkpRegistry
from lit_airflow.devnet.recap import parse_recap
from lit_airflow.devnet.signatures import pkp_session_digest, verify_network_signature
from lit_airflow.devnet.siwe import parse_siwe
from tests.devnet_own.wire_client import (
    HEADERS,
    SENTENCE,
    Json,
    WireClient,
    cases,
    combine,
    compact,
    load,
    share_of,
    verifies,
)

PATH = "/web/sign_session_key/v1"
NOW = datetime(2025, 1, 15, 12, 34, 56, 789000, UTC)


class SessionSigning:
    """What a node knows at a fixed time, and a valid request in which parts can be changed."""

    def __init__(self, client: WireClient, now: datetime = NOW) -> None:
        self.client = client
        self.now = now
        self.blocks = Blocks(lambda: self.now)
        self.pkps = PkpRegistry()
        self.pkp = self.pkps.mint(client.address)

    def text(self, **change: Any) -> str:  # noqa: ANN401 - what ``sign_in`` takes
        asked = {"wallet": self.pkp.address, "nonce": self.blocks.latest_hash(), **change}
        return str(self.client.sign_in(self.now, **asked)["signedMessage"])

    def method(self, **change: Any) -> Json:  # noqa: ANN401 - the same
        wallet = change.pop("client", self.client)
        auth_sig = wallet.sign_in(change.pop("now", self.now), **{"uri": "https://localhost/login", **change})
        return {"authMethodType": 1, "accessToken": compact(auth_sig)}

    def body(self, **change: object) -> Json:
        return {
            "sessionKey": "lit:session:" + self.client.public,
            "authMethods": [self.method()],
            "pkpPublicKey": self.pkp.public_key,
            "siweMessage": self.text(),
            "curveType": "BLS",
            "epoch": 1,
            **change,
        }

    def ask(self, body: object) -> str:
        return check_session_request(body, PkpContext(self.now, self.pkps, self.blocks.mined_at)).text

    def refusal(self, **change: object) -> NodeError:
        assert self.ask(self.body())
        with pytest.raises(NodeError) as caught:
            self.ask(self.body(**change))
        assert self.ask(self.body())
        return caught.value


@pytest.fixture
def signing(client: WireClient) -> SessionSigning:
    return SessionSigning(client)


def urn(att: Json) -> str:
    packed = base64.urlsafe_b64encode(compact({"att": att, "prf": []}).encode()).decode()
    return "urn:recap:" + packed.rstrip("=")


class TestMessage:
    def test_what_is_signed(self, signing: SessionSigning) -> None:
        before = signing.text()
        after = signing.ask(signing.body(siweMessage=before))
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
        recap = parse_recap(new[12].removeprefix("- "))
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
                        "userId": signing.client.address,
                    }
                ],
                "authSigAddress": None,
                "customAuthResource": "",
                "resources": [],
            }
        }

    def test_further_lines_stay(self, signing: SessionSigning) -> None:
        extra = ["Not Before: 2025-01-01T00:00:00Z", "Request ID: Resources:"]
        after = signing.ask(signing.body(siweMessage=signing.text(extra=extra)))
        assert after.split("\n")[11:14] == [*extra, "Resources:"]
        assert parse_siwe(after).not_before is not None

    def test_the_key_may_be_left_out(self, signing: SessionSigning) -> None:
        signing.pkps.mint(signing.client.address)
        body = signing.body()
        assert signing.ask({**body, "pkpPublicKey": None}) == signing.ask(body)

    def test_an_older_block_is_as_good(self, signing: SessionSigning) -> None:
        nonce = signing.blocks.latest_hash()
        signing.now += timedelta(days=29)
        after = signing.ask(signing.body(siweMessage=signing.text(nonce=nonce)))
        assert "\nIssued At: 2025-01-15T12:34:48Z\n" in after

    def test_token_and_address(self, signing: SessionSigning) -> None:
        raw = bytes.fromhex(signing.pkp.public_key[2:])
        assert signing.pkp.token_id == "0x" + keccak(raw).hex()
        assert signing.pkp.address.lower() == "0x" + keccak(raw[1:])[-20:].hex()


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
    def test_shape(self, signing: SessionSigning, change: Json) -> None:
        assert signing.refusal(**change).code == "NodeBadInput"

    @pytest.mark.parametrize("curve", ["K256", "bls", "ECDSA_CAIT_SITH"])
    def test_curve(self, signing: SessionSigning, curve: str) -> None:
        assert signing.refusal(curveType=curve).code == "NodeInvalidCurveType"

    @pytest.mark.parametrize(
        "change",
        [
            {"wallet": "0x" + "11" * 20},
            {"uri": "lit:session:" + "00" * 32},
            {"expires_at": NOW + timedelta(days=31)},
            {"domain": ""},
        ],
    )
    def test_message(self, signing: SessionSigning, change: Json) -> None:
        assert signing.refusal(siweMessage=signing.text(**change)).code == "NodeSIWEMessageError"

    @pytest.mark.parametrize(
        ("change", "code"),
        [
            ({"expires_at": NOW - timedelta(seconds=62), "issued_at": NOW - timedelta(hours=1)}, "Exp"),
            ({"issued_at": NOW + timedelta(seconds=62)}, "Iat"),
        ],
    )
    def test_times(self, signing: SessionSigning, change: Json, code: str) -> None:
        assert signing.refusal(siweMessage=signing.text(**change)).code.startswith("Node" + code)

    def test_another_pkp(self, signing: SessionSigning) -> None:
        other = signing.pkps.mint(signing.client.address)
        assert signing.refusal(pkpPublicKey=other.public_key).code == "NodeSIWEMessageError"

    @pytest.mark.parametrize("nonce", ["0x" + "ab" * 32, "ab" * 32, "0123456789abcdef", "0x" + "00" * 32])
    def test_no_block(self, signing: SessionSigning, nonce: str) -> None:
        refusal = signing.refusal(siweMessage=signing.text(nonce=nonce))
        assert (refusal.code, refusal.status) == ("NodeInvalidBlockhash", 502)

    @pytest.mark.parametrize("days", [-31, 1])
    def test_a_block_of_another_time(self, signing: SessionSigning, days: int) -> None:
        real, signing.now = signing.now, signing.now + timedelta(days=days)
        nonce = signing.blocks.latest_hash()
        signing.now = real
        assert signing.refusal(siweMessage=signing.text(nonce=nonce)).code == "NodeInvalidBlockhash"

    def test_the_statement_must_say_what_is_asked(self, signing: SessionSigning) -> None:
        text = signing.text(statement="Hello.")
        assert signing.refusal(siweMessage=text).code == "NodeSIWECapabilityInvalid"

    def test_there_must_be_a_capability(self, signing: SessionSigning) -> None:
        text = signing.text().split("\nResources:")[0]
        assert signing.refusal(siweMessage=text).code == "NodeSIWECapabilityInvalid"

    def test_nobody_brings_a_context_of_their_own(self, signing: SessionSigning) -> None:
        key = "lit-resolvedauthcontext://*"
        says = f"{SENTENCE} (1) 'Auth': 'Auth' for '{key}'."
        lines = signing.text(statement=says).split("\n")
        lines[-1] = "- " + urn({key: {"Auth/Auth": [{}]}})
        assert signing.refusal(siweMessage="\n".join(lines)).code == "NodeInvalidAuthContextResource"

    @pytest.mark.parametrize("key", ["code", "litActionIpfsId"])
    def test_lit_actions_do_not_run(self, signing: SessionSigning, key: str) -> None:
        refusal = signing.refusal(**{key: "QmNothing"})
        assert (refusal.code, refusal.status) == ("NodeLitActionsSessionSigAuthenticationFailed", 401)


class TestMethods:
    def refused(self, signing: SessionSigning, *methods: Json) -> str:
        refusal = signing.refusal(authMethods=list(methods))
        assert (refusal.code, refusal.status) == ("NodePKPNotAuthorized", 401)
        return refusal.detail

    def test_none(self, signing: SessionSigning) -> None:
        self.refused(signing)

    def test_a_stranger(self, signing: SessionSigning) -> None:
        self.refused(signing, signing.method(client=WireClient(b"\x22" * 32)))

    def test_another_kind(self, signing: SessionSigning) -> None:
        assert "type 6" in self.refused(signing, {**signing.method(), "authMethodType": 6})

    @pytest.mark.parametrize("token", ["", "{", "5", "{}", '{"sig": "0x"}'])
    def test_no_auth_sig(self, signing: SessionSigning, token: str) -> None:
        self.refused(signing, {"authMethodType": 1, "accessToken": token})

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
    def test_an_auth_sig_that_does_not_hold(self, signing: SessionSigning, change: Json) -> None:
        self.refused(signing, signing.method(**change))

    @pytest.mark.parametrize("field", ["sig", "address", "signedMessage"])
    def test_an_auth_sig_that_is_altered(self, signing: SessionSigning, field: str) -> None:
        auth_sig = json.loads(signing.method()["accessToken"])
        other = json.loads(signing.method(client=WireClient(b"\x22" * 32))["accessToken"])
        altered = compact({**auth_sig, field: other[field]})
        self.refused(signing, {"authMethodType": 1, "accessToken": altered})

    @pytest.mark.parametrize("kind", ["EIP1271", "EIP1271_SHA256"])
    def test_a_contract_signature(self, signing: SessionSigning, kind: str) -> None:
        auth_sig = {**json.loads(signing.method()["accessToken"]), "derivedVia": kind}
        self.refused(signing, {"authMethodType": 1, "accessToken": compact(auth_sig)})

    def test_one_of_several_is_enough(self, signing: SessionSigning) -> None:
        methods = [{**signing.method(), "authMethodType": 6}, signing.method()]
        assert signing.ask(signing.body(authMethods=methods)) == signing.ask(signing.body())


class TestNetwork:
    def ask(
        self, net: Devnet, client: WireClient, node: int, nonce: str | None = None, **change: object
    ) -> requests.Response:
        signing = SessionSigning(client, datetime.now(UTC).replace(microsecond=0))
        facts = self.pkp_of(net, client)
        nonce = nonce or client.handshake(net, 1).json()["latestBlockhash"]
        text = signing.text(wallet=facts["ethAddress"], nonce=nonce)
        body = signing.body(pkpPublicKey=facts["publicKey"], siweMessage=text, **change)
        return requests.post(net.description["nodes"][node] + PATH, json=body, headers=HEADERS, timeout=300)

    def pkp_of(self, net: Devnet, client: WireClient) -> Json:
        held = requests.get(net.description["control_url"], timeout=300).json()["pkps"]
        return held[0] if held else net.mint_pkp(client.address)

    def test_two_of_three_sign(self, net: Devnet, client: WireClient) -> None:
        answers = [self.ask(net, client, node).json() for node in (0, 2)]
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

    def test_the_signature_is_the_networks(self, net: Devnet, client: WireClient) -> None:
        nonce = client.handshake(net, 0).json()["latestBlockhash"]
        while True:
            alike = [self.ask(net, client, node, nonce) for node in (0, 1)]
            texts = {response.json()["siweMessage"] for response in alike}
            if len(texts) == 1:  # else a second passed in between
                break
        (text,) = texts
        signature = combine([share_of(response) for response in alike])
        key = net.description["network_public_key"]
        digest = pkp_session_digest(text)
        assert alike[0].json()["dataSigned"] == digest.hex()
        assert verifies(key, digest, signature)
        sig = compact({"ProofOfPossession": signature.to_compressed_bytes().hex()})
        assert verify_network_signature(bytes.fromhex(key), sig, text)
        assert not verify_network_signature(bytes.fromhex(key), sig, text + " ")

    def test_faults_apply(self, net: Devnet, client: WireClient) -> None:
        good = self.ask(net, client, 0).json()
        net.lie(0, "other-text")
        lie = self.ask(net, client, 0).json()
        assert "Chain ID: 91\n" in lie["siweMessage"]
        assert lie["dataSigned"] == pkp_session_digest(lie["siweMessage"]).hex() != good["dataSigned"]
        net.lie(0, "overloaded")
        assert self.ask(net, client, 0).status_code == 429

    def test_refusal_in_the_nodes_form(self, net: Devnet, client: WireClient) -> None:
        response = self.ask(net, client, 1, authMethods=[])
        body = response.json()
        assert (response.status_code, body["errorCode"], body["status"]) == (401, "NodePKPNotAuthorized", 401)
        assert list(body) == ["errorKind", "errorCode", "status", "message", "correlationId", "details"]

    def test_control_api(self, net: Devnet, client: WireClient) -> None:
        url = net.description["control_url"]
        minted = requests.post(url + "/pkps", json={"owner": client.address.lower()}, timeout=300).json()
        (pkp,) = minted["pkps"]
        assert sorted(pkp) == ["ethAddress", "owner", "publicKey", "tokenId"]
        assert pkp["owner"] == client.address
        assert self.ask(net, client, 0).status_code == 200
        wrong = requests.post(url + "/pkps", json={"owner": "nobody"}, timeout=300)
        assert (wrong.status_code, "nobody" in wrong.json()["error"]) == (400, True)
        with pytest.raises(ValueError, match="nobody"):
            net.mint_pkp("nobody")


@pytest.mark.parametrize("case", cases("need_resign", having="network_public_key"))
def test_vectors_of_network_signatures(case: Json) -> None:
    """The published examples, read as a node reads them inside a session."""
    now = datetime.fromisoformat(case["now"])
    digest = pkp_session_digest(case["auth_sig"]["signedMessage"]).hex()
    assert (digest == case["bls_message_hash"]) is ("without" not in case["name"])
    key = bytes.fromhex(case["network_public_key"])
    if case["expected"]:
        with pytest.raises(ValueError, match=r"network did not sign|not in time"):
            verify_capability(case["auth_sig"], now, key)
    else:
        assert verify_capability(case["auth_sig"], now, key).address == case["auth_sig"]["address"]


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
    assert verify_capability(case["auth_sig"], now, key)
    with pytest.raises(ValueError, match=r".+"):
        verify_capability({**case["auth_sig"], **change}, now, key)


@pytest.mark.parametrize("line", range(13))
def test_altered_messages_of_the_network(line: int) -> None:
    case = _good()
    now, key = datetime.fromisoformat(case["now"]), bytes.fromhex(case["network_public_key"])
    lines = case["auth_sig"]["signedMessage"].split("\n")
    lines[line] += "0"
    with pytest.raises(ValueError, match=r".+"):
        verify_capability({**case["auth_sig"], "signedMessage": "\n".join(lines)}, now, key)


def test_a_block_hash_tells_its_time() -> None:
    now = NOW
    blocks, others = Blocks(lambda: now), Blocks(lambda: now)
    latest = blocks.latest_hash()
    assert blocks.mined_at(latest) == NOW.replace(second=48, microsecond=0)
    assert blocks.mined_at(latest.removeprefix("0x")) == blocks.mined_at(latest)
    assert others.mined_at(latest) is None
    assert blocks.mined_at(latest[:-1] + ("0" if latest[-1] != "0" else "1")) is None
    assert blocks.mined_at("") is None
    now = NOW - timedelta(minutes=1)
    assert blocks.mined_at(latest) is None

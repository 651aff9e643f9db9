"""The nodes' checklist over HTTP: for every rule, requests that are wrong in just that one thing.

Each is refused with its code and status, and the unmutated request is served right before and right after.
Source: docs/protocol/session-signatures.md. The same rules without a socket, and to the second:
``test_checks``.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
import requests
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from lit_airflow.devnet import Devnet
from lit_airflow.devnet.parsing import MAX_JSON_BYTES
from tests.devnet_own.request_builder import GONE, PREFIX, RequestBuilder
from tests.devnet_own.test_capacity import OWNER, lend
from tests.devnet_own.wire_client import (
    HEADERS,
    SENTENCE,
    Json,
    WireClient,
    combine,
    iso,
    recap,
    share_of,
    verifies,
)

Refusal = tuple[int, str]
BAD_INPUT: Refusal = (422, "NodeBadInput")
AUTH_SIG_SHAPE: Refusal = (400, "NodeInvalidMultipleAuthSigs")
TOO_MANY: Refusal = (400, "NodeTooManyConditions")
NO_CONDITIONS: Refusal = (400, "NodeMissingAccessControlConditions")
NOT_ASKED_FOR: Refusal = (404, "NodeResourceIdNotFound")
NO_SIGNATURE: Refusal = (400, "NodeAuthSigSignatureConversionError")
AUTH_SIG: Refusal = (401, "NodeInvalidAuthSig")
RPC: Refusal = (502, "NodeRpcError")
NO_KEY: Refusal = (400, "NodeAuthSigAddressConversionError")
NO_POINT: Refusal = (400, "NodeAuthSigSessionKeyConversionError")
SIGNATURE: Refusal = (400, "NodeInvalidAuthSigSessionKeySignature")
SESSION_TEXT: Refusal = (400, "NodeAuthSigSignedMessageConversionError")
NO_TIME: Refusal = (400, "NodeParserError")
AHEAD: Refusal = (403, "NodeIatOutsideGracePeriod")
EXPIRED: Refusal = (403, "NodeExpWrongOrTooLarge")
TOO_LONG: Refusal = (400, "NodeSIWEMessageError")
OTHER_NODE: Refusal = (403, "NodeNotAuthorized")
CAPABILITY: Refusal = (400, "NodeSIWECapabilityInvalid")
SESSIONS_ONLY: Refusal = (400, "NodeCannotProvideAuthSigForEndpoint")
UNPAID: Refusal = (402, "rate_limit_exceeded")
ORDER: Refusal = (400, "NodeInvalidBooleanConditionType")
NOT_MET: Refusal = (401, "NodeAccessControlConditionsReturnedNotAuthorized")

STRANGER = WireClient(b"\x22" * 32, b"\x08" * 32)


def altered(text: str) -> str:
    """Another last hex digit."""
    return text[:-1] + ("0" if text[-1] != "0" else "1")


def in_text(old: str, new: str) -> Callable[[str], str]:
    """Replace what must be there."""

    def replace(text: str) -> str:
        assert old in text
        return text.replace(old, new, 1)

    return replace


def foreign(d: RequestBuilder, **changes: Any) -> Json:  # noqa: ANN401 - what ``WireClient.sign_in`` takes
    """A stranger's good capability for this session key."""
    uri = f"lit:session:{d.client.public}"
    return STRANGER.sign_in(d.now, **{"resource": d.resource, "uri": uri, **changes})


def asked(resource: str, prefix: str = PREFIX) -> list[Json]:
    ability = "access-control-condition-decryption"
    return [{"resource": {"resource": resource, "resourcePrefix": prefix}, "ability": ability}]


def hiding(d: RequestBuilder) -> Json:
    """A wildcard entry without the ability hides the exact one that has it."""
    exact, wild = f"{PREFIX}://{d.resource}", f"{PREFIX}://*"
    grants = {wild: {"Threshold/Signing": [{}]}, exact: {"Threshold/Decryption": [{}]}}
    said = f"(1) 'Threshold': 'Signing' for '{wild}'. (2) 'Threshold': 'Decryption' for '{exact}'."
    return d.message(grants=grants, statement=f"Hello. {SENTENCE} {said}")


def said_and_unsaid(d: RequestBuilder) -> Json:
    """One capability that the statement ends in, and a second one that it does not mention."""
    key = f"{PREFIX}://{d.resource}"
    said = recap({key: {"Threshold/Decryption": [{}]}})
    return d.message(urns=[said, recap({"lit-pkp://*": {"Threshold/Signing": [{}]}})])


# Rule of the checklist -> (what is changed, how, what the node says).
RULES: dict[str, list[tuple[str, Callable[[RequestBuilder], Json], Refusal]]] = {
    "1 the body": [
        ("no data hash", lambda d: d.body(dataToEncryptHash=GONE), BAD_INPUT),
        ("a number as data hash", lambda d: d.body(dataToEncryptHash=7), BAD_INPUT),
        ("no authSig", lambda d: d.body(authSig=GONE), BAD_INPUT),
        ("a text as authSig", lambda d: d.body(authSig="lit"), BAD_INPUT),
        ("an unknown key in authSig", lambda d: d.auth_sig(more="x"), AUTH_SIG_SHAPE),
        ("signatures by chain", lambda d: d.body(authSig={"ethereum": d.sign_in()}), AUTH_SIG_SHAPE),
        ("an empty authSig", lambda d: d.body(authSig={}), AUTH_SIG_SHAPE),
    ],
    "2 the number of conditions": [
        ("31", lambda d: d.body(accessControlConditions=[d.client.condition()] * 31), TOO_MANY),
        ("31 in groups", lambda d: d.body(accessControlConditions=[[d.client.condition()]] * 31), TOO_MANY),
        ("no list", lambda d: d.body(accessControlConditions=GONE), NO_CONDITIONS),
        ("null", lambda d: d.body(accessControlConditions=None), NO_CONDITIONS),
    ],
    "3 the resource is made of what was received": [
        ("another data hash", lambda d: d.body(dataToEncryptHash=altered), NOT_ASKED_FOR),
        ("the hash in capitals", lambda d: d.body(dataToEncryptHash=str.upper), NOT_ASKED_FOR),
        (
            "another condition",
            lambda d: d.body(accessControlConditions=[d.client.condition(chain="polygon")]),
            NOT_ASKED_FOR,
        ),
        ("the same twice", lambda d: d.body(accessControlConditions=lambda acc: acc * 2), NOT_ASKED_FOR),
    ],
    "4 the kind of authSig": [
        ("derived otherwise", lambda d: d.auth_sig(derivedVia="web3.eth.personal.sign"), NO_SIGNATURE),
        ("no algorithm", lambda d: d.auth_sig(algo=GONE), NO_SIGNATURE),
        ("another algorithm", lambda d: d.auth_sig(algo="Ed25519"), NO_SIGNATURE),
        ("a PKP's", lambda d: d.auth_sig(derivedVia="lit.bls", algo="LIT_BLS"), AUTH_SIG),
        ("a contract's", lambda d: d.auth_sig(derivedVia="EIP1271"), RPC),
        ("the delegation itself", lambda d: d.body(authSig=d.sign_in()), AUTH_SIG),
    ],
    "5 the session's signature": [
        ("altered", lambda d: d.auth_sig(sig=altered), SIGNATURE),
        ("another key's", lambda d: d.auth_sig(address=STRANGER.public), SIGNATURE),
        ("of another text", lambda d: d.auth_sig(signedMessage=lambda text: text + " "), SIGNATURE),
        ("too short", lambda d: d.auth_sig(sig=lambda sig: sig[:-2]), NO_SIGNATURE),
        ("not hex", lambda d: d.auth_sig(sig=lambda sig: sig[:-1] + "g"), NO_SIGNATURE),
        ("with 0x", lambda d: d.auth_sig(sig=lambda sig: "0x" + sig), NO_SIGNATURE),
        ("key too short", lambda d: d.auth_sig(address=lambda key: key[:-2]), NO_KEY),
        ("key not hex", lambda d: d.auth_sig(address="z" * 64), NO_KEY),
        ("key no point", lambda d: d.auth_sig(address="02" + "00" * 31), NO_POINT),
    ],
    "6 the session's text": [
        *(
            (f"no {key}", lambda d, key=key: d.session(**{key: GONE}), SESSION_TEXT)
            for key in (
                "sessionKey",
                "resourceAbilityRequests",
                "capabilities",
                "issuedAt",
                "expiration",
                "nodeAddress",
            )
        ),
        ("a list", lambda d: d.auth_sig_of([]), SESSION_TEXT),
        ("a time as number", lambda d: d.session(issuedAt=1736944496), SESSION_TEXT),
        ("a capability with an unknown key", lambda d: d.capability(more="x"), SESSION_TEXT),
    ],
    "7 what the session asks for": [
        ("nothing", lambda d: d.session(resourceAbilityRequests=[]), NOT_ASKED_FOR),
        (
            "another item",
            lambda d: d.session(resourceAbilityRequests=asked(altered(d.resource))),
            NOT_ASKED_FOR,
        ),
        (
            "other conditions",
            lambda d: d.session(resourceAbilityRequests=asked(f"{'0' * 64}/{d.data_hash}")),
            NOT_ASKED_FOR,
        ),
        (
            "a PKP",
            lambda d: d.session(resourceAbilityRequests=asked("*", "lit-pkp")),
            NOT_ASKED_FOR,
        ),
        ("half a wildcard", lambda d: d.session(resourceAbilityRequests=asked("*/*")), NOT_ASKED_FOR),
    ],
    "8 the session's times": [
        ("issued ahead", lambda d: d.session(issuedAt=iso(d.later(seconds=90))), AHEAD),
        ("issued tomorrow", lambda d: d.session(issuedAt=iso(d.later(days=1))), AHEAD),
        (
            "expired",
            lambda d: d.session(issuedAt=iso(d.later(days=-1)), expiration=iso(d.later(minutes=-2))),
            EXPIRED,
        ),
        ("ends before it begins", lambda d: d.session(expiration=iso(d.later(seconds=-1))), EXPIRED),
        ("31 days", lambda d: d.session(expiration=iso(d.later(days=31))), TOO_LONG),
        ("30 days and a second", lambda d: d.session(expiration=iso(d.later(days=30, seconds=1))), TOO_LONG),
        ("no zone", lambda d: d.session(issuedAt=lambda text: text.removesuffix("Z")), NO_TIME),
        ("no such day", lambda d: d.session(expiration="2099-02-30T00:00:00Z"), NO_TIME),
    ],
    "9 the node's address": [
        ("another port", lambda d: d.session(nodeAddress="http://127.0.0.1:1"), OTHER_NODE),
        ("another host", lambda d: d.session(nodeAddress=in_text("127.0.0.1", "127.0.0.2")), OTHER_NODE),
        ("a slash", lambda d: d.session(nodeAddress=lambda url: url + "/"), OTHER_NODE),
        ("no port", lambda d: d.session(nodeAddress="http://127.0.0.1"), OTHER_NODE),
        ("empty", lambda d: d.session(nodeAddress=""), OTHER_NODE),
    ],
    "10 some capability": [
        ("none", lambda d: d.session(capabilities=[]), CAPABILITY),
        (
            "several bad ones",
            lambda d: d.session(capabilities=[d.sign_in(nonce="short"), d.sign_in(ability="Signing")]),
            CAPABILITY,
        ),
    ],
    "10.1 a sign-in message": [
        ("no checksum", lambda d: d.message(wallet=d.client.address.lower()), CAPABILITY),
        ("a short nonce", lambda d: d.message(nonce="1234567"), CAPABILITY),
        ("no domain", lambda d: d.message(domain=""), CAPABILITY),
        ("a further line", lambda d: d.message(extra=["Expires: never"]), CAPABILITY),
    ],
    "10.2 signed and in time": [
        ("expired", lambda d: d.message(expires_at=d.later(seconds=-1)), CAPABILITY),
        ("not valid yet", lambda d: d.message(extra=[f"Not Before: {iso(d.later(hours=1))}"]), CAPABILITY),
        ("unreadable", lambda d: d.capability(sig=in_text("0x", "0x0")), CAPABILITY),
        ("another wallet's", lambda d: d.capability(sig=foreign(d)["sig"]), CAPABILITY),
        ("in another wallet's name", lambda d: d.message(wallet=STRANGER.address), CAPABILITY),
        ("text changed", lambda d: d.capability(signedMessage=in_text("Hello", "Hullo")), CAPABILITY),
        ("as a PKP's", lambda d: d.capability(derivedVia="lit.bls", algo="LIT_BLS"), CAPABILITY),
        ("as a contract's", lambda d: d.capability(derivedVia="EIP1271"), CAPABILITY),
        ("as a contract's, SHA-256", lambda d: d.capability(derivedVia="EIP1271_SHA256"), CAPABILITY),
    ],
    "10.3 for this session key": [
        ("another key", lambda d: d.message(uri=f"lit:session:{STRANGER.public}"), CAPABILITY),
        ("capitals", lambda d: d.message(uri=f"lit:session:{d.client.public.upper()}"), CAPABILITY),
        ("no session", lambda d: d.message(uri="https://localhost/login"), CAPABILITY),
        ("a delegation", lambda d: d.message(uri="lit:capability:delegation"), CAPABILITY),
    ],
    "10.4 the statement says it": [
        ("no statement", lambda d: d.message(statement=""), CAPABILITY),
        ("another statement", lambda d: d.message(statement="Hello."), CAPABILITY),
        ("not at its end", lambda d: d.message(statement=f"{SENTENCE} Bye."), CAPABILITY),
        ("a second capability unsaid", said_and_unsaid, CAPABILITY),
    ],
    "10.5 what is granted": [
        ("signing only", lambda d: d.message(ability="Signing"), CAPABILITY),
        ("another item", lambda d: d.message(resource=altered(d.resource)), CAPABILITY),
        ("nothing", lambda d: d.message(grants={}, statement=SENTENCE), CAPABILITY),
        ("no capability object", lambda d: d.message(urns=["urn:recap:!"]), CAPABILITY),
        ("a wildcard hides it", hiding, CAPABILITY),
    ],
    "11 whose address it is": [
        ("another's beside it", lambda d: d.capability(address=STRANGER.address), CAPABILITY),
        (
            "the wanted one beside a stranger's message",
            lambda d: d.session(capabilities=[{**foreign(d), "address": d.client.address}]),
            CAPABILITY,
        ),
        ("empty", lambda d: d.capability(address=""), CAPABILITY),
        ("the first good one's", lambda d: d.session(capabilities=[foreign(d), d.sign_in()]), NOT_MET),
    ],
    "12 payment": [
        ("nobody lends", lambda d: RequestBuilder(d.client, d.url, d.now).good(), UNPAID),
        *(
            (
                name,
                lambda d, limits=limits: RequestBuilder(
                    d.client, d.url, d.now, (lend(limits, d.now),)
                ).good(),
                UNPAID,
            )
            for name, limits in (
                ("lent to another", {"delegate_to": [STRANGER.address[2:]]}),
                ("not the lender's", {"nft_id": ["99"]}),
                ("no uses", {"uses": "0"}),
            )
        ),
    ],
    "13 the conditions": [
        (
            "another wallet",
            lambda d: d.session(capabilities=[*d.delegations, foreign(d)]),
            NOT_MET,
        ),
        ("and never", lambda d: widely(d, [d.client.condition(), never()]), NOT_MET),
        ("operator first", lambda d: widely(d, [{"operator": "or"}, d.client.condition()]), ORDER),
        ("operator last", lambda d: widely(d, [d.client.condition(), {"operator": "or"}]), ORDER),
    ],
    "14 the epoch of the share": [
        ("negative", lambda d: d.body(epoch=-1), BAD_INPUT),
        ("a text", lambda d: d.body(epoch="1"), BAD_INPUT),
        ("a fraction", lambda d: d.body(epoch=1.5), BAD_INPUT),
        ("true", lambda d: d.body(epoch=True), BAD_INPUT),
    ],
}
CHECKLIST = (*map(str, range(1, 11)), "10.1", "10.2", "10.3", "10.4", "10.5", *map(str, range(11, 15)))


def widely(d: RequestBuilder, conditions: list[Json]) -> Json:
    """A request under other conditions, by a session for everything."""
    grant = d.sign_in(resource="*")
    session = d.session(resourceAbilityRequests=asked("*"), capabilities=[*d.delegations, grant])
    return {**session, "accessControlConditions": conditions}


def never() -> Json:
    return WireClient().condition(returnValueTest={"comparator": "=", "value": STRANGER.address})


class NodeConnection:
    """A kept connection to node 0 of a network."""

    def __init__(self, net: Devnet, *delegations: Json) -> None:
        self.url = net.node_url(0)
        self.key = str(net.description["network_public_key"])
        self.delegations = delegations
        self.connection = requests.Session()
        self.connection.headers.update(HEADERS)

    def builder(self) -> RequestBuilder:
        return RequestBuilder.at(self.url, *self.delegations)

    def send(self, body: Json, path: str = "/web/encryption/sign/") -> requests.Response:
        return self.connection.post(self.url + path, json=body, timeout=300)

    def serves(self) -> None:
        response = self.send(self.builder().good())
        assert (response.status_code, response.json()["result"]) == (200, "success")

    def refuses(self, body: Json, *refusals: Refusal, on_v1: Refusal | None = None) -> None:
        """Between two good requests, this one is refused, on both paths and with nothing of a share."""
        self.serves()
        wanted = {
            "/web/encryption/sign/": refusals,
            "/web/encryption/sign/v1": (on_v1,) if on_v1 else refusals,
        }
        for path, accepted in wanted.items():
            response = self.send(body, path)
            answer = response.json()
            assert "signatureShare" not in answer
            assert (response.status_code, answer["errorCode"]) in accepted
            assert answer.get("status", response.status_code) == response.status_code
        self.serves()


@pytest.fixture(scope="module")
def node() -> Iterator[NodeConnection]:
    with Devnet(nodes=2, threshold=2) as net:
        yield NodeConnection(net)


@pytest.fixture(scope="module")
def paid_node() -> Iterator[NodeConnection]:
    """A node that requires payment, and a request that is paid for by a delegation."""
    with Devnet(nodes=2, threshold=2, pays=True) as net:
        net.mint_credit(OWNER.address)
        yield NodeConnection(net, lend({}, RequestBuilder.at("").now))


def test_every_rule_has_two_mutations() -> None:
    assert [rule.split()[0] for rule in RULES] == list(CHECKLIST)
    assert [rule for rule, rows in RULES.items() if len(rows) < 2] == []
    for rule, rows in RULES.items():
        assert len({name for name, *_ in rows}) == len(rows), rule


@pytest.mark.parametrize(
    ("rule", "change", "refusal"),
    [
        pytest.param(rule, change, refusal, id=f"{rule}-{name}")
        for rule, rows in RULES.items()
        for name, change, refusal in rows
    ],
)
def test_refused(
    node: NodeConnection,
    paid_node: NodeConnection,
    rule: str,
    change: Callable[[RequestBuilder], Json],
    refusal: Refusal,
) -> None:
    connection = paid_node if rule.startswith("12 ") else node
    on_v1 = SESSIONS_ONLY if rule.startswith("4 ") else None
    connection.refuses(change(connection.builder()), refusal, on_v1=on_v1)


@pytest.mark.parametrize(
    "raw",
    [b"", b"{", b'{"epoch":NaN}', b"\xff", b"[]", b"null", b"[" * 50_000, b" " * MAX_JSON_BYTES + b"{}"],
)
def test_bodies_that_cannot_be_read(node: NodeConnection, raw: bytes) -> None:
    node.serves()
    response = node.connection.post(f"{node.url}/web/encryption/sign/", data=raw, timeout=300)
    assert (response.status_code, response.json()["errorCode"]) == BAD_INPUT
    node.serves()


def test_json_that_is_nested_too_deeply(node: NodeConnection) -> None:
    """In the body it is refused as the body; in a text inside the body, as what that text should be."""
    d = node.builder()
    conditions: list[object] = []
    for _ in range(300):
        conditions = [conditions]
    node.refuses(d.body(accessControlConditions=conditions), BAD_INPUT)
    session = d.client.sign_session({"sessionKey": conditions})
    node.refuses(d.body(authSig=session), SESSION_TEXT)
    nested = d.capability(derivedVia="lit.bls", algo="LIT_BLS", sig="[" * 100_000)
    node.refuses(nested, CAPABILITY)


def test_in_this_order(node: NodeConnection) -> None:
    """Everything is wrong at once; one after the other is put right, and the next rule speaks."""
    d = node.builder()
    grant = d.sign_in(resource="*")
    stale = d.sign_in(resource="*", expires_at=d.later(hours=-1))
    session = {
        "sessionKey": d.client.public,
        "resourceAbilityRequests": asked("x"),
        "capabilities": [stale],
        "issuedAt": iso(d.later(hours=1)),
        "expiration": iso(d.later(days=-1)),
        "nodeAddress": "nowhere",
    }
    body = {**d.good(), "accessControlConditions": [never()] * 31, "dataToEncryptHash": 1}
    body["authSig"] = {**d.client.sign_session(session), "algo": "?", "sig": "00" * 64, "more": "x"}

    def resigned(**fixed: object) -> Callable[[], None]:
        def sign() -> None:
            session.update(fixed)
            body["authSig"] = d.client.sign_session(session)

        return sign

    steps: list[tuple[Callable[[], object], Refusal]] = [
        (lambda: None, BAD_INPUT),
        (lambda: body.update(dataToEncryptHash=d.data_hash), TOO_MANY),
        (lambda: body.update(accessControlConditions=[never()]), AUTH_SIG_SHAPE),
        (lambda: body["authSig"].pop("more"), NO_SIGNATURE),
        (lambda: body["authSig"].update(algo="ed25519"), SIGNATURE),
        (resigned(), NOT_ASKED_FOR),
        (resigned(resourceAbilityRequests=asked("*")), AHEAD),
        (resigned(issuedAt=iso(d.now)), EXPIRED),
        (resigned(expiration=iso(d.later(days=40))), TOO_LONG),
        (resigned(expiration=iso(d.later(minutes=10))), OTHER_NODE),
        (resigned(nodeAddress=d.url), CAPABILITY),
        (resigned(capabilities=[grant]), NOT_MET),
    ]
    for fix, refusal in steps:
        fix()
        response = node.send(body)
        assert (response.status_code, response.json()["errorCode"]) == refusal
    body["accessControlConditions"] = [d.client.condition()]
    assert node.send(body).status_code == 200


def test_the_share_is_of_what_was_asked_for() -> None:
    """Rule 14: of this identity and no other, with the shares of this epoch and no other."""
    with Devnet(nodes=2, threshold=2) as net:
        key = str(net.description["network_public_key"])
        net.advance_epoch(2)
        given = {}
        for epoch, index in ((e, i) for e in (0, 2, 3, 7) for i in range(2)):
            url = net.node_url(index)
            body = RequestBuilder.at(url).body(epoch=epoch)
            given[epoch, index] = share_of(
                requests.post(f"{url}/web/encryption/sign", json=body, timeout=300)
            )
        identity = f"{PREFIX}://{RequestBuilder.at('').resource}".encode()
    assert given[0, 0] == given[3, 0] == given[7, 0] != given[2, 0]
    for epoch in (2, 3):
        signature = combine([given[epoch, 0], given[epoch, 1]])
        assert verifies(key, identity, signature)
        assert not verifies(key, identity + b"0", signature)
    assert not verifies(key, identity, combine([given[2, 0], given[3, 1]]))


few = settings(
    max_examples=12,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
TEXT = st.text(st.characters(codec="utf-8"), max_size=30)


def flipped(signature: str, bit: int) -> str:
    raw = bytearray.fromhex(signature)
    raw[bit // 8] ^= 1 << bit % 8
    return raw.hex()


def replaced(text: str, at: int, char: str) -> str:
    at %= len(text)
    assume(text[at] != char)
    return text[:at] + char + text[at + 1 :]


class TestAnything:
    """Drawn, not chosen; the same each time."""

    @few
    @given(bit=st.integers(0, 511))
    def test_any_bit_of_the_sessions_signature(self, node: NodeConnection, bit: int) -> None:
        node.refuses(node.builder().auth_sig(sig=lambda sig: flipped(sig, bit)), SIGNATURE)

    @few
    @given(at=st.integers(0), char=st.characters(codec="ascii"))
    def test_any_character_of_the_sessions_signature(self, node: NodeConnection, at: int, char: str) -> None:
        def changed(sig: str) -> str:
            other = replaced(sig, at, char)
            assume(other.lower() != sig.lower())  # a digit's other case is the same digit
            return other

        node.refuses(node.builder().auth_sig(sig=changed), SIGNATURE, NO_SIGNATURE)

    @few
    @given(at=st.integers(0), char=st.characters(codec="utf-8"))
    def test_any_character_of_the_sessions_text(self, node: NodeConnection, at: int, char: str) -> None:
        body = node.builder().auth_sig(signedMessage=lambda text: replaced(text, at, char))
        node.refuses(body, SIGNATURE)

    @few
    @given(bit=st.integers(0, 255))
    def test_any_bit_of_the_session_key(self, node: NodeConnection, bit: int) -> None:
        body = node.builder().auth_sig(address=lambda key: flipped(key, bit))
        node.refuses(body, SIGNATURE, NO_POINT)

    @few
    @given(bit=st.integers(0, 519))
    def test_any_bit_of_the_wallets_signature(self, node: NodeConnection, bit: int) -> None:
        body = node.builder().capability(sig=lambda sig: "0x" + flipped(sig[2:], bit))
        node.refuses(body, CAPABILITY)

    @few
    @given(at=st.integers(0), char=st.characters(codec="utf-8"))
    def test_any_character_of_the_wallets_message(self, node: NodeConnection, at: int, char: str) -> None:
        body = node.builder().capability(signedMessage=lambda text: replaced(text, at, char))
        node.refuses(body, CAPABILITY)

    @few
    @given(
        address=TEXT
        | st.builds(
            "{}{}:{}{}".format,
            st.sampled_from(["http://", "https://", "", "ws://", "HTTP://"]),
            st.sampled_from(["127.0.0.1", "localhost", "127.1", "0.0.0.0", "example.org"]),
            st.integers(1, 65535),
            st.sampled_from(["", "/", "/web", "?", "#"]),
        )
    )
    def test_any_other_address(self, node: NodeConnection, address: str) -> None:
        assume(not address.strip().endswith(node.url.split(":")[2]))
        node.refuses(node.builder().session(nodeAddress=address), OTHER_NODE)

    @few
    @given(before=TEXT.filter(str.strip), after=TEXT.filter(str.strip))
    def test_anything_around_the_address(self, node: NodeConnection, before: str, after: str) -> None:
        assume(before.strip() not in ("http://", "https://"))
        for address in (before + node.url, node.url + after):
            node.refuses(node.builder().session(nodeAddress=address), OTHER_NODE)

    @few
    @given(resource=TEXT | st.text("0123456789abcdef/*", max_size=129))
    def test_any_other_resource(self, node: NodeConnection, resource: str) -> None:
        d = node.builder()
        assume(resource not in ("*", d.resource))
        node.refuses(d.session(resourceAbilityRequests=asked(resource)), NOT_ASKED_FOR)

    @few
    @given(offset_s=st.integers(-(10**9), 10**9), lasts_s=st.integers(-(10**9), 10**9))
    def test_any_times(self, node: NodeConnection, offset_s: int, lasts_s: int) -> None:
        """Served just in the windows of rule 8; moments in which the clock could decide are left out."""
        d = node.builder()
        issued = d.now + timedelta(seconds=offset_s)
        expires = issued + timedelta(seconds=lasts_s)
        assume(abs(offset_s - 60) > 10)
        assume(abs(offset_s + lasts_s + 60) > 10)
        body = d.session(issuedAt=iso(issued), expiration=iso(expires))
        if offset_s > 60:
            node.refuses(body, AHEAD)
        elif lasts_s < 0 or offset_s + lasts_s < -60:
            node.refuses(body, EXPIRED)
        elif lasts_s > 30 * 86400:
            node.refuses(body, TOO_LONG)
        else:
            assert node.send(body).status_code == 200

    @few
    @given(seed=st.binary(min_size=32, max_size=32))
    def test_any_other_session_key(self, node: NodeConnection, seed: bytes) -> None:
        d = node.builder()
        other = WireClient(seed=seed)
        assume(other.public != d.client.public)
        node.refuses(d.message(uri=f"lit:session:{other.public}"), CAPABILITY)

    @few
    @given(key=st.text(st.characters(categories=["L", "N", "P", "S"]), min_size=1, max_size=20))
    def test_any_further_key(self, node: NodeConnection, key: str) -> None:
        assume(key not in {"sig", "derivedVia", "signedMessage", "address", "algo"})
        node.refuses(node.builder().auth_sig(**{key: "x"}), AUTH_SIG_SHAPE)
        node.refuses(node.builder().capability(**{key: "x"}), SESSION_TEXT)
        assert node.send(node.builder().session(**{key: "x"})).status_code == 200
        assert json.loads(node.builder().session(**{key: "x"})["authSig"]["signedMessage"])[key] == "x"

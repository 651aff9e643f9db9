from __future__ import annotations

import dataclasses
import json
import logging
import pickle
import re
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from lit_airflow import LitClient, Scope, Wallet, clock
from lit_airflow.clock import iso
from lit_airflow.devnet import Devnet
from lit_airflow.errors import (
    AccessDeniedError,
    Failure,
    FailureKind,
    LitError,
    NodesUnavailableError,
    PaymentError,
    ProtocolError,
    RateLimitedError,
    SettingsError,
)
from lit_airflow.networks.datil import pkp as pkps
from lit_airflow.protocol import siwe
from lit_airflow.protocol.auth_method import AuthMethod, PkpAccess, eth_wallet_auth_method
from lit_airflow.protocol.auth_sig import AuthRequest, AuthSig
from lit_airflow.protocol.capacity_delegation import capacity_delegation
from lit_airflow.protocol.delegation import needs_new_signature
from lit_airflow.protocol.recap import PREAMBLE
from lit_airflow.protocol.scope import ACCESS_CONTROL_CONDITION, DECRYPTION, Resource
from lit_airflow.protocol.session import Session, SessionKey
from tests.unit.frames import recorded

if TYPE_CHECKING:
    from collections.abc import Iterator

PLAINTEXT = b"what only the PKP may read"
STRANGER = Wallet.from_key("22" * 32)


class Pkp:
    """A PKP on a network, its owner, and data that names it."""

    def __init__(self, net: Devnet, owner: Wallet) -> None:
        self.net = net
        self.owner = owner
        self.facts = net.mint_pkp(owner.address)
        self.conditions = only(self.facts["ethAddress"])
        self.sealed = self.client().encrypt(PLAINTEXT, self.conditions)
        self.scope = self.client().scope_of(self.sealed, self.conditions)

    def client(self, **options: Any) -> LitClient:  # noqa: ANN401 - LitClient's
        return LitClient(self.net.description, **{"timeout_s": 10, **options})

    def method(self, wallet: Wallet | None = None, **options: Any) -> AuthMethod:  # noqa: ANN401 - the helper's
        return eth_wallet_auth_method(wallet or self.owner, "0" * 64, clock.now(), **options)

    def open(self, *methods: Any, lit: LitClient | None = None, **options: Any) -> Session:  # noqa: ANN401
        lit = lit or self.client()
        given = list(methods) or [self.method()]
        return lit.sdk.open_pkp_session(
            self.facts["publicKey"], given, options.pop("scope", self.scope), **{"ttl_s": 600, **options}
        )

    def decrypt(self, session: Session) -> bytes:
        return self.client().decrypt(self.sealed, self.conditions, session)

    def url(self, node: int) -> str:
        return str(self.net.description["nodes"][node])  # type: ignore[index]


def only(address: str) -> dict[str, Any]:
    return {
        "chain": "ethereum",
        "accessControlConditions": [
            {
                "contractAddress": "",
                "standardContractType": "",
                "chain": "ethereum",
                "method": "",
                "parameters": [":userAddress"],
                "returnValueTest": {"comparator": "=", "value": address},
            }
        ],
    }


def delegation_of(session: Session) -> AuthSig:
    return AuthSig.from_json(session.capabilities[-1])


@pytest.fixture
def pkp(net: Devnet, wallet: Wallet) -> Pkp:
    return Pkp(net, wallet)


class TestOpening:
    def test_the_pkp_decrypts_what_names_it(self, pkp: Pkp) -> None:
        session = pkp.open()
        assert session.wallet == pkp.facts["ethAddress"] != pkp.owner.address
        assert list(session.session_sigs) == [pkp.url(node) for node in range(3)]
        assert pkp.decrypt(session) == PLAINTEXT
        # The owner's own session is another user.
        own = pkp.client().open_session(pkp.owner, pkp.scope, ttl_s=60)
        with pytest.raises(AccessDeniedError):
            pkp.decrypt(own)

    def test_what_the_network_signed(self, pkp: Pkp) -> None:
        session = pkp.open()
        auth_sig = session.capabilities[-1]
        assert list(auth_sig) == ["sig", "algo", "derivedVia", "signedMessage", "address"]
        assert (auth_sig["algo"], auth_sig["derivedVia"]) == ("LIT_BLS", "lit.bls")
        assert list(json.loads(auth_sig["sig"])) == ["ProofOfPossession"]
        assert auth_sig["address"] == pkp.facts["ethAddress"]
        message = siwe.read(auth_sig["signedMessage"])
        assert (message.domain, message.chain_id) == ("litprotocol.com", 1)
        assert message.expiration_time == session.expiration
        # As the SDK writes it: its own sentence, that of an empty ReCap, that of the request; then the nodes'.
        begin = f"Lit Protocol PKP session signature {PREAMBLE} {PREAMBLE} (1) 'Threshold': 'Decryption' for "
        assert message.statement.startswith(begin)
        assert message.statement.endswith("'Auth': 'Auth' for 'lit-resolvedauthcontext://*'.")
        # The time of a block, a whole second, in place of the client's own.
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:(00|12|24|36|48)Z", message.issued_at)

    def test_it_verifies_under_the_networks_key_alone(self, pkp: Pkp) -> None:
        session = pkp.open()
        facts: dict[str, Any] = {
            "session_uri": "lit:session:" + session.public_key,
            "scope": pkp.scope,
            "now": clock.now(),
        }
        key = str(pkp.net.description["network_public_key"])
        with Devnet(2, 2) as other:
            other_key = str(other.description["network_public_key"])
        assert not needs_new_signature(delegation_of(session), **facts, network_public_key=key)
        assert needs_new_signature(delegation_of(session), **facts, network_public_key=other_key)

    def test_terms(self, pkp: Pkp) -> None:
        key = SessionKey.generate()
        session = pkp.open(domain="example.org", session_key=key, ttl_s=60)
        assert session.public_key == key.public_key
        assert siwe.read(delegation_of(session).signed_message).domain == "example.org"
        left = session.expires_at - clock.now()
        assert timedelta(seconds=50) < left <= timedelta(seconds=60)

    def test_methods_as_the_sdk_writes_them(self, pkp: Pkp) -> None:
        written = pkp.method().to_json()
        assert list(written) == ["authMethodType", "accessToken"]
        assert list(json.loads(written["accessToken"])) == ["sig", "derivedVia", "signedMessage", "address"]
        assert pkp.decrypt(pkp.open(written)) == PLAINTEXT

    def test_one_permitted_method_is_enough(self, pkp: Pkp) -> None:
        session = pkp.open(AuthMethod(6, "a token of Google's"), pkp.method(STRANGER), pkp.method())
        assert pkp.decrypt(session) == PLAINTEXT

    def test_a_stored_delegation_is_used_again(self, pkp: Pkp) -> None:
        lit = pkp.client(storage={})
        first = pkp.open(lit=lit)
        again = pkp.open(lit=lit)
        assert delegation_of(again) == delegation_of(first)
        assert sum("sign_session_key" in path for _, path, _, _ in pkp.net.requests) == 3
        assert pkp.decrypt(again) == PLAINTEXT

    def test_an_epoch_later(self, pkp: Pkp) -> None:
        session = pkp.open()
        pkp.net.advance_epoch()
        assert pkp.decrypt(session) == PLAINTEXT
        assert pkp.decrypt(pkp.open()) == PLAINTEXT


class TestRefusals:
    def test_a_stranger(self, pkp: Pkp) -> None:
        with pytest.raises(AccessDeniedError, match="permits") as caught:
            pkp.open(pkp.method(STRANGER))
        assert caught.value.code == "NodePKPNotAuthorized"

    def test_an_expired_method(self, pkp: Pkp) -> None:
        stale = eth_wallet_auth_method(pkp.owner, "0" * 64, clock.now() - timedelta(hours=1), ttl_s=3600 - 62)
        with pytest.raises(AccessDeniedError) as caught:
            pkp.open(stale)
        assert (caught.value.code, caught.value.retryable) == ("NodePKPNotAuthorized", False)

    def test_a_pkp_that_was_never_minted(self, pkp: Pkp) -> None:
        with Devnet(2, 2) as other:
            unknown = other.mint_pkp(pkp.owner.address)["publicKey"]
        with pytest.raises(AccessDeniedError):
            pkp.client().sdk.open_pkp_session(unknown, [pkp.method()], pkp.scope)

    def test_a_nonce_that_is_no_block(self, pkp: Pkp) -> None:
        lit = pkp.client()
        lit.sdk.survey()
        surveyor = lit._network.surveyor  # type: ignore[attr-defined]
        begun, survey = surveyor._latest
        surveyor._latest = (begun, dataclasses.replace(survey, nonce="0x" + "ab" * 32))
        with pytest.raises(NodesUnavailableError, match="NodeInvalidBlockhash") as caught:
            pkp.open(lit=lit)
        assert caught.value.retryable
        assert len(caught.value.failures) >= 2

    def test_the_clock_of_the_nodes(self, pkp: Pkp) -> None:
        pkp.net.set_clock_offset(3600)
        with pytest.raises(AccessDeniedError):
            pkp.open()

    @pytest.mark.parametrize(
        ("key", "methods", "field"),
        [
            ("0x04" + "ab" * 63, None, "pkp_public_key"),
            ("0x02" + "ab" * 32, None, "pkp_public_key"),
            ("", None, "pkp_public_key"),
            (None, [], "auth_methods"),
            (None, [{"authMethodType": "1", "accessToken": "x"}], "auth_methods"),
            (None, [{"authMethodType": 1}], "auth_methods"),
        ],
    )
    def test_what_cannot_be_right_is_not_sent(
        self, pkp: Pkp, key: str | None, methods: list[Any] | None, field: str
    ) -> None:
        with pytest.raises(SettingsError) as caught:
            pkp.client().sdk.open_pkp_session(
                pkp.facts["publicKey"] if key is None else key,
                [pkp.method()] if methods is None else methods,
                pkp.scope,
            )
        assert caught.value.field == field
        assert pkp.net.requests == []

    @pytest.mark.parametrize("said", [{}, {"pkp_without_attestation": False}])
    def test_nodes_that_prove_no_hardware_are_sent_no_proof(self, pkp: Pkp, said: dict[str, Any]) -> None:
        """A chain that lies can list nodes of its own, and what one of them gets opens the PKP elsewhere."""
        described = {**pkp.net.description, **said}
        if not said:
            del described["control_url"]  # only a local network has one
        asked = len(pkp.net.requests)
        with LitClient(described) as lit, pytest.raises(SettingsError, match="attestation") as caught:
            pkp.open(lit=lit)
        assert caught.value.field == "pkp_without_attestation"
        assert len(pkp.net.requests) == asked

    @pytest.mark.parametrize("wrong", ["denied", "no nodes"])
    def test_no_frame_of_the_error_holds_a_proof(self, pkp: Pkp, wrong: str) -> None:
        lit = pkp.client()
        lit.sdk.survey()
        method = pkp.method(STRANGER if wrong == "denied" else None)
        for node in range(3 if wrong == "no nodes" else 0):
            pkp.net.stop_node(node)
        with pytest.raises(LitError) as caught:
            pkp.open(method, lit=lit)
        signature = json.loads(method.access_token.reveal())["sig"]
        assert signature[2:30] not in recorded(caught.value)

    def test_a_proof_is_good_for_two_minutes(self, pkp: Pkp) -> None:
        text = json.loads(pkp.method().access_token.reveal())["signedMessage"]
        issued, ends = (
            clock.parse_iso(found)
            for found in re.findall(r"^(?:Issued At|Expiration Time): (.*)$", text, re.MULTILINE)
        )
        assert ends - issued == timedelta(minutes=2)

    def test_a_lifetime_that_nodes_refuse(self, pkp: Pkp) -> None:
        with pytest.raises(SettingsError):
            pkp.open(ttl_s=31 * 86400)


class TestFailures:
    @pytest.mark.parametrize("node", [0, 1, 2])
    def test_one_node_down(self, pkp: Pkp, node: int) -> None:
        pkp.net.stop_node(node)
        session = pkp.open()
        assert len(session.session_sigs) == 3
        assert pkp.decrypt(session) == PLAINTEXT

    @pytest.mark.parametrize(
        "fault", ["wrong-share", "bad-share", "wrong-identifier", "other-text", "garbled"]
    )
    @pytest.mark.parametrize("node", [0, 2])
    def test_one_node_lies(self, pkp: Pkp, node: int, fault: str, caplog: pytest.LogCaptureFixture) -> None:
        lit = pkp.client()
        lit.sdk.survey()
        pkp.net.lie(node, fault)
        # Another node is so slow that the liar's answer is looked at in any case.
        pkp.net.slow_node(1, 0.3)
        caplog.set_level(logging.INFO, "lit_airflow")
        session = pkp.open(lit=lit)
        if fault != "wrong-identifier":  # its neighbour's share is a good one
            (report,) = [r.message for r in caplog.records if r.message.startswith("The network signed")]
            assert pkp.url(node) in report.split("Failed: ")[1]
        pkp.net.start_node(1)
        pkp.net.start_node(node)
        assert pkp.decrypt(session) == PLAINTEXT

    def test_two_down_are_both_named(self, pkp: Pkp) -> None:
        lit = pkp.client()
        lit.sdk.survey()
        pkp.net.stop_node(0)
        pkp.net.stop_node(2)
        with pytest.raises(NodesUnavailableError, match="Opening a PKP session") as caught:
            pkp.open(lit=lit)
        refused = Failure(FailureKind.UNREACHABLE, "connection refused")
        assert caught.value.failures == dict.fromkeys([pkp.url(0), pkp.url(2)], refused)
        assert (caught.value.needed, caught.value.reached) == (2, 1)

    def test_no_two_of_three_sign_the_same(self, pkp: Pkp) -> None:
        lit = pkp.client()
        lit.sdk.survey()
        pkp.net.stop_node(0)
        pkp.net.lie(1, "other-text")
        with pytest.raises(NodesUnavailableError) as caught:
            pkp.open(lit=lit)
        assert set(caught.value.failures) == {pkp.url(node) for node in range(3)}

    @pytest.mark.parametrize(
        ("fault", "kind"), [("rate-limited", PaymentError), ("overloaded", RateLimitedError)]
    )
    def test_two_refuse_for_the_same_reason(self, pkp: Pkp, fault: str, kind: type[Exception]) -> None:
        lit = pkp.client()
        lit.sdk.survey()
        pkp.net.lie(0, fault)
        pkp.net.lie(1, fault)
        with pytest.raises(kind):
            pkp.open(lit=lit)

    def test_a_network_that_signs_something_else(self, pkp: Pkp, monkeypatch: pytest.MonkeyPatch) -> None:
        """The signature verifies, and the message is still not believed."""
        honest = pkps._message

        def altered(address: str, request: Any) -> str:  # noqa: ANN401 - an AuthRequest
            longer = iso(request.now + timedelta(days=1))
            return honest(address, dataclasses.replace(request, expiration=longer))

        monkeypatch.setattr(pkps, "_message", altered)
        with pytest.raises(ProtocolError, match="another session"):
            pkp.open()

    @pytest.mark.parametrize(
        "change",
        [
            {"uri": "lit:session:" + "00" * 32},
            {"expiration": "2099-01-01T00:00:00Z"},
            {"scope": Scope.to_decrypt("00" * 32 + "/" + "00" * 32)},
        ],
        ids=["key", "expiration", "scope"],
    )
    def test_the_signed_message_must_carry_the_session(self, pkp: Pkp, change: dict[str, Any]) -> None:
        session = pkp.open()
        assert session.key is not None
        asked = AuthRequest(
            chain="ethereum",
            expiration=session.expiration,
            uri=session.key.uri,
            session_key=session.key,
            nonce="0" * 64,
            scope=session.scope,
            now=clock.now(),
        )
        text = delegation_of(session).signed_message
        pkps._check(text, session.wallet, asked)
        with pytest.raises(ProtocolError):
            pkps._check(text, session.wallet, dataclasses.replace(asked, **change))
        with pytest.raises(ProtocolError):
            pkps._check(text, pkp.owner.address, asked)
        with pytest.raises(ProtocolError):
            pkps._check("no message", session.wallet, asked)


class TestSecrets:
    def test_tokens_are_not_shown(self, pkp: Pkp, caplog: pytest.LogCaptureFixture) -> None:
        token = "a-token-that-nobody-may-see"
        caplog.set_level(logging.DEBUG)
        method = AuthMethod(6, token)
        with pytest.raises(AccessDeniedError) as caught:
            pkp.open(method)
        access = PkpAccess.of(pkp.facts["publicKey"], [method])
        shown = [
            repr(method),
            str(method),
            repr(access),
            str(caught.value),
            repr(vars(caught.value)),
            caplog.text,
        ]
        assert not any(token in text for text in shown)
        assert "AuthMethod(type=6)" in repr(access)
        with pytest.raises(TypeError):
            pickle.dumps(method)

    def test_nor_in_what_a_node_says(self, pkp: Pkp) -> None:
        secret = pkp.method(STRANGER).to_json()["accessToken"]
        with pytest.raises(AccessDeniedError) as caught:
            pkp.open(AuthMethod(1, secret))
        assert json.loads(secret)["sig"] not in repr(caught.value) + str(caught.value.__cause__)


class TestCapacity:
    """A network that wants to be paid."""

    @pytest.fixture
    def net(self) -> Iterator[Devnet]:
        with Devnet(3, 2, pays=True) as running:
            yield running

    @pytest.fixture
    def lender(self) -> Wallet:
        return Wallet.from_key("33" * 32)

    def lend(self, pkp: Pkp, lender: Wallet, **limits: Any) -> AuthSig:  # noqa: ANN401 - the delegation's
        now = limits.pop("now", clock.now())
        return capacity_delegation(lender, nonce=pkp.client().sdk.survey().nonce, now=now, **limits)

    def test_without_a_credit(self, pkp: Pkp) -> None:
        session = pkp.open()  # opening is free
        with pytest.raises(PaymentError) as caught:
            pkp.decrypt(session)
        assert not caught.value.retryable
        assert "delegation" in caught.value.hint

    def test_the_contract_is_named_where_it_is_known(self, pkp: Pkp) -> None:
        contract = "0x" + "44" * 20
        described = {**pkp.net.description, "contracts": {"RateLimitNFT": contract}}
        with pytest.raises(PaymentError) as caught:
            LitClient(described, timeout_s=120).decrypt(pkp.sealed, pkp.conditions, pkp.open())
        assert contract in caught.value.hint

    def test_with_its_own(self, pkp: Pkp) -> None:
        session = pkp.open()
        pkp.net.mint_credit(pkp.owner.address)  # the owner's is not the PKP's
        with pytest.raises(PaymentError):
            pkp.decrypt(session)
        pkp.net.mint_credit(pkp.facts["ethAddress"])
        assert pkp.decrypt(session) == PLAINTEXT

    def test_with_a_payer(self, pkp: Pkp, lender: Wallet) -> None:
        session = pkp.open()
        pkp.net.pay_for(lender.address, pkp.facts["ethAddress"])
        with pytest.raises(PaymentError):
            pkp.decrypt(session)
        pkp.net.mint_credit(lender.address)
        assert pkp.decrypt(session) == PLAINTEXT

    def test_with_a_delegation(self, pkp: Pkp, lender: Wallet) -> None:
        token = pkp.net.mint_credit(lender.address)
        lent = self.lend(pkp, lender, token_id=token, delegatees=[pkp.facts["ethAddress"]])
        session = pkp.open(capabilities=[lent])
        assert [each["address"] for each in session.capabilities] == [lender.address, session.wallet]
        assert pkp.decrypt(session) == PLAINTEXT

    def test_a_wallets_session_with_a_delegation(self, pkp: Pkp, lender: Wallet) -> None:
        pkp.net.mint_credit(lender.address)
        conditions = only(pkp.owner.address)
        lit = pkp.client()
        sealed = lit.encrypt(PLAINTEXT, conditions)
        scope = lit.scope_of(sealed, conditions)
        with pytest.raises(PaymentError):
            lit.decrypt(sealed, conditions, lit.open_session(pkp.owner, scope))
        lent = self.lend(pkp, lender)
        session = lit.open_session(pkp.owner, scope, capabilities=[lent])
        assert lit.decrypt(sealed, conditions, session) == PLAINTEXT

    @pytest.mark.parametrize(
        "limits",
        [
            {"delegatees": [STRANGER.address]},
            {"delegatees": []},
            {"token_id": "999"},
            {"now": clock.now() - timedelta(days=8)},
        ],
        ids=["somebody else's", "nobody's", "another credit", "expired"],
    )
    def test_a_delegation_that_does_not_cover_it(
        self, pkp: Pkp, lender: Wallet, limits: dict[str, Any]
    ) -> None:
        pkp.net.mint_credit(lender.address)
        with pytest.raises(PaymentError):
            pkp.decrypt(pkp.open(capabilities=[self.lend(pkp, lender, **limits)]))

    def test_uses_run_out(self, pkp: Pkp, lender: Wallet) -> None:
        pkp.net.mint_credit(lender.address)
        session = pkp.open(capabilities=[self.lend(pkp, lender, uses=2)])
        pkp.net.stop_node(2)  # so that every node is asked each time
        assert pkp.decrypt(session) == PLAINTEXT
        assert pkp.decrypt(session) == PLAINTEXT
        with pytest.raises(PaymentError):
            pkp.decrypt(session)
        # A new session does not bring them back; the signature is what is counted.
        again = pkp.open(capabilities=[AuthSig.from_json(session.capabilities[0])])
        with pytest.raises(PaymentError):
            pkp.decrypt(again)

    def test_an_expired_credit(self, pkp: Pkp, lender: Wallet) -> None:
        pkp.net.mint_credit(lender.address, lasts_s=-1)
        with pytest.raises(PaymentError):
            pkp.decrypt(pkp.open(capabilities=[self.lend(pkp, lender)]))


def test_the_scope_is_what_was_asked(pkp: Pkp) -> None:
    item = Resource(ACCESS_CONTROL_CONDITION, "00" * 32 + "/" + "11" * 32)
    session = pkp.open(scope=Scope.parse([f"{DECRYPTION}={item.key}"]))
    assert session.scope.requests[0].resource == item
    other = json.loads(next(iter(session.session_sigs.values()))["signedMessage"])
    assert other["resourceAbilityRequests"][0]["resource"]["resource"] == item.id

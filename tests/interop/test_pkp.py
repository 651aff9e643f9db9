"""Sessions in the name of a PKP: the network signs for both sides alike, and each side's open on the other."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest

from lit_airflow import LitClient, Scope, Wallet
from lit_airflow.clock import iso, now, parse_iso
from lit_airflow.devnet import Devnet, node
from lit_airflow.errors import AccessDeniedError
from lit_airflow.protocol import siwe
from lit_airflow.protocol.auth_method import AuthMethod, eth_wallet_auth_method
from lit_airflow.protocol.auth_sig import AuthSig
from lit_airflow.protocol.delegation import needs_new_signature
from lit_airflow.protocol.recap import Recap
from lit_airflow.protocol.session import Session, SessionKey
from tests.interop import kinds
from tests.interop.sdk import RefusedError, Sdk, requests_of

Json = dict[str, Any]
PLAINTEXT = b"for the PKP alone"
ANYTHING = "access-control-condition-decryption=lit-accesscontrolcondition://*"
ALL_ITEMS = Scope.parse([ANYTHING])
SCOPES = {
    "anything": [ANYTHING],
    "several kinds": [
        "pkp-signing=lit-pkp://*",
        ANYTHING,
        "lit-action-execution=lit-litaction://QmXgcpQhLWVqPyk9vSnXZPGNeXUdAiYi6kzJyqvVRcsW3L",
    ],
}


@dataclass(frozen=True)
class Job:
    """A PKP, its owner, what is encrypted for the PKP, and both clients."""

    sdk: Sdk
    lit: LitClient
    network: Json
    owner: Wallet
    pkp: dict[str, str]
    conditions: Json
    sealed: Json

    def method(self) -> AuthMethod:
        return method(self.owner)

    def ours(self, scope: Scope, *methods: AuthMethod, **options: Any) -> Session:  # noqa: ANN401 - the client's
        shown = methods or [self.method()]
        return self.lit.sdk.open_pkp_session(self.pkp["publicKey"], shown, scope, **options)

    def theirs(self, scope: Scope, *methods: AuthMethod, **options: Any) -> Json:  # noqa: ANN401 - the SDK's
        shown = [each.to_json() for each in methods or [self.method()]]
        given = {"pkpPublicKey": self.pkp["publicKey"], "authMethods": shown, **options}
        sigs: Json = self.sdk.ask(
            "pkpSession", network=self.network, requests=requests_of(scope), options=given
        )
        return sigs

    def opened_here(self, session: Session) -> bytes:
        return self.lit.decrypt(self.sealed, self.conditions, session)

    def opened_there(self, session_sigs: Json) -> bytes:
        return self.sdk.decrypt(self.network, self.sealed, self.conditions, session_sigs)


def method(signer: Wallet, **options: Any) -> AuthMethod:  # noqa: ANN401 - the helper's
    return eth_wallet_auth_method(signer, "0" * 64, options.pop("at", now()), **options)


def key_for_the_sdk(key: SessionKey) -> Json:
    return {"publicKey": key.public_key, "secretKey": key.seed.reveal().hex() + key.public_key}


@pytest.fixture(scope="module")
def job(sdk: Sdk, lit: LitClient, net: Devnet, wallet: Wallet) -> Job:
    pkp = net.mint_pkp(wallet.address)
    conditions = kinds.basic_list(kinds.wallet_is(pkp["ethAddress"]))
    sealed = dict(lit.encrypt(PLAINTEXT, conditions))
    return Job(sdk, lit, dict(net.description), wallet, pkp, conditions, sealed)


@pytest.fixture(params=[*SCOPES, "this item alone"])
def scope(request: pytest.FixtureRequest, job: Job) -> Scope:
    given = SCOPES.get(request.param)
    return Scope.parse(given) if given else job.lit.scope_of(job.sealed, job.conditions)


def test_theirs_opens_here_and_there(job: Job, scope: Scope) -> None:
    session_sigs = job.theirs(scope)
    session = Session.from_session_sigs(session_sigs)
    assert (session.wallet, session.scope) == (job.pkp["ethAddress"], scope)
    assert job.opened_here(session) == PLAINTEXT
    assert job.opened_there(session_sigs) == PLAINTEXT


def test_ours_opens_there(job: Job, scope: Scope) -> None:
    assert job.opened_there(job.ours(scope, ttl_s=600).session_sigs) == PLAINTEXT


def test_the_owner_is_not_the_pkp(job: Job) -> None:
    session = job.lit.open_session(job.owner, ALL_ITEMS)
    with pytest.raises(RefusedError) as theirs:
        job.opened_there(session.session_sigs)
    with pytest.raises(AccessDeniedError) as ours:
        job.opened_here(session)
    assert theirs.value.code == ours.value.code == "NodeAccessControlConditionsReturnedNotAuthorized"


@pytest.fixture
def received(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """What the nodes are asked to sign session keys with, byte for byte as it came in."""
    bodies: list[bytes] = []
    parse = node.parse_json

    def keep(raw: bytes) -> Any:  # noqa: ANN401 - JSON
        if b'"pkpPublicKey"' in raw:
            bodies.append(raw)
        return parse(raw)

    monkeypatch.setattr(node, "parse_json", keep)
    return bodies


def without_nonce(body: bytes) -> bytes:
    """The nonce is the last block's hash, and a block may come in between."""
    return body.replace(siwe.read(json.loads(body)["siweMessage"]).nonce.encode(), b"")


@pytest.mark.parametrize("domain", [{}, {"domain": "example.com:8443"}], ids=["default", "given"])
def test_both_send_the_same_bytes(job: Job, received: list[bytes], scope: Scope, domain: Json) -> None:
    key, shown, end = SessionKey.generate(), job.method(), iso(now() + timedelta(hours=3))

    def bodies() -> list[bytes]:
        # With this key: a request that an earlier client no longer waited for may come in only now.
        return [body for body in received if key.public_key.encode() in body]

    job.theirs(scope, shown, expiration=end, sessionKey=key_for_the_sdk(key), **domain)
    theirs = bodies()
    their_message = siwe.read(json.loads(theirs[0])["siweMessage"])
    assert their_message.domain == domain.get("domain", "litprotocol.com")

    then = parse_iso(their_message.issued_at)
    ttl_s = (parse_iso(end) - then).total_seconds()
    client = LitClient(job.network, timeout_s=120, clock=lambda: then)
    client.sdk.open_pkp_session(job.pkp["publicKey"], [shown], scope, ttl_s=ttl_s, session_key=key, **domain)
    both = bodies()
    assert len(both) >= len(theirs) + job.network["threshold"]
    assert len({without_nonce(body) for body in both}) == 1


def test_the_network_signs_the_same_for_both(job: Job, scope: Scope) -> None:
    key, shown = SessionKey.generate(), job.method()
    session = job.ours(scope, shown, ttl_s=600, session_key=key)
    theirs = job.theirs(scope, shown, expiration=session.expiration, sessionKey=key_for_the_sdk(key))
    assert sorted(theirs) == sorted(session.session_sigs)
    for url, signature in session.session_sigs.items():
        assert list(signature) == list(theirs[url])
        mine, their = (json.loads(each["signedMessage"]) for each in (signature, theirs[url]))
        assert list(mine) == list(their)
        (my_auth,), (their_auth,) = mine.pop("capabilities"), their.pop("capabilities")
        mine["issuedAt"] = their["issuedAt"] = ""
        assert mine == their
        assert list(my_auth) == list(their_auth)
        assert facts(my_auth) == facts(their_auth)


def facts(auth_sig: Json) -> list[Any]:
    """All but what depends on the block at which it was signed."""
    message = siwe.read(auth_sig["signedMessage"])
    said = [message.domain, message.address, message.statement, message.uri, message.expiration_time]
    fixed = [auth_sig[name] for name in ("algo", "derivedVia", "address")]
    return [*fixed, *said, message.chain_id, Recap.from_urn(message.resources[0]).attenuations]


def test_the_sdk_keeps_the_networks_signature_of_ours(job: Job) -> None:
    session = job.ours(ALL_ITEMS)
    auth_sig = session.capabilities[-1]
    assert auth_sig["algo"] == "LIT_BLS"
    question = {
        "network": job.network,
        "authSig": auth_sig,
        "sessionKeyUri": f"lit:session:{session.public_key}",
        "requests": requests_of(ALL_ITEMS),
    }

    def needs_new_signature(**changed: Any) -> bool:  # noqa: ANN401 - JSON
        return bool(job.sdk.ask("mustSignAgain", **{**question, **changed}))

    altered = auth_sig["signedMessage"].replace("litprotocol.com wants", "example.com wants")
    more = [*requests_of(ALL_ITEMS), {"resource": "lit-pkp://77", "ability": "pkp-signing"}]
    assert altered != auth_sig["signedMessage"]
    assert needs_new_signature() is False
    assert needs_new_signature(sessionKeyUri="lit:session:" + "00" * 32)
    assert needs_new_signature(requests=more)
    assert needs_new_signature(authSig={**auth_sig, "signedMessage": altered})
    with Devnet(2, 2) as other:
        assert needs_new_signature(network=other.description)


def test_we_keep_the_networks_signature_of_theirs(job: Job) -> None:
    session = Session.from_session_sigs(job.theirs(ALL_ITEMS))
    theirs = AuthSig.from_json(session.capabilities[-1])
    question = {
        "session_uri": f"lit:session:{session.public_key}",
        "scope": ALL_ITEMS,
        "now": now(),
        "network_public_key": job.network["network_public_key"],
    }
    with Devnet(2, 2) as other:
        changes = [
            {"session_uri": "lit:session:" + "00" * 32},
            {"now": now() + timedelta(days=2)},
            {"network_public_key": str(other.description["network_public_key"])},
        ]
    assert not needs_new_signature(theirs, **question)
    assert all(needs_new_signature(theirs, **{**question, **change}) for change in changes)


def test_one_permitted_method_is_enough(job: Job, stranger: Wallet) -> None:
    shown = [AuthMethod(6, "a token of somebody else's"), method(stranger), job.method()]
    assert job.opened_there(job.theirs(ALL_ITEMS, *shown)) == PLAINTEXT
    assert job.opened_there(job.ours(ALL_ITEMS, *shown).session_sigs) == PLAINTEXT


@pytest.mark.parametrize("wrong", ["a stranger's", "expired"])
def test_a_method_that_does_not_permit_it(job: Job, stranger: Wallet, wrong: str) -> None:
    stale = {"at": now() - timedelta(hours=1), "ttl_s": 60}
    shown = method(stranger) if wrong == "a stranger's" else method(job.owner, **stale)
    with pytest.raises(AccessDeniedError) as ours:
        job.ours(ALL_ITEMS, shown)
    with pytest.raises(RefusedError) as theirs:
        job.theirs(ALL_ITEMS, shown)
    assert theirs.value.code == ours.value.code == "NodePKPNotAuthorized"

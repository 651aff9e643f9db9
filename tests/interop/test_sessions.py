"""Session signatures made on one side open on the other."""

from __future__ import annotations

import json
from datetime import UTC, timedelta
from typing import Any

import pytest

from lit_airflow import LitClient, Scope, Wallet
from lit_airflow.clock import iso, now
from lit_airflow.keys.wallet import recover
from lit_airflow.protocol import siwe
from lit_airflow.protocol.auth_sig import AuthRequest, AuthSig
from lit_airflow.protocol.delegation import needs_new_signature
from lit_airflow.protocol.session import Session, SessionKey
from tests.interop import kinds
from tests.interop.sdk import Sdk, requests_of

Json = dict[str, Any]
CONDITIONS = kinds.SERVED["wallet"]
ACC, PKP, RLI, LA = "lit-accesscontrolcondition", "lit-pkp", "lit-ratelimitincrease", "lit-litaction"
DECRYPTION = "access-control-condition-decryption"
ANYTHING = f"{DECRYPTION}={ACC}://*"
SCOPES = {
    "anything": [ANYTHING],
    "decrypt and sign": [ANYTHING, f"access-control-condition-signing={ACC}://*"],
    "every kind": [
        ANYTHING,
        f"pkp-signing={PKP}://*",
        f"rate-limit-increase-auth={RLI}://*",
        f"lit-action-execution={LA}://*",
    ],
    "exact ids": [
        f"pkp-signing={PKP}://0x1234abCD",
        f"rate-limit-increase-auth={RLI}://42",
        f"lit-action-execution={LA}://QmXgcpQhLWVqPyk9vSnXZPGNeXUdAiYi6kzJyqvVRcsW3L",
        ANYTHING,
    ],
}


@pytest.fixture(scope="module")
def sealed(lit: LitClient) -> Json:
    return dict(lit.encrypt(b"opened by either", CONDITIONS))


@pytest.fixture(params=[*SCOPES, "this item alone"])
def scope(request: pytest.FixtureRequest, lit: LitClient, sealed: Json) -> Scope:
    given = SCOPES.get(request.param)
    return Scope.parse(given) if given else lit.scope_of(sealed, CONDITIONS)


def test_ours_opens_there(  # noqa: PLR0917 - fixtures
    sdk: Sdk, lit: LitClient, network: Json, wallet: Wallet, sealed: Json, scope: Scope
) -> None:
    session = lit.open_session(wallet, scope, ttl_s=600)
    assert sdk.decrypt(network, sealed, CONDITIONS, session.session_sigs) == b"opened by either"


def test_theirs_opens_here(sdk: Sdk, lit: LitClient, network: Json, sealed: Json, scope: Scope) -> None:
    session_sigs = sdk.ask("session", network=network, privateKey=kinds.KEY, requests=requests_of(scope))
    session = Session.from_session_sigs(session_sigs)
    assert session.wallet == kinds.ADDRESS
    assert session.scope == scope
    assert lit.decrypt(sealed, CONDITIONS, session) == b"opened by either"


def test_both_write_the_same(sdk: Sdk, lit: LitClient, network: Json, wallet: Wallet, scope: Scope) -> None:
    key = SessionKey.generate()
    theirs = sdk.ask(
        "session",
        network=network,
        privateKey=kinds.KEY,
        requests=requests_of(scope),
        terms={"statement": "Read the report."},
        options={
            "domain": "example.com",
            "sessionKey": {
                "publicKey": key.public_key,
                "secretKey": key.seed.reveal().hex() + key.public_key,
            },
        },
    )
    ours = lit.open_session(
        wallet, scope, domain="example.com", statement="Read the report.", session_key=key
    ).session_sigs
    assert sorted(ours) == sorted(theirs)
    for node, signature in ours.items():
        assert list(signature) == list(theirs[node])
        mine, their = (json.loads(each["signedMessage"]) for each in (signature, theirs[node]))
        assert list(mine) == list(their)
        for message in (mine, their):
            for varying in ("issuedAt", "expiration"):
                message[varying] = ""
            (capability,) = message["capabilities"]
            assert recover(capability["signedMessage"], capability.pop("sig")) == kinds.ADDRESS
            read = siwe.read(capability["signedMessage"])
            capability["signedMessage"] = (read.domain, read.statement, read.uri, read.resources)
        assert mine == their


def test_their_wallet_signs_for_our_session(sdk: Sdk, lit: LitClient, network: Json, sealed: Json) -> None:
    """The callback's wallet lives in the other process; only the request and the authSig travel."""

    def ask_there(request: AuthRequest) -> AuthSig:
        terms = {"uri": request.uri, "expiration": request.expiration, "nonce": request.nonce}
        signed = sdk.ask(
            "writeMessage",
            network=network,
            privateKey=kinds.KEY,
            requests=requests_of(request.scope),
            terms=terms,
        )
        return AuthSig.from_json(signed)

    session_sigs = lit.sdk.get_session_sigs(
        resource_ability_requests=Scope.parse([ANYTHING]), auth_needed_callback=ask_there
    )
    assert lit.decrypt(sealed, CONDITIONS, Session.from_session_sigs(session_sigs)) == b"opened by either"
    assert sdk.decrypt(network, sealed, CONDITIONS, session_sigs) == b"opened by either"


@pytest.mark.parametrize("late", [timedelta(seconds=1), timedelta(days=29, hours=23)], ids=str)
def test_a_given_end_is_kept(sdk: Sdk, network: Json, late: timedelta) -> None:
    end = iso(now() + late)
    session_sigs = sdk.ask(
        "session",
        network=network,
        privateKey=kinds.KEY,
        requests=requests_of(Scope.parse([ANYTHING])),
        options={"expiration": end},
    )
    session = Session.from_session_sigs(session_sigs)
    assert session.expiration == end
    assert iso(session.expires_at) == end
    assert session.expires_at.tzinfo is UTC


@pytest.mark.parametrize("asked", [*SCOPES.values()], ids=[*SCOPES])
def test_the_sdk_keeps_our_wallets_signature(
    sdk: Sdk, lit: LitClient, network: Json, wallet: Wallet, asked: list[str]
) -> None:
    scope = Scope.parse(asked)
    session = lit.open_session(wallet, scope)
    question = {
        "network": network,
        "authSig": session.capabilities[-1],
        "sessionKeyUri": f"lit:session:{session.public_key}",
    }
    assert sdk.ask("mustSignAgain", requests=requests_of(scope), **question) is False
    more = [*requests_of(scope), {"resource": f"{PKP}://77", "ability": "pkp-signing"}]
    covered = any(text.endswith(f"{PKP}://*") for text in asked)
    assert sdk.ask("mustSignAgain", requests=more, **question) is not covered


@pytest.mark.parametrize("asked", [*SCOPES.values()], ids=[*SCOPES])
def test_we_keep_their_wallets_signature(sdk: Sdk, network: Json, asked: list[str]) -> None:
    scope = Scope.parse(asked)
    session = Session.from_session_sigs(
        sdk.ask("session", network=network, privateKey=kinds.KEY, requests=requests_of(scope))
    )
    theirs = AuthSig.from_json(session.capabilities[-1])
    uri = f"lit:session:{session.public_key}"
    assert not needs_new_signature(theirs, session_uri=uri, scope=scope, now=now())
    assert needs_new_signature(theirs, session_uri=uri + "0", scope=scope, now=now())
    assert needs_new_signature(theirs, session_uri=uri, scope=scope, now=now() + timedelta(days=2))

"""One sequence of calls that share a store, compared with what the SDK did with the same calls.

Four behaviours of the SDK are not copied: a call for another wallet gets the first wallet's signature, a stored
signature that permits more than is asked for, or for longer, is used; the domain is forgotten when the wallet
is asked again; and an unreadable slot crashes.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from typing import Any

from lit_airflow.clock import Deadline, parse_iso
from lit_airflow.keys.wallet import Wallet
from lit_airflow.networks.contract import SessionOptions
from lit_airflow.protocol import siwe
from lit_airflow.protocol.auth_sig import AuthRequest, AuthSig, sign_in
from lit_airflow.protocol.recap import Recap
from lit_airflow.protocol.scope import ACCESS_CONTROL_CONDITION, Resource, ResourceAbility, Scope
from lit_airflow.protocol.session import Session, SessionKey
from lit_airflow.protocol.session_storage import SESSION_KEY, WALLET_SIG, SessionStorage
from tests.surveying import surveyed

NODE = "http://127.0.0.1:7470"
# The file passes on a session key by its public half; any other key than the stored one serves.
OTHER_KEY = SessionKey.from_hex("09" * 32)


@dataclass(frozen=True)
class Replayed:
    """One call, and what it made of the store."""

    session: Session
    asked: list[AuthRequest]
    before: dict[str, str]
    after: dict[str, str]


class Replay:
    """The calls in order, on one store."""

    def __init__(self, vectors: dict[str, Any]) -> None:
        self.nonce = vectors["nonce"]
        self.stored = json.dumps(vectors["session_key_stored"])
        self.store = {SESSION_KEY: self.stored}
        self.wallets = {
            address: Wallet.from_key(key).expect(address) for address, key in vectors["wallets"].items()
        }

    def call(self, case: dict[str, Any]) -> Replayed:
        # What was done to the store before a call, the file tells by the case's name alone.
        if "garbage" in case["name"]:
            self.store |= dict.fromkeys((k for k in self.store if k.startswith(WALLET_SIG)), "{not json")
        if "cleared" in case["name"]:
            SessionStorage(self.store).clear()
            assert self.store == {}
            self.store[SESSION_KEY] = self.stored
        asked: list[AuthRequest] = []
        before = dict(self.store)
        wallet = self.wallets[case["wallet_address"]]

        def callback(request: AuthRequest) -> AuthSig:
            asked.append(request)
            return sign_in(request, wallet)

        scope = Scope(
            tuple(
                ResourceAbility(Resource(ACCESS_CONTROL_CONDITION, r), case["ability"])
                for r in case["resources"]
            )
        )
        network = surveyed([NODE], 1, nonce=self.nonce, clock=lambda: parse_iso(case["now"]))
        terms = SessionOptions(
            ttl_s=1,
            expiration=case["expiration"],
            domain=case.get("domain"),
            session_key=OTHER_KEY if "session_key_passed" in case else None,
            storage=SessionStorage(self.store),
            wallet=wallet.address,
        )
        session = network.open_session_with(callback, scope, terms, Deadline.after(5))
        return Replayed(session, asked, before, dict(self.store))


@cache
def replayed(text: str) -> dict[str, Replayed]:
    vectors = json.loads(text)
    replay = Replay(vectors)
    return {case["name"]: replay.call(case) for case in vectors["cases"]}


def test_case(case: dict[str, Any], whole_file: dict[str, Any]) -> None:
    call = replayed(json.dumps(whole_file))[case["name"]]
    session, asked, wanted = call.session, call.asked, case["expected"]
    used = AuthSig.from_json(session.capabilities[-1])
    message = siwe.read(used.signed_message)

    assert used.address == case["wallet_address"] == message.address
    assert session.expiration == case["expiration"]
    assert SessionStorage(call.after).auth_sig("custom", used.address) == used
    if "garbage" in case["name"] or wanted["auth_sig_address"] != case["wallet_address"]:
        assert len(asked) == 1
        return
    if wanted["callback_calls"] == 0 and asked:
        stored = SessionStorage(call.before).auth_sig("custom", used.address)
        assert stored is not None
        assert permits_more(stored, session)
        return
    assert len(asked) == wanted["callback_calls"]
    assert message.expiration_time == wanted["auth_sig_expiration"]
    expected_key = OTHER_KEY.public_key if "session_key_passed" in case else wanted["session_key"]
    assert session.public_key == expected_key
    assert session.expiration == wanted["session_expiration"]
    if asked:
        assert message.domain == case.get("domain", "localhost")
        assert asked[0].domain == case.get("domain")
    else:
        assert message.domain == wanted["auth_sig_domain"]


def permits_more(stored: AuthSig, session: Session) -> bool:
    """Whether a stored signature is wider, or lasts longer, than what is asked for."""
    message = siwe.read(stored.signed_message)
    longer = parse_iso(message.expiration_time or "9999-01-01T00:00:00Z") > parse_iso(session.expiration)
    return longer or not Recap.from_urn(message.resources[0]).within(session.scope)

"""One sequence of calls that share a store, compared with what the SDK did with the same calls.

Four behaviours of the SDK are not copied: a call for another wallet gets the first wallet's signature, a call for
less gets a signature for more, the domain is forgotten when the wallet is asked again, and an unreadable slot crashes.
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
class Played:
    """One call: what was held before it, what came of it, and what is held after it."""

    held: AuthSig | None
    session: Session
    asked: list[AuthRequest]
    store: dict[str, str]

    @property
    def held_is_for_more(self) -> bool:
        """Whether the signature that was held delegates more than this session needs, or for longer."""
        if self.held is None:
            return False
        message = siwe.read(self.held.signed_message)
        longer = parse_iso(str(message.expiration_time)) > parse_iso(self.session.expiration)
        return longer or not Recap.from_urn(message.resources[0]).within(self.session.scope)


class Replay:
    """The calls in order, on one store."""

    def __init__(self, vectors: dict[str, Any]) -> None:
        self.nonce = vectors["nonce"]
        self.stored = json.dumps(vectors["session_key_stored"])
        self.store = {SESSION_KEY: self.stored}
        self.wallets = {
            address: Wallet.from_key(key).expect(address) for address, key in vectors["wallets"].items()
        }

    def call(self, case: dict[str, Any]) -> Played:
        # What was done to the store before a call, the file tells by the case's name alone.
        if "garbage" in case["name"]:
            self.store |= dict.fromkeys((k for k in self.store if k.startswith(WALLET_SIG)), "{not json")
        if "cleared" in case["name"]:
            SessionStorage(self.store).clear()
            assert self.store == {}
            self.store[SESSION_KEY] = self.stored
        asked: list[AuthRequest] = []
        wallet = self.wallets[case["wallet_address"]]
        held = SessionStorage(self.store).auth_sig("custom", wallet.address)

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
        options = SessionOptions(
            ttl_s=1,
            expiration=case["expiration"],
            domain=case.get("domain"),
            session_key=OTHER_KEY if "session_key_passed" in case else None,
            storage=SessionStorage(self.store),
            wallet=wallet.address,
        )
        session = network.open_session_with(callback, scope, options, Deadline.after(5))
        return Played(held, session, asked, dict(self.store))


@cache
def replayed(text: str) -> dict[str, Played]:
    vectors = json.loads(text)
    replay = Replay(vectors)
    return {case["name"]: replay.call(case) for case in vectors["cases"]}


def test_case(case: dict[str, Any], whole_file: dict[str, Any]) -> None:
    played = replayed(json.dumps(whole_file))[case["name"]]
    session, asked = played.session, played.asked
    wanted = case["expected"]
    used = AuthSig.from_json(session.capabilities[-1])
    message = siwe.read(used.signed_message)

    assert used.address == case["wallet_address"] == message.address
    assert session.expiration == case["expiration"]
    assert SessionStorage(played.store).auth_sig("custom", used.address) == used
    if "garbage" in case["name"] or wanted["auth_sig_address"] != case["wallet_address"]:
        assert len(asked) == 1
        return
    assert len(asked) == (1 if played.held_is_for_more else wanted["callback_calls"])
    assert message.expiration_time == (case["expiration"] if asked else wanted["auth_sig_expiration"])
    assert Recap.from_urn(message.resources[0]).within(session.scope)
    expected_key = OTHER_KEY.public_key if "session_key_passed" in case else wanted["session_key"]
    assert session.public_key == expected_key
    assert session.expiration == wanted["session_expiration"]
    if asked:
        assert message.domain == case.get("domain", "localhost")
        assert asked[0].domain == case.get("domain")
    else:
        assert message.domain == wanted["auth_sig_domain"]

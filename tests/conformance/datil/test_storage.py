"""One sequence of calls that share a store, held against what the SDK did with the same calls.

Three of its ways are not copied: there a call for another wallet is handed the first wallet's signature, the domain
is forgotten when the wallet is asked again, and an unreadable slot crashes.
"""

from __future__ import annotations

import json
import time
from functools import cache
from typing import Any

from lit_airflow.clock import Deadline, parse_iso
from lit_airflow.keys.wallet import Wallet
from lit_airflow.networks.contract import Committee, SessionOptions
from lit_airflow.networks.datil.network import DatilNetwork
from lit_airflow.networks.descriptions import describe
from lit_airflow.protocol import siwe
from lit_airflow.protocol.auth_sig import AuthRequest, AuthSig, sign_in
from lit_airflow.protocol.scope import ACCESS_CONTROL_CONDITION, Resource, ResourceAbility, Scope
from lit_airflow.protocol.session import Session, SessionKey
from lit_airflow.protocol.session_storage import SESSION_KEY, WALLET_SIG, SessionStorage
from lit_airflow.transport.http import Http

NODE = "http://127.0.0.1:7470"
# The wallets of the whole folder; this file names them by address only.
KEYS = ("11" * 32, "0123456789abcdef" * 4)
# The file passes on a session key by its public half; any other key than the stored one serves.
OTHER_KEY = SessionKey.from_hex("09" * 32)


class Replay:
    """The calls in order, on one store."""

    def __init__(self, vectors: dict[str, Any]) -> None:
        self.nonce = vectors["nonce"]
        self.stored = json.dumps(vectors["session_key_stored"])
        self.store = {SESSION_KEY: self.stored}
        self.wallets = {wallet.address: wallet for wallet in map(Wallet.from_key, KEYS)}

    def call(self, case: dict[str, Any]) -> tuple[Session, list[AuthRequest], dict[str, str]]:
        if "garbage" in case["name"]:
            self.store |= dict.fromkeys((k for k in self.store if k.startswith(WALLET_SIG)), "{not json")
        if "cleared" in case["name"]:
            SessionStorage(self.store).clear()
            assert self.store == {}
            self.store[SESSION_KEY] = self.stored
        asked: list[AuthRequest] = []
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
        network = DatilNetwork(
            describe({"nodes": [NODE], "threshold": 1}), Http(), lambda: parse_iso(case["now"])
        )
        network._surveyed = (time.monotonic(), Committee((NODE,), 1, 1, "", self.nonce))
        terms = SessionOptions(
            ttl_s=1,
            expiration=case["expiration"],
            domain=case.get("domain"),
            session_key=OTHER_KEY if "session_key_passed" in case else None,
            storage=SessionStorage(self.store),
            wallet=wallet.address,
        )
        session = network.open_session(callback, scope, terms, Deadline.after(5))
        return session, asked, dict(self.store)


@cache
def replayed(text: str) -> dict[str, tuple[Session, list[AuthRequest], dict[str, str]]]:
    vectors = json.loads(text)
    replay = Replay(vectors)
    return {case["name"]: replay.call(case) for case in vectors["cases"]}


def test_case(case: dict[str, Any], whole_file: dict[str, Any]) -> None:
    session, asked, store = replayed(json.dumps(whole_file))[case["name"]]
    wanted = case["expected"]
    used = AuthSig.from_json(session.capabilities[-1])
    message = siwe.read(used.signed_message)

    assert used.address == case["wallet_address"] == message.address
    assert session.expiration == case["expiration"]
    assert SessionStorage(store).auth_sig("custom", used.address) == used
    if "another wallet" in case["name"] or "garbage" in case["name"]:
        assert len(asked) == 1
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

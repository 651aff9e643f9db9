from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from lit_airflow.clock import Deadline, iso, parse_iso
from lit_airflow.errors import LitError
from lit_airflow.keys.wallet import Wallet
from lit_airflow.networks.contract import SessionOptions
from lit_airflow.networks.datil import wire
from lit_airflow.protocol import auth_sig, siwe
from lit_airflow.protocol.lifetime import LONGEST_SESSION_S
from lit_airflow.protocol.recap import Recap
from lit_airflow.protocol.scope import Scope
from lit_airflow.protocol.session import Session, SessionKey, SessionSigs
from lit_airflow.protocol.session_signature import session_signature
from tests.conformance.reading import requests
from tests.surveying import surveyed

DEFAULT_LIFETIME = timedelta(hours=24)


class CountingWallet:
    """A wallet that counts how often it is asked to sign."""

    def __init__(self, key: str) -> None:
        self._wallet = Wallet.from_key(key)
        self.asked = 0

    @property
    def address(self) -> str:
        return self._wallet.address

    def sign(self, text: str) -> str:
        self.asked += 1
        return self._wallet.sign(text)


class Given:
    """What a case gives, as our objects."""

    def __init__(self, case: dict[str, Any]) -> None:
        self.now = parse_iso(case["now"])
        self.expiration = case.get("expiration") or iso(self.now + DEFAULT_LIFETIME)
        self.ttl_s = (parse_iso(self.expiration) - self.now).total_seconds()
        self.nonce, self.nodes = case["nonce"], tuple(case["nodes"])
        self.wallet = CountingWallet(case["wallet_private_key"])
        self.key = SessionKey.from_hex(case["session_key"]["secretKey"])
        self.scope = Scope(requests(case["requests"]))
        delegation = case.get("capacity_delegation_auth_sig")
        self.capabilities = (*case.get("capability_auth_sigs", ()), *([delegation] if delegation else ()))
        self.overrides = dict(case.get("siwe_overrides", {}))

    def open_session(self) -> SessionSigs:
        """The whole way, through the network's own verb; only the survey of the nodes is given."""
        network = surveyed(self.nodes, len(self.nodes), nonce=self.nonce, clock=lambda: self.now)
        options = SessionOptions(
            ttl_s=self.ttl_s,
            expiration=self.expiration,
            domain=self.overrides.get("domain"),
            session_key=self.key,
            capabilities=[auth_sig.AuthSig.from_json(capability) for capability in self.capabilities],
            statement=self.overrides.get("statement", siwe.DEFAULT_STATEMENT),
        )
        return network.open_session(self.wallet, self.scope, options, Deadline.after(5)).session_sigs

    def sign(self) -> SessionSigs:
        """Step by step, for what the verb does not offer: times and texts of the caller's own writing."""
        overrides = {"chain_id" if k == "chainId" else k: v for k, v in self.overrides.items()}
        fields = {"uri": self.key.uri, "expiration": self.expiration, **overrides}
        message = siwe.sign_in(
            address=self.wallet.address,
            nonce=self.nonce,
            now=self.now,
            requests=self.scope.requests,
            **fields,
        )
        signed = auth_sig.sign(self.wallet, siwe.write(message)).to_json()
        capabilities, times = (*self.capabilities, signed), (iso(self.now), self.expiration)
        return {
            node: session_signature(self.key, self.scope, capabilities, times, node) for node in self.nodes
        }

    @property
    def verb_offers_it(self) -> bool:
        plain = self.expiration == iso(self.now + timedelta(seconds=self.ttl_s))
        return (
            plain
            and 1 <= self.ttl_s <= LONGEST_SESSION_S
            and self.overrides.keys() <= {"domain", "statement"}
        )


def test_case(case: dict[str, Any]) -> None:
    if "expected_error" in case:
        with pytest.raises(LitError):
            Given(case).sign()
        return
    given, wanted = Given(case), case["expected"]
    made = given.open_session() if given.verb_offers_it else given.sign()
    assert list(made) == list(wanted["session_sigs"])
    for node, sig in wanted["session_sigs"].items():
        assert wire.compact(made[node]) == wire.compact(sig)
    assert given.wallet.asked == wanted["callback_calls"]
    check_callback(given, wanted["callback_params"])
    assert lasts(made, given.now) is wanted["client_side_validation"]["isValid"]


def check_callback(given: Given, params: dict[str, Any]) -> None:
    """What the SDK hands to whoever writes the message. ``chain`` has no counterpart: nothing reads it."""
    ours = {
        "chain": params["chain"],
        "statement": Recap().statement(),
        "resources": [Recap().urn()],
        "expiration": given.expiration,
        "uri": given.key.uri,
        "sessionKey": {
            "publicKey": given.key.public_key,
            "secretKey": given.key.seed.reveal().hex() + given.key.public_key,
        },
        "nonce": given.nonce,
        "resourceAbilityRequests": given.scope.to_json(),
    }
    if "domain" in params:
        ours["domain"] = given.overrides.get("domain", params["domain"])
    assert ours == params


def lasts(session_sigs: SessionSigs, now: datetime) -> bool:
    try:
        Session.from_session_sigs(session_sigs).check_alive(now)
    except LitError:
        return False
    return True

"""What the network refuses, or does, without sending anything."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Any

import pytest

from lit_airflow import LitClient, clock
from lit_airflow.clock import Deadline
from lit_airflow.errors import (
    ChainUnavailableError,
    CiphertextError,
    ConditionError,
    SessionError,
    SessionExpiredError,
    SettingsError,
)
from lit_airflow.keys.wallet import Wallet
from lit_airflow.networks.contract import SessionOptions
from lit_airflow.protocol.auth_sig import AuthRequest, AuthSig, sign_in
from lit_airflow.protocol.conditions import Conditions
from lit_airflow.protocol.container import Container
from lit_airflow.protocol.scope import Scope
from lit_airflow.protocol.session import Session
from lit_airflow.protocol.session_storage import SessionStorage
from tests.surveying import surveyed

NODES = ("http://127.0.0.1:9", "http://127.0.0.1:10")
NETWORK = surveyed(NODES, 2, nonce="0x" + "ab" * 32)
WALLET = Wallet.from_key("11" * 32)
STRANGER = Wallet.from_key("22" * 32)
CONDITIONS = Conditions.for_wallet(WALLET.address)
CONTAINER = Container({"ciphertext": "AA==", "dataToEncryptHash": "ab" * 32}, CONDITIONS)
SCOPE = CONTAINER.scope()
WIDE = Scope.to_decrypt("*")


def in_time() -> Deadline:
    return Deadline.after(5)


def open_session(
    storage: dict[str, str],
    scope: Scope = SCOPE,
    wallet: Wallet = WALLET,
    **options: Any,  # noqa: ANN401 - those of SessionOptions
) -> Session:
    stated = {"ttl_s": 600, "storage": SessionStorage(storage), "wallet": wallet.address, **options}
    return NETWORK.open_session(wallet, scope, SessionOptions(**stated), in_time())


def delegation(session: Session) -> AuthSig:
    return AuthSig.from_json(session.capabilities[-1])


class TestSessions:
    def test_they_read_back(self) -> None:
        session = open_session({})
        contents = json.loads(json.dumps(session.to_json()))
        assert NETWORK.load_session(session.kind, contents) == session
        for kind in ("", "another/1", "session-sigs/2"):
            with pytest.raises(SessionError, match="this network uses session-sigs/1"):
                NETWORK.load_session(kind, contents)

    def test_one_of_another_network_is_not_used(self) -> None:
        @dataclass(frozen=True)
        class Another:
            kind: str = "another/1"

            def check_alive(self, _now: object) -> None:
                """It lasts."""

        with pytest.raises(SessionError, match='"another/1" is for another network'):
            NETWORK.decrypt(CONTAINER, Another(), in_time())  # type: ignore[arg-type]

    def test_one_that_has_ended_is_not_used(self) -> None:
        ended = replace(open_session({}), expires_at=clock.now())
        with pytest.raises(SessionExpiredError):
            NETWORK.decrypt(CONTAINER, ended, in_time())

    def test_each_node_is_signed_for(self) -> None:
        session = open_session({})
        assert tuple(session.session_sigs) == NODES
        for node, signed in session.session_sigs.items():
            assert json.loads(signed["signedMessage"])["nodeAddress"] == node

    def test_an_end_that_nodes_refuse(self) -> None:
        with pytest.raises(SettingsError) as caught:
            open_session({}, expiration="2020-01-01T00:00:00Z")
        assert caught.value.field == "expiration"


class TestStoredSignatures:
    def test_the_same_again_asks_no_wallet(self) -> None:
        storage: dict[str, str] = {}
        first, again = open_session(storage), open_session(storage)
        assert delegation(again) == delegation(first)
        assert again.public_key == first.public_key

    def test_one_for_more_or_longer_or_another_wallet_is_signed_anew(self) -> None:
        storage: dict[str, str] = {}
        wide = open_session(storage, WIDE, ttl_s=3600)
        narrow = open_session(storage, SCOPE, ttl_s=3600)
        assert delegation(narrow) != delegation(wide)
        assert open_session(storage, SCOPE, ttl_s=60).expires_at < narrow.expires_at
        assert delegation(open_session(storage, SCOPE, STRANGER)).address == STRANGER.address

    def test_one_that_somebody_planted_is_not_used(self) -> None:
        """Whoever can write to the store cannot make it vouch for another wallet's delegation."""
        theirs: dict[str, str] = {}
        open_session(theirs, SCOPE, STRANGER)
        ours: dict[str, str] = {}
        open_session(ours)
        (slot,) = (name for name in ours if name.endswith(WALLET.address.lower()))
        (planted,) = (text for name, text in theirs.items() if name.endswith(STRANGER.address.lower()))
        ours[slot] = planted
        assert delegation(open_session(ours)).address == WALLET.address


class TestCallbacks:
    @staticmethod
    def with_(signer: Wallet, **options: Any) -> Session:  # noqa: ANN401 - those of SessionOptions
        def answer(request: AuthRequest) -> AuthSig:
            return sign_in(request, signer)

        return NETWORK.open_session_with(answer, SCOPE, SessionOptions(ttl_s=600, **options), in_time())

    def test_any_wallet_may_answer_where_none_is_named(self) -> None:
        assert self.with_(STRANGER).wallet == STRANGER.address

    def test_only_the_named_one_otherwise(self) -> None:
        assert self.with_(WALLET, wallet=WALLET.address).wallet == WALLET.address
        with pytest.raises(SessionError, match=STRANGER.address):
            self.with_(STRANGER, wallet=WALLET.address)

    def test_what_was_refused_is_not_kept(self) -> None:
        storage: dict[str, str] = {}
        with pytest.raises(SessionError):
            self.with_(STRANGER, wallet=WALLET.address, storage=SessionStorage(storage))
        assert not any("lit-wallet-sig" in name for name in storage)


def test_containers_of_other_networks() -> None:
    assert NETWORK.scope_of(CONTAINER) == SCOPE
    other = replace(CONTAINER, fields={**CONTAINER.fields, "network": "datil"})
    with pytest.raises(CiphertextError, match='for the network "datil", not for "custom"'):
        NETWORK.scope_of(other)
    with pytest.raises(CiphertextError, match='for the network "datil", not for "custom"'):
        NETWORK.decrypt(other, open_session({}), in_time())


def test_conditions_that_no_node_can_judge() -> None:
    NETWORK.check_conditions(CONDITIONS)
    with pytest.raises(ConditionError):
        NETWORK.check_conditions(Conditions.parse({"accessControlConditions": [], "chain": "ethereum"}))


def test_the_listed_validators() -> None:
    listed = NETWORK.validators(in_time())
    assert (listed.nodes, listed.threshold, listed.epoch) == (NODES, 2, 1)


@pytest.mark.parametrize("network", ["datil", "datil-dev", "datil-test"])
def test_a_public_network_that_cannot_be_reached_is_probably_gone(network: str) -> None:
    lit = LitClient({"network": network, "rpc_url": "http://127.0.0.1:9"}, timeout_s=5)
    with pytest.raises(ChainUnavailableError) as raised:
        lit.health()
    assert "spring 2026" in raised.value.hint
    assert "chipotle" in raised.value.hint
    [chain] = lit.diagnose()
    assert "chipotle" in chain.advice


def test_a_network_of_ones_own_is_not() -> None:
    lit = LitClient({"rpc_url": "http://127.0.0.1:9", "staking_address": "0x" + "11" * 20}, timeout_s=5)
    with pytest.raises(ChainUnavailableError) as raised:
        lit.health()
    assert "chipotle" not in raised.value.hint

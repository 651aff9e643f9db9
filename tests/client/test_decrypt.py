from __future__ import annotations

import base64
import json
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from lit_airflow import LitClient, Scope, Session, Wallet
from lit_airflow.devnet import Devnet
from lit_airflow.errors import (
    AccessDeniedError,
    CiphertextError,
    ConditionError,
    Failure,
    FailureKind,
    LitError,
    NodesUnavailableError,
    ProtocolError,
    ScopeError,
    SessionError,
    SessionExpiredError,
    SettingsError,
    SiweError,
)
from lit_airflow.networks.contract import DecryptionReport
from tests.client.conftest import PLAINTEXT, only

if TYPE_CHECKING:
    from tests.client.conftest import Job


@pytest.mark.parametrize("plaintext", [b"", b"x", bytes(range(256)) * 400], ids=["empty", "one", "100-kB"])
def test_round_trip(job: Job, plaintext: bytes, all_items: Scope) -> None:
    sealed = job.lit.encrypt(plaintext, job.conditions)
    session = job.lit.open_session(job.wallet, all_items)
    assert job.lit.decrypt(sealed, job.conditions, session) == plaintext


def test_encrypting_under_a_pinned_key_asks_nobody(net: Devnet, wallet: Wallet) -> None:
    LitClient(net.description).encrypt(b"x", only(wallet))
    assert net.requests == []


def test_nodes_without_a_chain(job: Job) -> None:
    listed = {key: job.net.description[key] for key in ("nodes", "threshold", "epoch")}
    assert LitClient(listed).decrypt(job.sealed, job.conditions, job.session) == PLAINTEXT


def test_session_sigs_are_enough(job: Job) -> None:
    """The map that getSessionSigs returns, through JSON and back, without the session key."""
    bare = Session.from_session_sigs(json.loads(json.dumps(job.session.session_sigs)))
    assert job.decrypt(bare) == PLAINTEXT


def test_a_node_that_was_not_signed_for(job: Job) -> None:
    """Two of three left: enough. One: the session key signs for the others, or there are too few."""
    sigs = job.session.session_sigs
    one = {job.url(0): sigs[job.url(0)]}
    two = {**one, job.url(2): sigs[job.url(2)]}
    assert job.decrypt(Session.from_session_sigs(two)) == PLAINTEXT
    with pytest.raises(NodesUnavailableError, match="no signature for this node") as caught:
        job.decrypt(Session.from_session_sigs(one))
    assert set(caught.value.failures) == {job.url(1), job.url(2)}
    wire = {**job.session.to_json(), "session_sigs": one}
    assert job.decrypt(Session.from_json(wire)) == PLAINTEXT


def test_signatures_of_another_node_do_not_do(job: Job) -> None:
    first = job.session.session_sigs[job.url(0)]
    swapped = Session.from_session_sigs(dict.fromkeys(job.session.session_sigs, first))
    with pytest.raises(AccessDeniedError) as caught:
        job.decrypt(swapped)
    assert caught.value.code == "NodeNotAuthorized"


def test_another_wallet_is_refused(job: Job) -> None:
    stranger = Wallet.from_key("22" * 32)
    session = job.lit.open_session(stranger, job.session.scope)
    with pytest.raises(AccessDeniedError) as caught:
        job.decrypt(session)
    assert caught.value.code == "NodeAccessControlConditionsReturnedNotAuthorized"
    assert not caught.value.retryable


def test_a_session_for_something_else_is_not_sent(job: Job) -> None:
    session = job.lit.open_session(job.wallet, Scope.to_decrypt("aa" * 32 + "/" + "bb" * 32))
    with pytest.raises(ScopeError) as caught:
        job.decrypt(session)
    assert caught.value.granted == str(session.scope)
    assert job.sealed["dataToEncryptHash"] in caught.value.asked
    assert job.asked_for_shares() == []


def test_a_session_that_is_over_is_not_sent(job: Job) -> None:
    lit = job.new_client(clock=lambda: datetime.now(UTC) + timedelta(seconds=601))
    before = list(job.net.requests)
    with pytest.raises(SessionExpiredError):
        lit.decrypt(job.sealed, job.conditions, job.session)
    assert job.net.requests == before


@pytest.mark.parametrize("ttl_s", [0, -1, 0.5, 30 * 24 * 3600 + 1, float("nan"), float("inf"), float("-inf")])
def test_lifetimes_that_nodes_do_not_accept(
    net: Devnet, wallet: Wallet, all_items: Scope, ttl_s: float
) -> None:
    with pytest.raises(SettingsError) as caught:
        LitClient(net.description).open_session(wallet, all_items, ttl_s=ttl_s)
    assert caught.value.field == "ttl_s"
    assert net.requests == []


@pytest.mark.parametrize("ttl_s", [1, 30 * 24 * 3600])
def test_lifetimes_that_nodes_accept(job: Job, ttl_s: float) -> None:
    assert job.decrypt(job.lit.open_session(job.wallet, job.session.scope, ttl_s=ttl_s)) == PLAINTEXT


def test_a_statement_that_cannot_be_signed(job: Job) -> None:
    with pytest.raises(SiweError):
        job.lit.open_session(job.wallet, job.session.scope, statement="naïve")


def test_what_is_encrypted_for_another_network(job: Job, all_items: Scope) -> None:
    """Said by the node's own answers only: nothing in a ciphertext names its network."""
    with Devnet(nodes=3, threshold=2) as elsewhere:
        foreign = LitClient(elsewhere.description).encrypt(b"secret", job.conditions)
    session = job.lit.open_session(job.wallet, all_items)
    with pytest.raises(CiphertextError) as caught:
        job.decrypt_this(foreign, session)
    assert "another network" in caught.value.hint


@pytest.mark.parametrize("network", ["datil", "datil-dev", "another\x1b"])
def test_a_container_that_names_another_network_is_not_sent(job: Job, network: str) -> None:
    container = {**job.sealed, "network": network}
    before = list(job.net.requests)
    for act in (
        lambda: job.lit.scope_of(container, job.conditions),
        lambda: job.decrypt_this(container),
        lambda: job.lit.grants(container, job.conditions, job.session),
    ):
        with pytest.raises(CiphertextError, match="was encrypted for the network"):
            act()
    (outcome,) = job.lit.decrypt_many([(container, job.conditions)], job.session)
    assert isinstance(outcome.error, CiphertextError)
    assert job.net.requests == before


def test_a_container_names_its_network(job: Job, all_items: Scope) -> None:
    container = job.lit.make_container(PLAINTEXT, job.conditions)
    assert container == {**container, **job.conditions, "network": "custom"}
    session = job.lit.open_session(job.wallet, job.lit.scope_of(container, container))
    assert job.lit.decrypt(container, container, session) == PLAINTEXT


# Which of them depends on whether its last attempt ends before the others are no longer waited for.
GONE = {FailureKind.UNREACHABLE, FailureKind.TIMEOUT}


def test_closing(net: Devnet) -> None:
    with LitClient(net.description, timeout_s=60) as lit:
        lit.health()
        assert connections(lit) > 0
    assert connections(lit) == 0
    failed = LitClient(net.description, timeout_s=60)
    failed.health()
    with pytest.raises(SettingsError), failed:
        failed.encrypt(bytes(32 * 1024 * 1024 + 1), {})
    assert connections(failed) == 0
    LitClient(net.description).close()  # one that was never used


def connections(lit: LitClient) -> int:
    """How many servers a client keeps connections to."""
    adapters = lit._network.http._session.adapters  # type: ignore[attr-defined]
    return sum(len(adapter.poolmanager.pools) for adapter in adapters.values())


def test_how_the_servers_are(job: Job) -> None:
    health = job.new_client().health()
    assert (health.reached, health.needed, list(health.servers)) == (3, 2, [job.url(n) for n in range(3)])
    assert str(health).startswith("3 of 3 servers answered, 2 needed. This machine's clock agrees")
    job.net.stop_node(1)
    health = job.new_client().health()
    assert (health.reached, health.needed) == (2, 2)
    failure = health.servers[job.url(1)]
    assert isinstance(failure, Failure)
    assert failure.kind in GONE
    job.net.stop_node(2)
    with pytest.raises(NodesUnavailableError):
        job.new_client().health()


def test_how_each_decryption_went_is_reported(job: Job) -> None:
    reports: list[DecryptionReport] = []
    lit = job.new_client(on_report=reports.append)
    job.net.stop_node(2)
    lit.decrypt(job.sealed, job.conditions, job.session)
    list(lit.decrypt_many([(job.sealed, job.conditions)] * 2, job.session))
    assert len(reports) == 3
    for report in reports:
        assert set(report.answered) == {job.url(0), job.url(1)}
        assert list(report.failed) == [job.url(2)]
        assert report.failed[job.url(2)].kind in GONE


def test_a_hash_that_does_not_match(job: Job, all_items: Scope) -> None:
    other = {**job.sealed, "dataToEncryptHash": "ab" * 32}
    with pytest.raises(ScopeError):
        job.decrypt_this(other)
    assert job.asked_for_shares() == []
    with pytest.raises(CiphertextError):
        job.decrypt_this(other, job.lit.open_session(job.wallet, all_items))


def _altered(text: str) -> str:
    raw = bytearray(base64.b64decode(text))
    raw[60] ^= 1
    return base64.b64encode(raw).decode()


BROKEN: dict[str, Callable[[str], object]] = {
    "not-base64": lambda text: "!" + text[1:],
    "truncated": lambda text: base64.b64encode(base64.b64decode(text)[:-9]).decode(),
    "empty": lambda _text: "",
    "bytes": lambda text: text.encode(),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_ciphertext_is_not_sent(job: Job, name: str) -> None:
    broken = {**job.sealed, "ciphertext": BROKEN[name](job.sealed["ciphertext"])}
    before = list(job.net.requests)
    with pytest.raises(CiphertextError):
        job.decrypt_this(broken)
    assert job.net.requests == before


def test_an_altered_ciphertext(job: Job) -> None:
    with pytest.raises(CiphertextError):
        job.decrypt_this({**job.sealed, "ciphertext": _altered(job.sealed["ciphertext"])})


def test_conditions_that_do_not_validate_are_not_encrypted_under(net: Devnet, wallet: Wallet) -> None:
    conditions = only(wallet)
    conditions["accessControlConditions"][0]["chain"] = "etherium"
    with pytest.raises(ConditionError) as caught:
        LitClient({**net.description, "network_public_key": ""}).encrypt(b"x", conditions)
    assert caught.value.field == "accessControlConditions[0].chain"
    assert net.requests == []


def test_another_network_key_than_the_pinned_one(job: Job) -> None:
    with Devnet(nodes=3, threshold=2) as elsewhere:
        pinned = {**job.net.description, "network_public_key": elsewhere.description["network_public_key"]}
    lit = LitClient(pinned, timeout_s=120)
    for call in (
        lambda: lit.decrypt(job.sealed, job.conditions, job.session),
        lambda: lit.open_session(job.wallet, job.session.scope),
    ):
        with pytest.raises(ProtocolError, match="pinned"):
            call()
    assert job.asked_for_shares() == []


@pytest.mark.parametrize("timeout_s", [0, -1, float("nan")])
def test_time_outs_that_are_none(net: Devnet, timeout_s: float) -> None:
    with pytest.raises(SettingsError) as caught:
        LitClient(net.description, timeout_s=timeout_s)
    assert caught.value.field == "timeout_s"


def test_one_client_in_many_threads(job: Job) -> None:
    before = set(threading.enumerate())
    lit = job.new_client()

    def once(_: int) -> bytes:
        return lit.decrypt(job.sealed, job.conditions, job.session)

    with ThreadPoolExecutor(20) as pool:
        assert set(pool.map(once, range(40))) == {PLAINTEXT}
    for thread in set(threading.enumerate()) - before:
        thread.join(300)
    assert [t.name for t in set(threading.enumerate()) - before if t.name == "lit-ask"] == []


def test_no_error_shows_a_signature(job: Job) -> None:
    sig = job.session.session_sigs[job.url(0)]["sig"]
    job.net.set_clock_offset(3600)
    with pytest.raises(LitError) as caught:
        job.decrypt()
    error: BaseException | None = caught.value
    while error is not None:
        shown: Any = repr(error) + str(error) + str(vars(error))
        assert sig not in shown
        assert job.session.capabilities[-1]["sig"] not in shown
        error = error.__cause__ or error.__context__


def test_session_sigs_of_another_network_are_not_worth_another_try(job: Job) -> None:
    with Devnet(nodes=3, threshold=2) as other:
        elsewhere = LitClient(other.description, timeout_s=60).open_session(job.wallet, job.session.scope)
    foreign = Session.from_session_sigs(elsewhere.session_sigs)
    with pytest.raises(SessionError, match="no signature for any node") as raised:
        job.decrypt(foreign)
    assert not raised.value.retryable
    assert "another network" in raised.value.hint


def test_the_log_says_what_was_decrypted(job: Job, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO"):
        job.decrypt()
    [told] = [text for text in caplog.messages if text.startswith("Decrypted")]
    assert job.sealed["dataToEncryptHash"] in told

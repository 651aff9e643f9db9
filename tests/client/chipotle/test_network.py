"""The network through LitClient, at a local Chipotle that runs the shipped gate in Deno."""

from __future__ import annotations

import io
import json
import logging
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import pytest

from lit_airflow import Conditions, LitClient, Scope, Wallet, cli_streams
from lit_airflow.clock import Deadline, now
from lit_airflow.devnet.chipotle import Chipotle
from lit_airflow.errors import (
    AccessDeniedError,
    CiphertextError,
    ConditionError,
    ConditionsNotMetError,
    LitError,
    NodesUnavailableError,
    PaymentError,
    ProtocolError,
    RateLimitedError,
    ScopeError,
    SecretNotFoundError,
    SessionError,
    SessionExpiredError,
    SettingsError,
)
from lit_airflow.networks.chipotle import gate_runs, registrations
from lit_airflow.networks.chipotle.cid import cid_v0
from lit_airflow.networks.chipotle.credentials import Credentials
from lit_airflow.networks.chipotle.identifiers import key_hash
from lit_airflow.networks.chipotle.registrations import derivation_path
from lit_airflow.networks.chipotle.sealing import audience, public_key_of
from lit_airflow.networks.contract import Check, Verdict
from lit_airflow.networks.descriptions import describe, open_network
from lit_airflow.protocol.container import Container as ContainerObject
from lit_airflow.protocol.session import Session
from lit_airflow.transport.chain import Chain
from lit_airflow.transport.http import Http
from tests.client.chipotle.frames import shown_by
from tests.devnet_chipotle.client import owner
from tests.devnet_chipotle.warm_engine import WarmEngine
from tests.unit.networks.chipotle.making import LOCK, RECOVERY, RECOVERY_SECRET, balance

WALLET, STRANGER = Wallet.from_key("11" * 32), Wallet.from_key("22" * 32)
OURS, THEIRS = Conditions.for_wallet(WALLET.address), Conditions.for_wallet(STRANGER.address)
RUN = "lit_action"
PLAINTEXT = b"what only the wallet may read"

Container = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Local:
    """A running local Chipotle."""

    net: Chipotle

    @property
    def description(self) -> dict[str, Any]:
        return cast("dict[str, Any]", self.net.description)

    def client(self, *, without: tuple[str, ...] = (), **changes: object) -> LitClient:
        described = {key: value for key, value in self.description.items() if key not in without}
        return LitClient({**described, **changes}, timeout_s=30)

    @property
    def runs(self) -> int:
        return sum(request["call"] == RUN for request in self.net.requests)


@pytest.fixture(scope="module")
def running(warm: WarmEngine) -> Iterator[Chipotle]:
    with Chipotle() as net:
        yield warm.serve(net)


@pytest.fixture
def local(running: Chipotle) -> Iterator[Local]:
    yield Local(running)
    running.clear_faults()
    running.set_clock_offset(0)
    running.set_credit(5_000)


@pytest.fixture
def lit(local: Local) -> LitClient:
    return local.client()


@pytest.fixture
def session(lit: LitClient) -> Session:
    return cast("Session", lit.open_session(WALLET, Scope.to_decrypt("*")))


@pytest.mark.parametrize("plaintext", [b"", b"1412866208", b'{"a":1}', bytes(range(256)) * 16])
def test_what_was_encrypted_comes_back(lit: LitClient, plaintext: bytes) -> None:
    container = lit.make_container(plaintext, OURS)
    opened = lit.open_session(WALLET, lit.scope_of(container, container))
    assert lit.decrypt(container, container, opened) == plaintext


def test_a_container_that_names_a_gate_need_not_name_the_network(lit: LitClient, session: Session) -> None:
    sealed = lit.encrypt(PLAINTEXT, OURS)
    assert "network" not in sealed
    assert lit.decrypt(sealed, OURS, session) == PLAINTEXT


def test_encrypting_and_opening_a_session_send_nothing(local: Local, lit: LitClient) -> None:
    before = len(local.net.requests)
    container = lit.make_container(PLAINTEXT, OURS)
    opened = lit.open_session(WALLET, lit.scope_of(container, container))
    assert len(local.net.requests) == before
    described = local.description
    assert (container["gate"], container["lock"]) == (described["gate_key"], described["lock_key"])
    assert list(opened.session_sigs) == [audience(described["gate_key"])]


def test_a_role_without_the_secret_encrypts_and_opens_sessions(local: Local) -> None:
    lit = local.client(without=("api_key", "gates", "locks"))
    container = lit.make_container(PLAINTEXT, OURS)
    opened = lit.open_session(WALLET, lit.scope_of(container, container))
    with pytest.raises(SecretNotFoundError, match="API key"):
        lit.decrypt(container, container, opened)
    assert local.client().decrypt(container, container, opened) == PLAINTEXT


def test_a_ticket_carries_the_session(local: Local, lit: LitClient, session: Session) -> None:
    contents = json.loads(json.dumps(session.to_json()))
    loaded = local.client().load_session(session.kind, contents)
    container = lit.make_container(PLAINTEXT, OURS)
    assert lit.decrypt(container, container, loaded) == PLAINTEXT


def test_a_session_without_its_key_is_refused_before_anything_is_sent(
    local: Local, lit: LitClient, session: Session
) -> None:
    container = lit.make_container(PLAINTEXT, OURS)
    runs = local.runs
    for bare in (replace(session, key=None), Session.from_session_sigs(session.session_sigs)):
        with pytest.raises(SessionError, match="no session key"):
            lit.decrypt(container, container, bare)
    with pytest.raises(SessionError, match="no session key"):
        lit.load_session(session.kind, session.to_json(with_key=False))
    with pytest.raises(SessionError, match="toy"):
        lit.load_session("toy/1", {})
    assert local.runs == runs


def test_a_session_made_for_another_gate_is_signed_for_this_one(lit: LitClient, session: Session) -> None:
    container = lit.make_container(PLAINTEXT, OURS)
    other = replace(session, session_sigs={audience("00" * 32): {"sig": "00"}})
    assert lit.decrypt(container, container, other) == PLAINTEXT


def test_another_wallet_does_not_meet_the_conditions(lit: LitClient) -> None:
    container = lit.make_container(PLAINTEXT, OURS)
    stranger = lit.open_session(STRANGER, lit.scope_of(container, container))
    with pytest.raises(ConditionsNotMetError):
        lit.decrypt(container, container, stranger)
    assert not lit.grants(container, container, stranger)


def test_sessions_are_checked_before_anything_is_sent(local: Local, lit: LitClient) -> None:
    first, second = (lit.make_container(data, OURS) for data in (b"1", b"2"))
    narrow = cast("Session", lit.open_session(WALLET, lit.scope_of(first, first)))
    runs = local.runs
    with pytest.raises(ScopeError):
        lit.decrypt(second, second, narrow)
    with pytest.raises(SessionExpiredError):
        lit.decrypt(first, first, replace(narrow, expires_at=now() - timedelta(seconds=1)))
    assert local.runs == runs


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({"network": "datil"}, CiphertextError),
        ({"gate": None}, CiphertextError),
        ({"gate": None, "network": ""}, CiphertextError),
        ({"gate": "11" * 32}, SecretNotFoundError),
        ({"lock": LOCK}, SecretNotFoundError),
        ({"lock": None}, CiphertextError),
        ({"ciphertext": "AAAA"}, CiphertextError),
    ],
)
def test_containers_that_cannot_be_opened_are_refused_before_anything_is_sent(
    local: Local, lit: LitClient, session: Session, changes: Container, kind: type[LitError]
) -> None:
    container = {**lit.make_container(PLAINTEXT, OURS), **changes}
    runs = local.runs
    with pytest.raises(kind):
        lit.decrypt(container, container, session)
    (outcome,) = lit.decrypt_many([(container, container)], session)
    assert type(outcome.error) is kind
    assert local.runs == runs


def test_containers_without_a_lock_have_to_be_allowed(local: Local, session: Session) -> None:
    unlocked = local.client(without=("lock_key",)).make_container(PLAINTEXT, OURS)
    assert "lock" not in unlocked
    with pytest.raises(CiphertextError, match="no lock"):
        local.client().decrypt(unlocked, unlocked, session)
    assert local.client(allow_unlocked=True).decrypt(unlocked, unlocked, session) == PLAINTEXT


def test_a_recovery_copy_is_made_where_the_connection_names_a_key(
    local: Local, caplog: pytest.LogCaptureFixture
) -> None:
    from lit_airflow.protocol.recovery import recover

    caplog.set_level(logging.INFO)
    container = local.client(recovery_key=RECOVERY).make_container(PLAINTEXT, OURS)
    identity = OURS.identity(container["dataToEncryptHash"])
    assert recover(RECOVERY_SECRET, identity, container["recovery"]) == PLAINTEXT
    assert "recovery copy" in caplog.text


def test_altered_containers_do_not_open(lit: LitClient, session: Session) -> None:
    container, other = (lit.make_container(data, OURS) for data in (PLAINTEXT, b"other"))
    with pytest.raises(CiphertextError):
        lit.decrypt({**container, "ciphertext": other["ciphertext"]}, container, session)
    loosened = Conditions.parse(
        {**OURS.to_json(), "accessControlConditions": [OURS.items[0], {"operator": "or"}, *THEIRS.items]}
    )
    with pytest.raises(CiphertextError):
        lit.decrypt(container, loosened, session)


def test_what_no_gate_judges_is_not_encrypted(local: Local, lit: LitClient) -> None:
    for conditions in (
        {"solRpcConditions": [], "chain": "solana"},
        {"accessControlConditions": [balance()], "chain": "ethereum"},
    ):
        with pytest.raises(ConditionError):
            lit.encrypt(PLAINTEXT, conditions)
    reading = local.client(rpc={"ethereum": ["https://e.example"], "base": ["https://b.example"]})
    container = reading.encrypt(PLAINTEXT, {"accessControlConditions": [balance()], "chain": "ethereum"})
    assert container["rpc"] == {"ethereum": ["https://e.example"]}


WAYS: dict[str, Callable[[LitClient, dict[str, Any], Path], object]] = {
    "encrypt": lambda lit, under, _: lit.encrypt(PLAINTEXT, under),
    "make_container": lambda lit, under, _: lit.make_container(PLAINTEXT, under),
    "encrypt_file": lambda lit, under, folder: lit.encrypt_file(io.BytesIO(PLAINTEXT), folder / "out", under),
    "the command": lambda lit, under, folder: cli_streams.encrypt(
        lit, io.BytesIO(PLAINTEXT), Conditions.parse(under), folder / "out"
    ),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    "condition",
    [
        balance(),  # no server is named
        balance(standardContractType="ERC1155", method="balanceOfBatch", contractAddress="0x" + "11" * 20),
        balance(standardContractType="SIWE", method=""),
        balance(standardContractType="LitAction", method="go"),
        balance(parameters=[":litParam1"]),
        balance(method="", parameters=["literal"]),
        balance(method="", parameters=[":currentActionIpfsId"]),
        balance(returnValueTest={"comparator": "contains", "value": "1"}),
        balance(returnValueTest={"comparator": ">", "value": "01"}),
    ],
    ids=str,
)
def test_no_way_of_encrypting_takes_what_no_gate_judges(
    local: Local, tmp_path: Path, way: str, condition: dict[str, Any]
) -> None:
    reading = local.client(rpc={} if condition == balance() else {"ethereum": ["https://e.example"]})
    with pytest.raises(ConditionError):
        WAYS[way](reading, {"accessControlConditions": [condition], "chain": "ethereum"}, tmp_path)
    assert not [*tmp_path.iterdir()]


def test_what_does_not_fit_an_answer_is_not_encrypted(lit: LitClient, session: Session) -> None:
    longest = lit.traits.max_plaintext_bytes
    container = lit.make_container(b"x" * longest, OURS)
    assert lit.decrypt(container, container, session) == b"x" * longest
    with pytest.raises(LitError):
        lit.encrypt(b"x" * (longest + 1), OURS)


def test_many_are_opened_in_one_run_each_with_its_own_outcome(
    local: Local, lit: LitClient, session: Session
) -> None:
    items = [lit.make_container(b"%d" % n, THEIRS if n == 3 else OURS) for n in range(110)]
    items[5] = {**items[5], "gate": "11" * 32}
    bills = len(local.net.bills)
    outcomes = list(lit.decrypt_many([(item, item) for item in items], session))
    # More than two if the machine is so busy that runs take seconds.
    assert bills + 2 <= len(local.net.bills) <= bills + 10
    assert [outcome.index for outcome in outcomes] == list(range(110))
    assert {type(outcome.error) for outcome in outcomes} == {
        type(None),
        ConditionsNotMetError,
        SecretNotFoundError,
    }
    good = [outcome for outcome in outcomes if outcome.error is None]
    assert [outcome.result() for outcome in good] == [b"%d" % n for n in range(110) if n not in {3, 5}]


def test_what_waited_for_further_ones_is_opened_with_the_session_of_the_moment(
    lit: LitClient, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between two runs somebody uses what the first one opened, for as long as that takes."""
    item = lit.make_container(bytes(1000), OURS)
    renewed = lit.open_session(WALLET, lit.scope_of(item, item))
    now_valid, used = [session], []
    run_jobs = gate_runs.run_jobs

    def noted(api: Any, key: Any, jobs: Any, deadline: Any) -> Any:  # noqa: ANN401 - as the original
        used.append({job.session.public_key for job in jobs})
        return run_jobs(api, key, jobs, deadline)

    monkeypatch.setattr(gate_runs, "run_jobs", noted)
    loads = [lambda: ContainerObject.parse(item)] * 101
    outcomes = lit.decrypt_loads(loads, lambda _: now_valid[0], at_once=1)
    assert next(outcomes).result() == bytes(1000)
    now_valid[0] = renewed
    assert [outcome.error for outcome in outcomes] == [None] * 100
    assert used[0] == {session.public_key}
    assert used[1:] == [{renewed.public_key}]


def test_the_price_of_one_and_of_many_is_in_the_log(
    local: Local, lit: LitClient, session: Session, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "lit_airflow")
    items = [lit.make_container(bytes(60_000), OURS) for _ in range(2)]  # each fills a run
    lit.decrypt(items[0], items[0], session)
    assert re.search(r"Failed: none\. Cost: \$\d+\.\d\d for \d+\.\d\d s\.$", caplog.messages[-1])
    bills = len(local.net.bills)
    assert [outcome.error for outcome in lit.decrypt_many([(item, item) for item in items], session)] == [
        None
    ] * 2
    told = re.match(r"Runs that were answered: 2\. Cost: \$(\d+\.\d\d) for", caplog.messages[-1])
    assert told is not None
    assert float(told[1]) * 100 >= len(local.net.bills) - bills


def test_a_run_that_fails_whole_is_halved(local: Local, lit: LitClient, session: Session) -> None:
    items = [lit.make_container(b"%d" % n, OURS) for n in range(4)]
    local.net.set_fault("broken", call=RUN, times=1)
    runs = local.runs
    outcomes = [outcome.result() for outcome in lit.decrypt_many([(item, item) for item in items], session)]
    assert outcomes == [b"0", b"1", b"2", b"3"]
    assert local.runs == runs + 3


@pytest.mark.parametrize("fault", ["silent", "silent-after"])
def test_a_run_that_is_not_answered_in_time_is_not_halved(
    local: Local, lit: LitClient, session: Session, fault: str
) -> None:
    items = [lit.make_container(b"%d" % n, OURS) for n in range(4)]
    local.net.set_fault(fault, call=RUN, times=1)  # smaller runs would be answered
    hurried = LitClient(local.description, timeout_s=2)
    outcomes = list(hurried.decrypt_many([(item, item) for item in items], session))
    assert [type(outcome.error) for outcome in outcomes] == [NodesUnavailableError] * 4


@pytest.mark.parametrize("fault", ["lost-before", "lost-after", "reset"])
def test_a_run_whose_connection_broke_is_repeated_whole(
    local: Local, lit: LitClient, session: Session, fault: str
) -> None:
    items = [lit.make_container(b"%d" % n, OURS) for n in range(4)]
    local.net.set_fault(fault, call=RUN, times=1)
    runs = local.runs
    outcomes = [outcome.result() for outcome in lit.decrypt_many([(item, item) for item in items], session)]
    assert outcomes == [b"0", b"1", b"2", b"3"]
    assert local.runs == runs + 2


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ("unauthorized", AccessDeniedError),
        ("forbidden", AccessDeniedError),
        ("payment-required", PaymentError),
        ("too-large", ProtocolError),
        ("overloaded", RateLimitedError),
        ("unavailable", NodesUnavailableError),
    ],
)
def test_refusals_that_concern_all_are_each_ones_error(
    local: Local, lit: LitClient, session: Session, fault: str, kind: type[LitError]
) -> None:
    items = [lit.make_container(b"%d" % n, OURS) for n in range(3)]
    local.net.set_fault(fault, call=RUN)
    runs = local.runs
    outcomes = list(lit.decrypt_many([(item, item) for item in items], session))
    assert [type(outcome.error) for outcome in outcomes] == [kind] * 3
    assert local.runs == runs + 1


@pytest.mark.parametrize(
    "fault",
    [
        "lost-before",
        "lost-after",
        "reset",
        "broken",
        "bad-gateway",
        "gateway-timeout",
        "html",
        "empty",
        "not-json",
        "overloaded",
    ],
)
def test_one_decryption_is_repeated_after_what_may_pass(
    local: Local, lit: LitClient, session: Session, fault: str
) -> None:
    container = lit.make_container(PLAINTEXT, OURS)
    local.net.set_fault(fault, call=RUN, times=2)
    assert lit.decrypt(container, container, session) == PLAINTEXT


@pytest.mark.parametrize("fault", ["other-shape", "wrong-types", "huge", "bomb", "deep", "down"])
def test_answers_that_are_not_one_are_an_error(
    local: Local, lit: LitClient, session: Session, fault: str
) -> None:
    container = lit.make_container(PLAINTEXT, OURS)
    local.net.set_fault(fault, call="*" if fault == "down" else RUN)
    with pytest.raises((ProtocolError, NodesUnavailableError)):
        lit.decrypt(container, container, session)


@pytest.mark.parametrize("fault", ["extra-fields", "missing-fields"])
def test_fields_beside_the_response_do_not_matter(
    local: Local, lit: LitClient, session: Session, fault: str
) -> None:
    container = lit.make_container(PLAINTEXT, OURS)
    local.net.set_fault(fault, call=RUN)
    assert lit.decrypt(container, container, session) == PLAINTEXT


def test_another_enclave_does_not_take_the_session(local: Local, lit: LitClient, session: Session) -> None:
    container = lit.make_container(PLAINTEXT, OURS)
    local.net.set_fault("other-enclave", call=RUN)
    with pytest.raises(AccessDeniedError, match="unreadable") as caught:
        lit.decrypt(container, container, session)
    assert caught.value.code == "NodeNotAuthorized"


def test_the_services_clock_decides(local: Local, lit: LitClient, session: Session) -> None:
    container = lit.make_container(PLAINTEXT, OURS)
    local.net.set_clock_offset(2 * 3600)
    with pytest.raises(AccessDeniedError, match="clock"):
        lit.decrypt(container, container, session)


def test_without_gate_key_the_gate_is_asked_once(local: Local, caplog: pytest.LogCaptureFixture) -> None:
    lit = local.client(without=("gate_key",))
    runs = local.runs
    for _ in range(3):
        assert lit.make_container(PLAINTEXT, OURS)["gate"] == local.description["gate_key"]
    assert local.runs == runs + 1
    assert caplog.text.count("gate_key") == 1


def test_without_gate_key_and_secret_the_missing_field_is_named(local: Local) -> None:
    lit = local.client(without=("gate_key", "api_key", "gates", "locks"))
    with pytest.raises(SettingsError) as encrypting:
        lit.encrypt(PLAINTEXT, OURS)
    with pytest.raises(SettingsError) as opening:
        lit.open_session(WALLET, Scope.to_decrypt("*"))
    assert (encrypting.value.field, opening.value.field) == ("gate_key", "gate_key")


@pytest.mark.parametrize("fault", ["another-gate-key", "other-enclave"])
def test_another_key_than_the_registered_one_is_not_sealed_to(local: Local, fault: str) -> None:
    local.net.set_fault(fault, call=RUN)
    with pytest.raises(ProtocolError, match="registered"):
        local.client(without=("gate_key",)).encrypt(PLAINTEXT, OURS)


@pytest.mark.parametrize(
    ("changes", "cents", "kind"),
    [({"api_key": "unknown"}, 500, AccessDeniedError), ({}, 0, PaymentError)],
)
def test_a_key_that_is_unknown_and_credit_that_is_used_up_are_told_apart(
    changes: dict[str, str], cents: int, kind: type[LitError]
) -> None:
    with Chipotle("april") as net:
        net.set_credit(cents)
        lit = Local(net).client(**changes)
        container = lit.make_container(PLAINTEXT, OURS)
        opened = lit.open_session(WALLET, lit.scope_of(container, container))
        with pytest.raises(kind):
            lit.decrypt(container, container, opened)


def test_a_key_that_was_rotated_is_read_again(local: Local, session: Session) -> None:
    described = local.description
    reads: list[dict[str, Any]] = []

    def read_secret() -> dict[str, Any]:
        reads.append({**described, "api_key": described["api_key"] if reads else "revoked"})
        return reads[-1]

    network = open_network(replace(cast("Any", describe(described)), read_secret=read_secret))
    container = local.client().make_container(PLAINTEXT, OURS)
    for _ in range(2):
        assert network.decrypt(ContainerObject.parse(container), session, Deadline.after(30)) == PLAINTEXT
    assert len(reads) == 2


def test_a_key_that_was_rotated_is_read_again_to_ask_the_gate_for_its_key(local: Local) -> None:
    described = {key: value for key, value in local.description.items() if key != "gate_key"}
    held = ["revoked"]
    network = open_network(
        replace(cast("Any", describe(described)), read_secret=lambda: {**described, "api_key": held[-1]})
    )
    with pytest.raises(AccessDeniedError):
        network.encrypt(PLAINTEXT, OURS, Deadline.after(30))
    held.append(described["api_key"])
    assert network.encrypt(PLAINTEXT, OURS, Deadline.after(30))["gate"] == local.description["gate_key"]


def test_a_key_that_was_revoked_by_its_hash_while_it_is_held_is_read_again(
    local: Local, session: Session
) -> None:
    """The service answers its runs with 500 for an hour."""
    described, account = local.description, owner(local.net)
    old = account.mint(execute_in_groups=[1]).key
    held = [old]
    network = open_network(
        replace(cast("Any", describe(described)), read_secret=lambda: {**described, "api_key": held[-1]})
    )
    container = ContainerObject.parse(local.client().make_container(PLAINTEXT, OURS))
    assert network.decrypt(container, session, Deadline.after(30)) == PLAINTEXT
    account.done("remove_usage_api_key", usage_api_key=key_hash(old))
    with pytest.raises(NodesUnavailableError):
        network.decrypt(container, session, Deadline.after(30))
    held.append(described["api_key"])
    assert network.decrypt(container, session, Deadline.after(30)) == PLAINTEXT


def test_a_key_that_stays_refused_is_read_again_once(local: Local, session: Session) -> None:
    reads: list[str] = []
    described = {**local.description, "api_key": "revoked"}

    def read_secret() -> dict[str, Any]:
        reads.append("read")
        return described

    network = open_network(replace(cast("Any", describe(described)), read_secret=read_secret))
    container = local.client().make_container(PLAINTEXT, OURS)
    with pytest.raises(AccessDeniedError):
        network.decrypt(ContainerObject.parse(container), session, Deadline.after(30))
    assert len(reads) == 2


def test_a_gate_does_nothing_but_decrypt(lit: LitClient) -> None:
    with pytest.raises(ScopeError):
        lit.open_session(WALLET, Scope.parse(["pkp-signing=lit-pkp://*"]))


def test_stored_delegations_are_used_again(local: Local) -> None:
    store: dict[str, str] = {}
    signed: list[str] = []

    class Counting:
        address = WALLET.address

        def sign(self, text: str) -> str:
            signed.append(text)
            return WALLET.sign(text)

    lit = LitClient(local.description, storage=store)
    first, second = (cast("Session", lit.open_session(Counting(), Scope.to_decrypt("*"))) for _ in range(2))
    assert len(signed) == 1
    assert first.capabilities == second.capabilities


def test_health(local: Local, lit: LitClient) -> None:
    assert "1 of 1 servers answered" in str(lit.health())
    local.net.set_fault("down")
    with pytest.raises(NodesUnavailableError) as caught:
        lit.health()
    assert caught.value.retryable


def diagnosed(lit: LitClient) -> dict[str, Check]:
    return {check.name: check for check in lit.diagnose()}


def test_a_sound_connection_is_diagnosed(local: Local, lit: LitClient) -> None:
    checks = diagnosed(lit)
    assert {check.verdict for check in checks.values()} == {Verdict.GOOD}
    gate = local.description["gate_key"][:16]
    account = ["API key", "credit", "API key scopes", "API key's group"]
    assert list(checks) == ["service", "clock", *account, f"gate {gate}...", "gate_key", "decryption"]


@pytest.mark.parametrize(
    ("scopes", "found"),
    [
        ({"execute_in_groups": [0]}, "any action"),
        ({"execute_in_groups": [1, 0]}, "any action"),
        ({"execute_in_groups": [1], "add_pkp_to_groups": [0]}, "change the account"),
        ({"execute_in_groups": [1], "can_create_groups": True}, "change the account"),
        ({"execute_in_groups": [1, 2]}, "2 groups"),
    ],
)
def test_an_api_key_that_may_do_more_is_an_alarm(local: Local, scopes: dict[str, Any], found: str) -> None:
    wide = owner(local.net).mint(**scopes)
    check = diagnosed(local.client(api_key=wide.key))["API key scopes"]
    assert check.verdict is Verdict.BAD
    assert found in check.found


def test_a_group_that_contains_more_is_an_alarm(local: Local) -> None:
    other = owner(local.net).group("async function main() {}")
    key = owner(local.net).mint(execute_in_groups=[other])
    assert diagnosed(local.client(api_key=key.key))["API key's group"].verdict is Verdict.BAD


def with_base(local: Local) -> LitClient:
    return local.client(rpc={"base": [local.description["rpc_url"]]})


@pytest.fixture
def alone() -> Iterator[Local]:
    """A network that no other test uses: what is registered stays."""
    with Chipotle() as net:
        yield Local(net)


def test_registrations_of_others_are_looked_at(alone: Local) -> None:
    local = alone
    checks = diagnosed(with_base(local))
    assert checks["registrations"].verdict is Verdict.GOOD
    assert "probe-namespace" in checks["key namespace"].advice
    (entry,) = Credentials.parse(local.description, where="").gates.values()
    path = derivation_path(cid_v0(entry.text().reveal().decode()))

    def register(network: Any) -> dict[str, object]:  # noqa: ANN401 - LocalChipotle
        state, account = network.state, network.account.account_hash
        state.chain.send(state.api_payers[0], "register_wallet_derivation", account, 0x1234, path, "", "")
        return {}

    local.net._call(register)
    check = diagnosed(with_base(local))["registrations"]
    assert check.verdict is Verdict.BAD
    assert "registered" in check.found
    assert local.description["gate_key"][:16] in check.found


def test_a_server_of_another_chain_is_named(local: Local) -> None:
    url = local.description["rpc_url"]
    checks = diagnosed(local.client(rpc={"ethereum": [url], "base": [url], "a chain of one's own": [url]}))
    assert checks["rpc.ethereum[0]"].verdict is Verdict.BAD
    assert checks["rpc.ethereum[0]"].found == "serves chain 8453, and ethereum is chain 1"
    others = [check for name, check in checks.items() if name.startswith("rpc.") and "ethereum" not in name]
    assert [check.verdict for check in others] == [Verdict.GOOD] * 2


def test_registrations_on_another_chain_say_nothing(local: Local) -> None:
    chain = Chain(Http(), local.description["rpc_url"], 1)
    contract = local.description["contract_address"]
    assert registrations.look(chain, contract, {}, Deadline.after(10)).verdict is Verdict.BAD


def test_registrations_that_cannot_be_read_are_a_note(local: Local) -> None:
    chain = Chain(Http(), "http://127.0.0.1:9/", 8453)
    check = registrations.look(chain, "0x" + "11" * 20, {}, Deadline.after(10))
    assert (check.verdict, check.name) == (Verdict.NOTE, "registrations")


def test_a_lock_that_is_not_in_vault_fails_the_decryption(local: Local) -> None:
    checks = diagnosed(local.client(lock_key=LOCK))
    assert checks["decryption"].verdict is Verdict.BAD


@pytest.mark.parametrize(
    ("without", "changes", "name", "verdict"),
    [
        ((), {"gate_key": public_key_of(RECOVERY_SECRET)}, "gate_key", Verdict.BAD),
        (("gate_key",), {}, "gate_key", Verdict.NOTE),
        (("api_key", "gates", "locks"), {}, "API key", Verdict.NOTE),
        ((), {"api_key": "unknown"}, "API key", Verdict.BAD),
        ((), {"rpc": {"ethereum": ["http://127.0.0.1:9/"]}}, "rpc.ethereum[0]", Verdict.BAD),
    ],
)
def test_what_is_wrong_with_a_connection_is_named(
    local: Local, without: tuple[str, ...], changes: dict[str, Any], name: str, verdict: Verdict
) -> None:
    assert diagnosed(local.client(without=without, **changes))[name].verdict is verdict


def test_a_service_that_is_away_is_the_last_that_is_said(local: Local, lit: LitClient) -> None:
    local.net.set_fault("down")
    (only,) = lit.diagnose()
    assert (only.name, only.verdict) == ("service", Verdict.BAD)


def test_little_credit_is_said(local: Local, lit: LitClient) -> None:
    local.net.set_credit(50)
    assert diagnosed(lit)["credit"].verdict is Verdict.NOTE


Failing = Callable[[Local, LitClient, Session], object]


def _decrypt_with(fault: str) -> Failing:
    def fail(local: Local, lit: LitClient, session: Session) -> object:
        container = lit.make_container(PLAINTEXT, OURS)
        local.net.set_fault(fault, call=RUN)
        return lit.decrypt(container, container, session)

    return fail


def _decrypt_another_hash(local: Local, _lit: LitClient, session: Session) -> object:
    lit = local.client(without=("lock_key",))
    container = lit.make_container(PLAINTEXT, OURS)
    lit_open = local.client(allow_unlocked=True)
    local.net.set_fault("extra-fields", call=RUN)
    return lit_open.decrypt(
        {**container, "ciphertext": lit.make_container(b"x", OURS)["ciphertext"]}, container, session
    )


@pytest.mark.parametrize(
    "fail",
    [
        *map(
            _decrypt_with,
            ["forbidden", "lost-after", "broken", "other-shape", "other-enclave", "payment-required"],
        ),
        _decrypt_another_hash,
    ],
)
def test_errors_carry_no_secret(local: Local, lit: LitClient, session: Session, fail: Failing) -> None:
    described = local.description
    (gate,) = described["gates"].values()
    key = session.key
    assert key is not None
    secrets = {
        described["api_key"],
        gate["salt"],
        *described["locks"].values(),
        key.seed.reveal().hex(),
        PLAINTEXT.decode(),
        *(sig["sig"] for sig in session.session_sigs.values()),
    }
    with pytest.raises(LitError) as caught:
        fail(local, lit, session)
    everything = list(shown_by(caught.value))
    assert any(local.description["api_url"] in shown for shown in everything)
    assert not [secret for secret in secrets for shown in everything if secret in shown]


def test_malformed_secrets_do_not_show(local: Local) -> None:
    lit = local.client(api_key="with blank", locks={LOCK: "11" * 32})
    container = lit.make_container(PLAINTEXT, OURS)
    opened = lit.open_session(WALLET, lit.scope_of(container, container))
    with pytest.raises(LitError) as caught:
        lit.decrypt(container, container, opened)
    for shown in shown_by(caught.value):
        assert "with blank" not in shown
        assert "11" * 32 not in shown


def test_a_description_that_cannot_be_right(local: Local) -> None:
    for field, value in (
        ("api_url", "ftp://x"),
        ("gate_key", "11"),
        ("lock_key", LOCK.upper()),
        ("recovery_key", 5),
        ("allow_unlocked", "yes"),
        ("rpc", {"ethereum": ["ftp://x"]}),
        ("rpc", "{"),
    ):
        with pytest.raises(SettingsError) as caught:
            local.client(**{field: value})
        assert caught.value.field.startswith(field)

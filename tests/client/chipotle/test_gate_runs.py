"""The rules together, at a local Chipotle that runs the shipped gate in Deno."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from datetime import timedelta

import pytest

from lit_airflow.clock import Deadline, iso
from lit_airflow.devnet.chipotle import Chipotle, Settings
from lit_airflow.errors import ConditionsNotMetError
from lit_airflow.keys.secret import Secret
from lit_airflow.keys.wallet import Wallet
from lit_airflow.networks.chipotle import api_calls, gate_requests, readiness, setup_checks
from lit_airflow.networks.chipotle.account_answers import all_rows
from lit_airflow.networks.chipotle.api_errors import Kind
from lit_airflow.networks.chipotle.container import Container, SealingKeys, seal_container
from lit_airflow.networks.chipotle.credentials import Credentials
from lit_airflow.networks.chipotle.gate_answers import Outcome, read_key, read_outcomes
from lit_airflow.networks.chipotle.identifiers import key_hash
from lit_airflow.networks.chipotle.recovery import recover
from lit_airflow.networks.chipotle.sealing import reply_secret_key
from lit_airflow.networks.chipotle.session_signature import session_signature
from lit_airflow.protocol.auth_sig import AuthRequest, sign_in
from lit_airflow.protocol.conditions import Conditions
from lit_airflow.protocol.scope import Scope
from lit_airflow.protocol.session import SessionKey
from tests.client.chipotle.local import Local, MovedClock
from tests.unit.networks.chipotle.making import RECOVERY, RECOVERY_SECRET, basic, conditions

WALLET, STRANGER = Wallet.from_key("11" * 32), Wallet.from_key("22" * 32)
OURS = conditions(basic(value=WALLET.address))
SESSION_KEY = SessionKey.from_hex("44" * 32)
RUN_S = 60.0


@pytest.fixture(scope="module")
def running() -> Iterator[Local]:
    moved = MovedClock()
    with Chipotle(settings=Settings(tells_time=moved)) as net:
        yield Local(net, moved)


@pytest.fixture
def credentials(running: Local) -> Credentials:
    return Credentials.parse(running.description, where="the network's description")


def run(running: Local, params: dict[str, object], key: Secret, code: str | None = None) -> object:
    text = running.net.network.opening.gate.text if code is None else code
    call = api_calls.run(text, params, timeout_s=RUN_S)
    return running.api.send(call, key, Deadline.after(RUN_S))["response"]


def session_for(running: Local, wallet: Wallet) -> dict[str, str]:
    now = running.clock()
    scope, times = Scope.to_decrypt("*"), (iso(now), iso(now + timedelta(minutes=10)))
    request = AuthRequest(
        chain="ethereum",
        expiration=times[1],
        uri=SESSION_KEY.uri,
        session_key=SESSION_KEY,
        nonce=secrets.token_hex(16),
        scope=scope,
        now=now,
    )
    delegation = sign_in(request, wallet).to_json()
    return session_signature(SESSION_KEY, scope, [delegation], times, running.description["gate_key"])


def encrypt(
    running: Local, plaintext: bytes, under: Conditions = OURS
) -> tuple[Container, dict[str, object]]:
    described = running.description
    keys = SealingKeys(gate=described["gate_key"], lock=described["lock_key"], recovery=RECOVERY)
    sealed = seal_container(plaintext, under, keys, {})
    return Container.parse(sealed, under), sealed


def decrypt(
    running: Local, credentials: Credentials, containers: Sequence[Container], wallet: Wallet = WALLET
) -> list[Outcome]:
    params = gate_requests.decrypt_params(containers, session_for(running, wallet))
    return read_outcomes(run(running, params, credentials.api_key), len(containers))


def plaintext_of(outcome: Outcome, container: Container, credentials: Credentials) -> bytes:
    given = outcome.open(reply_secret_key(SESSION_KEY), container.given_bytes)
    return container.unlock(given, credentials.lock(container.lock))


def test_the_gate_says_the_key_that_its_text_is_registered_under(
    running: Local, credentials: Credentials
) -> None:
    asked = read_key(run(running, dict(gate_requests.ASK_KEY), credentials.api_key))
    (registered,) = credentials.gates
    setup_checks.check_gate_key(asked, registered, credentials.gate(registered).version)


@pytest.mark.parametrize("plaintext", [b"", b"1412866208", b'{"a":1}', bytes(range(256)) * 16])
def test_what_was_encrypted_comes_back(running: Local, credentials: Credentials, plaintext: bytes) -> None:
    container, sealed = encrypt(running, plaintext)
    (outcome,) = decrypt(running, credentials, [container])
    assert plaintext_of(outcome, container, credentials) == plaintext
    identity = container.conditions.identity(container.data_hash)
    assert recover(RECOVERY_SECRET, identity, sealed["recovery"]) == plaintext  # type: ignore[arg-type]


def test_another_wallet_does_not_meet_the_conditions(running: Local, credentials: Credentials) -> None:
    container, _ = encrypt(running, b"secret")
    (outcome,) = decrypt(running, credentials, [container], STRANGER)
    with pytest.raises(ConditionsNotMetError):
        plaintext_of(outcome, container, credentials)


def test_many_in_one_run_each_with_its_own_outcome(running: Local, credentials: Credentials) -> None:
    theirs = conditions(basic(value=STRANGER.address))
    containers = [encrypt(running, b"%d" % n, theirs if n == 1 else OURS)[0] for n in range(3)]
    before = len(running.net.bills)
    outcomes = decrypt(running, credentials, containers)
    assert len(running.net.bills) == before + 1
    assert plaintext_of(outcomes[0], containers[0], credentials) == b"0"
    assert plaintext_of(outcomes[2], containers[2], credentials) == b"2"
    with pytest.raises(ConditionsNotMetError):
        plaintext_of(outcomes[1], containers[1], credentials)


def test_the_key_runs_the_gate_and_nothing_else(running: Local, credentials: Credentials) -> None:
    other = api_calls.run(setup_checks.other_action(b"\x01"), {}, timeout_s=RUN_S)
    failure = running.api.probe(other, credentials.api_key, Deadline.after(RUN_S))
    assert failure is not None
    assert failure.kind is Kind.PERMISSION
    setup_checks.check_runs_nothing_else(failure)


def test_the_group_contains_the_gate_alone(running: Local) -> None:
    cid = running.api.send(
        api_calls.action_cid(running.net.network.opening.gate.text), None, Deadline.after(RUN_S)
    )
    rows = {
        name: list(
            all_rows(
                lambda page, name=name: running.api.send(
                    api_calls.listing(name, page, group_id="1"), running.account_key, Deadline.after(RUN_S)
                )
            )
        )
        for name in ("list_actions", "list_wallets_in_group")
    }
    setup_checks.check_group(rows["list_actions"], rows["list_wallets_in_group"], key_hash(cid))


def test_a_new_key_is_waited_for(running: Local) -> None:
    running.net.set_chain_delay(6)
    minted = running.account.mint(running.new_name, 1)
    running.net.set_chain_delay(0)
    ask = api_calls.run(running.net.network.opening.gate.text, gate_requests.ASK_KEY, timeout_s=RUN_S)
    failure = readiness.wait_until_ready(
        lambda: running.api.probe(ask, minted.key, Deadline.after(RUN_S), new_key=True), running.clock.wait
    )
    assert failure is None
    assert running.clock.waited_s

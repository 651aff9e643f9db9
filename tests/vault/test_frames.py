"""What a recorder of exceptions with their frames' variables stores when a task fails at any step: no secret."""

import dataclasses
import inspect
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest.mock import patch

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException
from cryptography.fernet import Fernet
from py_arkworks_bls12381 import G2Point

from lit_airflow import LitClient, Scope, errors
from lit_airflow.clock import Deadline
from lit_airflow.devnet import Devnet
from lit_airflow.devnet.chipotle import Chipotle, Settings
from lit_airflow.devnet.chipotle.profiles import PROFILES
from lit_airflow.errors import LitError
from lit_airflow.hooks import LitHook
from lit_airflow.keys.secret import Secret
from lit_airflow.networks.chipotle.api import Api
from lit_airflow.networks.chipotle.api_calls import add_usage_key
from lit_airflow.networks.datil import wire
from lit_airflow.networks.datil.attestation import Evidence
from lit_airflow.operators import fail_without_retry
from lit_airflow.protocol.auth_sig import AuthSig
from lit_airflow.protocol.delegation import needs_new_signature
from lit_airflow.protocol.session import Session
from lit_airflow.provider import file_io
from lit_airflow.provider.spending import check_budget
from lit_airflow.sandbox.processes import free_port
from lit_airflow.sandbox.vault_server import KV_PATH
from lit_airflow.threshold.shares import Share, combine
from lit_airflow.transport.http import Http, Response
from tests.unit.frames import recorded, sent_to_sentry
from tests.unit.http_server import FaultyServer, faulty_server  # noqa: F401 - a fixture
from tests.vault.parts import TOKEN, Bao, Connections, conditions_for, forms
from tests.vault.signing import signing_server

pytestmark = pytest.mark.usefixtures("connections")

ALL = Scope.parse(["access-control-condition-decryption=lit-accesscontrolcondition://*"])
PLAINTEXT = b"what nobody else may read \xff"
FERNET = Fernet.generate_key()


@dataclass
class World:
    """What the tasks have.

    Attributes:
        bao: The Vault server.
        connections: Airflow's.
        faulty_url: A server that ends connections without an answer.
        session: An open one.
        ticket: The same, sealed.
        sealed: A sealed plaintext.
        container: Something encrypted for the wallet.
        net: The network.
        after: Moves the hooks' clock.
    """

    bao: Bao
    connections: Connections
    faulty_url: str
    session: Session
    ticket: dict[str, Any]
    sealed: dict[str, Any]
    container: dict[str, Any]
    net: Devnet
    after: Callable[[timedelta], None]

    def without_nodes(self, action: Callable[[LitHook], object], conn_id: str = "lit_consumer") -> object:
        hook = LitHook(conn_id)
        if conn_id == "lit_consumer":
            hook.client.sdk.survey()  # the nodes are known, and then they are gone
        for node in range(3):
            self.net.stop_node(node)
        return action(hook)

    def renewed_too_late(self) -> object:
        held = LitHook("lit_renewer").hold(self.ticket)
        self.after(timedelta(hours=2))
        return LitHook("lit_away").decrypt(self.container, held)


@pytest.fixture(scope="module")
def made(bao: Bao, devnet: Devnet) -> dict[str, Any]:
    """What no step changes."""
    with pytest.MonkeyPatch.context() as patch:
        Connections(patch, devnet).renewer(bao)
        renewer = LitHook("lit_renewer")
        session = renewer.open_session(ALL)
        return {
            "session": session,
            "ticket": renewer.make_ticket(session),
            "sealed": renewer.seal_plaintext(PLAINTEXT, data_hash="ab" * 32),
            "container": LitClient(devnet.description).make_container(
                PLAINTEXT, conditions_for(bao.wallet.address)
            ),
        }


@pytest.fixture
def world(
    bao: Bao,
    made: dict[str, Any],
    connections: Connections,
    faulty_server: FaultyServer,  # noqa: F811 - the fixture
    monkeypatch: pytest.MonkeyPatch,
) -> World:
    for seal in ({}, {"seal": "fernet", "seal_secret": FERNET.decode()}):
        away = "lit_away" + ("_fernet" if seal else "")
        connections.vault("vault_away", free_port(), bao.renewer)
        connections.lit(away, "vault_away", vault_path=KV_PATH, timeout_s=2, **seal)
    connections.lit("lit_another", vault_path=KV_PATH, wallet_address="0x" + "12" * 20)
    connections.lit("lit_unpinned", "vault_consumer")
    connections.lit("lit_nothing", vault_path="lit/nothing")
    # What another way to log in would need, beside a field of the wrong type.
    connections.vault("vault_odd", bao.port, bao.consumer, client_kwargs="{}", radius_secret=FERNET.decode())
    connections.lit("lit_odd", "vault_odd", vault_path=KV_PATH)

    def after(time: timedelta) -> None:
        monkeypatch.setattr("lit_airflow.clock.now", lambda: datetime.now(UTC) + time)

    return World(bao, connections, faulty_server.url, **made, net=connections.net, after=after)


STEPS: dict[str, Callable[[World], object]] = {
    "the key, Vault away": lambda _: LitHook("lit_away").get_wallet(),
    "the key, a Vault connection with an odd field": lambda _: LitHook("lit_odd").get_wallet(),
    "the key, denied": lambda _: LitHook("lit_nothing").get_wallet(),
    "the key, another's": lambda _: LitHook("lit_another").get_wallet(),
    "the test button's, Vault away": lambda _: LitHook("lit_away").wallets.tried(),
    "open a session, Vault away": lambda _: LitHook("lit_away").open_session(ALL),
    "open a session, no nodes": lambda w: w.without_nodes(lambda h: h.open_session(ALL), "lit_renewer"),
    "open a session, too long": lambda _: LitHook("lit_renewer").open_session(ALL, ttl_s=10**9),
    "seal, Vault away": lambda w: LitHook("lit_away").make_ticket(w.session),
    "seal, denied": lambda w: LitHook("lit_consumer").make_ticket(w.session),
    "publish, denied": lambda w: (
        LitHook("lit_consumer").sessions.store().publish("frames", w.ticket, datetime.now(UTC))
    ),
    "open a ticket, Vault away": lambda w: LitHook("lit_away").open_ticket(w.ticket),
    "open a ticket, altered": lambda w: LitHook("lit_consumer").open_ticket(w.ticket | {"made_by": "x"}),
    "open a ticket, ended": lambda w: (w.after(timedelta(days=1)), LitHook("lit_renewer").hold(w.ticket)),
    "open a ticket, another wallet's": lambda w: LitHook("lit_another").open_ticket(w.ticket),
    "open a ticket, Fernet's": lambda w: LitHook("lit_away_fernet").open_ticket(
        LitHook("lit_away_fernet").make_ticket(w.session) | {"made_by": "x"}
    ),
    "pass on, Vault away": lambda w: LitHook("lit_away").sessions.reuse_or_open(w.ticket, ALL),
    "decrypt, no nodes": lambda w: w.without_nodes(lambda h: h.decrypt(w.container, w.session)),
    "decrypt, damaged": lambda w: LitHook("lit_consumer").decrypt(
        w.container | {"ciphertext": "AAAA" + w.container["ciphertext"][4:]}, w.session
    ),
    "decrypt, of another network": lambda w: LitHook("lit_consumer").decrypt(
        w.container | {"network": "datil"}, w.session
    ),
    "decrypt, not covered": lambda w: LitHook("lit_consumer").decrypt(
        w.container, dataclasses.replace(w.session, scope=Scope.to_decrypt("0" * 64 + "/" + "1" * 64))
    ),
    "decrypt, ended": lambda w: LitHook("lit_consumer").decrypt(
        w.container, dataclasses.replace(w.session, expires_at=datetime.now(UTC))
    ),
    "decrypt, renewed too late": World.renewed_too_late,
    "decrypt many, no nodes": lambda w: w.without_nodes(
        lambda h: next(h.decrypt_many([w.container], w.session)).result()
    ),
    "decrypt into a file that cannot be": lambda w: file_io.decrypt_files(
        LitHook("lit_consumer"), {"/dev/null": "/dev/null/x"}, w.session
    ),
    "encrypt, no nodes": lambda w: w.without_nodes(
        lambda h: h.encrypt(PLAINTEXT, conditions_for("0x" + "12" * 20)), "lit_unpinned"
    ),
    "encrypt, conditions that are none": lambda _: LitHook("lit_consumer").encrypt(
        PLAINTEXT, {"chain": "mars"}
    ),
    "encrypt, too long": lambda _: LitHook("lit_consumer").encrypt(
        PLAINTEXT * 2 * 10**6, conditions_for("0x" + "12" * 20)
    ),
    "encrypt a file, no nodes": lambda w: w.without_nodes(
        lambda h: file_io.encrypt_file(h, __file__, "/dev/null", conditions_for("0x" + "12" * 20)),
        "lit_unpinned",
    ),
    "seal plaintext, denied": lambda w: LitHook("lit_consumer").seal_plaintext(PLAINTEXT),
    "seal plaintext, Vault away": lambda w: LitHook("lit_away").seal_plaintext(PLAINTEXT),
    "seal plaintext, too long": lambda w: LitHook("lit_renewer").seal_plaintext(PLAINTEXT * 100_000),
    "open plaintext, Vault away": lambda w: LitHook("lit_away").open_plaintext(w.sealed),
    "open plaintext, altered": lambda w: LitHook("lit_consumer").open_plaintext(w.sealed | {"made_by": "x"}),
    "open plaintext, another's": lambda w: LitHook("lit_consumer").open_plaintext(
        w.sealed, data_hash="cd" * 32
    ),
}


def with_signer(w: World, **changes: object) -> object:
    """Open a session with a wallet that a signing server holds, changed like this."""
    with signing_server(w.bao.key.reveal(), b"\7" * 32, vault=w.bao.address) as server:
        for name, value in changes.items():
            setattr(server, name, value)
        w.connections.lit(
            "lit_signing",
            signer="web3signer",
            signer_url=f"http://127.0.0.1:{server.port}",
            wallet_address=w.bao.wallet.address,
            timeout_s=2,
        )
        return LitHook("lit_signing").open_session(ALL)


def with_faults(
    w: World, fault: str, action: Callable[[LitHook], object], seconds: float | None = None
) -> object:
    """Act while all nodes have a fault."""
    w.connections.lit("lit_faults", "vault_consumer", timeout_s=5)
    hook = LitHook("lit_faults")
    hook.client.sdk.survey()
    for node in range(3):
        w.net.set_fault(node, fault, seconds)
    return action(hook)


def without_chain(w: World) -> object:
    w.connections.lit("lit_faults", vault_path=KV_PATH, timeout_s=2)
    w.net.set_fault("chain", "rpc-error")
    try:
        return LitHook("lit_faults").open_session(ALL)
    finally:
        w.net.set_fault("chain", None)


def another_key(w: World) -> object:
    w.connections.lit(
        "lit_pinned",
        "vault_consumer",
        network_public_key=LitHook("lit_consumer").client.sdk.survey().public_key[::-1],
    )
    return LitHook("lit_pinned").decrypt(w.container, w.session)


def malformed_credentials(w: World) -> object:
    w.bao.write("lit/chipotle", {"api_key": f"two {PLAINTEXT[:20].decode()} words"})
    reader = w.bao.role("reads_all", 'path "secret/data/lit/*" { capabilities = ["read"] }')
    w.connections.vault("vault_reads_all", w.bao.port, reader)
    w.connections.lit("lit_chipotle", "vault_reads_all", network="chipotle", api_key_path="lit/chipotle")
    return LitHook("lit_chipotle").encrypt(b"data", conditions_for("0x" + "12" * 20))


def lost_change(w: World) -> object:
    secret = Secret(PLAINTEXT[:20].replace(b" ", b"_"))
    call = add_usage_key("name", "text", 1)
    return Api(f"{w.faulty_url}/nothing", Http()).send(call, secret, Deadline.after(10))


def unreadable_sign_in(w: World) -> object:
    delegation = AuthSig.from_json(w.session.to_json()["capabilities"][-1])
    altered = dataclasses.replace(delegation, signed_message="\n" + delegation.signed_message)
    return needs_new_signature(altered, session_uri="", scope=ALL, now=datetime.now(UTC))


def refusal(w: World) -> object:
    """Read the answer of a node that repeats what it was sent."""
    text = json.dumps({"errorCode": "x", "authSig": w.session.to_json()["session_sigs"]})
    return wire.read_answer(Response(500, {"Content-Type": "application/json"}, text.encode(), 0.0))


def too_few_shares(_: World) -> object:
    return combine([Share.decode(b"\1" + G2Point().to_compressed_bytes())], 2)


def failing_action(
    _: World, code: str = "const main = () => { throw new Error('what it threw'); };"
) -> object:
    limits = dataclasses.replace(PROFILES["june"].limits, code_bytes=1000)
    with Chipotle("june", settings=Settings(limits=limits)) as net:
        return LitClient({**net.description, "api_key": net.permit(code)}, timeout_s=300).run_action(code)


def dead_worker(w: World) -> object:
    with patch.object(sys, "executable", "/bin/false"):
        return next(LitHook("lit_consumer").decrypt_many([w.container], w.session, processes=2)).result()


OF_CLASS: dict[type[LitError], Callable[[World], object]] = {
    errors.SettingsError: STEPS["open a session, too long"],
    errors.ConditionError: STEPS["encrypt, conditions that are none"],
    errors.VaultUnavailableError: STEPS["open a ticket, Vault away"],
    errors.VaultDeniedError: STEPS["seal, denied"],
    errors.SecretNotFoundError: lambda w: (
        w.connections.lit("lit_field", vault_path=KV_PATH, vault_field="nothing"),
        LitHook("lit_field").get_wallet(),
    ),
    errors.WalletKeyError: STEPS["the key, another's"],
    errors.CredentialsError: malformed_credentials,
    errors.SignerUnavailableError: lambda w: with_signer(w, refusing=503),
    errors.SignerDeniedError: lambda w: with_signer(w, refusing=403),
    errors.SignatureError: lambda w: with_signer(
        w, altered=lambda signature: signature[:20] + "0000" + signature[24:]
    ),
    errors.SessionError: lambda w: LitHook("lit_consumer").client.load_session("x", w.session.to_json()),
    errors.SessionExpiredError: STEPS["decrypt, ended"],
    errors.SessionNotFoundError: lambda _: LitHook("lit_consumer").hold("nothing"),
    errors.ScopeError: STEPS["decrypt, not covered"],
    errors.SiweError: unreadable_sign_in,
    errors.TicketError: STEPS["open a ticket, altered"],
    errors.ChainUnavailableError: without_chain,
    errors.NodesUnavailableError: STEPS["open a session, no nodes"],
    errors.NodeError: refusal,
    errors.AttestationError: lambda _: Evidence.read({"data": {}}),
    errors.RateLimitedError: lambda w: with_faults(
        w, "overloaded-for", lambda h: h.decrypt(w.container, w.session), 60
    ),
    errors.PaymentError: lambda w: with_faults(
        w, "rate-limited", lambda h: h.decrypt(w.container, w.session)
    ),
    errors.OutcomeUnknownError: lost_change,
    errors.ActionFailedError: failing_action,
    errors.ActionLimitError: lambda w: failing_action(w, "//" + "x" * 1000),
    errors.BudgetError: lambda _: check_budget(lambda _: 1, 1.0, 0),
    errors.AccessDeniedError: lambda w: with_faults(
        w, "ten-minutes-behind", lambda h: h.decrypt(w.container, w.session)
    ),
    errors.ConditionsNotMetError: lambda w: LitHook("lit_consumer").decrypt(
        LitClient(w.net.description).make_container(PLAINTEXT, conditions_for("0x" + "12" * 20)), w.session
    ),
    errors.ProtocolError: another_key,
    errors.WorkerDiedError: dead_worker,
    errors.SomeFailedError: STEPS["decrypt into a file that cannot be"],
    errors.CiphertextError: STEPS["decrypt, of another network"],
    errors.BadShareError: lambda _: wire.read_share({"signatureShare": {"ProofOfPossession": "00"}}),
    errors.NotEnoughSharesError: too_few_shares,
}
BASES = {errors.LitError, errors._FieldError, errors.SecretError, errors.NetworkError, errors.ThresholdError}
"""Not raised themselves."""


def test_every_error_class_is_tried() -> None:
    found = {kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, LitError)}
    assert found - BASES == set(OF_CLASS)


@pytest.mark.parametrize("kind", OF_CLASS, ids=lambda kind: kind.__name__)
def test_no_error_class_brings_a_secret(bao: Bao, world: World, kind: type[LitError]) -> None:
    """Raised where it is raised, then as the cause of one error and the context of another."""
    with pytest.raises(RuntimeError, match="cleaning up failed") as caught:
        in_a_task(lambda: OF_CLASS[kind](world))
    cause = caught.value.__context__
    assert type(cause.__cause__ if isinstance(cause, AirflowFailException) else cause) is kind
    shows_no_secret(caught.value, bao, world)


def in_a_task(action: Callable[[], object]) -> None:
    try:
        with fail_without_retry():
            action()
    except (LitError, AirflowFailException):
        raise RuntimeError("cleaning up failed")  # noqa: B904 - the context is wanted


@pytest.mark.parametrize("step", STEPS)
def test_no_secret_is_in_a_frame(bao: Bao, world: World, step: str) -> None:
    with pytest.raises(LitError) as caught:
        STEPS[step](world)
    shows_no_secret(caught.value, bao, world)


def shows_no_secret(error: BaseException, bao: Bao, world: World) -> None:
    """Neither to what Python's own traceback records with variables, nor to what Sentry's client sends."""
    secrets = [bao.key.reveal(), bao.renewer.secret_id.reveal(), bao.consumer.secret_id.reveal(), FERNET]
    secrets += [PLAINTEXT[:20], *(secret.encode() for secret in world.session.secrets())]
    assert world.session.key is not None
    secrets.append(world.session.key.seed.reveal())
    for shown in (recorded(error).encode(), sent_to_sentry(error).encode()):
        assert b"lit_airflow" in shown
        assert [secret for secret in secrets if any(form in shown for form in forms(secret))] == []
        assert not TOKEN.search(shown)

"""What a recorder of exceptions with their frames' variables stores when a task fails at any step: no secret."""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography.fernet import Fernet

from lit_airflow import LitClient, Scope
from lit_airflow.devnet import Devnet
from lit_airflow.errors import LitError
from lit_airflow.hooks import LitHook
from lit_airflow.protocol.session import Session
from lit_airflow.provider import file_io
from lit_airflow.sandbox.processes import free_port
from lit_airflow.sandbox.vault_server import KV_PATH
from tests.unit.frames import recorded
from tests.vault.parts import TOKEN, Bao, Connections, conditions_for, forms

pytestmark = pytest.mark.usefixtures("connections")

ALL = Scope.parse(["access-control-condition-decryption=lit-accesscontrolcondition://*"])
PLAINTEXT = b"what nobody else may read \xff"
FERNET = Fernet.generate_key()


@dataclass
class World:
    """What the tasks have.

    Attributes:
        session: An open one.
        ticket: The same, sealed.
        sealed: A sealed plaintext.
        container: Something encrypted for the wallet.
        net: The network.
        after: Moves the hooks' clock.
    """

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


@pytest.fixture
def world(bao: Bao, net: Devnet, connections: Connections, monkeypatch: pytest.MonkeyPatch) -> World:
    for seal in ({}, {"seal": "fernet", "seal_secret": FERNET.decode()}):
        away = "lit_away" + ("_fernet" if seal else "")
        connections.vault("vault_away", free_port(), bao.renewer)
        connections.lit(away, "vault_away", vault_path=KV_PATH, timeout_s=2, **seal)
    connections.lit("lit_another", vault_path=KV_PATH, wallet_address="0x" + "12" * 20)
    connections.lit("lit_unpinned", "vault_consumer")
    connections.lit("lit_nothing", vault_path="lit/nothing")
    renewer = LitHook("lit_renewer")
    session = renewer.open_session(ALL)
    container = LitClient(net.description).make_container(PLAINTEXT, conditions_for(bao.wallet.address))

    def after(time: timedelta) -> None:
        monkeypatch.setattr("lit_airflow.clock.now", lambda: datetime.now(UTC) + time)

    sealed = renewer.seal_plaintext(PLAINTEXT, data_hash="ab" * 32)
    return World(session, renewer.make_ticket(session), sealed, container, net, after)


STEPS: dict[str, Callable[[World], object]] = {
    "the key, Vault away": lambda _: LitHook("lit_away").get_wallet(),
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


@pytest.mark.parametrize("step", STEPS)
def test_no_secret_is_in_a_frame(bao: Bao, world: World, step: str) -> None:
    with pytest.raises(LitError) as caught:
        STEPS[step](world)
    shown = recorded(caught.value)
    assert "lit_airflow" in shown
    secrets = [bao.key.reveal(), bao.renewer.secret_id.reveal(), bao.consumer.secret_id.reveal(), FERNET]
    secrets += [PLAINTEXT[:20], *(secret.encode() for secret in world.session.secrets())]
    assert world.session.key is not None
    secrets.append(world.session.key.seed.reveal())
    assert [secret for secret in secrets if any(form in shown.encode() for form in forms(secret))] == []
    assert not TOKEN.search(shown.encode())

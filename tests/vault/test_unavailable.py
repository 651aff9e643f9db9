"""A Vault server that is sealed, restarted, away, slow or broken: which error comes, and if it can be retried."""

import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, Protocol

import pytest

from lit_airflow import Scope
from lit_airflow.errors import (
    LitError,
    SecretNotFoundError,
    TicketError,
    VaultUnavailableError,
)
from lit_airflow.hooks import LitHook
from lit_airflow.sandbox.vault_server import KV_MOUNT, KV_PATH, POLICIES
from tests.vault.parts import TOKEN, Bao, Connections, LastingBao, running_bao, told

SCOPE = Scope.to_decrypt("0" * 64 + "/" + "1" * 64)
READS = 'path "secret/data/lit/*" { capabilities = ["read"] }'


class ExpectError(Protocol):
    """Expects an error."""

    def __call__(
        self, kind: type[LitError], action: Callable[[], object], told_of: str, conn_id: str = ...
    ) -> LitError: ...


@pytest.fixture
def expect_error(request: pytest.FixtureRequest, tally: Counter[tuple[str, str]]) -> ExpectError:
    """The error of an action: of this kind, with a hint, naming the connection, telling no token."""
    name = request.function.__name__.removeprefix("test_").replace("_", " ")

    def expect(
        kind: type[LitError], action: Callable[[], object], told_of: str, conn_id: str = "vault_renewer"
    ) -> LitError:
        with pytest.raises(kind, match=told_of) as caught:
            action()
        tally[f"Vault: {name}", kind.__name__] += 1
        assert caught.value.hint
        assert conn_id in str(caught.value) or kind is TicketError
        assert not TOKEN.search(told(caught.value).encode())
        assert caught.value.retryable == (kind is VaultUnavailableError)
        return caught.value

    return expect


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LastingBao]:
    with running_bao(tmp_path_factory.mktemp("lasting"), LastingBao) as bao:
        yield bao


@pytest.fixture
def lasting(server: LastingBao, connections: Connections) -> LastingBao:
    """A server that may be sealed and stopped, behind the usual connections."""
    connections.renewer(server)
    connections.vault("vault_consumer", server.port, server.consumer)
    return server


def test_sealed_in_mid_run(lasting: LastingBao, expect_error: ExpectError) -> None:
    """After the key was read, before the ticket is sealed; and before it is opened."""
    hook, consumer = LitHook("lit_renewer"), LitHook("lit_consumer")
    session = hook.open_session(SCOPE)
    earlier = hook.make_ticket(session)
    lasting.admin.sys.seal()
    expect_error(VaultUnavailableError, lambda: hook.make_ticket(session), "sealed")
    expect_error(VaultUnavailableError, lambda: consumer.open_ticket(earlier), "sealed", "vault_consumer")
    for each in (hook, LitHook("lit_renewer")):  # with a token already, and before logging in
        error = expect_error(VaultUnavailableError, each.get_wallet, "sealed")
        for secret in (lasting.key.reveal().hex(), lasting.renewer.secret_id.reveal().decode()):
            assert secret not in told(error)
    lasting.unseal()
    assert consumer.open_ticket(hook.make_ticket(session)) == session
    assert consumer.open_ticket(earlier) == session


def test_restarted_in_mid_run(lasting: LastingBao, expect_error: ExpectError) -> None:
    """While it is down, while it is up and sealed, and afterwards with the token of before."""
    hook = LitHook("lit_renewer")
    session = hook.open_session(SCOPE)
    lasting.stop()
    expect_error(VaultUnavailableError, lambda: hook.make_ticket(session), "cannot be reached")
    lasting.start()
    lasting.unseal()
    with lasting.watched() as paths:
        assert LitHook("lit_consumer").open_ticket(hook.make_ticket(session)) == session
    assert paths[0] == "transit/encrypt/lit-sessions"


def test_a_version_that_was_destroyed(bao: Bao, connections: Connections, expect_error: ExpectError) -> None:
    bao.write("lit/destroyed", {"private_key": bao.key.reveal().hex()})
    connections.vault("vault_renewer", bao.port, bao.role("destroyed", READS))
    connections.lit("lit_renewer", vault_path="lit/destroyed")
    hook = LitHook("lit_renewer")
    assert hook.get_wallet().address == bao.wallet.address
    bao.admin.secrets.kv.v2.destroy_secret_versions("lit/destroyed", [1], mount_point=KV_MOUNT)
    expect_error(SecretNotFoundError, hook.get_wallet, "secret/lit/destroyed")
    bao.write("lit/destroyed", {"private_key": bao.key.reveal().hex()})
    assert hook.get_wallet().address == bao.wallet.address


def test_a_path_that_was_deleted(bao: Bao, connections: Connections, expect_error: ExpectError) -> None:
    bao.write("lit/gone", {"private_key": bao.key.reveal().hex()})
    connections.vault("vault_renewer", bao.port, bao.role("gone", READS))
    connections.lit("lit_renewer", vault_path="lit/gone")
    hook = LitHook("lit_renewer")
    assert hook.get_wallet().address == bao.wallet.address
    bao.admin.secrets.kv.v2.delete_metadata_and_all_versions("lit/gone", mount_point=KV_MOUNT)
    expect_error(SecretNotFoundError, hook.get_wallet, "secret/lit/gone")


@pytest.fixture
def own_key(bao: Bao, connections: Connections) -> Iterator[str]:
    """A Transit key for one test, in both connections' use."""
    name = "troubled"
    transit = bao.admin.secrets.transit
    transit.create_key(name)
    for role in ("renewer", "consumer"):
        policy = POLICIES[f"lit-{role}"].replace("/lit-sessions", f"/{name}")
        connections.vault(f"vault_{role}", bao.port, bao.role(f"troubled-{role}", policy))
    connections.lit("lit_renewer", vault_path=KV_PATH, transit_key=name)
    connections.lit("lit_consumer", "vault_consumer", transit_key=name)
    yield name
    transit.update_key_configuration(name, deletion_allowed=True)
    transit.delete_key(name)


def test_a_transit_key_that_was_rotated(
    bao: Bao, own_key: str, expect_error: ExpectError, tally: Counter[tuple[str, str]]
) -> None:
    """Old tickets open, until the minimum is raised; then they do not, and the error says why. New ones do."""
    renewer, consumer = LitHook("lit_renewer"), LitHook("lit_consumer")
    session = renewer.open_session(SCOPE)
    old = renewer.make_ticket(session)
    bao.admin.secrets.transit.rotate_key(own_key)
    new = renewer.make_ticket(session)
    assert [ticket["sealed"].split(":")[1] for ticket in (old, new)] == ["v1", "v2"]
    assert consumer.open_ticket(old) == consumer.open_ticket(new) == session
    tally["Vault: a transit key that was rotated", "opened"] += 1
    bao.admin.secrets.transit.update_key_configuration(own_key, min_decryption_version=2)
    error = expect_error(
        TicketError, lambda: consumer.open_ticket(old), "below the minimum that Vault still decrypts"
    )
    assert "run it again" in error.hint
    assert consumer.open_ticket(new) == session


def test_a_transit_key_that_was_replaced(bao: Bao, own_key: str, expect_error: ExpectError) -> None:
    """Deleted and made anew under its name, a key is another key."""
    renewer = LitHook("lit_renewer")
    old = renewer.make_ticket(renewer.open_session(SCOPE))
    transit = bao.admin.secrets.transit
    transit.update_key_configuration(own_key, deletion_allowed=True)
    transit.delete_key(own_key)
    expect_error(
        SecretNotFoundError,
        lambda: LitHook("lit_consumer").open_ticket(old),
        "no Transit key",
        "vault_consumer",
    )
    transit.create_key(own_key)
    expect_error(
        TicketError, lambda: LitHook("lit_consumer").open_ticket(old), "altered, or sealed under another key"
    )


def test_too_many_requests(bao: Bao, connections: Connections, expect_error: ExpectError) -> None:
    """A quota of the server: 429."""
    hook = LitHook("lit_renewer")
    session = hook.open_session(SCOPE)
    quota = "/v1/sys/quotas/rate-limit/narrow"
    bao.admin.adapter.post(quota, json={"path": "transit/", "rate": 1, "interval": "60s"})
    try:
        hook.make_ticket(session)
        expect_error(VaultUnavailableError, lambda: hook.make_ticket(session), "limits the rate of requests")
    finally:
        bao.admin.adapter.delete(quota)
    assert LitHook("lit_consumer").open_ticket(hook.make_ticket(session)) == session


class Wire:
    """A TCP relay in front of a server.

    Attributes:
        port: Where to connect.
        delay_s: Holds back each piece of the server's answer for so long.
        cut_after: Bytes of an answer after which the connection ends; ``None`` for never.
    """

    def __init__(self, to: int) -> None:
        self._to = to
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._over = threading.Event()
        self.port = int(self._listener.getsockname()[1])
        self.delay_s = 0.0
        self.cut_after: int | None = None
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._over.set()
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):  # until the listener is closed
            while True:
                near, _ = self._listener.accept()
                far = socket.create_connection(("127.0.0.1", self._to))
                for relay in (self._ask, self._answer):
                    threading.Thread(target=relay, args=(near, far), daemon=True).start()

    @staticmethod
    def _ask(near: socket.socket, far: socket.socket) -> None:
        with suppress(OSError):
            while piece := near.recv(65536):
                far.sendall(piece)

    def _answer(self, near: socket.socket, far: socket.socket) -> None:
        with near, far, suppress(OSError):
            while piece := far.recv(65536):
                if self._over.wait(self.delay_s):
                    return
                near.sendall(piece[: self.cut_after])
                if self.cut_after is not None:
                    near.shutdown(socket.SHUT_RDWR)
                    return


@pytest.fixture
def wire(bao: Bao) -> Iterator[Wire]:
    found = Wire(bao.port)
    yield found
    found.close()


@pytest.mark.parametrize(
    ("vault", "lit"),
    [({"client_kwargs": {"timeout": 1}}, {}), ({}, {"timeout_s": 1})],
    ids=["the Vault connection's time-out", "the Lit connection's"],
)
def test_a_slow_server(  # noqa: PLR0917 - fixtures
    bao: Bao,
    connections: Connections,
    wire: Wire,
    vault: dict[str, Any],
    lit: dict[str, Any],
    expect_error: ExpectError,
) -> None:
    connections.vault("vault_renewer", wire.port, bao.renewer, **vault)
    connections.lit("lit_renewer", vault_path=KV_PATH, **lit)
    hook = LitHook("lit_renewer")
    wire.delay_s = 0.1
    assert hook.get_wallet().address == bao.wallet.address
    session = hook.open_session(SCOPE)
    wire.delay_s = 3600
    started = time.monotonic()
    expect_error(VaultUnavailableError, lambda: hook.make_ticket(session), "cannot be reached")
    expect_error(VaultUnavailableError, LitHook("lit_renewer").get_wallet, "cannot be reached")
    assert time.monotonic() - started < 300


@pytest.mark.parametrize("sent", [0, 10, 300])
def test_a_connection_that_breaks(
    bao: Bao, connections: Connections, wire: Wire, sent: int, expect_error: ExpectError
) -> None:
    connections.vault("vault_renewer", wire.port, bao.renewer)
    hook = LitHook("lit_renewer")
    session = hook.open_session(SCOPE)
    wire.cut_after = sent
    expect_error(VaultUnavailableError, lambda: hook.make_ticket(session), "cannot be reached")
    wire.cut_after = None
    assert LitHook("lit_consumer").open_ticket(hook.make_ticket(session)) == session


def test_something_else_than_vault(connections: Connections, bao: Bao) -> None:
    """The devnet's control listens there: HTTP, JSON, and no Vault."""
    port = int(str(connections.net.description["control_url"]).rpartition(":")[2])
    connections.vault("vault_renewer", port, bao.renewer)
    with pytest.raises(LitError) as caught:
        LitHook("lit_renewer").get_wallet()
    assert "vault_renewer" in str(caught.value)
    assert bao.renewer.secret_id.reveal().decode() not in told(caught.value)

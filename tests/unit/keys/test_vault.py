"""Vault's API at a server that answers anything at all: typed errors, without a token or secret in their frames."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import hvac
import pytest

from lit_airflow.errors import (
    LitError,
    SecretError,
    SecretNotFoundError,
    TicketError,
    VaultDeniedError,
    VaultUnavailableError,
)
from lit_airflow.keys.secret import Secret
from lit_airflow.keys.vault import Token, Vault, Version
from lit_airflow.keys.vault_errors import named
from lit_airflow.keys.vault_token import TokenLogin
from tests.unit.frames import recorded

TOKEN = "hvs.CANARYTOKEN"
PLAINTEXT = b"canary-plaintext"


@dataclass
class Server:
    """A server with one answer to everything.

    Attributes:
        port: Where it listens.
        status: The answer's status.
        body: The answer.
        content_type: Its type.
    """

    port: int
    status: int = 200
    body: bytes = b"{}"
    content_type: str = "application/json"

    def answers(self, status: int, body: object, content_type: str = "application/json") -> None:
        self.status, self.content_type = status, content_type
        self.body = body if isinstance(body, bytes) else json.dumps(body).encode()


@pytest.fixture
def server() -> Iterator[Server]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", "0")))
            self.send_response(running.status)
            self.send_header("Content-Type", running.content_type)
            self.send_header("Content-Length", str(len(running.body)))
            self.end_headers()
            self.wfile.write(running.body)

        do_POST = do_PUT = do_GET  # noqa: N815 - http.server's names

        def log_message(self, *_arguments: object) -> None:
            """Keep the test's output clean."""

    listening = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    listening.daemon_threads = True
    running = Server(listening.server_port)
    thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield running
    listening.shutdown()
    listening.server_close()
    thread.join()


class PlainLogin:
    where, settings = "connection vault_renewer", "the Vault connection"

    def __init__(self, port: int) -> None:
        self._client = hvac.Client(f"http://127.0.0.1:{port}", token=TOKEN, timeout=5)

    def client(self) -> hvac.Client:
        return self._client

    again = client


def vault(port: int) -> Vault:
    return Vault(PlainLogin(port))


OPERATIONS: dict[str, Callable[[Vault], object]] = {
    "read_secret": lambda v: v.read_secret(mount="secret", path="lit/wallet", field="private_key"),
    "read_secret v1": lambda v: v.read_secret(
        mount="kv", path="lit/wallet", field="private_key", kv_version=1
    ),
    "read_version": lambda v: v.read_version(mount="secret", path="p", field="f"),
    "write_secret in place of a version": lambda v: v.write_secret(
        mount="secret", path="p", entry={"f": Secret(PLAINTEXT)}, replaces=Version(3)
    ),
    "write_secret": lambda v: v.write_secret(
        mount="secret", path="p", entry={"f": Secret(PLAINTEXT)}, ttl_s=60
    ),
    "write_secret v1": lambda v: v.write_secret(
        mount="kv", path="p", entry={"f": Secret(PLAINTEXT)}, kv_version=1
    ),
    "token": Vault.token,
    "seal": lambda v: v.seal(Secret(PLAINTEXT), b"facts", mount="transit", key="lit"),
    "open": lambda v: v.open("vault:v1:AAAA", b"facts", mount="transit", key="lit"),
    "read": lambda v: v.read("ethereum/accounts/lit"),
    "write": lambda v: v.write("ethereum/accounts/lit/sign", {"message": "text"}),
}


def failed(kind: type[LitError], server: Server, name: str, *, port: int | None = None) -> LitError:
    """The error of an operation, which names the server and contains no secret."""
    with pytest.raises(kind) as caught:
        OPERATIONS[name](vault(port or server.port))
    error = caught.value
    assert error.hint
    assert error.__context__ is None
    assert kind is TicketError or PlainLogin.where in str(error)
    shown = recorded(error)
    for secret in (TOKEN, PLAINTEXT.decode(), "canary"):
        assert secret not in shown
    return error


@pytest.mark.parametrize("name", OPERATIONS)
@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (401, VaultDeniedError),
        (403, VaultDeniedError),
        (404, SecretNotFoundError),
        (429, VaultUnavailableError),
        (500, VaultUnavailableError),
        (501, VaultUnavailableError),
        (502, VaultUnavailableError),
        (503, VaultUnavailableError),
        (418, VaultUnavailableError),
    ],
)
def test_each_status_is_a_typed_error(server: Server, name: str, status: int, kind: type[LitError]) -> None:
    server.answers(status, {"errors": ["canary"]})
    if (status, name) == (404, "token"):
        kind = VaultDeniedError  # it is the login that does not exist
    error = failed(kind, server, name)
    assert error.retryable is (kind is VaultUnavailableError)
    assert f"127.0.0.1:{server.port}" in str(error)


@pytest.mark.parametrize("name", OPERATIONS)
def test_a_server_that_refuses_the_connection_is_named_with_host_and_port(server: Server, name: str) -> None:
    error = failed(VaultUnavailableError, server, name, port=1)
    assert "cannot be reached" in str(error)
    assert "127.0.0.1:1" in str(error)


@pytest.mark.parametrize("name", OPERATIONS)
def test_a_bad_request(server: Server, name: str) -> None:
    server.answers(400, {"errors": ["canary"]})
    failed(TicketError if name == "open" else VaultDeniedError, server, name)
    server.answers(400, b"Client sent an HTTP request to an HTTPS server.\n", "text/plain")
    assert "expects TLS" in str(failed(VaultUnavailableError, server, name))


@pytest.mark.parametrize("name", ["seal", "open"])
def test_a_transit_key_that_does_not_exist(server: Server, name: str) -> None:
    server.answers(400, {"errors": ["encryption key not found"]})
    assert "no Transit key" in str(failed(SecretNotFoundError, server, name))


NOT_VAULT: list[tuple[object, str]] = [
    ({}, "application/json"),
    ([], "application/json"),
    ({"data": None}, "application/json"),
    ({"data": ["canary"]}, "application/json"),
    ({"data": {"data": ["canary"], "other": "canary"}}, "application/json"),
    ({"data": {"policies": "default", "ttl": "long", "ciphertext": 5, "plaintext": "*"}}, "application/json"),
    (b"<html>canary</html>", "text/html"),
    (b"", "text/html"),
]


@pytest.mark.parametrize(
    "name", ["token", "seal", "open", "read_secret", "read_secret v1", "read_version", "write_secret"]
)
@pytest.mark.parametrize(("body", "content_type"), NOT_VAULT, ids=range(len(NOT_VAULT)))
def test_an_answer_that_is_not_one_of_vaults(
    server: Server, name: str, body: object, content_type: str
) -> None:
    server.answers(200, body, content_type)
    kind = SecretNotFoundError if name.startswith("read_secret") else VaultUnavailableError
    failed(kind, server, name)


@pytest.mark.parametrize("name", ["read", "write"])
@pytest.mark.parametrize(("body", "content_type"), NOT_VAULT[:4] + NOT_VAULT[6:], ids=range(6))
def test_an_engine_may_answer_without_data(
    server: Server, name: str, body: object, content_type: str
) -> None:
    server.answers(200, body, content_type)
    assert OPERATIONS[name](vault(server.port)) == {}


@pytest.mark.parametrize("value", [None, "", " \n", 7, ["x"], {"x": "y"}])
def test_a_field_without_text_does_not_show_the_other_fields(server: Server, value: object) -> None:
    server.answers(200, {"data": {"private_key": value, "other": "canary"}})
    error = failed(SecretNotFoundError, server, "read_secret v1")
    assert '"private_key"' in str(error) or "private_key" in str(error)


def test_what_vault_answers_is_returned(server: Server) -> None:
    running = vault(server.port)
    server.answers(200, {"data": {"data": {"private_key": "0x11"}}})
    assert OPERATIONS["read_secret"](running) == Secret(b"0x11")
    server.answers(200, {"data": {"private_key": "0x22"}})
    assert OPERATIONS["read_secret v1"](running) == Secret(b"0x22")
    server.answers(200, {"data": {"policies": ["default", "lit"], "ttl": 60}})
    assert running.token() == Token(("default", "lit"), 60)
    server.answers(200, {"data": {"ciphertext": "vault:v1:x", "plaintext": "eHk="}})
    assert OPERATIONS["seal"](running) == "vault:v1:x"
    assert OPERATIONS["open"](running) == Secret(b"xy")
    assert OPERATIONS["read"](running) == {"ciphertext": "vault:v1:x", "plaintext": "eHk="}


WRITTEN = {"version": 4, "created_time": "2026-01-01T00:00:00.123456789Z", "deletion_time": ""}
DELETED = WRITTEN | {"deletion_time": "2026-01-01T00:01:00.123456789Z"}


def test_versions(server: Server) -> None:
    running = vault(server.port)
    server.answers(200, {"data": {"data": {"f": "x"}, "metadata": WRITTEN}})
    assert OPERATIONS["read_version"](running) == (Secret(b"x"), Version(4))
    server.answers(404, {"data": {"data": None, "metadata": DELETED}})
    assert OPERATIONS["read_version"](running) == (None, Version(4, 60.0))
    server.answers(200, {"data": DELETED})
    assert OPERATIONS["write_secret in place of a version"](running) == Version(4, 60.0)
    assert OPERATIONS["write_secret v1"](running) == Version(0)
    server.answers(400, {"errors": ["check-and-set parameter did not match the current version"]})
    assert OPERATIONS["write_secret in place of a version"](running) is None


@pytest.mark.parametrize(
    "change",
    [{"version": "4"}, {"version": None}, {"created_time": ""}, {"created_time": 5}, {"deletion_time": "x"}],
)
def test_a_version_that_is_not_one_of_vaults(server: Server, change: dict[str, object]) -> None:
    server.answers(200, {"data": WRITTEN | change})
    failed(VaultUnavailableError, server, "write_secret")


class RefusedLogin(PlainLogin):
    def client(self) -> hvac.Client:
        raise SecretError("No login.")


def test_an_error_of_the_login_is_not_changed(server: Server) -> None:
    running: Any = Vault(RefusedLogin(server.port))
    for operation in OPERATIONS.values():
        with pytest.raises(SecretError, match=r"^No login\.$"):
            operation(running)


def test_a_login_file_that_cannot_be_read(server: Server) -> None:
    class FileLogin(PlainLogin):
        def client(self) -> hvac.Client:
            raise FileNotFoundError(2, "No such file or directory", "/var/run/token")

    with pytest.raises(VaultDeniedError, match="No such file") as caught:
        Vault(FileLogin(server.port)).token()
    assert caught.value.__context__ is None


@pytest.mark.parametrize("prefix", ["VAULT", "BAO"])
def test_a_login_of_the_environment_is_named_by_its_variables(server: Server, prefix: str) -> None:
    variables = {f"{prefix}_ADDR": f"http://user:canary@127.0.0.1:{server.port}", f"{prefix}_TOKEN": TOKEN}
    running = Vault(TokenLogin(variables, timeout_s=5))
    server.answers(503, {"errors": []})
    with pytest.raises(VaultUnavailableError) as caught:
        running.token()
    assert caught.value.message.startswith(f"Vault ({prefix}_ADDR, 127.0.0.1:{server.port}) ")
    assert "canary" not in recorded(caught.value)
    server.answers(200, {})
    with pytest.raises(VaultUnavailableError) as caught:
        running.token()
    assert str(caught.value).count(str(server.port)) == 1
    assert f"the environment ({prefix}_ADDR, {prefix}_TOKEN)" in str(caught.value.hint)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://vault.example.org:8200/v1/x", "connection v, vault.example.org:8200"),
        ("https://vault.example.org/v1/x", "connection v, vault.example.org:443"),
        ("http://vault.example.org", "connection v, vault.example.org:80"),
        ("https://user:word@[::1]/v1/x", "connection v, [::1]:443"),
        ("", "connection v"),
    ],
)
def test_messages_name_host_and_port(url: str, expected: str) -> None:
    assert named(OSError(), "connection v", url) == expected

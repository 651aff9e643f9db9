"""The certificate of each new TLS connection can be checked before anything is sent on it."""

from __future__ import annotations

import re
import socket
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from lit_airflow.clock import Deadline
from lit_airflow.devnet.chipotle.enclave import LocalEnclave
from lit_airflow.errors import AttestationError, NodeError
from lit_airflow.transport.http import Http

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Type: application/json\r\n\r\n{}"


@dataclass
class TlsServer:
    """A server, and what it has received behind TLS."""

    certificates: LocalEnclave
    listening: socket.socket = field(default_factory=lambda: socket.create_server(("127.0.0.1", 0)))
    received: list[bytes] = field(default_factory=list)
    closed: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.listening.getsockname()[1]}/"

    @property
    def certificate(self) -> bytes:
        return x509.load_pem_x509_certificate(self.certificates.certificate).public_bytes(Encoding.DER)

    def serve(self) -> None:
        while True:
            try:
                accepted, _ = self.listening.accept()
            except OSError:
                return
            self.talk(accepted)

    def talk(self, accepted: socket.socket) -> None:
        """One connection, until the client closes it; through a tunnel if it asks for one."""
        with accepted:
            if accepted.recv(7, socket.MSG_PEEK) == b"CONNECT":
                _whole_request(accepted)
                accepted.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            try:
                with self.certificates.tls.wrap_socket(accepted, server_side=True) as secured:
                    while request := _whole_request(secured):
                        self.received.append(request)
                        secured.sendall(ANSWER)
            except OSError:
                pass
        self.closed.release()


def _whole_request(source: socket.socket) -> bytes:
    """A request, which may come in several pieces; nothing if the client has closed the connection."""
    read = b""
    while (piece := source.recv(65536)) and (read := read + piece):
        head, end, body = read.partition(b"\r\n\r\n")
        length = re.search(rb"content-length: (\d+)", head.lower())
        if end and len(body) == int(length[1] if length else 0):
            return read
    return b""


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[TlsServer]:
    running = TlsServer(LocalEnclave.certified(datetime.now(UTC)))
    authority = tmp_path / "ca.pem"
    authority.write_bytes(running.certificates.ca_pem)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(authority))
    thread = threading.Thread(target=running.serve, daemon=True)
    thread.start()
    yield running
    running.listening.shutdown(socket.SHUT_RDWR)
    running.listening.close()
    thread.join(10)


def refuse(_: bytes) -> None:
    raise AttestationError("another certificate", check="certificate")


@pytest.fixture(params=["direct", "proxy"])
def way(request: pytest.FixtureRequest, server: TlsServer, monkeypatch: pytest.MonkeyPatch) -> str:
    """Direct, or through the tunnel of a proxy; here the server is its own proxy."""
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.setenv(name, "")
    if request.param == "proxy":
        monkeypatch.setenv("https_proxy", server.url.replace("https", "http"))
    return str(request.param)


@pytest.mark.usefixtures("way")
def test_the_certificate_is_checked_once_for_each_connection(server: TlsServer) -> None:
    seen: list[bytes] = []
    http = Http(check_certificate=seen.append)
    for _ in range(2):
        assert http.post(server.url, "{}", deadline=Deadline.after(20)).status == 200
    assert [sha256(der).digest() for der in seen] == [sha256(server.certificate).digest()]
    http.close()


@pytest.mark.usefixtures("way")
def test_a_refused_connection_carries_nothing(server: TlsServer) -> None:
    http = Http(check_certificate=refuse)
    with pytest.raises(AttestationError):
        http.post(server.url, '{"secret": 1}', deadline=Deadline.after(20))
    assert server.closed.acquire(timeout=20)  # the client closed it
    assert server.received == []
    http.close()


@pytest.mark.usefixtures("way")
def test_what_tls_itself_refuses_is_refused_first(
    server: TlsServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stranger = tmp_path / "stranger.pem"
    stranger.write_bytes(LocalEnclave.certified(datetime.now(UTC)).ca_pem)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(stranger))
    seen: list[bytes] = []
    with pytest.raises(NodeError, match="TLS failed") as caught:
        Http(check_certificate=seen.append).get(server.url, deadline=Deadline.after(20))
    assert (caught.value.sent, caught.value.retryable) == (False, False)
    assert seen == []


def test_a_certificate_for_another_host_is_refused(server: TlsServer) -> None:
    server.certificates.host = "elsewhere.example"
    server.certificates.renew_certificate()
    with pytest.raises(NodeError, match="TLS failed"):
        Http(check_certificate=lambda _: None).get(server.url, deadline=Deadline.after(20))


def test_through_an_https_proxy_nothing_is_sent(server: TlsServer, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.setenv(name, "")
    monkeypatch.setenv("https_proxy", server.url)
    with pytest.raises(NodeError):
        Http(check_certificate=lambda _: None).post(
            "https://service.example/", '{"secret": 1}', deadline=Deadline.after(20)
        )
    assert not any(b"secret" in request for request in server.received)


def test_without_a_check_connections_are_as_before(server: TlsServer) -> None:
    http = Http()
    assert http.get(server.url, deadline=Deadline.after(20)).status == 200
    assert isinstance(server.certificates.tls, ssl.SSLContext)
    http.close()

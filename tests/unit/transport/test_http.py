from __future__ import annotations

import base64
import http.client
import ipaddress
import json
import os
import socket
import ssl
import subprocess
import sys
import threading
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import requests
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from lit_airflow import clock
from lit_airflow.clock import Deadline
from lit_airflow.errors import FailureKind, NodeError, ProtocolError
from lit_airflow.transport.http import Http, Repeat, Response

if TYPE_CHECKING:
    from tests.unit.http_server import FaultyServer


OK = {"ok": True}


def post(url: str, within_s: float = 10, **options: Any) -> Response:  # noqa: ANN401 - those of Http.post
    return Http().post(url, "{}", deadline=Deadline.after(within_s), **options)


def failed(url: str, within_s: float = 10, **options: Any) -> NodeError:  # noqa: ANN401 - those of Http.post
    with pytest.raises(NodeError) as caught:
        post(url, within_s, **options)
    return caught.value


@pytest.fixture
def closed_port() -> str:
    """A URL where nobody listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{free.getsockname()[1]}/"


@pytest.fixture
def full_port() -> Iterator[str]:
    """A URL whose server accepts nobody: its queue is full, so a further connection is not answered."""
    with socket.socket() as listening, ExitStack() as waiting:
        listening.bind(("127.0.0.1", 0))
        listening.listen(0)
        for _ in range(4):
            client = waiting.enter_context(socket.socket())
            client.setblocking(False)  # noqa: FBT003 - socket's
            client.connect_ex(listening.getsockname())
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/"


@pytest.fixture
def dialled(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The port of each connection that is tried."""
    ports: list[int] = []
    connect = socket.socket.connect

    def noted(self: socket.socket, address: Any) -> None:  # noqa: ANN401 - as the socket module has it
        ports.append(address[1])
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", noted)
    return ports


def test_what_is_sent(faulty_server: FaultyServer) -> None:
    body = '{"text":"naïve → 5"}'
    answer = Http().post(
        faulty_server.url + "/json", body, deadline=Deadline.after(5), headers={"X-Request-Id": "lit_1"}
    )
    assert (answer.status, answer.json()) == (200, OK)
    ((path, headers, sent),) = faulty_server.seen
    assert (path, sent) == ("/json", body)
    assert headers["content-type"] == headers["accept"] == "application/json"
    assert headers["x-request-id"] == "lit_1"


def test_a_text_that_cannot_be_encoded_is_not_sent(faulty_server: FaultyServer) -> None:
    with pytest.raises(ProtocolError, match="unpaired surrogate"):
        Http().post(faulty_server.url + "/json", "\ud800", deadline=Deadline.after(5))
    assert faulty_server.seen == []


def test_getting(faulty_server: FaultyServer) -> None:
    answer = Http().get(faulty_server.url + "/json", deadline=Deadline.after(5), headers={"X-Asked": "1"})
    assert (answer.status, answer.json()) == (200, OK)
    ((path, headers, sent),) = faulty_server.seen
    assert (path, sent, headers["x-asked"]) == ("/json", "", "1")
    assert "content-type" not in headers


class TestStatuses:
    """A server's answer is returned, whatever it is."""

    @pytest.mark.parametrize("path", ["/redirect", "/see-other"])
    def test_redirects_are_not_followed(self, faulty_server: FaultyServer, path: str) -> None:
        answer = post(faulty_server.url + path)
        assert answer.status in (303, 307)
        assert not answer.succeeded
        assert [seen[0] for seen in faulty_server.seen] == [path]

    def test_a_refusal(self, faulty_server: FaultyServer) -> None:
        answer = post(faulty_server.url + "/401", repeat=Repeat.ALWAYS)
        assert (answer.status, answer.succeeded) == (401, False)
        assert answer.json() == {"errorCode": "NodeNotAuthorized", "message": "sig=SECRET"}
        assert faulty_server.count("/401") == 1
        assert "SECRET" not in repr(answer)

    @pytest.mark.parametrize("path", ["/not-json", "/text", "/no-content", "/deep"])
    def test_what_is_not_json(self, faulty_server: FaultyServer, path: str) -> None:
        answer = post(faulty_server.url + path, repeat=Repeat.ALWAYS)
        assert answer.succeeded
        assert answer.json() is None
        assert faulty_server.count(path) == 1

    @pytest.mark.parametrize(("status", "succeeded"), [(199, False), (200, True), (299, True), (300, False)])
    def test_the_class_of_success(self, status: int, succeeded: bool) -> None:  # noqa: FBT001
        assert Response(status, {}, b"", 0).succeeded is succeeded

    @pytest.mark.parametrize(
        ("text", "wait_s"),
        [
            ("0", 0),
            ("7", 7),
            ("9" * 12, None),
            ("9" * 400, None),
            ("", None),
            ("-1", None),
            ("1.5", None),
            ("soon", None),
            ("٣", None),
        ],
    )
    def test_how_long_a_server_asks_to_wait(self, text: str, wait_s: float | None) -> None:
        assert Response(429, {"Retry-After": text}, b"", 0).retry_after_s == wait_s
        assert Response(429, {}, b"", 0).retry_after_s is None

    @pytest.mark.parametrize(
        ("text", "date"),
        [
            ("Thu, 15 Jan 2026 12:00:00 GMT", datetime(2026, 1, 15, 12, tzinfo=UTC)),
            ("Thu, 15 Jan 2026 14:00:00 +0200", datetime(2026, 1, 15, 12, tzinfo=UTC)),
            ("", None),
            ("today", None),
            ("Thu, 15 Jan 99999 12:00:00 GMT", None),
        ],
    )
    def test_the_servers_clock(self, text: str, date: datetime | None) -> None:
        assert Response(200, {"Date": text}, b"", 0).date == date


class TestRepeating:
    """A request is sent once, unless the caller says that it may be sent again."""

    @pytest.mark.parametrize("path", ["/429", "/500", "/500-always", "/reset", "/hang-up", "/cut-short"])
    @pytest.mark.parametrize("repeat", [None, Repeat.NEVER, Repeat.IF_UNSENT])
    def test_what_may_have_arrived_is_sent_once(
        self, faulty_server: FaultyServer, path: str, repeat: Repeat | None
    ) -> None:
        options = {} if repeat is None else {"repeat": repeat}
        with suppress(NodeError):
            assert post(faulty_server.url + path, **options).status in (429, 500)
        assert faulty_server.count(path) == 1

    @pytest.mark.parametrize("path", ["/429", "/500"])
    def test_what_only_reads_is_sent_again(self, faulty_server: FaultyServer, path: str) -> None:
        assert post(faulty_server.url + path, repeat=Repeat.ALWAYS).json() == OK
        assert faulty_server.count(path) == 2
        assert Http().get(faulty_server.url + path, deadline=Deadline.after(5)).json() == OK

    @pytest.mark.parametrize(("path", "status"), [("/500-always", 500), ("/html-502", 502)])
    def test_three_times(self, faulty_server: FaultyServer, path: str, status: int) -> None:
        assert post(faulty_server.url + path, repeat=Repeat.ALWAYS).status == status
        assert faulty_server.count(path) == 3
        assert Http().get(faulty_server.url + path, deadline=Deadline.after(5)).status == status
        assert faulty_server.count(path) == 6

    @pytest.mark.parametrize("path", ["/reset", "/hang-up", "/cut-short"])
    def test_broken_connections(self, faulty_server: FaultyServer, path: str) -> None:
        error = failed(faulty_server.url + path, repeat=Repeat.ALWAYS)
        assert (error.status, error.kind, error.retryable) == (None, FailureKind.UNREACHABLE, True)
        assert faulty_server.count(path) == 3

    @pytest.mark.parametrize(
        ("repeat", "attempts"), [(Repeat.NEVER, 1), (Repeat.IF_UNSENT, 3), (Repeat.ALWAYS, 3)]
    )
    def test_a_refused_connection(
        self, closed_port: str, dialled: list[int], repeat: Repeat, attempts: int
    ) -> None:
        error = failed(closed_port, repeat=repeat)
        assert (str(error), error.sent) == ("connection refused", False)
        assert len(dialled) == attempts

    def test_what_was_refused_arrives_once(
        self, faulty_server: FaultyServer, dialled: list[int], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        connect = socket.socket.connect

        def refused_at_first(self: socket.socket, address: Any) -> None:  # noqa: ANN401 - as the socket module has it
            if not dialled:
                dialled.append(address[1])
                raise ConnectionRefusedError
            connect(self, address)

        monkeypatch.setattr(socket.socket, "connect", refused_at_first)
        assert post(faulty_server.url + "/json", repeat=Repeat.IF_UNSENT).json() == OK
        assert (len(dialled), faulty_server.count("/json")) == (2, 1)

    def test_a_long_retry_after_is_not_waited_for(
        self, faulty_server: FaultyServer, stopwatch: Callable[[], float]
    ) -> None:
        answer = post(faulty_server.url + "/429-for-long", within_s=1, repeat=Repeat.ALWAYS)
        assert (answer.status, answer.retry_after_s) == (429, 3600)
        assert stopwatch() < 300


class TestFailures:
    """What a request that got no answer says, by what broke it."""

    @pytest.mark.parametrize(
        ("path", "kind", "message"),
        [
            ("/silent", FailureKind.TIMEOUT, "no answer in time"),
            ("/slow-body", FailureKind.TIMEOUT, "the answer did not end in time"),
            ("/reset", FailureKind.UNREACHABLE, "the server closed the connection without an answer"),
            ("/hang-up", FailureKind.UNREACHABLE, "the server closed the connection without an answer"),
            ("/cut-short", FailureKind.UNREACHABLE, "the connection broke"),
            ("/huge", FailureKind.MALFORMED, "the answer is longer than 4194304 bytes"),
            ("/bomb", FailureKind.MALFORMED, "the answer is compressed, which was not accepted"),
        ],
    )
    def test_after_it_was_sent(
        self, faulty_server: FaultyServer, path: str, kind: FailureKind, message: str
    ) -> None:
        error = failed(faulty_server.url + path, 0.5 if kind is FailureKind.TIMEOUT else 5)
        assert (error.kind, str(error), error.sent) == (kind, message, True)
        assert faulty_server.count(path) == 1

    def test_connection_refused(self, closed_port: str) -> None:
        error = failed(closed_port)
        assert (error.kind, str(error)) == (FailureKind.UNREACHABLE, "connection refused")
        assert (error.sent, error.retryable) == (False, True)

    def test_a_name_that_does_not_resolve(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def unknown(*_arguments: object) -> None:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

        monkeypatch.setattr(socket, "getaddrinfo", unknown)
        error = failed("http://node.invalid:7470/")
        assert (error.kind, str(error)) == (FailureKind.UNREACHABLE, "its name does not resolve")
        assert (error.sent, error.retryable) == (False, True)

    def test_a_server_that_accepts_nobody(self, full_port: str) -> None:
        error = failed(full_port, 0.5)
        assert (error.kind, str(error), error.sent) == (FailureKind.TIMEOUT, "no answer in time", False)

    def test_tls_where_there_is_none(self, faulty_server: FaultyServer) -> None:
        error = failed(faulty_server.url.replace("http:", "https:") + "/json", repeat=Repeat.ALWAYS)
        assert (error.kind, error.sent, error.retryable) == (FailureKind.TLS, False, False)
        assert str(error).startswith(
            "TLS failed: the certificate or the protocol was refused; REQUESTS_CA_BUNDLE"
        )

    def test_certificates_that_cannot_be_read(
        self, faulty_server: FaultyServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/no/such/file.pem")
        error = failed(faulty_server.url.replace("http:", "https:") + "/json")
        assert (error.kind, error.sent) == (FailureKind.TLS, False)
        assert str(error) == "TLS failed: the CA certificates cannot be read"

    def test_a_deadline_that_is_over_sends_nothing(self, faulty_server: FaultyServer) -> None:
        error = failed(faulty_server.url + "/json", 0)
        assert (error.kind, error.sent) == (FailureKind.TIMEOUT, False)
        assert faulty_server.seen == []

    @pytest.mark.parametrize("path", ["/silent", "/slow-headers", "/slow-body"])
    def test_the_deadline_holds(
        self, faulty_server: FaultyServer, stopwatch: Callable[[], float], path: str
    ) -> None:
        """Also where single bytes keep coming, each well within any time-out for one read."""
        assert "in time" in str(failed(faulty_server.url + path, 0.5, repeat=Repeat.ALWAYS))
        assert stopwatch() < 300


@pytest.mark.parametrize("path", ["/slow-headers", "/slow-body"])
def test_the_deadline_holds_through_a_proxy(
    faulty_server: FaultyServer,
    monkeypatch: pytest.MonkeyPatch,
    stopwatch: Callable[[], float],
    path: str,
) -> None:
    monkeypatch.setenv("HTTP_PROXY", faulty_server.url)
    monkeypatch.setenv("NO_PROXY", "")
    assert "in time" in str(failed("http://node.invalid:7470" + path, 0.5))
    assert stopwatch() < 300


SOCKS = """
import socket

PROXY_TYPE_SOCKS4, PROXY_TYPE_SOCKS5, ProxyError = 1, 2, OSError


def create_connection(_server, *, proxy_addr, proxy_port, timeout, **_options):
    return socket.create_connection((proxy_addr, proxy_port), timeout)
"""
ASK = """
import sys
from lit_airflow.clock import Deadline
from lit_airflow.transport.http import Http

Http().get(sys.argv[1], deadline=Deadline.after(0.5))
"""


@pytest.mark.parametrize("path", ["/slow-headers", "/slow-body"])
def test_the_deadline_holds_through_a_socks_proxy(
    faulty_server: FaultyServer, tmp_path: Path, path: str
) -> None:
    (tmp_path / "socks.py").write_text(
        SOCKS
    )  # in place of the package that requests needs; the server answers
    done = subprocess.run(
        [sys.executable, "-c", ASK, f"http://node.invalid:7470{path}"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path]), "NO_PROXY": "",
             "HTTP_PROXY": faulty_server.url.replace("http", "socks5")},
        capture_output=True, text=True, check=False, timeout=600,
    )  # fmt: skip
    assert done.stderr.splitlines()[-1].endswith("in time")
    assert faulty_server.count(path) == 1


def test_a_huge_answer_is_not_read_to_its_end(
    faulty_server: FaultyServer, stopwatch: Callable[[], float]
) -> None:
    assert "longer than 1000 bytes" in str(failed(faulty_server.url + "/huge", max_bytes=1000))
    assert stopwatch() < 300


def test_a_bomb_is_not_unpacked(faulty_server: FaultyServer) -> None:
    tracemalloc.start()
    try:
        assert "compressed" in str(failed(faulty_server.url + "/bomb"))
        assert tracemalloc.get_traced_memory()[1] < 16 * 1024 * 1024
    finally:
        tracemalloc.stop()
    assert faulty_server.seen[0][1]["accept-encoding"] == "identity"


class TestCredentials:
    def test_those_in_netrc_are_not_used(
        self, faulty_server: FaultyServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        netrc = tmp_path / ".netrc"
        netrc.write_text("machine 127.0.0.1 login somebody password SECRET\n")
        netrc.chmod(0o600)
        monkeypatch.setenv("HOME", str(tmp_path))
        monkeypatch.setenv("NETRC", str(netrc))
        assert requests.utils.get_netrc_auth(faulty_server.url) == ("somebody", "SECRET")
        http = Http()
        http.post(faulty_server.url + "/json", "{}", deadline=Deadline.after(5))
        http.get(faulty_server.url + "/json", deadline=Deadline.after(5))
        assert ["authorization" in headers for _, headers, _ in faulty_server.seen] == [False, False]

    def test_those_in_the_url_are(self, faulty_server: FaultyServer) -> None:
        post(faulty_server.url.replace("//", "//customer:k%40y@") + "/json")
        ((_, headers, _),) = faulty_server.seen
        assert headers["authorization"] == "Basic " + base64.b64encode(b"customer:k@y").decode()


def test_cancelling_stops_the_retries(faulty_server: FaultyServer, stopwatch: Callable[[], float]) -> None:
    cancelled = threading.Event()
    threading.Timer(0.2, cancelled.set).start()
    answer = post(
        faulty_server.url + "/429-for-long", within_s=7200, repeat=Repeat.ALWAYS, cancelled=cancelled
    )
    assert answer.status == 429
    assert stopwatch() < 300
    assert faulty_server.count("/429-for-long") <= 2


def test_requests_to_one_url_share_nothing_but_the_connection(faulty_server: FaultyServer) -> None:
    asking = Http()
    for number in range(3):
        body = json.dumps({"number": number, "pad": "x" * number})
        headers = {"X-Request-Id": f"lit_{number}", **({"X-First": "1"} if number == 0 else {})}
        asking.post(faulty_server.url + "/json", body, deadline=Deadline.after(5), headers=headers)
    for number, (_, headers, body) in enumerate(faulty_server.seen):
        assert json.loads(body)["number"] == number
        assert headers["x-request-id"] == f"lit_{number}"
        assert ("x-first" in headers) == (number == 0)
        assert "cookie" not in headers


def test_a_request_is_sent_in_one_piece(faulty_server: FaultyServer, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[bytes] = []
    send = http.client.HTTPConnection.send

    def noted(connection: http.client.HTTPConnection, data: bytes) -> None:
        sent.append(bytes(data))
        send(connection, data)

    monkeypatch.setattr(http.client.HTTPConnection, "send", noted)
    asking = Http()
    for number in range(2):
        asking.post(faulty_server.url + "/json", f'{{"number": {number}}}', deadline=Deadline.after(5))
    assert [data.partition(b"\r\n\r\n")[2] for data in sent] == [b'{"number": 0}', b'{"number": 1}']


def test_the_environments_proxy_is_used(faulty_server: FaultyServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", faulty_server.url)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    asking = Http()
    for url in ("http://node.invalid:7470/json", faulty_server.url + "/json"):
        assert asking.post(url, "{}", deadline=Deadline.after(5)).json() == OK
    assert [path for path, _, _ in faulty_server.seen] == ["http://node.invalid:7470/json", "/json"]


class _Agreeing(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = b'{"ok": true}'
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_arguments: object) -> None:
        """Keep the test's output clean."""


@pytest.fixture
def tls_server(tmp_path: Path) -> Callable[[type[BaseHTTPRequestHandler]], tuple[str, Path]]:
    """Starts servers with a certificate that nobody has signed but itself; returns URL and certificate."""

    def started(handler: type[BaseHTTPRequestHandler]) -> tuple[str, Path]:
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "node")])
        place = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
        made = (
            x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
            .not_valid_before(clock.now() - timedelta(hours=1))
            .not_valid_after(clock.now() + timedelta(hours=1))
            .add_extension(place, critical=False)
            .sign(key, hashes.SHA256())
        )
        certificate, secret = tmp_path / "node.pem", tmp_path / "node.key"
        certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))
        pem, pkcs8 = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
        secret.write_bytes(key.private_bytes(pem, pkcs8, serialization.NoEncryption()))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, secret)
        listening = HTTPServer(("127.0.0.1", 0), handler)
        listening.socket = context.wrap_socket(listening.socket, server_side=True)
        threading.Thread(target=listening.serve_forever, args=(0.02,), daemon=True).start()
        return f"https://127.0.0.1:{listening.server_port}/", certificate

    return started


class TestTls:
    @pytest.fixture
    def server(
        self, tls_server: Callable[[type[BaseHTTPRequestHandler]], tuple[str, Path]]
    ) -> tuple[str, Path]:
        return tls_server(_Agreeing)

    def test_an_unknown_certificate_is_refused(self, server: tuple[str, Path]) -> None:
        with pytest.raises(NodeError, match="TLS failed"):
            post(server[0])

    @pytest.mark.parametrize(
        ("variable", "value"),
        [
            ("PYTHONHTTPSVERIFY", "0"),
            ("REQUESTS_CA_BUNDLE", ""),
            ("CURL_CA_BUNDLE", ""),
            ("REQUESTS_CA_BUNDLE", "False"),
            ("SSL_CERT_FILE", "/dev/null"),
        ],
    )
    def test_the_environment_does_not_switch_it_off(
        self, server: tuple[str, Path], variable: str, value: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv(variable, value)
        with pytest.raises(NodeError):
            post(server[0])

    def test_a_good_certificate_for_another_name_is_refused(
        self, server: tuple[str, Path], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(server[1]))
        with pytest.raises(NodeError, match="TLS failed"):
            post(server[0].replace("127.0.0.1", "localhost"))

    @pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
    def test_the_environments_certificates_are_good(
        self, server: tuple[str, Path], variable: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("REQUESTS_CA_BUNDLE", raising=False)
        monkeypatch.setenv(variable, str(server[1]))
        assert post(server[0]).json() == OK


class _Breaking(_Agreeing):
    """Reads the request, and breaks TLS with bytes that belong to none, as anybody on the way can."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        socket.socket.sendall(self.connection, b"no record of TLS at all")
        self.close_connection = True


@pytest.mark.parametrize("repeat", Repeat)
def test_an_answer_that_tls_lost_was_sent(
    tls_server: Callable[[type[BaseHTTPRequestHandler]], tuple[str, Path]],
    monkeypatch: pytest.MonkeyPatch,
    repeat: Repeat,
) -> None:
    url, certificate = tls_server(_Breaking)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    with pytest.raises(NodeError) as caught:
        post(url, repeat=repeat)
    assert (caught.value.sent, caught.value.kind) == (True, FailureKind.UNREACHABLE)


def test_only_failures_load_what_tries_again(faulty_server: FaultyServer) -> None:
    program = """
import sys
from lit_airflow.clock import Deadline
from lit_airflow.transport.http import Http
Http().post(sys.argv[1] + "/json", "{}", deadline=Deadline.after(5))
assert "tenacity" not in sys.modules
Http().post(sys.argv[1] + "/429", "{}", deadline=Deadline.after(5))
assert "tenacity" not in sys.modules
Http().get(sys.argv[1] + "/500", deadline=Deadline.after(5))
assert "tenacity" in sys.modules
"""
    subprocess.run([sys.executable, "-c", program, faulty_server.url], check=True, timeout=900)

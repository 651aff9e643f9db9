from __future__ import annotations

import http.client
import ipaddress
import json
import socket
import ssl
import subprocess
import sys
import threading
import tracemalloc
from collections.abc import Callable
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from lit_airflow import clock
from lit_airflow.clock import Deadline
from lit_airflow.errors import NodeError
from lit_airflow.transport.http import Http

if TYPE_CHECKING:
    from tests.unit.http_server import Trouble


def post(url: str, within_s: float = 10, **options: object) -> object:
    return Http().post(url, "{}", deadline=Deadline.after(within_s), **options)  # type: ignore[arg-type]


def test_what_is_sent(trouble: Trouble) -> None:
    body = '{"text":"naïve → 5"}'
    answer = Http().post(
        trouble.url + "/json", body, deadline=Deadline.after(5), headers={"X-Request-Id": "lit_1"}
    )
    assert answer == {"ok": True}
    ((path, headers, sent),) = trouble.seen
    assert (path, sent) == ("/json", body)
    assert headers["content-type"] == headers["accept"] == "application/json"
    assert headers["x-request-id"] == "lit_1"


@pytest.mark.parametrize("path", ["/redirect", "/see-other"])
def test_redirects_are_not_followed(trouble: Trouble, path: str) -> None:
    with pytest.raises(NodeError) as caught:
        post(trouble.url + path)
    assert caught.value.status in (303, 307)
    assert [seen[0] for seen in trouble.seen] == [path]


def test_a_huge_answer_is_not_read_to_its_end(trouble: Trouble, stopwatch: Callable[[], float]) -> None:
    with pytest.raises(NodeError, match="longer than"):
        post(trouble.url + "/huge")
    assert stopwatch() < 5


def test_a_bomb_is_not_unpacked(trouble: Trouble) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(NodeError, match="compressed"):
            post(trouble.url + "/bomb")
        assert tracemalloc.get_traced_memory()[1] < 16 * 1024 * 1024
    finally:
        tracemalloc.stop()
    assert trouble.seen[0][1]["accept-encoding"] == "identity"


@pytest.mark.parametrize("path", ["/not-json", "/text", "/no-content", "/deep"])
def test_what_is_not_json(trouble: Trouble, path: str) -> None:
    with pytest.raises(NodeError, match="not JSON") as caught:
        post(trouble.url + path)
    assert not caught.value.retryable
    assert trouble.count(path) == 1


@pytest.mark.parametrize("path", ["/429", "/500"])
def test_what_passes_is_tried_again(trouble: Trouble, path: str) -> None:
    assert post(trouble.url + path) == {"ok": True}
    assert trouble.count(path) == 2


@pytest.mark.parametrize(
    ("path", "status", "code"), [("/500-always", 500, "NodeSystemFault"), ("/html-502", 502, "")]
)
def test_what_does_not_pass_is_given_up(trouble: Trouble, path: str, status: int, code: str) -> None:
    with pytest.raises(NodeError) as caught:
        post(trouble.url + path)
    assert (caught.value.status, caught.value.code, caught.value.retryable) == (status, code, True)
    assert trouble.count(path) == 3
    assert "<html>" not in str(caught.value)


def test_a_refusal_is_not_tried_again(trouble: Trouble) -> None:
    with pytest.raises(NodeError) as caught:
        post(trouble.url + "/401")
    assert (caught.value.status, caught.value.code) == (401, "NodeNotAuthorized")
    assert trouble.count("/401") == 1
    assert "SECRET" not in repr(caught.value) + str(caught.value)


def test_only_a_code_is_repeated(trouble: Trouble) -> None:
    with pytest.raises(NodeError) as caught:
        post(trouble.url + "/strange-code")
    assert str(caught.value) == "HTTP 400"


def test_a_long_retry_after_is_not_waited_for(trouble: Trouble, stopwatch: Callable[[], float]) -> None:
    with pytest.raises(NodeError) as caught:
        post(trouble.url + "/429-for-long", within_s=1)
    assert caught.value.retry_after_s == 3600
    assert stopwatch() < 2


@pytest.mark.parametrize("path", ["/reset", "/hang-up", "/cut-short"])
def test_broken_connections(trouble: Trouble, path: str) -> None:
    with pytest.raises(NodeError) as caught:
        post(trouble.url + path)
    assert caught.value.status is None
    assert caught.value.retryable
    assert trouble.count(path) >= 3


def test_nobody_listens(stopwatch: Callable[[], float]) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/"
    with pytest.raises(NodeError, match="connection refused"):
        post(url)
    assert stopwatch() < 5


def test_tls_where_there_is_none(trouble: Trouble) -> None:
    with pytest.raises(NodeError, match="TLS failed"):
        post(trouble.url.replace("http:", "https:") + "/json")


@pytest.mark.parametrize("path", ["/silent", "/slow-body"])
def test_the_deadline_holds(trouble: Trouble, stopwatch: Callable[[], float], path: str) -> None:
    """Also where single bytes keep coming, each well within any time-out for one read."""
    with pytest.raises(NodeError, match="in time"):
        post(trouble.url + path, within_s=0.5)
    assert stopwatch() < 2


def test_a_deadline_that_is_over_sends_nothing(trouble: Trouble) -> None:
    with pytest.raises(NodeError, match="in time"):
        post(trouble.url + "/json", within_s=0)
    assert trouble.seen == []


def test_cancelling_stops_the_retries(trouble: Trouble, stopwatch: Callable[[], float]) -> None:
    cancelled = threading.Event()
    threading.Timer(0.2, cancelled.set).start()
    with pytest.raises(NodeError):
        post(trouble.url + "/429-for-long", within_s=7200, cancelled=cancelled)
    assert stopwatch() < 5
    assert trouble.count("/429-for-long") <= 2


def test_requests_to_one_url_share_nothing_but_the_connection(trouble: Trouble) -> None:
    asking = Http()
    for number in range(3):
        body = json.dumps({"number": number, "pad": "x" * number})
        headers = {"X-Request-Id": f"lit_{number}", **({"X-First": "1"} if number == 0 else {})}
        asking.post(trouble.url + "/json", body, deadline=Deadline.after(5), headers=headers)
    for number, (_, headers, body) in enumerate(trouble.seen):
        assert json.loads(body)["number"] == number
        assert headers["x-request-id"] == f"lit_{number}"
        assert ("x-first" in headers) == (number == 0)
        assert "cookie" not in headers


def test_a_request_is_sent_in_one_piece(trouble: Trouble, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[bytes] = []
    send = http.client.HTTPConnection.send

    def noted(connection: http.client.HTTPConnection, data: bytes) -> None:
        sent.append(bytes(data))
        send(connection, data)

    monkeypatch.setattr(http.client.HTTPConnection, "send", noted)
    asking = Http()
    for number in range(2):
        asking.post(trouble.url + "/json", f'{{"number": {number}}}', deadline=Deadline.after(5))
    assert [data.partition(b"\r\n\r\n")[2] for data in sent] == [b'{"number": 0}', b'{"number": 1}']


def test_the_environments_proxy_is_used(trouble: Trouble, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", trouble.url)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    asking = Http()
    assert asking.post("http://node.invalid:7470/json", "{}", deadline=Deadline.after(5)) == {"ok": True}
    assert asking.post(trouble.url + "/json", "{}", deadline=Deadline.after(5)) == {"ok": True}
    assert [path for path, _, _ in trouble.seen] == ["http://node.invalid:7470/json", "/json"]


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


class TestTls:
    @pytest.fixture
    def server(self, tmp_path: Path) -> tuple[str, Path]:
        """A server with a certificate that nobody has signed but itself."""
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
        listening = HTTPServer(("127.0.0.1", 0), _Agreeing)
        listening.socket = context.wrap_socket(listening.socket, server_side=True)
        threading.Thread(target=listening.serve_forever, args=(0.02,), daemon=True).start()
        return f"https://127.0.0.1:{listening.server_port}/", certificate

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
        assert post(server[0]) == {"ok": True}


def test_only_failures_load_what_tries_again(trouble: Trouble) -> None:
    program = """
import sys
from lit_airflow.clock import Deadline
from lit_airflow.transport.http import Http
Http().post(sys.argv[1] + "/json", "{}", deadline=Deadline.after(5))
assert "tenacity" not in sys.modules
Http().post(sys.argv[1] + "/429", "{}", deadline=Deadline.after(5))
assert "tenacity" in sys.modules
"""
    subprocess.run([sys.executable, "-c", program, trouble.url], check=True, timeout=60)

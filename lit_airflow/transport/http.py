"""One HTTP request: a deadline, a size limit, retries where the caller allows them, typed failures.

The only module that talks HTTP to nodes, chains and remote signers, and the only edge where exceptions of
``requests`` are wrapped. A request returns whatever the server answered, status included: what an error body
means is for the caller to say. What all requests to a URL share is prepared once (``docs/adr/0010``).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from lit_airflow.clock import Deadline
from lit_airflow.errors import FailureKind, NodeError, ProtocolError
from lit_airflow.text import is_encodable
from lit_airflow.transport.private_urls import unlogged
from lit_airflow.transport.response import BUSY_STATUSES, Repeat, Response, may_repeat

if TYPE_CHECKING:
    import requests

__all__ = ["BUSY_STATUSES", "MAX_BYTES", "Http", "Repeat", "Response", "may_repeat"]

MAX_BYTES = 4 * 1024 * 1024
"""The longest answer that is read, unless the caller says otherwise."""
_CHUNK_BYTES = 64 * 1024
_LATE_END = "the answer did not end in time"


@dataclass(frozen=True, slots=True)
class _Route:
    """What all requests to one URL share; reading the environment takes longer than sending.

    Attributes:
        request: Prepared, without a body.
        environment: The proxies and certificates that the environment names.
        proxy: Host and port of the proxy that requests go through; empty for none.
    """

    request: requests.PreparedRequest
    environment: Mapping[str, Any]
    proxy: str = ""


class Http:
    """Sends requests. Safe to use from many threads; connections are kept until :meth:`close`.

    Proxies and certificates are taken from the environment as ``requests`` does, once per URL. Credentials are
    taken from the URL alone: those in ``.netrc`` belong to the user, not to the servers that a chain lists.

    Args:
        certificate: Path of a PEM file with a client certificate and its key, for servers that ask for one.
        check_certificate: Called with a server's certificate, DER, on each new TLS connection before anything is
            sent on it. What it raises ends the request, and the connection is closed.
    """

    def __init__(
        self, *, certificate: str | None = None, check_certificate: Callable[[bytes], None] | None = None
    ) -> None:
        import requests  # noqa: PLC0415 - kept out of DAG parsing
        import urllib3  # noqa: PLC0415 - the same

        from lit_airflow.transport.adapter import Adapter  # noqa: PLC0415 - the same
        from lit_airflow.transport.cancellation import OpenRequests  # noqa: PLC0415 - the same

        self._requests = requests
        self._urllib3 = urllib3
        self._session = requests.Session()
        self._session.cert = certificate
        self._session.auth = _url_credentials  # else requests looks for them in .netrc
        # A few compressed bytes can expand without limit, and these answers are short anyway.
        self._session.headers["Accept-Encoding"] = "identity"
        self._open_requests = OpenRequests()
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, Adapter(self._open_requests, check_certificate))
        self._routes: dict[tuple[str, str], _Route] = {}

    def close(self) -> None:
        """Close all connections."""
        self._session.close()

    def post(  # noqa: PLR0913 - all but three optional
        self,
        url: str,
        body: str,
        *,
        deadline: Deadline,
        repeat: Repeat = Repeat.NEVER,
        headers: Mapping[str, str] | None = None,
        max_bytes: int = MAX_BYTES,
        cancelled: threading.Event | None = None,
    ) -> Response:
        """Post a JSON text.

        Args:
            url: http or https. Redirects are not followed.
            body: The exact text to send.
            deadline: When all attempts must end.
            repeat: Which failures to answer by sending it again.
            headers: Beside ``Content-Type`` and ``Accept``, or instead of them.
            max_bytes: The longest acceptable answer.
            cancelled: Set when the answer is no longer wanted; stops further attempts.

        Returns:
            The answer, whatever its status: after the last attempt that may also be one of ``BUSY_STATUSES``.

        Raises:
            NodeError: No answer, or more than ``max_bytes``.
            ProtocolError: ``body`` contains an unpaired surrogate.
        """
        if not is_encodable(body):
            raise ProtocolError("The request contains an unpaired surrogate.")
        raw = body.encode()
        sent = {
            "Content-Type": "application/json",
            "Accept": "application/json",
            "Content-Length": str(len(raw)),
            **(headers or {}),
        }
        return self._send("POST", url, raw, sent, deadline, repeat, max_bytes, cancelled)

    def get(  # noqa: PLR0913 - all but two optional
        self,
        url: str,
        *,
        deadline: Deadline,
        repeat: Repeat = Repeat.ALWAYS,
        headers: Mapping[str, str] | None = None,
        max_bytes: int = MAX_BYTES,
        cancelled: threading.Event | None = None,
    ) -> Response:
        """Get what is at a URL.

        Args:
            url: http or https. Redirects are not followed.
            deadline: When all attempts must end.
            repeat: Which failures to answer by sending it again.
            headers: The request's header fields.
            max_bytes: The longest acceptable answer.
            cancelled: Set when the answer is no longer wanted; stops further attempts.

        Raises:
            NodeError: No answer, or more than ``max_bytes``.
        """
        return self._send("GET", url, None, headers or {}, deadline, repeat, max_bytes, cancelled)

    def _send(  # noqa: PLR0913, PLR0917 - what is sent, and how
        self,
        method: str,
        url: str,
        body: bytes | None,
        headers: Mapping[str, str],
        deadline: Deadline,
        repeat: Repeat,
        max_bytes: int,
        cancelled: threading.Event | None,
    ) -> Response:
        over = cancelled or threading.Event()

        def once() -> Response:
            return self._once(method, url, body, headers, deadline, max_bytes, over)

        try:
            first: Response | NodeError = once()
        except NodeError as error:
            first = error
        if not may_repeat(first, repeat):
            if isinstance(first, NodeError):
                raise first
            return first
        from lit_airflow.transport.retry import send_again  # noqa: PLC0415 - only failures pay for tenacity

        return send_again(once, first, repeat, deadline, over)

    def _once(  # noqa: PLR0913, PLR0917 - what is sent, and how
        self,
        method: str,
        url: str,
        body: bytes | None,
        headers: Mapping[str, str],
        deadline: Deadline,
        max_bytes: int,
        cancelled: threading.Event,
    ) -> Response:
        left_s = deadline.left_s()
        if left_s <= 0:
            raise NodeError("no answer in time", kind=FailureKind.TIMEOUT, sent=False)
        exceptions = self._requests.exceptions
        proxy, flight, late = "", None, "no answer in time"
        try:
            route = self._route(method, url)
            proxy = route.proxy
            request = route.request.copy()
            request.body = body
            request.headers.update(headers)
            # The adapter follows no redirects and keeps no cookies.
            adapter = self._session.get_adapter(url)
            started = time.monotonic()
            with (
                unlogged(),
                self._open_requests.request(url, cancelled, deadline) as flight,
                adapter.send(request, timeout=left_s, **route.environment) as answer,
            ):
                took_s = time.monotonic() - started
                late = _LATE_END
                return Response(
                    answer.status_code, answer.headers, _body(answer, deadline, max_bytes), took_s
                )
        # "from None": their texts quote the URL, and a chain's may contain an API key.
        except exceptions.ConnectTimeout:
            raise NodeError("no answer in time", kind=FailureKind.TIMEOUT, sent=False) from None
        except (exceptions.Timeout, self._urllib3.exceptions.TimeoutError):
            raise NodeError(late, kind=FailureKind.TIMEOUT) from None
        except exceptions.SSLError as error:
            if flight is not None and flight.began:  # not the handshake failed, but the answer was lost
                raise _connection_error(error, proxy) from None
            raise NodeError(
                "TLS failed: the certificate or the protocol was refused; REQUESTS_CA_BUNDLE names the file of a "
                "private root certificate",
                kind=FailureKind.TLS,
                sent=False,
            ) from None
        except (exceptions.RequestException, self._urllib3.exceptions.HTTPError) as error:
            raise _connection_error(error, proxy) from None
        except OSError:  # requests raises it for a REQUESTS_CA_BUNDLE that does not exist
            raise NodeError(
                "TLS failed: the CA certificates cannot be read", kind=FailureKind.TLS, sent=False
            ) from None

    def _route(self, method: str, url: str) -> _Route:
        route = self._routes.get((method, url))
        if route is None:
            request = self._session.prepare_request(self._requests.Request(method, url))
            environment = self._session.merge_environment_settings(
                url, proxies={}, stream=True, verify=None, cert=None
            )
            proxy = self._requests.utils.select_proxy(url, environment["proxies"])
            route = self._routes[method, url] = _Route(request, environment, _host_and_port(proxy))
        return route


def _url_credentials(request: requests.PreparedRequest) -> requests.PreparedRequest:
    from requests.auth import HTTPBasicAuth  # noqa: PLC0415 - see Http
    from requests.utils import get_auth_from_url  # noqa: PLC0415 - the same

    user, password = get_auth_from_url(str(request.url))
    return HTTPBasicAuth(user, password)(request) if user or password else request


def _body(answer: requests.Response, deadline: Deadline, max_bytes: int) -> bytes:
    raw = bytearray()
    status = answer.status_code
    if answer.headers.get("Content-Encoding", "identity") != "identity":
        raise NodeError(
            "the answer is compressed, which was not accepted", kind=FailureKind.MALFORMED, status=status
        )
    # read1 returns what has arrived; iter_content would wait for a full chunk, however slowly it drips in.
    while chunk := answer.raw.read1(_CHUNK_BYTES, decode_content=False):
        raw += chunk
        if len(raw) > max_bytes:
            raise NodeError(
                f"the answer is longer than {max_bytes} bytes", kind=FailureKind.MALFORMED, status=status
            )
        if deadline.left_s() <= 0:
            raise NodeError(_LATE_END, kind=FailureKind.TIMEOUT, status=status)
    return bytes(raw)


def _host_and_port(url: str | None) -> str:
    """Return what may be shown of a proxy's URL, which may contain a password."""
    return urlsplit(url if "://" in url else f"http://{url}").netloc.rpartition("@")[2] if url else ""


def _connection_error(error: Exception, proxy: str = "") -> NodeError:
    """Say what broke a connection, by the types of the exceptions inside."""
    from requests.exceptions import InvalidSchema  # noqa: PLC0415 - see Http
    from urllib3.exceptions import ConnectTimeoutError, NameResolutionError, NewConnectionError  # noqa: PLC0415 - see Http

    message, kind, sent = "the connection broke", FailureKind.UNREACHABLE, True
    for cause in _causes(error):
        if isinstance(cause, NameResolutionError):
            message, sent = "its name does not resolve", False
        elif isinstance(cause, ConnectionRefusedError):
            message, sent = "connection refused", False
        elif isinstance(cause, NewConnectionError):  # urllib3 makes it a ConnectTimeoutError, which it is not
            if sent:
                message, sent = "no connection to the server", False
        elif isinstance(cause, ConnectTimeoutError):
            message, kind, sent = "no answer in time", FailureKind.TIMEOUT, False
        elif isinstance(cause, ConnectionError):  # RemoteDisconnected is a ConnectionResetError too
            message = "the server closed the connection without an answer"
        elif isinstance(cause, InvalidSchema):
            message, sent = "SOCKS needs the package PySocks, which is not installed", False
    if proxy:
        message = (
            f"{message}, through the proxy {proxy} of HTTP_PROXY or HTTPS_PROXY; NO_PROXY names exceptions"
        )
    return NodeError(message, kind=kind, retryable=True, sent=sent)


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Walk the exceptions inside an exception: ``requests`` and ``urllib3`` nest them as arguments and reasons."""
    waiting, seen = [error], set[int]()
    while waiting:
        cause = waiting.pop(0)
        if id(cause) in seen:
            continue
        seen.add(id(cause))
        yield cause
        inner = (getattr(cause, "reason", None), *cause.args, cause.__cause__, cause.__context__)
        waiting += [each for each in inner if isinstance(each, BaseException)]

"""One request: a deadline, a size limit, retries for what may pass, and a typed failure.

This is the only place that talks HTTP to nodes, chains and remote signers, and the only edge where ``requests``'
own exceptions are wrapped. What is the same for every request to a URL is prepared once: ``docs/adr/0010``.
"""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, TypeVar

from lit_airflow.clock import Deadline
from lit_airflow.errors import NodeError, ProtocolError
from lit_airflow.text import is_encodable

if TYPE_CHECKING:
    import requests

MOST_BYTES = 4 * 1024 * 1024
_CHUNK = 64 * 1024
_OVERLOADED = (408, 429, 500, 502, 503, 504)
# Causes for which no byte of the request has left.
_NOT_CONNECTED = ("connection refused", "its name does not resolve", "network unreachable")
# What a server calls its own error; anything else is not repeated in messages.
_CODE = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,79}")

Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class _Route:
    """What all requests to one URL share; reading it off the environment takes longer than sending.

    Attributes:
        request: Prepared, without a body.
        environment: What the environment says of its proxies and of whose certificates are good.
    """

    request: requests.PreparedRequest
    environment: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Dated:
    """A JSON answer, and when it was given.

    Attributes:
        content: The JSON, of any shape.
        date: What the server's clock showed, to the second below; ``None`` if it did not say.
        took_s: Seconds from sending the request to the head of the answer; attempts before it do not count.
    """

    content: Any
    date: datetime | None
    took_s: float


@dataclass(frozen=True, slots=True)
class Exchange:
    """An answer as it came.

    Attributes:
        status: The HTTP status.
        headers: By name, in any case.
        content: The body.
        took_s: Seconds from sending the request to the head of the answer.
    """

    status: int
    headers: Mapping[str, str]
    content: bytes
    took_s: float

    @property
    def date(self) -> datetime | None:
        """What the server's clock showed, to the second below; ``None`` if it did not say."""
        return _date(self.headers.get("Date", ""))

    @property
    def retry_after_s(self) -> float | None:
        """Seconds that the server asked us to wait, if it said."""
        return _seconds(self.headers.get("Retry-After"))


class Http:
    """Posts JSON, reads JSON; gets small files. Safe to use from many threads; connections are kept.

    Proxies, certificates and ``.netrc`` are looked up as ``requests`` does it, once per URL.

    Args:
        certificate: Path of a PEM file with this side's certificate and its key, for servers that ask for one.
    """

    def __init__(self, *, certificate: str | None = None) -> None:
        import requests  # noqa: PLC0415 - kept out of DAG parsing
        import urllib3  # noqa: PLC0415 - the same

        from lit_airflow.transport.adapter import Adapter  # noqa: PLC0415 - the same
        from lit_airflow.transport.cancellation import OpenRequests  # noqa: PLC0415 - the same

        self._requests = requests
        self._urllib3 = urllib3
        self._session = requests.Session()
        self._session.cert = certificate
        # A few bytes, decompressed, may be as long as they like; what nodes and chains say is short anyway.
        self._session.headers["Accept-Encoding"] = "identity"
        self._in_flight = OpenRequests()
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, Adapter(self._in_flight))
        self._routes: dict[tuple[str, str], _Route] = {}

    def close(self) -> None:
        """Let go of all connections."""
        self._session.close()

    def post(
        self,
        url: str,
        body: str,
        *,
        deadline: Deadline,
        headers: Mapping[str, str] | None = None,
        cancelled: threading.Event | None = None,
    ) -> Any:  # noqa: ANN401 - whatever JSON the server sent; callers check its shape
        """Post a JSON text, read a JSON answer.

        Args:
            url: http or https. Redirects are not followed.
            body: The exact text to send.
            deadline: By when all attempts must end.
            headers: Beside content type and accept.
            cancelled: Set when the answer is no longer wanted; stops retries.

        Raises:
            NodeError: No answer, an error status, more than :data:`MOST_BYTES`, or not JSON.
        """
        sent = {"Accept": "application/json", **(headers or {})}
        return self._post(url, body, sent, _read_json, deadline, cancelled)

    def post_dated(
        self,
        url: str,
        body: str,
        *,
        deadline: Deadline,
        headers: Mapping[str, str] | None = None,
        cancelled: threading.Event | None = None,
    ) -> Dated:
        """As :meth:`post`, with what the server's clock showed.

        Raises:
            NodeError: As :meth:`post`.
        """
        sent = {"Accept": "application/json", **(headers or {})}
        return self._post(url, body, sent, _read_dated, deadline, cancelled)

    def post_for_text(
        self,
        url: str,
        body: str,
        *,
        deadline: Deadline,
        most_bytes: int,
        cancelled: threading.Event | None = None,
    ) -> str:
        """Post a JSON text, read a short plain text.

        Args:
            url: http or https. Redirects are not followed.
            body: The exact text to send.
            deadline: By when all attempts must end.
            most_bytes: The longest acceptable answer.
            cancelled: Set when the answer is no longer wanted; stops retries.

        Raises:
            NodeError: No answer, an error status, more than ``most_bytes``, or not ASCII.
        """
        raw = self._post(url, body, {"Accept": "text/plain, */*"}, _reader(most_bytes), deadline, cancelled)
        if not raw.isascii():
            raise NodeError("the answer is not ASCII")
        return raw.decode("ascii")

    def get(
        self, url: str, *, deadline: Deadline, most_bytes: int, cancelled: threading.Event | None = None
    ) -> bytes:
        """Get a small file.

        Args:
            url: http or https. Redirects are not followed.
            deadline: By when all attempts must end.
            most_bytes: The longest acceptable answer.
            cancelled: Set when the answer is no longer wanted; stops retries.

        Raises:
            NodeError: No answer, an error status, or more than ``most_bytes``.
        """
        cancelled = cancelled or threading.Event()

        def once() -> bytes:
            return self._once("GET", url, None, {}, _reader(most_bytes), deadline, cancelled)

        return _tried(once, deadline, cancelled)

    def exchange(  # noqa: PLR0913 - what is sent, and how much is read
        self,
        method: str,
        url: str,
        body: str | None = None,
        *,
        deadline: Deadline,
        headers: Mapping[str, str],
        most_bytes: int = MOST_BYTES,
        cancelled: threading.Event | None = None,
    ) -> Exchange:
        """Send a request once and return its answer, whatever its status.

        For servers whose refusals have to be read, and for requests that must not be repeated.

        Args:
            method: ``GET`` or ``POST``.
            url: http or https. Redirects are not followed.
            body: The exact JSON text to send; ``None`` for none.
            deadline: By when the answer must have ended.
            headers: All but the body's type and length.
            most_bytes: The longest acceptable answer.
            cancelled: Set when the answer is no longer wanted.

        Raises:
            NodeError: No answer, or not a whole one; ``sent`` says whether the server may have got the request.
        """
        raw = None if body is None else _encoded(body)
        sent = dict(headers) if raw is None else {**_json_headers(raw), **headers}

        def read(answer: requests.Response, deadline: Deadline) -> Exchange:
            took_s = answer.elapsed.total_seconds()
            return Exchange(answer.status_code, answer.headers, _body(answer, deadline, most_bytes), took_s)

        return self._once(method, url, raw, sent, read, deadline, cancelled or threading.Event())

    def _post(  # noqa: PLR0913, PLR0917 - what is sent, and how the answer is read
        self,
        url: str,
        body: str,
        headers: Mapping[str, str],
        read: Callable[[requests.Response, Deadline], Answer],
        deadline: Deadline,
        cancelled: threading.Event | None,
    ) -> Answer:
        raw = _encoded(body)
        sent = {**_json_headers(raw), **headers}
        cancelled = cancelled or threading.Event()

        def once() -> Answer:
            return self._once("POST", url, raw, sent, read, deadline, cancelled)

        return _tried(once, deadline, cancelled)

    def _once(  # noqa: PLR0913, PLR0917 - what is sent, and how the answer is read
        self,
        method: str,
        url: str,
        body: bytes | None,
        headers: Mapping[str, str],
        read: Callable[[requests.Response, Deadline], Answer],
        deadline: Deadline,
        cancelled: threading.Event,
    ) -> Answer:
        left = deadline.left_s()
        if left <= 0:
            raise NodeError("no answer in time", sent=False)
        exceptions = self._requests.exceptions
        try:
            route = self._route(method, url)
            request = route.request.copy()
            request.body = body
            request.headers.update(headers)
            # The adapter follows no redirects and keeps no cookies.
            adapter = self._session.get_adapter(url)
            started = time.monotonic()
            with (
                self._in_flight.request(url, cancelled),
                adapter.send(request, timeout=left, **route.environment) as answer,
            ):
                answer.elapsed = timedelta(seconds=time.monotonic() - started)
                return read(answer, deadline)
        # "from None": their texts quote the URL, and a chain's may hold its customer's key.
        except exceptions.ConnectTimeout:
            raise NodeError("no answer in time", sent=False) from None
        except (exceptions.Timeout, self._urllib3.exceptions.TimeoutError):
            raise NodeError("no answer in time") from None
        except exceptions.SSLError as error:
            certificate = "CERTIFICATE_VERIFY_FAILED" in str(error)
            raise NodeError(
                "TLS failed: the certificate or the protocol was refused", sent=not certificate
            ) from None
        except exceptions.ConnectionError as error:
            cause = _connection_cause(error)
            raise NodeError(cause, retryable=True, sent=cause not in _NOT_CONNECTED) from None
        except (exceptions.RequestException, self._urllib3.exceptions.HTTPError) as error:
            raise NodeError(f"the connection broke ({type(error).__name__})", retryable=True) from None
        except OSError:  # what requests says of REQUESTS_CA_BUNDLE when there is no such file
            raise NodeError("TLS failed: the certificates to check with cannot be read", sent=False) from None

    def _route(self, method: str, url: str) -> _Route:
        route = self._routes.get((method, url))
        if route is None:
            request = self._session.prepare_request(self._requests.Request(method, url))
            environment = self._session.merge_environment_settings(
                url, proxies={}, stream=True, verify=None, cert=None
            )
            route = self._routes[method, url] = _Route(request, environment)
        return route


def _tried(once: Callable[[], Answer], deadline: Deadline, cancelled: threading.Event) -> Answer:
    """Send until it works, is refused for good, or may no longer be tried."""
    try:
        return once()
    except NodeError as error:
        if not error.retryable:
            raise
        first = error
    from lit_airflow.transport.retry import again  # noqa: PLC0415 - only failures pay for tenacity

    return again(once, first, deadline, cancelled)


def _encoded(body: str) -> bytes:
    if not is_encodable(body):
        raise ProtocolError("The request holds half of a character.")
    return body.encode()


def _json_headers(body: bytes) -> dict[str, str]:
    return {"Content-Type": "application/json", "Content-Length": str(len(body))}


def _read_json(answer: requests.Response, deadline: Deadline) -> Any:  # noqa: ANN401 - JSON of any shape
    raw = _body(answer, deadline, MOST_BYTES)
    content = _json(raw) if "application/json" in answer.headers.get("Content-Type", "") else None
    if not _succeeded(answer):
        raise _refusal(answer, content)
    if content is None:
        raise NodeError("the answer is not JSON", status=answer.status_code)
    return content


def _read_dated(answer: requests.Response, deadline: Deadline) -> Dated:
    took_s = answer.elapsed.total_seconds()
    return Dated(_read_json(answer, deadline), _date(answer.headers.get("Date", "")), took_s)


def _date(text: str) -> datetime | None:
    try:
        return parsedate_to_datetime(text).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _reader(most_bytes: int) -> Callable[[requests.Response, Deadline], bytes]:
    def read(answer: requests.Response, deadline: Deadline) -> bytes:
        content = _body(answer, deadline, most_bytes)
        if not _succeeded(answer):
            raise _refusal(answer, None)
        return content

    return read


def _body(answer: requests.Response, deadline: Deadline, most_bytes: int) -> bytes:
    raw = bytearray()
    if answer.headers.get("Content-Encoding", "identity") != "identity":
        raise NodeError("the answer is compressed, which was not asked for", status=answer.status_code)
    # read1 returns what has arrived; iter_content would wait for a full chunk, however slowly it drips in.
    while chunk := answer.raw.read1(_CHUNK, decode_content=False):
        raw += chunk
        if len(raw) > most_bytes:
            raise NodeError(f"the answer is longer than {most_bytes} bytes", status=answer.status_code)
        if deadline.left_s() <= 0:
            raise NodeError("the answer did not end in time", status=answer.status_code)
    return bytes(raw)


def _succeeded(answer: requests.Response) -> bool:
    return 200 <= answer.status_code < 300  # noqa: PLR2004 - the success class of RFC 9110


def _json(raw: bytes) -> object:
    try:
        return json.loads(raw)
    except (ValueError, RecursionError):
        return None


def _refusal(answer: requests.Response, content: object) -> NodeError:
    status = answer.status_code
    claimed = content.get("errorCode") if isinstance(content, dict) else None
    code = claimed if isinstance(claimed, str) and _CODE.fullmatch(claimed) else ""
    return NodeError(
        f"HTTP {status} {code}".rstrip(),
        status=status,
        code=code,
        retryable=status in _OVERLOADED,
        retry_after_s=_seconds(answer.headers.get("Retry-After")),
    )


def _seconds(text: str | None) -> float | None:
    return float(text) if text is not None and text.isdecimal() else None


def _connection_cause(error: Exception) -> str:
    text = str(error)
    for symptom, cause in (
        ("refused", "connection refused"),
        ("resolve", "its name does not resolve"),
        ("reset", "connection reset"),
        ("unreachable", "network unreachable"),
        ("timed out", "no answer in time"),
        ("Remote end closed", "connection closed without an answer"),
    ):
        if symptom in text:
            return cause
    return "connection failed"

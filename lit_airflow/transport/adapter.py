"""The adapter of ``requests``; but what it finds out at each request, this one does once per URL.

Imported with the first ``Http``: it brings ``requests``. Why: ``docs/adr/0010``.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from requests import PreparedRequest, Response
from requests.adapters import HTTPAdapter
from requests.structures import CaseInsensitiveDict
from urllib3 import HTTPSConnectionPool

from lit_airflow.transport.cancellation import OpenRequests

if TYPE_CHECKING:
    from urllib3.connectionpool import ConnectionPool
    from urllib3.response import BaseHTTPResponse

_CONNECTIONS = 128

CheckCertificate = Callable[[bytes], None]
"""Called with a server's certificate, DER, on each new TLS connection before anything is sent; raises to refuse."""


class _CheckedContext(ssl.SSLContext):
    """Verifies certificates as usual, and then has each one checked; direct, or behind a proxy's tunnel."""

    check_certificate: CheckCertificate

    def wrap_socket(self, *what: Any, **more: Any) -> ssl.SSLSocket:  # noqa: ANN401 - as ssl has it
        wrapped = super().wrap_socket(*what, **more)
        try:
            self.check_certificate(wrapped.getpeercert(binary_form=True) or b"")
        except BaseException:
            wrapped.close()
            raise
        return wrapped

    def wrap_bio(self, *what: Any, **more: Any) -> ssl.SSLObject:  # noqa: ARG002, ANN401 - as ssl has it
        """Refuse TLS inside TLS, the way through a proxy that is itself reached by https."""
        raise ssl.SSLError("certificates cannot be checked through an https proxy")


class Adapter(HTTPAdapter):
    """Sends for one ``Http``, whose environment, certificates included, is the same for each request to a URL.

    Args:
        in_flight: Where its connections are known.
        check_certificate: Checks the certificate of each new connection, beside what TLS itself verifies.
    """

    def __init__(self, in_flight: OpenRequests, check_certificate: CheckCertificate | None = None) -> None:
        self._context: _CheckedContext | None = None
        if check_certificate is not None:
            self._context = _CheckedContext(ssl.PROTOCOL_TLS_CLIENT)
            self._context.minimum_version = ssl.TLSVersion.TLSv1_2
            self._context.check_certificate = check_certificate
        super().__init__(pool_connections=_CONNECTIONS, pool_maxsize=_CONNECTIONS)
        self._in_flight = in_flight
        in_flight.watch(self.poolmanager)
        self._pools: dict[str | None, ConnectionPool] = {}
        self._targets: dict[str | None, str] = {}

    def proxy_manager_for(self, proxy: str, **options: Any) -> Any:  # noqa: ANN401 - as requests has it
        """The connections through a proxy."""
        manager = super().proxy_manager_for(proxy, **options)
        self._in_flight.watch(manager)
        return manager

    def get_connection_with_tls_context(
        self,
        request: PreparedRequest,
        *environment: Any,  # noqa: ANN401 - as requests has it
        **more: Any,  # noqa: ANN401 - the same
    ) -> ConnectionPool:
        """The connections to a URL's server, or to the proxy before it."""
        pool = self._pools.get(request.url)
        if pool is None:
            pool = super().get_connection_with_tls_context(request, *environment, **more)
            if self._context is not None and isinstance(pool, HTTPSConnectionPool):
                pool.conn_kw["ssl_context"] = self._context  # whatever release of requests made the pool
            self._pools[request.url] = pool
        return pool

    def request_url(self, request: PreparedRequest, proxies: Any) -> str:  # noqa: ANN401 - as requests has it
        """What the request line names."""
        target = self._targets.get(request.url)
        if target is None:
            target = self._targets[request.url] = super().request_url(request, proxies)
        return target

    def build_response(self, req: PreparedRequest, resp: BaseHTTPResponse) -> Response:  # noqa: ARG002 - as requests has it
        """What is read of an answer: neither its cookies nor the encoding of its text."""
        answer = Response()
        answer.status_code, answer.raw = resp.status, resp
        answer.headers = CaseInsensitiveDict(resp.headers)
        return answer

    def close(self) -> None:
        """Let go of all connections."""
        self._pools.clear()
        super().close()

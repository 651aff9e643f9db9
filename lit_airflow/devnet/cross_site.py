"""Reject requests that a web page can make a browser send to the control API.

The control API has no login. A page on any site can post to ``http://127.0.0.1``, and a page whose own name
resolves to 127.0.0.1 (DNS rebinding) can also read the answers. Programs such as curl send none of what is
rejected here.
"""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_address
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import JSONResponse

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

_JSON = "application/json"


def same_site_only(app: ASGIApp, bound_host: str) -> ASGIApp:
    """Wrap an ASGI application so that it never sees a request that may come from a web page.

    Args:
        app: The application.
        bound_host: The name or address that the port was bound to; a valid Host.

    Returns:
        An application that answers such requests itself, with status 403 or 415 and ``{"error": …}``.
    """

    async def guarded(scope: Scope, receive: Receive, send: Send) -> None:
        rejected = _rejection(Request(scope).headers, bound_host)
        if rejected is None:
            await app(scope, receive, send)
        else:
            status, error = rejected
            await JSONResponse({"error": error}, status_code=status)(scope, receive, send)

    return guarded


def _rejection(headers: Mapping[str, str], bound_host: str) -> tuple[int, str] | None:
    host = headers.get("host", "")
    if not _is_own_host(host, bound_host):
        return 403, f"the Host header {host!r} does not name this server; use its address or localhost"
    if "origin" in headers:
        return 403, "requests with an Origin header are rejected: they come from a web page"
    content_type = headers.get("content-type")
    has_body = headers.get("content-length", "0") != "0" or "transfer-encoding" in headers
    if (has_body or content_type is not None) and _media_type(content_type or "") != _JSON:
        return 415, f"the Content-Type header must be {_JSON}"
    return None


def _is_own_host(host: str, bound_host: str) -> bool:
    """Whether a Host header names this server; an address always does, because DNS cannot redirect it."""
    try:
        name = urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return False
    if name in ("localhost", bound_host.lower()):
        return True
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


def _media_type(content_type: str) -> str:
    return content_type.partition(";")[0].strip().lower()

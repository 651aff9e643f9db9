"""Wrong responses: the ones that replace a correct response, and changes to the content of a correct one."""

from __future__ import annotations

import gzip
from dataclasses import replace
from functools import cache

from lit_airflow.devnet.errors import NodeError
from lit_airflow.devnet.parsing import Json
from lit_airflow.devnet.responses import JSON_HEADERS, HttpResponse

_HTML_HEADERS = {"content-type": "text/html; charset=utf-8"}
_CHUNK_BYTES = 64 * 1024
_HUGE_CHUNKS = 800  # 50 MB
_DEPTH = 200_000

WELCOME_PAGE = HttpResponse(200, b"<html><body>Welcome to nginx!</body></html>", headers=_HTML_HEADERS)
BAD_GATEWAY = HttpResponse(502, b"<html><body><h1>502 Bad Gateway</h1></body></html>", headers=_HTML_HEADERS)
REDIRECT = HttpResponse(307, b"", headers={"location": "/followed"})
INVALID_JSON = HttpResponse(200, b'{"result": nonsense')
ARRAY = HttpResponse(200, b'["success", {"result": "success"}, 7, null]')
NESTED_ARRAYS = HttpResponse(200, b"[" * _DEPTH)
HUGE = HttpResponse(200, b'"' + b"x" * (_CHUNK_BYTES - 1), repeat=_HUGE_CHUNKS)
RPC_ERROR = HttpResponse.success(
    {"jsonrpc": "2.0", "id": 1, "error": {"code": -32000, "message": "header not found"}}
)


def refusal(code: str, **headers: str) -> HttpResponse:
    """Return a refusal with an error code.

    Args:
        code: One of ``ERROR_CODES``.
        headers: Further headers, with underscores for hyphens.
    """
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return replace(HttpResponse.refusal(NodeError(code)), headers=JSON_HEADERS | named)


@cache
def gzip_bomb() -> HttpResponse:
    """Return 50 MB, compressed to 50 kB."""
    packed = gzip.compress(b" " * _CHUNK_BYTES * _HUGE_CHUNKS, compresslevel=9)
    return HttpResponse(200, packed, headers=JSON_HEADERS | {"content-encoding": "gzip"})


def only_first_field(content: Json) -> Json:
    """Return the content without all fields but the first."""
    return dict(list(content.items())[:1])


def with_unknown_fields(content: Json) -> Json:
    """Return the content with unknown fields before and after the known ones; it stays correct."""
    return {
        "": None,
        "v": 2**64,
        **content,
        "__proto__": {"result": [[{}]] * 9},
        "é": "\N{GOTHIC LETTER AHSA}",
    }


_OTHER_TYPES: dict[type, object] = {
    str: 5,
    int: "5",
    bool: "true",
    list: {},
    dict: [],
    type(None): 0,
    float: None,
}


def with_other_types(content: Json) -> Json:
    """Return the content with a value of another type in every field."""
    return {name: _OTHER_TYPES[type(value)] for name, value in content.items()}

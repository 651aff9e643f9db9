"""What goes back over the wire, whole and as bytes: a good answer, a refusal, or what stands in for them."""

from __future__ import annotations

import gzip
import json
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from email.utils import format_datetime
from functools import cache

from lit_airflow.devnet.errors import NodeError
from lit_airflow.devnet.parsing import Json

_JSON = {"content-type": "application/json"}
_HTML = {"content-type": "text/html; charset=utf-8"}
_CHUNK = 64 * 1024
_HUGE_CHUNKS = 800  # 50 MB
_DEEP = 200_000


@dataclass(frozen=True, slots=True)
class Reply:
    """An HTTP answer.

    Attributes:
        status: The HTTP status.
        body: Its bytes.
        times: How often the body is sent over, to be one long body.
        headers: Lower-case names; the length is not among them.
        code: The node's error code, for whoever watches.
    """

    status: int
    body: bytes
    times: int = 1
    headers: Mapping[str, str] = field(default_factory=lambda: _JSON)
    code: str | None = None

    @classmethod
    def of(cls, content: object) -> Reply:
        """A good answer."""
        text = json.dumps(content, separators=(",", ":"), ensure_ascii=False)
        return cls(200, text.encode())

    @classmethod
    def refusal(cls, error: NodeError, request_id: str | None = None) -> Reply:
        """A node's refusal; it repeats the request's id."""
        body = error.body(request_id or f"lit_{secrets.token_hex(7)}")
        return replace(cls.of(body), status=error.status, code=error.code)

    def dated(self, now: datetime) -> Reply:
        """The same, with what its sender's clock shows."""
        return replace(self, headers={**self.headers, "date": format_datetime(now, usegmt=True)})

    @property
    def length(self) -> int:
        """Bytes that are sent in all."""
        return len(self.body) * self.times


Change = Callable[[Json], object]
"""Makes something else of a good answer's content."""


def altered(reply: Reply, change: Change) -> Reply:
    """A good answer changed; a refusal, or a batch of answers, as it is."""
    content = json.loads(reply.body)
    if reply.code is not None or not isinstance(content, dict):
        return reply
    return replace(reply, body=Reply.of(change(content)).body)


def refused(code: str, **headers: str) -> Reply:
    """A refusal whatever was asked; ``retry_after`` becomes the header ``retry-after``."""
    reply = Reply.refusal(NodeError(code))
    return replace(reply, headers=_JSON | {name.replace("_", "-"): value for name, value in headers.items()})


GREETING = Reply(200, b"<html><body>Welcome to nginx!</body></html>", headers=_HTML)
BAD_GATEWAY = Reply(502, b"<html><body><h1>502 Bad Gateway</h1></body></html>", headers=_HTML)
REDIRECT = Reply(307, b"", headers={"location": "/followed"})
NOT_JSON = Reply(200, b'{"result": nonsense')
LIST = Reply(200, b'["success", {"result": "success"}, 7, null]')
DEEP = Reply(200, b"[" * _DEEP)
HUGE = Reply(200, b'"' + b"x" * (_CHUNK - 1), times=_HUGE_CHUNKS)


@cache
def bomb() -> Reply:
    """50 MB that travel as 50 kB."""
    packed = gzip.compress(b" " * _CHUNK * _HUGE_CHUNKS, compresslevel=9)
    return Reply(200, packed, headers=_JSON | {"content-encoding": "gzip"})


def without_fields(content: Json) -> Json:
    """Only the first field is left."""
    return dict(list(content.items())[:1])


def with_more_fields(content: Json) -> Json:
    """Fields that nobody knows, before and after those that are known; it still is a good answer."""
    return {
        "": None,
        "v": 2**64,
        **content,
        "__proto__": {"result": [[{}]] * 9},
        "é": "\N{GOTHIC LETTER AHSA}",
    }


_OTHERS: dict[type, object] = {str: 5, int: "5", bool: "true", list: {}, dict: [], type(None): 0, float: None}


def with_other_types(content: Json) -> Json:
    """Every field has a value of a type it never has."""
    return {name: _OTHERS[type(value)] for name, value in content.items()}

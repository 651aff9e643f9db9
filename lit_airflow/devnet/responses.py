"""HTTP responses of nodes and the chain, complete and as data."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from email.utils import format_datetime

from lit_airflow.devnet.errors import NodeError
from lit_airflow.devnet.parsing import Json

JSON_HEADERS = {"content-type": "application/json"}


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """An HTTP response.

    Attributes:
        status: The HTTP status.
        body: The bytes of the body.
        repeat: How often ``body`` is sent; the repetitions make one long body.
        headers: Names in lower case; without the content length.
        error_code: The node's error code; ``None`` for a success.
    """

    status: int
    body: bytes
    repeat: int = 1
    headers: Mapping[str, str] = field(default_factory=lambda: JSON_HEADERS)
    error_code: str | None = None

    @classmethod
    def success(cls, content: object) -> HttpResponse:
        """Return a response with status 200 and a JSON body."""
        text = json.dumps(content, separators=(",", ":"), ensure_ascii=False)
        return cls(200, text.encode())

    @classmethod
    def refusal(cls, error: NodeError, request_id: str | None = None) -> HttpResponse:
        """Return the response for a node's refusal.

        Args:
            error: Why the node refuses.
            request_id: The id of the request, which the body repeats; random if absent.
        """
        body = error.body(request_id or f"lit_{secrets.token_hex(7)}")
        return replace(cls.success(body), status=error.status, error_code=error.code)

    def with_date(self, now: datetime) -> HttpResponse:
        """Return the same response with a Date header."""
        return replace(self, headers={**self.headers, "date": format_datetime(now, usegmt=True)})

    def with_content(self, change: Callable[[Json], object]) -> HttpResponse:
        """Return a success with changed content; a refusal, or an array of results, stays as it is."""
        content = json.loads(self.body)
        if self.error_code is not None or not isinstance(content, dict):
            return self
        return replace(self, body=HttpResponse.success(change(content)).body)

    @property
    def length(self) -> int:
        """The number of bytes of the whole body."""
        return len(self.body) * self.repeat

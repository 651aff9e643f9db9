"""Refusals of the service: status, and body by origin and profile."""

from __future__ import annotations

import json
from dataclasses import dataclass
from http import HTTPStatus

from lit_airflow.devnet.chipotle.profiles import Profile
from lit_airflow.devnet.chipotle.reverts import RevertError

HTML = "text/html; charset=utf-8"
JSON = "application/json"
_DOCS_URL = "https://developer.litprotocol.com/management/errors"

# Status -> default (message, fix) of the envelope. Other statuses have the name "error".
_ENVELOPES: dict[int, tuple[str, str]] = {
    400: ("The request body cannot be read.", "Compare it with the OpenAPI document."),
    401: ("The API key is missing or invalid.", "Send it as X-Api-Key or as a bearer token."),
    402: ("The account's credit does not cover this operation.", "Add funds."),
    403: ("The API key does not permit this operation.", "Check its scopes with list_api_keys."),
    404: ("There is no such endpoint.", "See the OpenAPI document."),
    422: ("The JSON body does not match the endpoint's schema.", "Compare it with the OpenAPI document."),
    429: ("The server is shedding load.", "Retry with backoff."),
    500: ("The server failed.", "Retry the request."),
    503: (
        "A service that this one depends on is unavailable.",
        "Retry in a few seconds; nothing was charged.",
    ),
}
_NAMES = {500: "internal_error"}


class RefusalError(Exception):
    """The service refuses a request.

    Attributes:
        status: The HTTP status.
        message: The text; may be empty if ``guard`` is set.
        guard: Whether it arises before the endpoint: no route, a guard, or a malformed body.
    """

    def __init__(self, status: int, message: str = "", *, guard: bool = False) -> None:
        self.status = status
        self.message = message
        self.guard = guard
        super().__init__(f"{status} {message}".rstrip())

    def copy(self) -> RefusalError:
        """Return the same refusal without the traceback of an earlier ``raise``."""
        return RefusalError(self.status, self.message, guard=self.guard)


def guarded(status: int, message: str = "") -> RefusalError:
    """Return a refusal that arises before the endpoint."""
    return RefusalError(status, message, guard=True)


def bad_request(context: str, cause: object) -> RefusalError:
    """Return an endpoint's refusal of a malformed argument."""
    return RefusalError(HTTPStatus.BAD_REQUEST, f"{context}: {cause}")


def failed(context: str, cause: object) -> RefusalError:
    """Return an endpoint's refusal after an internal failure."""
    return RefusalError(HTTPStatus.INTERNAL_SERVER_ERROR, f"{context}: {cause}")


def reverted_read(context: str, revert: RevertError, profile: Profile) -> RefusalError:
    """Return an endpoint's refusal after a query was reverted."""
    cause = (
        revert.text(named=True)
        if profile.names_reverts
        else f"Contract call reverted with data: {revert.data()}"
    )
    return failed(context, cause)


def reverted_write(context: str, revert: RevertError, profile: Profile) -> RefusalError:
    """Return an endpoint's refusal after a transaction was reverted.

    Permission errors are a 403 in builds that decode error names.
    """
    if profile.names_reverts and revert.about_permission:
        return RefusalError(HTTPStatus.FORBIDDEN, "Permission denied")
    return failed(context, f"Simulation failed: {revert.text(named=profile.names_reverts)}")


@dataclass(frozen=True, slots=True)
class Body:
    """A body and its type."""

    content_type: str
    content: bytes

    @classmethod
    def json(cls, value: object) -> Body:
        """Compact JSON."""
        return cls(JSON, json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode())


def body(refusal: RefusalError, profile: Profile, accept: str) -> Body:
    """Return the body of a refusal.

    Args:
        refusal: The refusal.
        profile: The build.
        accept: The ``Accept`` header. The framework sends JSON only to clients that prefer it.
    """
    if not refusal.guard:
        return Body.json(refusal.message)
    reason = HTTPStatus(refusal.status).phrase
    if profile.json_refusals:
        return Body.json(_envelope(refusal, reason))
    if _prefers_json(accept):
        description = refusal.message or f"The request was refused: {reason}."
        error = {"code": refusal.status, "reason": reason, "description": description}
        return Body(JSON, json.dumps({"error": error}, indent=2).encode())
    page = f"<!DOCTYPE html><html><head><title>{refusal.status} {reason}</title></head><body>{reason}</body></html>"
    return Body(HTML, page.encode())


def _envelope(refusal: RefusalError, reason: str) -> dict[str, str]:
    message, fix = _ENVELOPES.get(
        refusal.status, (f"{refusal.status} {reason}.", "See the errors reference.")
    )
    known = refusal.status in _ENVELOPES
    name = _NAMES.get(refusal.status, reason.lower().replace(" ", "_")) if known else "error"
    return {"error": name, "message": refusal.message or message, "fix": fix, "docs_url": _DOCS_URL}


def _prefers_json(accept: str) -> bool:
    """Whether ``application/json`` has the highest weight. The first of equal weights wins."""
    best, weight = "", -1.0
    for each in accept.split(","):
        kind, *parameters = (part.strip() for part in each.split(";"))
        q = next((p[2:] for p in parameters if p.startswith("q=")), "1")
        try:
            value = float(q)
        except ValueError:
            continue
        if value > weight:
            best, weight = kind, value
    return best == JSON

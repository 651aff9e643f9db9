"""What an answer of the service means that is not the wanted one, and whether the same may be sent again.

Builds of April 2026 answer with a bare JSON string, the web framework's own object or HTML; builds of June 2026 and
later with an object of ``error``, ``message``, ``fix``, ``docs_url``. The texts are not passed on: they may repeat
what an action threw.

Source: notes on Chipotle, sections 4, 5 and 7.3.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from http import HTTPStatus

from lit_airflow.errors import (
    AccessDeniedError,
    FailureKind,
    LitError,
    NodesUnavailableError,
    OutcomeUnknownError,
    PaymentError,
    ProtocolError,
    RateLimitedError,
)
from lit_airflow.errors import Failure as ServerFailure
from lit_airflow.networks.chipotle.api_calls import REPEATABLE

RUN = "lit_action"

NOT_JSON = object()
"""Stands for a body that is not JSON: empty, HTML, cut short."""

_ACTION_TEXT = "Internal server error.: Actions failed with"
_UNKNOWN_KEY = "Invalid API key"
_TOP_UP = "Check the account's balance with `lit-airflow chipotle status`, and top it up."
_LOOK_FIRST = "Look at what the account holds before doing it again: `lit-airflow chipotle status`."
_REFUSAL = re.compile(r"[a-z_]{1,40}")
_CONTRACT_ERROR = re.compile(
    r"\b(NotMasterAccount|NoAccountAccess|NotAllowedTo[A-Za-z]{1,40}|Account(?:DoesNotExist|AlreadyExists)"
    r"|(?:UsageApiKey|Group|Action|Pkp)DoesNotExist|InsufficientBalance|OnlyApiPayerOrOwner|InvalidRequest)\b"
)


class Kind(Enum):
    """What went wrong."""

    ACTION = "action"
    """The action itself failed; the same again would too."""
    AUTHENTICATION = "authentication"
    """The key is missing, unknown or revoked."""
    CREDIT = "credit"
    """The account has no credit left."""
    CREDIT_OR_KEY = "credit_or_key"
    """No credit left, or the key is unknown; the balance tells which."""
    NOT_YET = "not_yet"
    """A key that was just minted is not known everywhere."""
    OVERLOAD = "overload"
    """The service asks for fewer requests."""
    PERMISSION = "permission"
    """The key may not do this."""
    REQUEST = "request"
    """The request is wrong."""
    SERVER = "server"
    """The service failed, or did not answer."""
    UNAVAILABLE = "unavailable"
    """Something that the service depends on is down; nothing was done."""
    UNKNOWN_OUTCOME = "unknown_outcome"
    """A change that may have been made or not."""


@dataclass(frozen=True, slots=True)
class Failure:
    """What an answer means.

    Attributes:
        kind: What went wrong.
        cause: A few words for people; nothing of what the service wrote but known names.
        retryable: Whether the client may send the same again by itself.
    """

    kind: Kind
    cause: str
    retryable: bool


_ACTION_FAILED = Failure(Kind.ACTION, "the action failed", retryable=False)
_REFUSALS: Mapping[int, Kind] = {
    HTTPStatus.UNAUTHORIZED: Kind.AUTHENTICATION,
    HTTPStatus.FORBIDDEN: Kind.PERMISSION,
    HTTPStatus.TOO_MANY_REQUESTS: Kind.OVERLOAD,
}
# What happened, and what to do.
_DENIALS: Mapping[Kind, tuple[str, str]] = {
    Kind.AUTHENTICATION: (
        "does not take the API key",
        "The key is unknown or was revoked: check the secret at api_key_path in Vault.",
    ),
    Kind.PERMISSION: (
        "does not let this API key do that",
        "The key's group must contain the gate's CID; `lit-airflow chipotle status` shows it.",
    ),
    Kind.NOT_YET: ("does not know the new API key yet", "Wait some seconds and try again."),
}
_BILLS: Mapping[Kind, str] = {
    Kind.CREDIT: "says that the account has no credit left",
    Kind.CREDIT_OR_KEY: "wants to be paid, or does not know the API key",
}
_WRONG: Mapping[Kind, tuple[str, str]] = {
    Kind.ACTION: (
        "ran an action that failed",
        "A gate answers every request; so another text ran, or the gate ran out of memory or time.",
    ),
    Kind.REQUEST: ("refused the request", ""),
}


@dataclass(frozen=True, slots=True)
class ApiAnswer:
    """An answer over HTTP.

    Attributes:
        status: The HTTP status.
        content_type: The header, as sent.
        body: The text.
        request_id: The service's ``X-Request-Id``; what its support asks for.
    """

    status: int
    content_type: str
    body: str
    request_id: str = ""


def classify(call: str, answer: ApiAnswer, *, probing: bool = False) -> Failure | None:
    """Return what is wrong with an answer; ``None`` for a good one.

    Args:
        call: The call's name, such as ``lit_action``.
        answer: What arrived.
        probing: Whether the key was minted seconds ago and is being waited for.
    """
    content = parsed(answer)
    status = answer.status
    if HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
        return _success(call, content, status)
    cause = _cause(status, content)
    if probing and _not_yet(status, content):
        return Failure(Kind.NOT_YET, cause, retryable=True)
    if status == HTTPStatus.SERVICE_UNAVAILABLE and _is_envelope(content):
        return Failure(Kind.UNAVAILABLE, cause, retryable=True)
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return _server_error(call, status, content, cause)
    kind = _refusal_kind(status, content)
    return Failure(kind, cause, retryable=kind is Kind.OVERLOAD)


def lost(call: str, cause: str) -> Failure:
    """Return what it means that no answer came, or not a whole one."""
    if call in REPEATABLE:
        return Failure(Kind.SERVER, cause, retryable=True)
    return Failure(Kind.UNKNOWN_OUTCOME, cause, retryable=False)


def error_of(failure: Failure, call: str, server: str) -> LitError:
    """Return the error to raise for a failure.

    Args:
        failure: What went wrong.
        call: The call's name.
        server: The service's URL, for messages.
    """
    what = f"({call}: {failure.cause})"
    if failure.kind in _DENIALS:
        message, hint = _DENIALS[failure.kind]
        return AccessDeniedError(f"{server} {message} {what}.", code=failure.kind.value, hint=hint)
    if failure.kind in _BILLS:
        return PaymentError(f"{server} {_BILLS[failure.kind]} {what}.", hint=_TOP_UP)
    if failure.kind in _WRONG:
        message, hint = _WRONG[failure.kind]
        return ProtocolError(f"{server} {message} {what}.", hint=hint)
    if failure.kind is Kind.OVERLOAD:
        return RateLimitedError(f"{server} is too busy {what}.")
    if failure.kind is Kind.UNKNOWN_OUTCOME:
        return OutcomeUnknownError(
            f"{server} may have made the change or not {what}.", operation=call, hint=_LOOK_FIRST
        )
    failures = {server: ServerFailure(FailureKind.REFUSED, failure.cause)}
    return NodesUnavailableError(f"{server} failed {what}.", needed=1, reached=0, failures=failures)


def _success(call: str, content: object, status: int) -> Failure | None:
    if content is NOT_JSON:
        return lost(call, f"HTTP {status}, but the answer is not JSON")
    if call == RUN and isinstance(content, Mapping) and content.get("has_error") is True:
        return _ACTION_FAILED
    return None


def _not_yet(status: int, content: object) -> bool:
    """Return whether this is how a key that is not known everywhere yet is refused."""
    if status == HTTPStatus.FORBIDDEN:
        return True
    return status == (HTTPStatus.UNAUTHORIZED if _is_envelope(content) else HTTPStatus.PAYMENT_REQUIRED)


def _refusal_kind(status: int, content: object) -> Kind:
    if status == HTTPStatus.PAYMENT_REQUIRED:
        return Kind.CREDIT if _is_envelope(content) else Kind.CREDIT_OR_KEY
    if status == HTTPStatus.BAD_REQUEST and isinstance(content, str) and content.startswith(_UNKNOWN_KEY):
        return Kind.AUTHENTICATION
    return _REFUSALS.get(status, Kind.REQUEST)


def _server_error(call: str, status: int, content: object, cause: str) -> Failure:
    failed = call == RUN and status == HTTPStatus.INTERNAL_SERVER_ERROR
    if failed and _message(content).startswith(_ACTION_TEXT):
        return _ACTION_FAILED
    return lost(call, cause)


def _is_envelope(content: object) -> bool:
    """Return whether an error body has the shape of June 2026 and later."""
    return isinstance(content, Mapping) and isinstance(content.get("error"), str)


def _message(content: object) -> str:
    text = content.get("message") if isinstance(content, Mapping) else content
    return text if isinstance(text, str) else ""


def _cause(status: int, content: object) -> str:
    """Return the status and, where they are known ones, the names that the service gives the failure."""
    words = [f"HTTP {status}"]
    if (
        isinstance(content, Mapping)
        and isinstance(content.get("error"), str)
        and _REFUSAL.fullmatch(content["error"])
    ):
        words.append(content["error"])
    if named := _CONTRACT_ERROR.search(_message(content)):
        words.append(named[0])
    return " ".join(words)


def parsed(answer: ApiAnswer) -> object:
    """Return the JSON of an answer, or :data:`NOT_JSON`."""
    if "json" not in answer.content_type.lower():
        return NOT_JSON
    try:
        return json.loads(answer.body)
    except (ValueError, RecursionError):
        return NOT_JSON

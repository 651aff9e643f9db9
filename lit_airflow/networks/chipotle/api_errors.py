"""What an answer of the service means that is not the wanted one, and whether the same may be sent again.

Builds of April 2026 answer with a bare JSON string, the web framework's own object or HTML; builds of June 2026 and
later with an object of ``error``, ``message``, ``fix``, ``docs_url``. The texts are not passed on: they may repeat
what an action threw.

Source: docs/protocol/chipotle.md#errors, #what-may-be-repeated and #waiting-for-a-new-key.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from http import HTTPStatus

from lit_airflow.errors import (
    AccessDeniedError,
    Failure,
    FailureKind,
    LitError,
    NodesUnavailableError,
    OutcomeUnknownError,
    PaymentError,
    ProtocolError,
    RateLimitedError,
)
from lit_airflow.json_input import JsonInputError, parse
from lit_airflow.networks.chipotle.api_calls import REPEATABLE

RUN = "lit_action"

NOT_JSON = object()
"""Stands for a body that is not JSON: empty, HTML, cut short."""

_ACTION_TEXT = "Internal server error.: Actions failed with"
# How the service's own reasons begin. An action that throws has its text after "Uncaught (in promise) ".
_LIMIT_TEXTS = {
    "time": "Your function exceeded the maximum runtime of",
    "memory": "Your function exceeded the maximum memory of",
    "code": "Code payload is too large",
    "funds": "Your function ran out of funds",
}
# JavaScript's own classes only: any other word may be data that was thrown.
_THROWN = re.compile(
    r"Uncaught (?:\(in promise\) )?((?:Type|Range|Reference|Syntax|Eval|URI|Aggregate)?Error)(?::|$)"
)
_UNKNOWN_KEY = "Invalid API key"
TOP_UP = (
    "`lit-airflow chipotle status` shows the account's credit. Buy more with Add Funds in the Chipotle Dashboard: "
    "https://developer.litprotocol.com/management/pricing."
)
_LOOK_FIRST = "Run the set-up or the rotation again: both look for what this has left, and remove it."
_REFUSAL = re.compile(r"[a-z_]{1,40}")
_CONTRACT_ERROR = re.compile(
    r"\b(NotMasterAccount|NoAccountAccess|NotAllowedTo[A-Za-z]{1,40}|Account(?:DoesNotExist|AlreadyExists)"
    r"|(?:UsageApiKey|Group|Action|Pkp)DoesNotExist|InsufficientBalance|OnlyApiPayerOrOwner|InvalidRequest)\b"
)


class ApiFailureKind(Enum):
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
class ApiFailure:
    """What an answer means.

    Attributes:
        kind: What went wrong.
        cause: A few words for people; nothing of what the service wrote but known names.
        retryable: Whether the client may send the same again by itself.
        reason: The same for reports on servers.
        limit: Of an action that failed: ``time``, ``memory``, ``code`` or ``funds`` that it ran out of; else empty.
        thrown: Of an action that failed: the class of the error that it threw, such as ``TypeError``; else empty.
    """

    kind: ApiFailureKind
    cause: str
    retryable: bool
    reason: FailureKind = FailureKind.REFUSED
    limit: str = ""
    thrown: str = ""


_ACTION_FAILED = ApiFailure(ApiFailureKind.ACTION, "the action failed", retryable=False)
_REFUSALS: Mapping[int, ApiFailureKind] = {
    HTTPStatus.UNAUTHORIZED: ApiFailureKind.AUTHENTICATION,
    HTTPStatus.FORBIDDEN: ApiFailureKind.PERMISSION,
    HTTPStatus.TOO_MANY_REQUESTS: ApiFailureKind.OVERLOAD,
}
# What happened, and what to do.
_DENIALS: Mapping[ApiFailureKind, tuple[str, str]] = {
    ApiFailureKind.AUTHENTICATION: (
        "does not take the API key",
        "The key is unknown or was revoked: check the secret at api_key_path in Vault.",
    ),
    ApiFailureKind.PERMISSION: (
        "does not let this API key do that",
        "The key's group must contain the gate's CID: `lit-airflow chipotle status` shows both.",
    ),
    ApiFailureKind.NOT_YET: ("does not know the new API key yet", "Wait some seconds and try again."),
}
_BILLS: Mapping[ApiFailureKind, str] = {
    ApiFailureKind.CREDIT: "says that the account has no credit left",
    ApiFailureKind.CREDIT_OR_KEY: "wants to be paid, or does not know the API key",
}
_WRONG: Mapping[ApiFailureKind, tuple[str, str]] = {
    ApiFailureKind.ACTION: (
        "ran an action that failed",
        "A gate answers every request; so another text ran, or the gate ran out of memory or time.",
    ),
    ApiFailureKind.REQUEST: ("refused the request", ""),
}


@dataclass(frozen=True, slots=True)
class ApiAnswer:
    """An answer over HTTP.

    Attributes:
        status: The HTTP status.
        content_type: The header, as sent.
        body: The text, or its bytes.
    """

    status: int
    content_type: str
    body: str | bytes = field(repr=False)


def classify(call: str, answer: ApiAnswer, *, probing: bool = False) -> ApiFailure | None:
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
        return ApiFailure(ApiFailureKind.NOT_YET, cause, retryable=True)
    if status == HTTPStatus.SERVICE_UNAVAILABLE and _is_envelope(content):
        return ApiFailure(ApiFailureKind.UNAVAILABLE, cause, retryable=True, reason=FailureKind.BUSY)
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return _server_error(call, status, content, cause)
    if call not in REPEATABLE and (status < HTTPStatus.BAD_REQUEST or status == HTTPStatus.REQUEST_TIMEOUT):
        return lost(call, cause)  # a proxy's answer, which does not say what became of the request
    kind = _refusal_kind(status, content)
    return ApiFailure(kind, cause, retryable=kind is ApiFailureKind.OVERLOAD)


def lost(call: str, cause: str, reason: FailureKind = FailureKind.MALFORMED) -> ApiFailure:
    """Return what it means that no answer came, or not a whole one."""
    if call in REPEATABLE:
        return ApiFailure(ApiFailureKind.SERVER, cause, retryable=True, reason=reason)
    return ApiFailure(ApiFailureKind.UNKNOWN_OUTCOME, cause, retryable=False, reason=reason)


def error_of(failure: ApiFailure, call: str, server: str) -> LitError:
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
        return PaymentError(f"{server} {_BILLS[failure.kind]} {what}.", hint=TOP_UP)
    if failure.kind in _WRONG:
        message, hint = _WRONG[failure.kind]
        return ProtocolError(f"{server} {message} {what}.", hint=hint)
    if failure.kind is ApiFailureKind.OVERLOAD:
        return RateLimitedError(f"{server} is too busy {what}.")
    if failure.kind is ApiFailureKind.UNKNOWN_OUTCOME:
        return OutcomeUnknownError(
            f"{server} may have made the change or not {what}.", operation=call, hint=_LOOK_FIRST
        )
    failures = {server: Failure(failure.reason, failure.cause)}
    return NodesUnavailableError(f"{server} failed {what}.", needed=1, reached=0, failures=failures)


def _success(call: str, content: object, status: int) -> ApiFailure | None:
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


def _refusal_kind(status: int, content: object) -> ApiFailureKind:
    if status == HTTPStatus.PAYMENT_REQUIRED:
        return ApiFailureKind.CREDIT if _is_envelope(content) else ApiFailureKind.CREDIT_OR_KEY
    if status == HTTPStatus.BAD_REQUEST and isinstance(content, str) and content.startswith(_UNKNOWN_KEY):
        return ApiFailureKind.AUTHENTICATION
    return _REFUSALS.get(status, ApiFailureKind.REQUEST)


def _server_error(call: str, status: int, content: object, cause: str) -> ApiFailure:
    failed = call == RUN and status == HTTPStatus.INTERNAL_SERVER_ERROR
    message = _message(content)
    if failed and message.startswith(_ACTION_TEXT):
        return _action_failure(message.removeprefix(_ACTION_TEXT).lstrip(": "))
    return lost(call, cause, FailureKind.BUSY)


def _action_failure(reason: str) -> ApiFailure:
    """Return why an action failed, as far as the service's own words say; what the action threw is left out."""
    limit = next((limit for limit, words in _LIMIT_TEXTS.items() if reason.startswith(words)), "")
    thrown = _THROWN.match(reason)
    return replace(_ACTION_FAILED, limit=limit, thrown=thrown[1] if thrown else "")


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
        return parse(answer.body)
    except JsonInputError:
        return NOT_JSON

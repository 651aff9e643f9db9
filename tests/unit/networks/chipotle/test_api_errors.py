"""Beyond the vectors: both profiles' statuses for every kind of call, and what becomes an error of which class."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lit_airflow.errors import (
    AccessDeniedError,
    LitError,
    NodesUnavailableError,
    OutcomeUnknownError,
    PaymentError,
    ProtocolError,
    RateLimitedError,
)
from lit_airflow.networks.chipotle.api_calls import REPEATABLE
from lit_airflow.networks.chipotle.api_errors import (
    ApiAnswer,
    ApiFailure,
    ApiFailureKind,
    classify,
    error_of,
    lost,
)

ERRORS: dict[ApiFailureKind, type[LitError]] = {
    ApiFailureKind.ACTION: ProtocolError,
    ApiFailureKind.AUTHENTICATION: AccessDeniedError,
    ApiFailureKind.CREDIT: PaymentError,
    ApiFailureKind.CREDIT_OR_KEY: PaymentError,
    ApiFailureKind.NOT_YET: AccessDeniedError,
    ApiFailureKind.OVERLOAD: RateLimitedError,
    ApiFailureKind.PERMISSION: AccessDeniedError,
    ApiFailureKind.REQUEST: ProtocolError,
    ApiFailureKind.SERVER: NodesUnavailableError,
    ApiFailureKind.UNAVAILABLE: NodesUnavailableError,
    ApiFailureKind.UNKNOWN_OUTCOME: OutcomeUnknownError,
}
WRITES_ONCE = [
    "new_account",
    "add_usage_api_key",
    "remove_usage_api_key",
    "add_group",
    "remove_group",
    "create_wallet",
]


def envelope(status: int, error: str, message: str = "m") -> ApiAnswer:
    return ApiAnswer(status, "application/json", json.dumps({"error": error, "message": message, "fix": "f"}))


def bare(status: int, text: str) -> ApiAnswer:
    return ApiAnswer(status, "application/json; charset=utf-8", json.dumps(text))


def html(status: int) -> ApiAnswer:
    return ApiAnswer(status, "text/html", "<html></html>")


def kind_of(call: str, answer: ApiAnswer, *, probing: bool = False) -> ApiFailureKind | None:
    failure = classify(call, answer, probing=probing)
    return failure.kind if failure else None


@pytest.mark.parametrize("call", WRITES_ONCE)
@pytest.mark.parametrize(
    "answer",
    [
        *(bare(500, "failed"), html(502), html(504), html(503), ApiAnswer(200, "", "")),
        *(html(301), html(302), html(307), bare(308, "x"), html(408), html(199)),
    ],
)
def test_a_change_whose_answer_says_nothing_is_not_repeated(call: str, answer: ApiAnswer) -> None:
    failure = classify(call, answer)
    assert failure is not None
    assert (failure.kind, failure.retryable) == (ApiFailureKind.UNKNOWN_OUTCOME, False)
    assert lost(call, "no answer in time").kind is ApiFailureKind.UNKNOWN_OUTCOME


@pytest.mark.parametrize("call", sorted(REPEATABLE))
def test_what_may_be_repeated_is(call: str) -> None:
    for failure in (
        classify(call, html(502)),
        classify(call, bare(500, "failed")),
        lost(call, "no answer in time"),
    ):
        assert failure is not None
        assert (failure.kind, failure.retryable) == (ApiFailureKind.SERVER, True)


def test_only_what_depends_on_something_that_is_down_says_that_nothing_was_done() -> None:
    assert kind_of("add_group", envelope(503, "service_unavailable")) is ApiFailureKind.UNAVAILABLE


@pytest.mark.parametrize("status", [400, 404, 405, 413, 415, 422, 301])
def test_wrong_requests(status: int) -> None:
    for answer in (html(status), bare(status, "x"), envelope(status, "bad_request")):
        assert kind_of("lit_action", answer) is ApiFailureKind.REQUEST


def test_a_key_that_is_waited_for() -> None:
    april = ApiAnswer(401, "application/json", '{"error": {"code": 401, "reason": "Unauthorized"}}')
    assert kind_of("lit_action", envelope(401, "unauthorized"), probing=True) is ApiFailureKind.NOT_YET
    assert kind_of("lit_action", bare(403, "not authorized"), probing=True) is ApiFailureKind.NOT_YET
    assert kind_of("lit_action", html(402), probing=True) is ApiFailureKind.NOT_YET
    # Nobody sent a key: waiting does not help. The account is empty: neither does it.
    assert kind_of("lit_action", april, probing=True) is ApiFailureKind.AUTHENTICATION
    assert kind_of("lit_action", envelope(402, "payment_required"), probing=True) is ApiFailureKind.CREDIT


def test_actions_that_failed() -> None:
    text = "Internal server error.: Actions failed with : Uncaught Error: secret plaintext"
    for answer in (bare(500, text), envelope(500, "internal_server_error", text)):
        assert classify("lit_action", answer) == ApiFailure(
            ApiFailureKind.ACTION, "the action failed", retryable=False, thrown="Error"
        )
    done = {"response": "", "logs": "", "has_error": True}
    assert (
        kind_of("lit_action", ApiAnswer(200, "application/json", json.dumps(done))) is ApiFailureKind.ACTION
    )
    done["has_error"] = False
    assert kind_of("lit_action", ApiAnswer(200, "application/json", json.dumps(done))) is None


@pytest.mark.parametrize(
    ("reason", "limit", "thrown"),
    [
        ("Your function exceeded the maximum runtime of 900000ms and was terminated.", "time", ""),
        ("Your function exceeded the maximum memory of 64 MB and was terminated.", "memory", ""),
        ("Code payload is too large (17000000 bytes). Max length is 16777216 bytes.", "code", ""),
        ("Your function ran out of funds to continue execution and was terminated.", "funds", ""),
        ("Uncaught (in promise) TypeError: plaintext", "", "TypeError"),
        ("Uncaught Error", "", "Error"),
        ("Uncaught (in promise) plaintextError: more", "", ""),
        ("Uncaught (in promise) PlaintextError: more", "", ""),
        ("Uncaught (in promise) Errors are plaintext", "", ""),
        ("Uncaught (in promise) Your function exceeded the maximum memory of", "", ""),
        ("", "", ""),
    ],
)
def test_why_an_action_failed(reason: str, limit: str, thrown: str) -> None:
    """What the service says is known; what the action threw is not repeated."""
    failure = classify("lit_action", bare(500, f"Internal server error.: Actions failed with : {reason}"))
    assert failure is not None
    assert (failure.kind, failure.limit, failure.thrown) == (ApiFailureKind.ACTION, limit, thrown)
    assert "laintext" not in repr(failure)


def test_good_answers_of_any_type() -> None:
    for body in ("true", "[]", '"Qm"', "{}", "null"):
        assert classify("account_exists", ApiAnswer(200, "application/json", body)) is None


@pytest.mark.parametrize("kind", ApiFailureKind)
def test_errors(kind: ApiFailureKind) -> None:
    failure = ApiFailure(
        kind,
        "HTTP 500",
        retryable=kind in {ApiFailureKind.OVERLOAD, ApiFailureKind.SERVER, ApiFailureKind.UNAVAILABLE},
    )
    error = error_of(failure, "add_group", "https://api.example/core/v1")
    assert type(error) is ERRORS[kind]
    assert error.retryable is failure.retryable
    assert "https://api.example/core/v1" in error.message
    assert "add_group: HTTP 500" in error.message


def test_the_operation_whose_outcome_is_unknown_is_named() -> None:
    error = error_of(
        lost("add_usage_api_key", "no answer in time"), "add_usage_api_key", "https://api.example"
    )
    assert isinstance(error, OutcomeUnknownError)
    assert error.operation == "add_usage_api_key"


def test_names_of_refusals_are_told_and_other_text_is_not() -> None:
    text = "Simulation failed: Contract error: GroupDoesNotExist(secret, 2)"
    failure = classify("update_group", envelope(500, "internal_server_error", text))
    assert failure is not None
    assert failure.cause == "HTTP 500 internal_server_error GroupDoesNotExist"


@given(
    st.sampled_from(["lit_action", "add_group", "list_groups"]),
    st.integers(100, 599),
    st.sampled_from(["application/json", "text/html", ""]),
    st.text(max_size=30)
    | st.just("[" * 5000)
    | st.just('{"error": {}}')
    | st.just('{"error": "x", "message": 5}'),
    st.booleans(),
)
def test_any_answer_is_understood(
    call: str,
    status: int,
    content_type: str,
    body: str,
    probing: bool,  # noqa: FBT001 - generated
) -> None:
    failure = classify(call, ApiAnswer(status, content_type, body), probing=probing)
    assert failure is None or isinstance(error_of(failure, call, "https://api.example"), LitError)
    assert failure is not None or 200 <= status < 300

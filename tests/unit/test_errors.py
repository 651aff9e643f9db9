from __future__ import annotations

import inspect
from datetime import UTC, datetime
from typing import Any

import pytest

from lit_airflow import errors
from lit_airflow.errors import LitError

NOW = datetime(2025, 1, 15, tzinfo=UTC)
ALL = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, LitError)]
# What each kind wants beside its message, by parameter name.
FACTS: dict[str, Any] = {
    "field": "chain",
    "name": "reports",
    "operation": "add_usage_api_key",
    "expired_at": NOW,
    "now": NOW,
    "check": "report",
    "needed": 2,
    "reached": 1,
    "good": 1,
    "failures": {"http://127.0.0.1:1": "connection refused"},
}
RETRYABLE = {
    "VaultUnavailableError",
    "SessionNotFoundError",
    "SignerUnavailableError",
    "ChainUnavailableError",
    "NodesUnavailableError",
    "RateLimitedError",
}


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.__name__)
def test_every_error_holds_its_facts(kind: type[LitError]) -> None:
    wanted = inspect.signature(kind).parameters
    facts = {
        name: FACTS[name]
        for name, parameter in wanted.items()
        if parameter.kind is parameter.KEYWORD_ONLY and parameter.default is parameter.empty
    }
    hint = {"hint": "Do this."} if "hint" in wanted else {}
    error = kind("It failed.", **facts, **hint)
    assert {name: getattr(error, name) for name in facts} == facts
    assert str(error) == " ".join(["It failed.", *hint.values()])
    assert error.retryable is (kind.__name__ in RETRYABLE)


def test_what_the_caller_gave_wrong_is_a_value_error() -> None:
    assert issubclass(errors.SettingsError, ValueError)
    assert issubclass(errors.ConditionError, ValueError)

from __future__ import annotations

import pytest

from lit_airflow.errors import CiphertextError, Failure, FailureKind, SettingsError
from lit_airflow.networks.contract import (
    Check,
    Cost,
    Decrypted,
    DecryptionReport,
    Health,
    SessionOptions,
    Verdict,
)

REFUSED = Failure(FailureKind.UNREACHABLE, "connection refused")


def test_a_report_as_a_line_for_the_log() -> None:
    assert str(DecryptionReport({"a": 0.0123, "b": 1.5})) == "Answered: a (12 ms), b (1500 ms). Failed: none."
    told = str(DecryptionReport({"a": 0.001}, {"b": REFUSED}, ("c", "d")))
    assert told == "Answered: a (1 ms). Not waited for: c, d. Failed: b (connection refused)."
    paid = DecryptionReport({"a": 0.001}, cost=Cost(0.3141, 1))
    assert str(paid) == "Answered: a (1 ms). Failed: none. Cost: $0.01 for 0.31 s."


def test_health_as_a_sentence() -> None:
    health = Health({"a": 0.1, "b": 0.0, "c": REFUSED}, 2, "No server told the time.")
    assert health.reached == 2
    assert str(health) == "2 of 3 servers answered, 2 needed. No server told the time."


def test_checks() -> None:
    error = SettingsError("timeout_s must be positive, got 0.", field="timeout_s", hint="Raise it.")
    assert Check.failed("settings", error) == Check("settings", Verdict.BAD, error.message, error.hint)
    assert Check.good("chain", "answers").verdict is Verdict.GOOD
    assert (Check.note("clock", "unknown").verdict, Check.note("clock", "unknown").advice) == (
        Verdict.NOTE,
        "",
    )
    assert [verdict.value for verdict in Verdict] == ["ok", "note", "wrong"]


def test_an_outcome_is_its_plaintext_or_raises_its_error() -> None:
    assert Decrypted(3, b"x").result() == b"x"
    assert Decrypted(3, b"").result() == b""
    error = CiphertextError("cut short")
    with pytest.raises(CiphertextError) as caught:
        Decrypted(3, error=error).result()
    assert caught.value is error
    assert "canary" not in repr(Decrypted(0, b"canary"))


def test_options_do_not_show_what_a_session_carries() -> None:
    options = SessionOptions(ttl_s=60, capabilities=("canary",))  # type: ignore[arg-type]
    assert "canary" not in repr(options)

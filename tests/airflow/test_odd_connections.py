"""Connections that Airflow accepts and that cannot be right, and what the log masker hides."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk.log import redact

from lit_airflow.errors import LitError, SettingsError, TicketError, VaultDeniedError
from lit_airflow.hooks import LitHook
from lit_airflow.keys.secret import Secret
from lit_airflow.networks.contract import Verdict
from lit_airflow.provider import doctor, files
from lit_airflow.provider.airflow_compat import VaultHookLogin, mask_key
from tests.unit.frames import recorded

pytestmark = pytest.mark.usefixtures("no_masks_of_earlier_tests")

DIGITS = "aB3" * 21 + "f"


def lit(monkeypatch: pytest.MonkeyPatch, extra: object) -> LitHook:
    monkeypatch.setenv("AIRFLOW_CONN_ODD", json.dumps({"conn_type": "lit", "extra": extra}))
    return LitHook("odd")


def vault(monkeypatch: pytest.MonkeyPatch, **connection: Any) -> VaultHookLogin:  # noqa: ANN401 - its fields
    entry = {"conn_type": "vault", "host": "127.0.0.1", "port": 9} | connection
    monkeypatch.setenv("AIRFLOW_CONN_ODD_VAULT", json.dumps(entry))
    monkeypatch.delenv("VAULT_TOKEN", raising=False)
    return VaultHookLogin("odd_vault", timeout_s=1)


@pytest.mark.parametrize("extra", ["{network: datil}", json.dumps(json.dumps({"network": "datil-test"}))])
def test_an_extra_that_is_no_object_is_not_the_defaults(monkeypatch: pytest.MonkeyPatch, extra: str) -> None:
    hook = lit(monkeypatch, extra)
    with pytest.raises(SettingsError, match="not a JSON object"):
        _ = hook.settings
    (check,) = doctor.examine(hook)
    assert (check.name, check.verdict) == ("fields", Verdict.BAD)
    assert hook.test_connection()[0] is False


@pytest.mark.parametrize(
    "value",
    [
        '{"conn_type": "lit", "extra": {"seal_secret": "canary"}',
        '{"conn_type": "lit", "port": "canary"}',
        '{"conn_type": "lit", "canary": 1}',
        "lit://h:canary/",
    ],
)
@pytest.mark.parametrize("field", ["lit_conn_id", "vault_conn_id"])
def test_a_variable_that_is_no_connection_is_named_and_not_shown(
    monkeypatch: pytest.MonkeyPatch, value: str, field: str
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_ODD_ONE", value)
    read = {
        "lit_conn_id": lambda: LitHook("odd_one").settings,
        "vault_conn_id": VaultHookLogin("odd_one", timeout_s=1).client,
    }
    with pytest.raises(SettingsError, match="AIRFLOW_CONN_ODD_ONE") as caught:
        read[field]()
    assert caught.value.field == field
    assert "not found" not in str(caught.value)
    assert "canary" not in recorded(caught.value)


def test_a_misspelt_field_is_named_by_log_and_doctor(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    hook = lit(monkeypatch, {"netwrok": "datil", "network": "datil-dev"})
    assert hook.settings.network == "datil-dev"
    assert hook.unknown_fields == ['The field "netwrok" is unknown and ignored; network may be meant.']
    checks = iter(doctor.examine(hook))
    assert next(checks).verdict is Verdict.GOOD
    note = next(checks)
    assert (note.verdict, "netwrok" in note.found) == (Verdict.NOTE, True)


@pytest.mark.parametrize(
    ("connection", "said"),
    [
        ({"password": "t", "extra": {"client_kwargs": '{"timeout": 3}'}}, "client_kwargs"),
        ({"password": "t", "extra": "{no json"}, "not a JSON object"),
        ({"password": "t", "extra": {"kv_engine_version": "v2"}}, "v2."),
        ({"password": "in the\nmiddle"}, "line break"),
        ({"password": "t\u00e9"}, "character that no token has"),
        ({}, "requires 'token' or 'token_path'."),
    ],
)
def test_a_vault_connection_that_cannot_be_used_says_why(
    monkeypatch: pytest.MonkeyPatch, connection: dict[str, Any], said: str
) -> None:
    with pytest.raises(LitError) as caught:
        vault(monkeypatch, **connection).client()
    assert isinstance(caught.value, SettingsError | VaultDeniedError)
    assert not caught.value.retryable
    assert said in str(caught.value)
    assert "None None" not in str(caught.value)


@pytest.mark.parametrize("password", ["root\n", " root", "root\r\n", "\ufeffroot"])
def test_a_token_with_something_around_it(monkeypatch: pytest.MonkeyPatch, password: str) -> None:
    assert vault(monkeypatch, password=password).client().token == "root"


def test_a_token_from_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text("root\n")
    login = vault(monkeypatch, extra={"auth_type": "token", "token_path": str(path)})
    assert login.client().token == "root"


@pytest.mark.parametrize(
    "stored",
    [
        DIGITS,
        "0x" + DIGITS,
        "0X" + DIGITS,
        f" 0X{DIGITS}\n",
        f'"{DIGITS}"',
        DIGITS.upper(),
        bytes.fromhex(DIGITS),
    ],
)
def test_every_spelling_of_a_key_is_masked(stored: str | bytes) -> None:
    mask_key(Secret(stored if isinstance(stored, bytes) else stored.encode()))
    as_stored = [DIGITS] if DIGITS in str(stored) else []
    for digits in (*as_stored, DIGITS.lower(), DIGITS.upper()):
        for prefix in ("", "0x", "0X"):
            assert digits not in str(redact(f"key {prefix}{digits} end"))
    raw = bytes.fromhex(DIGITS)
    for other in (base64.b64encode(raw), base64.urlsafe_b64encode(raw), str(int(DIGITS, 16)).encode()):
        assert other.decode().rstrip("=") not in str(redact(f"key {other.decode()} end"))


def test_a_store_without_its_driver_says_what_to_install() -> None:
    for path, package in (
        ("gs://bucket/x", "google"),
        ("ssh://host/x", r"sftp\[sshfs\]"),
        ("gdrive://x", "install gdrive"),  # fsspec knows it, and not Airflow
        ("GS://bucket/x", "in lower case"),
        ("nonsense://bucket/x", "before ://"),
    ):
        for act in (files.read, files.size):
            with pytest.raises(SettingsError, match=package) as caught:
                act(path)
            assert not caught.value.retryable


@pytest.mark.parametrize("given", [None, 5, "", b'{"ciphertext": "x"}', [None]])
def test_what_is_no_path_is_refused_by_name(given: Any) -> None:  # noqa: ANN401 - what a task may return
    with pytest.raises(SettingsError, match="Expected a path"):
        [files.read_container(each) for each in files.listed(given)]


def test_a_session_that_a_template_did_not_render(monkeypatch: pytest.MonkeyPatch) -> None:
    hook = lit(monkeypatch, {"network": "datil-dev"})
    for text in ("", "None"):
        with pytest.raises(TicketError, match="rendered no ticket"):
            hook.hold(text)
    with pytest.raises(SettingsError, match="cannot be published as"):  # before Vault is asked
        hook.hold("/data/session.json")


def test_a_connection_without_a_type(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_ODD", "{}")
    with pytest.raises(SettingsError, match="has no type; set its type to lit"):
        _ = LitHook("odd").settings


@pytest.mark.parametrize("number", ["1_000", "\u0661\u0662", "1e3", "0x10", "60s", 1e400, 1.5, True, [60]])
def test_a_number_written_in_an_odd_way(monkeypatch: pytest.MonkeyPatch, number: object) -> None:
    with pytest.raises(SettingsError) as caught:
        _ = lit(monkeypatch, {"session_ttl_s": number}).settings
    assert caught.value.field in {"session_ttl_s", "extra"}


@pytest.mark.parametrize("number", [120, "120", " 120 ", "+120", 120.0])
def test_a_number_written_as_people_do(monkeypatch: pytest.MonkeyPatch, number: object) -> None:
    assert lit(monkeypatch, {"session_ttl_s": number, "renewal_lead_s": 60}).settings.session_ttl_s == 120


@pytest.mark.parametrize("text", ['{"ciphertext": "x"}', "{'ciphertext': 'x'}", "['a.json', 'b.json']"])
def test_an_object_as_text_is_told_from_a_path(text: str) -> None:
    with pytest.raises(SettingsError, match="as text") as caught:
        files.read_container(text)
    assert "render_template_as_native_obj" in caught.value.hint

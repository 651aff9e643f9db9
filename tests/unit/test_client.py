"""What a client refuses before it asks anybody; the rest of it is tried against the local network."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lit_airflow import Conditions, LitClient, Scope, Wallet
from lit_airflow.cli import app
from lit_airflow.errors import CiphertextError, ConditionError, SettingsError
from lit_airflow.networks.descriptions import known_networks
from lit_airflow.sdk import SdkCalls
from tests.invoking import CliRunner

NOBODY = {"rpc_url": "http://127.0.0.1:9", "staking_address": "0x" + "11" * 20}
CONDITIONS = {"accessControlConditions": [], "chain": "ethereum"}


def test_an_unknown_network() -> None:
    with pytest.raises(SettingsError) as caught:
        LitClient("habanero")
    assert caught.value.field == "network"
    assert "datil-dev" in caught.value.hint


@pytest.mark.parametrize("timeout_s", [0, -1, float("nan")])
def test_a_time_out_that_is_none(timeout_s: float) -> None:
    with pytest.raises(SettingsError) as caught:
        LitClient(NOBODY, timeout_s=timeout_s)
    assert caught.value.field == "timeout_s"


@pytest.mark.parametrize(
    ("old", "present"),
    [
        ("survey", "survey"),
        ("listing", "validators"),
        ("open_pkp_session", "open_pkp_session"),
        ("get_session_sigs", "get_session_sigs"),
    ],
)
def test_calls_that_have_moved_warn(old: str, present: str) -> None:
    lit = LitClient(NOBODY)
    with pytest.warns(DeprecationWarning, match=rf"Use LitClient\.sdk\.{present}\.") as caught:
        call = getattr(lit, old)
    assert call.__func__ is getattr(SdkCalls, present)
    assert caught[0].filename == __file__


def test_present_calls_do_not(recwarn: pytest.WarningsRecorder) -> None:
    lit = LitClient(NOBODY)
    calls = [lit.sdk.survey, lit.sdk.validators, lit.sdk.open_pkp_session, lit.sdk.get_session_sigs]
    assert all(map(callable, calls))
    assert not hasattr(lit, "nonsense")
    assert list(recwarn) == []
    with pytest.raises(AttributeError, match="'LitClient' object has no attribute 'nonsense'"):
        _ = lit.nonsense


def test_the_sdks_calls_are_those_of_committees() -> None:
    single = next(name for name in known_networks() if LitClient(name).traits.single_server)
    with pytest.raises(SettingsError, match=f"not available on {single}") as caught:
        _ = LitClient(single).sdk
    assert caught.value.field == "network"
    with pytest.warns(DeprecationWarning, match="sdk"), pytest.raises(SettingsError):
        _ = LitClient(single).survey


def test_what_datil_can_do() -> None:
    traits = LitClient("datil-dev").traits
    assert (traits.single_server, traits.encrypts_offline, traits.needs_api_key) == (False, False, False)
    assert "evmContractConditions" in traits.condition_fields
    assert traits.max_plaintext_bytes == 32 * 1024 * 1024


def test_a_plaintext_that_is_too_long_for_a_container() -> None:
    lit = LitClient(NOBODY)
    with pytest.raises(SettingsError, match="33554433 bytes; custom allows 33554432") as caught:
        lit.encrypt(bytes(32 * 1024 * 1024 + 1), Conditions.for_wallet("0x" + "11" * 20))
    assert caught.value.field == "plaintext"
    assert "encrypt_file" in caught.value.hint


@pytest.mark.parametrize("ttl_s", [0, -1, 2_592_001, float("nan"), float("inf")])
def test_a_lifetime_that_nodes_do_not_accept(ttl_s: float) -> None:
    scope = Scope.to_decrypt("*")
    with pytest.raises(SettingsError) as caught:
        LitClient(NOBODY).open_session(Wallet.from_key("11" * 32), scope, ttl_s=ttl_s)
    assert caught.value.field == "ttl_s"


@pytest.mark.parametrize("sealed", [{}, {"dataToEncryptHash": None}, {"dataToEncryptHash": 5}])
def test_a_scope_of_nothing(sealed: dict[str, Any]) -> None:
    with pytest.raises(CiphertextError):
        LitClient(NOBODY).scope_of(sealed, CONDITIONS)


def test_the_scope_of_one_item() -> None:
    scope = LitClient(NOBODY).scope_of({"dataToEncryptHash": "ab" * 32}, CONDITIONS)
    empty_list = "4f53cda18c2baa0c0354bb5f9a3ecbe5ed12ab4d8e11ba873c2f11161202b945"
    assert [request.resource.id for request in scope.requests] == [f"{empty_list}/{'ab' * 32}"]
    assert scope.wildcards == ()
    with pytest.raises(ConditionError):
        LitClient(NOBODY).scope_of({"dataToEncryptHash": "ab"}, CONDITIONS)


def test_conditions_that_do_not_validate() -> None:
    with pytest.raises(ConditionError):
        LitClient(NOBODY).encrypt(b"secret", CONDITIONS)


def test_the_command_names_the_file_whose_conditions_do_not_validate(tmp_path: Path) -> None:
    network, conditions = tmp_path / "network.json", tmp_path / "container.json"
    network.write_text(json.dumps(NOBODY))
    conditions.write_text(json.dumps(CONDITIONS))
    arguments = ["encrypt", "--network", str(network), "--conditions", str(conditions)]
    with pytest.raises(ConditionError) as caught:
        CliRunner().invoke(app, arguments, input="secret", catch_exceptions=False)
    assert str(caught.value).startswith(f"{conditions}: ")
    assert caught.value.field == "accessControlConditions"

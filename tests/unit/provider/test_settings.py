"""Connections whose fields cannot be understood: nothing silently means its default."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from lit_airflow.errors import SettingsError
from lit_airflow.networks.chipotle.description import ChipotleDescription
from lit_airflow.networks.datil.description import DatilDescription
from lit_airflow.provider.settings import Settings, seal_secret, unknown_fields


def connection(extra: str | None, decoded: Any = None) -> Any:  # noqa: ANN401 - as Airflow's
    return SimpleNamespace(
        conn_id="lit_default", extra=extra, extra_dejson={} if decoded is None else decoded
    )


@pytest.mark.parametrize(
    "extra",
    [
        "{network: datil}",
        "network=datil",
        '["datil"]',
        '"datil"',
        json.dumps('{"network": "datil"}'),
        "5",
        "null",
    ],
)
def test_an_extra_that_is_no_json_object_is_an_error(extra: str) -> None:
    for read in (Settings.from_connection, seal_secret, unknown_fields):
        with pytest.raises(SettingsError, match="lit_default is not a JSON object") as caught:
            read(connection(extra))
        assert caught.value.field == "extra"
        assert "datil}" not in caught.value.message


def test_what_airflow_decodes_to_something_else_is_an_error() -> None:
    with pytest.raises(SettingsError, match="not a JSON object"):
        Settings.from_connection(SimpleNamespace(conn_id="l", extra_dejson="text"))  # type: ignore[arg-type]


@pytest.mark.parametrize("extra", [None, "", "  ", "{}"])
def test_no_extra_is_the_defaults(extra: str | None) -> None:
    assert Settings.from_connection(connection(extra)) == Settings()


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("netwrok", "; network may be meant"),
        ("Network", "; network may be meant"),
        ("session_ttl", "; session_ttl_s may be meant"),
        ("extra__lit__vault_path", "; vault_path may be meant"),
        ("colour", ""),
    ],
)
def test_a_field_that_is_unknown_is_named_with_the_nearest_one(name: str, meant: str) -> None:
    given = {name: "SECRET", "seal_secret": "x", "network": "datil-dev"}
    assert unknown_fields(connection(json.dumps(given), given)) == [
        f'The field "{name}" is unknown and ignored{meant}.'
    ]


@pytest.mark.parametrize(
    "domain",
    ["https://app.example.com", "app.example.com/path", "app example", "a@b", "example.com:http", "a?b"],
)
def test_a_domain_that_no_message_can_carry_is_refused_from_the_connection(domain: str) -> None:
    with pytest.raises(SettingsError, match="no https://") as caught:
        Settings(siwe_domain=domain)
    assert caught.value.field == "siwe_domain"


@pytest.mark.parametrize("domain", ["localhost", "app.example.com:8080", "127.0.0.1", "[::1]:80", "a-b_c"])
def test_a_host_with_a_port_if_need_be(domain: str) -> None:
    assert Settings(siwe_domain=domain).siwe_domain == domain


@pytest.mark.parametrize("number", [float("inf"), float("nan"), "1e3", "3600.5", 3600.5, True, [], 1e400])
def test_odd_numbers(number: object) -> None:
    with pytest.raises(SettingsError, match="session_ttl_s must be a whole number"):
        Settings.from_connection(connection(None, {"session_ttl_s": number}))


@pytest.mark.parametrize("timeout_s", [0, -1, 10**30])
def test_a_time_out_that_cannot_be(timeout_s: int) -> None:
    with pytest.raises(SettingsError, match="timeout_s must be from 1 to 86400"):
        Settings(timeout_s=timeout_s)


def test_fields_replace_those_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "network.json"
    given = {"network": "custom", "rpc_url": "http://127.0.0.1:1", "staking_address": "0x" + "11" * 20}
    path.write_text(json.dumps(given))
    settings = Settings(network=str(path), rpc_url="http://127.0.0.1:2", network_public_key="ab" * 48)
    found = settings.description()
    assert isinstance(found, DatilDescription)
    assert (found.rpc_url, found.network_public_key) == ("http://127.0.0.1:2", "ab" * 48)
    assert found.staking_address == given["staking_address"]
    with pytest.raises(SettingsError, match="no such file"):
        Settings(network=str(tmp_path / "other.json"), rpc_url="http://127.0.0.1:2")


@pytest.mark.parametrize(("given", "field"), [("api_key", "decrypting"), ("other", "other")])
def test_the_field_of_the_api_key_is_the_files_unless_the_connection_names_another(
    tmp_path: Path, given: str, field: str
) -> None:
    path = tmp_path / "network.json"
    path.write_text(json.dumps({"network": "chipotle", "api_key_field": "decrypting"}))
    settings = Settings(network=str(path), api_key_path="lit/gate", api_key_field=given)
    found = settings.description(dict)
    assert isinstance(found, ChipotleDescription)
    assert found.api_key_field == field

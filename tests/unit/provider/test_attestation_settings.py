"""A connection's fields about attestation, from the form to the description of the network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from lit_airflow.errors import SettingsError
from lit_airflow.networks.chipotle.description import ChipotleDescription
from lit_airflow.provider.settings import Settings


@dataclass
class Connection:
    extra_dejson: dict[str, Any]
    conn_id: str = "lit_default"


def settings(**extra: object) -> Settings:
    return Settings.from_connection(Connection(extra))


def test_the_fields_about_attestation_reach_the_description() -> None:
    found = settings(
        network="chipotle",
        attestation="require",
        compose_hash=f"{'ab' * 32}, {'cd' * 32}",
        machine_hash="ef" * 32,
        tcb_accepted="SWHardeningNeeded,INTEL-SA-00837",
        collateral="/etc/lit/collateral.json",
    ).description()
    assert isinstance(found, ChipotleDescription)
    assert found.attestation == "require"
    assert found.compose_hash == ("ab" * 32, "cd" * 32)
    assert found.machine_hash == ("ef" * 32,)
    assert found.tcb_accepted == ("SWHardeningNeeded", "INTEL-SA-00837")
    assert found.collateral == "/etc/lit/collateral.json"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("attestation", "yes"),
        ("compose_hash", "AB" * 32),
        ("compose_hash", "ab" * 31),
        ("machine_hash", "none"),
        ("tcb_accepted", "Revoked"),
        ("collateral", "http://pccs.example"),
        ("collateral", "ftp://pccs.example"),
    ],
)
def test_what_is_wrong_about_attestation_is_named(field: str, value: str) -> None:
    with pytest.raises(SettingsError) as caught:
        settings(network="chipotle", **{field: value})
    assert caught.value.field == field

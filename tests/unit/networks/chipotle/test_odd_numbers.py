"""Numbers, names and shapes that others can write: in key names, in Vault's secret, in a chain's events."""

from __future__ import annotations

import json
from typing import Any

import pytest

from lit_airflow.errors import CredentialsError, ProtocolError
from lit_airflow.keys.secret import Secret
from lit_airflow.networks.chipotle import registrations
from lit_airflow.networks.chipotle.deployment import Deployment
from lit_airflow.networks.chipotle.usage_key_name import UsageKeyName
from tests.unit.frames import recorded, sent_to_sentry

API_KEY, SALT, GATE = "QVBJLWtleS1jYW5hcnk=", "5a" * 32, "11" * 32
LAST_SECOND = 253_402_300_799
"""Of the year 9999."""


def deployment(rotation: dict[str, Any], other: str = "", **gate: Any) -> Deployment:  # noqa: ANN401 - JSON
    entry = {
        "other": other,
        "api_key": API_KEY,
        "gates": {GATE: {"version": 1, "salt": SALT, **gate}},
        "rotation": {"tag": "abcd1234", "group": 1, **rotation},
    }
    return Deployment.parse(Secret(json.dumps(entry).encode()), where="secret/lit", api_key_field="api_key")


@pytest.mark.parametrize(("seconds", "is_ours"), [(0, True), (LAST_SECOND, True), (LAST_SECOND + 1, False)])
def test_a_key_whose_name_ends_after_the_year_9999_is_not_ours(seconds: int, is_ours: bool) -> None:  # noqa: FBT001
    """Whoever may mint keys of the account chooses their names."""
    assert (UsageKeyName.parse(f"la1.abcd.{seconds}.{'0' * 32}") is not None) is is_ours


def test_times_that_a_secret_may_have() -> None:
    found = deployment({"draining": {"0x" + "ab" * 32: LAST_SECOND}})
    assert [until.year for until in found.draining.values()] == [9999]


@pytest.mark.parametrize(
    ("rotation", "gate"),
    [
        ({"draining": {"0x" + "ab" * 32: LAST_SECOND + 1}}, {}),
        ({"draining": {"0x" + "ab" * 32: (1 << 40) - 1}}, {}),
        ({}, {"version": "9" * 5000}),
        ({}, {"other": "\ud800"}),
    ],
)
def test_numbers_out_of_bounds_end_in_an_error_without_the_secret(
    rotation: dict[str, Any], gate: dict[str, Any]
) -> None:
    with pytest.raises(CredentialsError) as caught:
        deployment(rotation, **gate)
    told = recorded(caught.value) + sent_to_sentry(caught.value)
    assert API_KEY not in told
    assert SALT not in told


@pytest.mark.parametrize("log", [5, {}, {"topics": 5}, {"topics": {}}, {"topics": None}, {"topics": "0x0"}])
def test_events_of_another_shape(log: object) -> None:
    with pytest.raises(ProtocolError):
        registrations._read(log)

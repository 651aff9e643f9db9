"""The connections that ``lit-airflow chipotle setup`` prints reach the same network on the same terms."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from lit_airflow.cli_chipotle import _connections, _Place, _place
from lit_airflow.networks.chipotle.description import ChipotleDescription
from lit_airflow.networks.chipotle.setup import Finished
from lit_airflow.networks.descriptions import describe
from lit_airflow.provider.settings import Settings

FINISHED = Finished(gate_key="11" * 32, lock_key="22" * 32, group=1, tag="33" * 8)
PLACE = _Place("secret", "lit/gate", "lit/account")
URL = "https://lit.example.org/core/v1"


def printed(network: str, recovery_key: str = "") -> dict[str, dict[str, Any]]:
    """Connection -> its extra."""
    opened: Any = SimpleNamespace(description=describe(network))
    words = [shlex.split(line) for line in _connections(opened, FINISHED, PLACE, network, recovery_key)]
    return {each[3]: json.loads(each[-1]) for each in words}


def described(extra: dict[str, Any]) -> ChipotleDescription:
    """The network as a task with the connection sees it."""
    connection: Any = SimpleNamespace(conn_id="lit", extra_dejson=extra)
    found = Settings.from_connection(connection, on_unknown=pytest.fail).description(dict)
    assert isinstance(found, ChipotleDescription)
    return found


def test_of_the_public_network() -> None:
    extras = printed("chipotle")
    assert set(extras) == {"lit_renewer", "lit_consumer", "lit_account"}
    assert extras["lit_renewer"]["network"] == "chipotle"
    assert "api_url" not in extras["lit_renewer"]
    assert described(extras["lit_consumer"]).gate_key == FINISHED.gate_key


@pytest.mark.parametrize(
    "more",
    [
        {"api_url": "http://chipotle:9000/core/v1", "plain_http": True},
        {"attestation": "require", "compose_hash": ["aa" * 32, "bb" * 32], "machine_hash": "cc" * 32},
        {
            "attestation": "report",
            "tcb_accepted": ["SWHardeningNeeded"],
            "collateral": "/srv/collateral.json",
        },
        {"recovery_key": "44" * 32},
        {"allow_unlocked": True},
        {"api_key_field": "usage_key"},
        {"rpc": {"base": ["https://base.example.org"]}},
    ],
    ids=min,
)
def test_what_a_description_demands_is_in_each_connection(tmp_path: Path, more: dict[str, Any]) -> None:
    file = tmp_path / "network.json"
    file.write_text(json.dumps({"network": "custom", "generation": "chipotle", "api_url": URL, **more}))
    given = describe(file)
    for name, extra in printed(str(file)).items():
        found = described(extra)
        for field in ("api_url", "plain_http", "attestation", "compose_hash", "machine_hash", "tcb_accepted"):
            assert getattr(found, field) == getattr(given, field), name
        assert found.collateral == given.collateral
        if name != "lit_account":
            assert (found.recovery_key, found.rpc) == (given.recovery_key, given.rpc)
        if name != "lit_renewer":
            assert found.api_key_field == given.api_key_field
        if name == "lit_consumer":
            assert found.allow_unlocked == given.allow_unlocked


def test_a_new_recovery_key_takes_the_place_of_the_descriptions(tmp_path: Path) -> None:
    file = tmp_path / "network.json"
    own = {"network": "custom", "generation": "chipotle", "api_url": URL, "recovery_key": "44" * 32}
    file.write_text(json.dumps(own))
    assert described(printed(str(file), "55" * 32)["lit_renewer"]).recovery_key == "55" * 32


def test_slashes_around_paths_are_no_part_of_them() -> None:
    """Vault takes them off itself, and not where a policy names them."""
    assert _place("chipotle", "secret/", "/lit/gate/", " lit/account ") == PLACE

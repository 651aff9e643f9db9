from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lit_airflow.errors import SettingsError
from lit_airflow.networks.datil.description import DatilDescription
from lit_airflow.networks.descriptions import (
    describe,
    generations,
    implementation,
    known_networks,
    open_network,
)

STAKING = "0x" + "11" * 20
CHAIN = {"rpc_url": "http://127.0.0.1:8545", "staking_address": STAKING}
RESOLVER = {"rpc_url": CHAIN["rpc_url"], "resolver_address": "0x" + "22" * 20, "environment": 1}
NODES = {"nodes": ["http://127.0.0.1:7470", "http://127.0.0.1:7471"], "threshold": 2}


@pytest.mark.parametrize(
    ("network", "field"),
    [
        ("habanero", "network"),
        ("", "network"),
        ("/no/such/file.json", "network"),
        ({}, "rpc_url"),
        ({"network": "habanero", **CHAIN}, "network"),
        ({"network": ["datil"], **CHAIN}, "network"),
        ({"network": 5, **CHAIN}, "network"),
        ({"network": "custom"}, "rpc_url"),
        ({"rpc_url": "http://127.0.0.1:8545"}, "staking_address"),
        ({**CHAIN, "staking_address": "0x12"}, "staking_address"),
        ({**CHAIN, "staking_address": 12}, "staking_address"),
        ({"rpc_url": CHAIN["rpc_url"], "environment": 0}, "staking_address"),
        ({**RESOLVER, "resolver_address": "0x12"}, "resolver_address"),
        ({**RESOLVER, "resolver_address": 12}, "resolver_address"),
        ({**RESOLVER, "staking_address": STAKING}, "resolver_address"),
        ({"network": "datil", "resolver_address": "0x12"}, "resolver_address"),
        ({**RESOLVER, "rpc_url": ""}, "rpc_url"),
        ({**RESOLVER, "environment": None}, "environment"),
        ({**RESOLVER, "environment": 3}, "environment"),
        ({**RESOLVER, "environment": -1}, "environment"),
        ({**RESOLVER, "environment": "1"}, "environment"),
        ({**RESOLVER, "environment": True}, "environment"),
        ({**CHAIN, "chain_id": "1"}, "chain_id"),
        ({**CHAIN, "chain_id": -1}, "chain_id"),
        ({**CHAIN, "chain_id": True}, "chain_id"),
        ({**CHAIN, "pays": "yes"}, "pays"),
        ({**CHAIN, "pays": 1}, "pays"),
        *(({**CHAIN, "attestation": wrong}, "attestation") for wrong in (["off"], {"off": 1}, "report", 1)),
        ({**CHAIN, "contracts": [STAKING]}, "contracts"),
        ({**CHAIN, "contracts": {"RateLimitNFT": "0x12"}}, "contracts.RateLimitNFT"),
        ({**CHAIN, "contracts": {"RateLimitNFT": None}}, "contracts.RateLimitNFT"),
        ({**CHAIN, "rpc_url": "127.0.0.1:8545"}, "rpc_url"),
        ({**CHAIN, "rpc_url": "ftp://127.0.0.1"}, "rpc_url"),
        ({**CHAIN, "rpc_url": "http://"}, "rpc_url"),
        ({**CHAIN, "rpc_url": "http://[::1"}, "rpc_url"),
        ({**CHAIN, "rpc_url": "http://127.0.0.1:99999"}, "rpc_url"),
        ({**CHAIN, "rpc_url": 5}, "rpc_url"),
        ({**CHAIN, "network_public_key": "ab"}, "network_public_key"),
        ({**CHAIN, "network_public_key": "AB" * 48}, "network_public_key"),
        ({**CHAIN, "network_public_key": 5}, "network_public_key"),
        ({**CHAIN, "generation": "serrano"}, "generation"),
        ({**CHAIN, "generation": ["datil"]}, "generation"),
        ({"nodes": NODES["nodes"]}, "threshold"),
        ({**NODES, "threshold": 3}, "threshold"),
        ({**NODES, "threshold": 0}, "threshold"),
        ({**NODES, "threshold": -1}, "threshold"),
        ({**NODES, "threshold": "2"}, "threshold"),
        ({**NODES, "threshold": True}, "threshold"),
        ({**NODES, "epoch": -1}, "epoch"),
        ({**NODES, "epoch": "1"}, "epoch"),
        ({**NODES, "nodes": ["127.0.0.1:7470"], "threshold": 1}, "nodes"),
        ({**NODES, "nodes": ["http://127.0.0.1:7470/"], "threshold": 1}, "nodes"),
        ({**NODES, "nodes": ["http://127.0.0.1"], "threshold": 1}, "nodes"),
        ({**NODES, "nodes": ["http://user:password@127.0.0.1:7470"], "threshold": 1}, "nodes"),
        ({**NODES, "nodes": ["http://user@127.0.0.1:7470"], "threshold": 1}, "nodes"),
        ({**NODES, "nodes": [5, 6]}, "nodes"),
        ({**NODES, "nodes": 5}, "nodes"),
        ({**NODES, "nodes": "http://127.0.0.1:7470"}, "nodes"),
        ({**NODES, "nodes": []}, "rpc_url"),
    ],
)
def test_descriptions_that_cannot_be_right(network: Any, field: str) -> None:  # noqa: ANN401
    with pytest.raises(SettingsError) as caught:
        open_network(network)
    assert caught.value.field == field
    assert "password@" not in str(caught.value)


@pytest.mark.parametrize("content", ["", "{", "[]", '"datil"', "[" * 100_000, "\ud800"])
def test_files_that_hold_no_description(tmp_path: Path, content: str) -> None:
    path = tmp_path / "network.json"
    path.write_bytes(content.encode("utf-8", "surrogatepass"))
    for network in (path, str(path)):
        with pytest.raises(SettingsError) as caught:
            describe(network)
        assert caught.value.field == "network"
    with pytest.raises(SettingsError):
        describe(tmp_path)


def test_a_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "network.json"
    path.write_text(json.dumps({**CHAIN, "control_url": "http://127.0.0.1:1", "chain_id": 5, "epoch": None}))
    described = describe(str(path))
    assert described == DatilDescription(network="custom", default_scheme="http", chain_id=5, **CHAIN)


def test_known_names_and_what_overrides_them() -> None:
    assert {"datil-dev", "datil-test", "datil"} <= set(known_networks())
    for name in known_networks():
        described = describe(name)
        assert (described.network, describe({"network": name})) == (name, described)
        assert described.generation in generations()
    mine = describe({"network": "datil-dev", "rpc_url": "http://127.0.0.1:8545"})
    assert (mine.rpc_url, mine.staking_address) == (
        "http://127.0.0.1:8545",
        describe("datil-dev").staking_address,
    )
    assert mine.default_scheme == "https"


def test_a_resolver_in_place_of_the_staking_contract() -> None:
    described = describe(RESOLVER)
    assert (described.staking_address, described.environment) == ("", 1)
    # A known network has both; which of them is asked can be turned round, and its environment stays.
    mine = describe({"network": "datil", "resolver_address": RESOLVER["resolver_address"]})
    assert (mine.staking_address, mine.resolver_address) == ("", RESOLVER["resolver_address"])
    assert mine.environment == describe("datil").environment


def test_what_else_may_be_said_of_a_network() -> None:
    facts = {"pays": True, "chain_id": 175188, "contracts": {"RateLimitNFT": STAKING}}
    described = describe({**CHAIN, **facts})
    assert {name: getattr(described, name) for name in facts} == facts
    assert describe(CHAIN).pays is None
    assert isinstance(hash(described), int)


def test_a_generation_is_named_by_its_module() -> None:
    assert "datil" in generations()
    for generation in generations():
        assert implementation(generation).__name__ == f"lit_airflow.networks.{generation}"
    for wrong in ("serrano", "contract", "", None, ["datil"], "datil.network"):
        with pytest.raises(SettingsError) as caught:
            implementation(wrong)
        assert caught.value.field == "generation"
        assert "datil" in caught.value.hint


def test_a_known_networks_generation_cannot_be_changed() -> None:
    assert describe({"network": "datil", "generation": "datil"}).generation == "datil"
    with pytest.raises(SettingsError):
        open_network({**CHAIN, "generation": "serrano"})


def test_an_opened_network_has_its_name() -> None:
    assert open_network("datil-dev").name == "datil-dev"
    assert open_network(describe(CHAIN)).name == "custom"

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any

from lit_airflow.networks.datil import pkp, wire
from lit_airflow.networks.datil.description import DatilDescription
from lit_airflow.networks.descriptions import CUSTOM, describe, known_networks
from lit_airflow.protocol.auth_method import ETH_WALLET
from lit_airflow.protocol.capacity_delegation import DELEGATION_URI
from lit_airflow.protocol.scope import PREFIXES, RECAP_ABILITIES
from lit_airflow.protocol.session import URI_PREFIX
from lit_airflow.protocol.session_storage import SESSION_KEY, WALLET_SIG

# What this package has no use for, so far.
NO_COUNTERPART = {
    "staking_states",  # the chain is read anew instead of watched
}

# Which networks ask for attestation and for payment, and their resolvers: not in the packages, so not in the file.
# Source: docs/protocol/discovery.md and docs/protocol/capacity.md.
FACTS: dict[str, tuple[bool, bool, str, int]] = {
    "datil-dev": (False, False, "0xCF5d7074c722Dd044Dd45EC791942b881366627c", 0),
    "datil-test": (True, True, "0xCf908e1E4Ee79fb540e144C3EDB2796E8D413548", 0),
    "datil": (True, True, "0x5326a59fF2c41bCdA7E64F9afB9C313d0342117B", 2),
}


def test_case(case: dict[str, Any]) -> None:
    """One network's row."""
    own = {"rpc_url": case["rpc_url"], "staking_address": "0x" + "11" * 20}
    row = describe(own if case["network"] == CUSTOM else case["network"])
    assert isinstance(row, DatilDescription)
    assert row.generation == "datil"
    assert row.rpc_url == case["rpc_url"]
    assert row.default_scheme + "://" == case["http_scheme"]
    assert row.attestation is (case["centralisation"] == "decentralised")
    if case["network"] == CUSTOM:
        assert (row.pays, row.chain_id, row.contracts) == (None, 0, {})
        return
    assert {**row.contracts, "Staking": row.staking_address} == case["contracts"]
    assert (row.attestation, row.pays, row.resolver_address, row.environment) == FACTS[case["network"]]


def test_every_value_is_looked_at(vectors: dict[str, Any]) -> None:
    looked_at = CHECKS.keys() | NO_COUNTERPART | {"about", "packages", "cases"}
    assert vectors.keys() <= looked_at
    for name in vectors.keys() & CHECKS.keys():
        CHECKS[name](vectors[name])


def version(wanted: str) -> None:
    assert wanted == wire.SDK_VERSION


def endpoints(wanted: dict[str, dict[str, str]]) -> None:
    paths = {name: row["path"] + row["version"] for name, row in wanted.items()}
    ours = {
        "HANDSHAKE": wire.HANDSHAKE,
        "ENCRYPTION_SIGN": wire.ENCRYPTION_SIGN,
        "SIGN_SESSION_KEY": pkp.SIGN_SESSION_KEY,
    }
    assert {name: paths[name] for name in ours} == ours


def prefixes(wanted: dict[str, str]) -> None:
    assert sorted(PREFIXES) == sorted(wanted.values())


def abilities(wanted: dict[str, str]) -> None:
    assert {ability for _, ability in RECAP_ABILITIES} == set(wanted.values())


def storage_keys(wanted: dict[str, str]) -> None:
    assert wanted == {"session_key": SESSION_KEY, "wallet_signature": WALLET_SIG}


def session_uri(wanted: str) -> None:
    assert wanted == URI_PREFIX


def delegation_uri(wanted: str) -> None:
    assert wanted == DELEGATION_URI


def auth_method_types(wanted: dict[str, int]) -> None:
    assert wanted["EthWallet"] == ETH_WALLET


def chains(wanted: dict[str, Any]) -> None:
    """The chain of the known Datil networks; what else is in the list is passed on, or stands in the schemas."""
    described = [describe(name) for name in known_networks()]
    assert {each.chain_id for each in described if isinstance(each, DatilDescription)} == {
        wanted["evm"]["yellowstone"]
    }


def schemas(wanted: dict[str, dict[str, Any]]) -> None:
    ours = json.loads(files("lit_airflow.protocol").joinpath("condition_schemas.json").read_text("utf-8"))[
        "$defs"
    ]
    assert wanted.keys() == ours.keys() - {"evmChain", "abiParameter"}
    for kind, rules in wanted.items():
        assert {name: sorted_if_list(rule) for name, rule in rules.items()} == {
            name: sorted_if_list(rule) for name, rule in rules_of(ours[kind], ours, rules.keys()).items()
        }


def rules_of(schema: dict[str, Any], ours: dict[str, Any], asked: Any) -> dict[str, Any]:  # noqa: ANN401
    """Our JSON schema in the words of the vector file, restricted to what it asks about."""
    properties = schema["properties"]
    chain, test = properties["chain"], properties["returnValueTest"]
    rules = {
        "required": schema["required"],
        "properties": list(properties),
        "additionalProperties": schema["additionalProperties"],
        "chains": (ours["evmChain"] if "$ref" in chain else chain)["enum"],
        "comparators": test["properties"]["comparator"]["enum"],
        "return_value_test_required": test["required"],
    }
    if "standardContractType" in properties:
        rules["standardContractTypes"] = properties["standardContractType"]["enum"]
    if "functionAbi" in properties:
        rules["functionAbi_required"] = properties["functionAbi"]["required"]
        rules["functionAbi_properties"] = list(properties["functionAbi"]["properties"])
    return {name: rule for name, rule in rules.items() if name in asked}


def sorted_if_list(value: object) -> object:
    return sorted(value) if isinstance(value, list) else value


CHECKS = {
    "constants_package_version": version,
    "endpoints": endpoints,
    "resource_prefixes": prefixes,
    "abilities": abilities,
    "storage_keys": storage_keys,
    "session_key_uri_prefix": session_uri,
    "capacity_delegation_uri": delegation_uri,
    "condition_schemas": schemas,
    "auth_method_types": auth_method_types,
    "chains": chains,
}

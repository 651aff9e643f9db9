from __future__ import annotations

import json
from importlib.resources import files
from typing import Any

from lit_airflow.networks.datil import wire
from lit_airflow.networks.known import KNOWN, describe
from lit_airflow.session.delegation import DELEGATION_URI
from lit_airflow.session.scope import PREFIXES, RECAP_ABILITIES
from lit_airflow.session.session import URI_PREFIX
from lit_airflow.session.storage import SESSION_KEY, WALLET_SIG

# What this package has no use for, so far.
NO_COUNTERPART = {
    "auth_method_types",  # sessions of PKPs
    "staking_states",  # the chain is read anew instead of watched
    "chains",  # the chain parameter is passed on; a condition's chain is in the schemas
}


def test_case(case: dict[str, Any]) -> None:
    """One network's row."""
    row = KNOWN.get(case["network"]) or describe(
        {"network": case["network"], "rpc_url": case["rpc_url"], "staking_address": "0x" + "11" * 20}
    )
    assert row.generation == "datil"
    assert row.rpc_url == case["rpc_url"]
    assert row.default_scheme + "://" == case["http_scheme"]
    if case["network"] in KNOWN:
        assert row.staking_address == case["contracts"]["Staking"]
    assert row.attestation is (case["centralisation"] == "decentralised")


def test_every_value_is_looked_at(vectors: dict[str, Any]) -> None:
    looked_at = CHECKS.keys() | NO_COUNTERPART | {"about", "packages", "cases"}
    assert vectors.keys() <= looked_at
    for name in vectors.keys() & CHECKS.keys():
        CHECKS[name](vectors[name])


def version(wanted: str) -> None:
    assert wanted == wire.SDK_VERSION


def endpoints(wanted: dict[str, dict[str, str]]) -> None:
    paths = {name: row["path"] + row["version"] for name, row in wanted.items()}
    assert (paths["HANDSHAKE"], paths["ENCRYPTION_SIGN"]) == (wire.HANDSHAKE, wire.ENCRYPTION_SIGN)


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


def schemas(wanted: dict[str, dict[str, Any]]) -> None:
    ours = json.loads(files("lit_airflow").joinpath("condition_schemas.json").read_text("utf-8"))["$defs"]
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
}

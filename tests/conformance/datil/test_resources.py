from __future__ import annotations

from typing import Any

import pytest

from lit_airflow.errors import ConditionError, ScopeError
from lit_airflow.networks.datil.wire import compact
from lit_airflow.protocol.conditions import Conditions
from lit_airflow.protocol.scope import RECAP_ABILITIES, Resource
from tests.conformance.reading import KINDS

CLASSES = {
    "LitAccessControlConditionResource": KINDS["acc"],
    "LitPKPResource": KINDS["pkp"],
    "LitRLIResource": KINDS["rli"],
    "LitActionResource": KINDS["la"],
}


def run(case: dict[str, Any]) -> object:
    match case["op"]:
        case "construct":
            made = Resource(KINDS[case["kind"]], case["input"])
            return {
                "resource": made.id,
                "resourcePrefix": made.prefix,
                "resource_key": made.key,
                "json": compact(made.to_json()),
                "valid_abilities": [ability for prefix, ability in RECAP_ABILITIES if prefix == made.prefix],
            }
        case "parse":
            made = Resource.parse(case["input"])
            (kind,) = (name for name, prefix in CLASSES.items() if prefix == made.prefix)
            return {"class": kind, "resource": made.id, "resource_key": made.key}
        case "generate_resource_string":
            conditions = Conditions.parse(case["input"], default_chain="ethereum")
            return conditions.resource_id(case["input"]["dataToEncryptHash"])
    raise AssertionError(f"unknown op {case['op']}")


def test_case(case: dict[str, Any]) -> None:
    if "expected_error" in case:
        with pytest.raises((ScopeError, ConditionError)):
            run(case)
    else:
        assert run(case) == case["expected"]

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from lit_airflow.errors import ConditionError
from lit_airflow.protocol.conditions import Conditions


def parse(case: dict[str, Any]) -> Conditions:
    return Conditions.parse({case["kind"]: case["input"], "chain": "ethereum"})


def check(case: dict[str, Any]) -> None:
    if "expected_error" in case:
        with pytest.raises(ConditionError):
            parse(case)
        return
    conditions, wanted = parse(case), case["expected"]
    assert conditions.canonical_json == wanted["canonical_json"]
    assert conditions.hash == wanted["hash"]
    sample = wanted["encryption"]
    data_hash = hashlib.sha256(sample["data_utf8"].encode()).hexdigest()
    assert data_hash == sample["data_to_encrypt_hash"]
    assert conditions.identity(data_hash).decode() == sample["identity"]
    # The SDK computes the shape's verdict and ignores it; we enforce it when encrypting.
    if case["schema_valid"] and case["boolean_expression_valid"]:
        conditions.check_schema()
    else:
        with pytest.raises(ConditionError) as caught:
            conditions.check_schema()
        assert caught.value.field.startswith(case["kind"])


def test_case(case: dict[str, Any]) -> None:
    check(case)

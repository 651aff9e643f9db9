from __future__ import annotations

from typing import Any

import pytest

from lit_airflow.errors import ConditionError
from lit_airflow.networks.chipotle.gate_conditions import check_conditions, rpc_of
from lit_airflow.protocol.conditions import Conditions


def check(case: dict[str, Any]) -> Conditions:
    conditions = Conditions.parse({case["field"]: case["conditions"], "chain": "ethereum"})
    check_conditions(conditions, case["rpc"] or {}, local=case.get("local", False))
    return conditions


def test_case(case: dict[str, Any]) -> None:
    if case["accepted"]:
        assert rpc_of(check(case), case["rpc"] or {}) == (case["rpc"] or {})
        return
    with pytest.raises(ConditionError) as caught:
        check(case)
    assert caught.value.field
    for urls in (case["rpc"] or {}).values():
        assert not any(url in str(caught.value) for url in urls)

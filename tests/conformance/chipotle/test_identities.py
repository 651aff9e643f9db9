from __future__ import annotations

from typing import Any

import pytest

from lit_airflow.errors import ConditionError
from lit_airflow.networks.chipotle.gate_conditions import chain_reads, check_conditions
from lit_airflow.networks.chipotle.sealing import container_info
from lit_airflow.protocol.conditions import Conditions


def test_case(case: dict[str, Any]) -> None:
    conditions = Conditions.parse({case["field"]: case["given"], "chain": "ethereum"})
    assert conditions.canonical_json == case["canonical_json"]
    assert conditions.hash == case["hash"]
    identity = conditions.identity(case["data_hash"])
    assert identity.decode() == case["identity"]
    if not case["gate_1_evaluates"]:
        with pytest.raises(ConditionError):
            chain_reads(conditions)
        return
    assert container_info(identity, case["rpc"]).decode() == case["info"]
    check_conditions(conditions, case["rpc"])

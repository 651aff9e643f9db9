"""As ``decrypt`` and ``batch``; here the client also has to know what a run asks chains."""

from __future__ import annotations

from typing import Any

import pytest

from lit_airflow.errors import ConditionError
from lit_airflow.networks.chipotle.gate_conditions import chain_reads, check_conditions, fetches
from lit_airflow.protocol.conditions import Conditions
from tests.conformance.chipotle import test_batch, test_decrypt
from tests.conformance.chipotle.derivation import container_of
from tests.gate.engine import Gate


def test_case(case: dict[str, Any], gate: Gate) -> None:
    (test_batch if "items" in case["params"] else test_decrypt).test_case(case, gate)
    if case["expected"].get("code") == "NodeBadInput":
        with pytest.raises(ConditionError):
            check_conditions(Conditions.parse(case["params"]), case["params"].get("rpc") or {})
    elif case["expected"]["ok"]:
        check_reads(case)


def check_reads(case: dict[str, Any]) -> None:
    """What we count of each container is allowed, and together covers every recorded server that was needed."""
    counted = set()
    for item in case["params"].get("items", [case["params"]]):
        container = container_of(item, case["secret"])
        check_conditions(container.conditions, container.rpc)
        counted |= fetches(chain_reads(container.conditions), container.rpc)
    assert {url for url, rows in case["rpc"].items() if rows} <= {url for url, _ in counted}

"""The earliest moment at which conditions can hold, as nodes read them: strictly from left to right."""

from datetime import UTC, datetime
from typing import Any

import pytest

from lit_airflow import Conditions
from lit_airflow.protocol.time_lock import opens_at

AND, OR = {"operator": "and"}, {"operator": "or"}


def block_time(comparator: str, value: str) -> dict[str, Any]:
    return {
        "contractAddress": "",
        "standardContractType": "timestamp",
        "chain": "ethereum",
        "method": "eth_getBlockByNumber",
        "parameters": ["latest"],
        "returnValueTest": {"comparator": comparator, "value": value},
    }


(WALLET,) = Conditions.for_wallet("0x" + "12" * 20).items
AT_1000, AT_2000 = block_time(">=", "1000"), block_time(">=", "2000")


@pytest.mark.parametrize(
    ("items", "seconds"),
    [
        ([AT_1000], 1000),
        ([block_time(">", "1000")], 1001),
        ([block_time("=", "1000")], 1000),
        ([block_time("<", "1000")], None),
        ([block_time("<=", "1000")], None),
        ([block_time("!=", "1000")], None),
        ([WALLET], None),
        ([WALLET, AND, AT_1000], 1000),
        ([AT_2000, AND, AT_1000], 2000),
        ([AT_2000, OR, AT_1000], 1000),
        ([WALLET, OR, AT_1000], None),
        ([AT_1000, AND, WALLET, OR, AT_2000], 1000),
        ([WALLET, OR, AT_1000, AND, AT_2000], 2000),  # from left to right: (wallet or 1000) and 2000
        ([WALLET, AND, [AT_2000, OR, AT_1000]], 1000),
        ([WALLET, AND, [WALLET, OR, AT_1000]], None),
        ([WALLET, AT_1000], 1000),  # the old form, without operators: all must hold
        ([block_time(">=", "soon")], None),
        ([block_time(">=", "²")], None),
        ([block_time(">=", "-5")], None),
        ([block_time(">=", "9" * 30)], None),
        ([block_time(">=", "9" * 5000)], None),
        ([block_time(">=", "9" * 5000), AND, AT_1000], None),
        ([block_time(">=", "9" * 5000), OR, AT_1000], 1000),
        ([block_time(">=", "0" * 5000 + "1000")], 1000),
        ([{**AT_1000, "returnValueTest": {"comparator": [">="], "value": "1000"}}], None),
        ([{**AT_1000, "returnValueTest": {"comparator": {">=": 1}, "value": "1000"}}], None),
        ([{**AT_1000, "returnValueTest": {"comparator": ">=", "value": 10**5000}}], None),
        ([{**AT_1000, "standardContractType": ["timestamp"]}], None),
        ([{**AT_1000, "returnValueTest": {"comparator": ">=", "value": 1000}}], None),
    ],
)
def test_when_it_opens(items: list[Any], seconds: int | None) -> None:
    conditions = Conditions.parse({"accessControlConditions": items, "chain": "ethereum"})
    assert opens_at(conditions) == (None if seconds is None else datetime.fromtimestamp(seconds, UTC))


def test_other_kinds_have_no_time_lock() -> None:
    item = {**AT_1000, "conditionType": "evmBasic"}
    unified = Conditions.parse({"unifiedAccessControlConditions": [item], "chain": "ethereum"})
    assert opens_at(unified) == datetime.fromtimestamp(1000, UTC)

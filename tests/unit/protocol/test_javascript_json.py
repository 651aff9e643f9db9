from __future__ import annotations

import json
import math

import pytest

from lit_airflow.protocol.javascript_json import compact


@pytest.mark.parametrize(
    ("given", "written"),
    [
        ("8.0", "8"),
        ("0.0", "0"),
        ("-0.0", "0"),
        ("-8.50", "-8.5"),
        ("1e2", "100"),
        ("1e16", "10000000000000000"),
        ("123456789012345678901", "123456789012345680000"),
        ("9007199254740993", "9007199254740992"),
        ("-9007199254740993", "-9007199254740992"),
        ("1e21", "1e+21"),
        ("1.5e300", "1.5e+300"),
        ("1000000000000000000000", "1e+21"),
        ("0.0001", "0.0001"),
        ("0.00001", "0.00001"),
        ("0.0000012", "0.0000012"),
        ("1e-7", "1e-7"),
        ("-1.25e-10", "-1.25e-10"),
        ("true", "true"),
        ("null", "null"),
        ('"8.0"', '"8.0"'),
        ('[1.0,{"b":2.0,"a":[3.0]}]', '[1,{"b":2,"a":[3]}]'),
        ('{"b":1,"10":2,"9":3,"01":4,"4294967295":5}', '{"9":3,"10":2,"b":1,"01":4,"4294967295":5}'),
        ('"Zo\\u00eb \\u2028\\n\\u0001"', '"Zoë \u2028\\n\\u0001"'),
    ],
)
def test_what_node_20_prints_for_json_stringify_of_json_parse(given: str, written: str) -> None:
    assert compact(json.loads(given)) == written


@pytest.mark.parametrize("value", [math.nan, math.inf, 10**400, object(), b"x", {1: 2}])
def test_what_json_does_not_have(value: object) -> None:
    with pytest.raises((TypeError, ValueError, OverflowError)):
        compact([value])

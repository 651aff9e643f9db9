from __future__ import annotations

import json
import pickle
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lit_airflow.json_input import (
    MAX_DEPTH,
    MAX_NUMBER_CHARS,
    JsonInputError,
    JsonProblem,
    parse,
    parse_object,
    try_parse,
)
from lit_airflow.keys.secret import Secret
from tests.unit.frames import recorded

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@given(JSON)
def test_json_is_parsed_as_the_standard_library_does(value: object) -> None:
    text = json.dumps(value)
    assert parse(text) == parse(text.encode()) == parse(Secret(text.encode())) == try_parse(text) == value


def nested(depth: int, opening: str = "[", closing: str = "]", innermost: str = "") -> str:
    return opening * depth + innermost + closing * depth


@pytest.mark.parametrize(
    ("document", "problem"),
    [
        ("", JsonProblem.SYNTAX),
        ("{", JsonProblem.SYNTAX),
        ("{'a': 1}", JsonProblem.SYNTAX),
        ("[1,]", JsonProblem.SYNTAX),
        ("1 2", JsonProblem.SYNTAX),
        (b"\xff\xff", JsonProblem.SYNTAX),
        ("NaN", JsonProblem.NUMBER),
        ('{"a": [Infinity]}', JsonProblem.NUMBER),
        ("-Infinity", JsonProblem.NUMBER),
        ("1e999", JsonProblem.NUMBER),
        ("-1e999", JsonProblem.NUMBER),
        ("9" * (MAX_NUMBER_CHARS + 1), JsonProblem.NUMBER),
        ("9" * 5000, JsonProblem.NUMBER),
        ("0." + "9" * 5000, JsonProblem.NUMBER),
        (nested(MAX_DEPTH + 1), JsonProblem.TOO_DEEP),
        (nested(MAX_DEPTH + 1, '{"a":', "}", "[]"), JsonProblem.TOO_DEEP),
        (nested(100_000), JsonProblem.TOO_DEEP),
        ("[" * 100_000, JsonProblem.TOO_DEEP),
        (" " * 1001, JsonProblem.TOO_LONG),
        (b" " * 1001, JsonProblem.TOO_LONG),
    ],
    ids=range(20),
)
def test_what_is_refused(document: str | bytes, problem: JsonProblem) -> None:
    max_length = 1000 if problem is JsonProblem.TOO_LONG else 1_000_000
    for read in (parse, parse_object):
        with pytest.raises(JsonInputError) as caught:
            read(document, max_length=max_length)
        assert caught.value.problem is problem
    assert try_parse(document, max_length=max_length) is None


def test_the_bounds_themselves_are_accepted() -> None:
    assert parse("9" * MAX_NUMBER_CHARS) == 10**MAX_NUMBER_CHARS - 1
    assert parse(str(2**256)) == 2**256
    assert parse(nested(MAX_DEPTH, innermost="1"))
    assert parse("[1]", max_length=3) == [1]


@pytest.mark.parametrize("document", ["[]", "null", '"text"', "1"])
def test_an_object_is_demanded(document: str) -> None:
    with pytest.raises(JsonInputError) as caught:
        parse_object(document)
    assert caught.value.problem is JsonProblem.TYPE
    assert parse_object('{"a": 1}') == {"a": 1}


def test_the_last_of_duplicate_keys_wins() -> None:
    assert parse('{"a": 1, "a": 2}') == {"a": 2}


@pytest.mark.parametrize("read", [parse, parse_object])
@pytest.mark.parametrize("document", ['{"seed": "canary"', '{"canary": NaN}', "[" * 9999 + '"canary"'])
def test_an_error_contains_nothing_of_the_document(read: Any, document: str) -> None:  # noqa: ANN401 - two functions
    with pytest.raises(JsonInputError) as caught:
        read(Secret(document.encode()))
    assert caught.value.__context__ is None
    assert "canary" not in recorded(caught.value)


def test_a_document_of_another_type_is_not_in_the_error() -> None:
    with pytest.raises(JsonInputError) as caught:
        parse_object(Secret(b'["canary"]'))
    assert "canary" not in recorded(caught.value)


def test_the_error_crosses_processes() -> None:
    copy = pickle.loads(pickle.dumps(JsonInputError(JsonProblem.NUMBER)))
    assert copy.problem is JsonProblem.NUMBER
    assert str(copy).startswith("The document contains a number")

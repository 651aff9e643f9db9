from __future__ import annotations

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lit_airflow.errors import SiweError
from lit_airflow.protocol.recap import PREAMBLE, URN_PREFIX, Recap, canonical_json
from lit_airflow.protocol.scope import Resource, ResourceAbility

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(codec="utf-8")),
    lambda children: st.lists(children) | st.dictionaries(st.text(st.characters(codec="utf-8")), children),
    max_leaves=5,
)
words = st.text("abcXYZ019.*_+-", min_size=1, max_size=6)
recaps = st.builds(
    Recap,
    st.dictionaries(
        st.text(st.characters(codec="utf-8"), max_size=8),
        st.dictionaries(
            st.builds("{}/{}".format, words, words),
            st.lists(
                st.dictionaries(st.text(st.characters(codec="utf-8"), max_size=4), values, max_size=2),
                max_size=2,
            ),
            max_size=3,
        ),
        max_size=3,
    ),
    st.lists(st.text(st.characters(codec="utf-8"), max_size=8), max_size=2),
)


def urn(content: object) -> str:
    text = content if isinstance(content, str) else json.dumps(content)
    return URN_PREFIX + base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


@given(recaps)
def test_what_is_written_reads_back(recap: Recap) -> None:
    read = Recap.from_urn(recap.urn())
    assert read == recap
    assert read.urn() == recap.urn()
    assert Recap.from_urn(recap.urn() + "=" * (-len(recap.urn().removeprefix(URN_PREFIX)) % 4)) == recap
    assert read.statement() == recap.statement()
    assert read.statement().startswith(PREAMBLE)


@given(values)
def test_canonical_json_is_json(value: object) -> None:
    assert json.loads(canonical_json(value)) == value
    assert canonical_json(json.loads(canonical_json(value))) == canonical_json(value)


def test_keys_are_sorted_by_utf16() -> None:
    keys = ["\uffff", "\U00010000", "b", "B"]
    assert list(json.loads(canonical_json(dict.fromkeys(keys)))) == ["B", "b", "\U00010000", "\uffff"]


def test_what_is_not_ascii_stands_as_it_is() -> None:
    assert canonical_json({"é": ["ü"]}) == '{"é":["ü"]}'


def test_the_sentence_is_in_the_order_of_utf16() -> None:
    first, last = "\U00010000", "\uffff"
    abilities = {f"b/{first}": [{}], f"a/{last}": [{}], "a/x": [{}], f"a/{first}": [{}]}
    recap = Recap({last: {"c/d": [{}]}, first: abilities, "": {}})
    assert recap.statement() == (
        f"{PREAMBLE} (1) 'a': 'x', '{first}', '{last}' for '{first}'. "
        f"(2) 'b': '{first}' for '{first}'. (3) 'c': 'd' for '{last}'."
    )


def test_half_of_a_character_is_in_no_recap() -> None:
    half = {"\ud800": {"a/b": [{}]}}
    with pytest.raises(SiweError, match="unpaired surrogate"):
        Recap(half).urn()
    with pytest.raises(SiweError, match="unpaired surrogate"):
        Recap.from_urn(urn({"att": half, "prf": []}))


def test_an_ability_is_checked_when_it_is_added() -> None:
    for ability in ("noslash", "a/b/c", "a/b c", ""):
        with pytest.raises(SiweError, match="not a ReCap ability"):
            Recap().add(Resource("lit-ratelimitincrease", "*"), ability)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "urn:recap",
        "urn:recap:",
        "urn:recap:!!!!",
        "urn:recap:A",
        "urn:recap:e30é",
        "urn:recap:!!!!" + urn({"att": {}, "prf": []}).removeprefix(URN_PREFIX),
        urn("nonsense"),
        urn([]),
        urn({}),
        urn({"att": {}}),
        urn({"att": [], "prf": []}),
        urn({"att": {}, "prf": [1]}),
        urn({"att": {"r": []}, "prf": []}),
        urn({"att": {"r": {"noslash": [{}]}}, "prf": []}),
        urn({"att": {"r": {"a/b c": [{}]}}, "prf": []}),
        urn({"att": {"r": {"a/b": {}}}, "prf": []}),
        urn({"att": {"r": {"a/b": [1]}}, "prf": []}),
        urn({"att": {"r": {"a/b": [{"z": 1, "a": 1}]}}, "prf": []}),
        urn('{"att":{"s":{},"r":{}},"prf":[]}'),
        urn("[" * 100_000),
    ],
)
def test_what_is_no_recap(text: str) -> None:
    with pytest.raises(SiweError):
        Recap.from_urn(text)


def test_requests_are_merged() -> None:
    resource, ability = Resource("lit-ratelimitincrease", "*"), "rate-limit-increase-auth"
    plain = ResourceAbility(resource, ability)
    limited = ResourceAbility(resource, ability, {"uses": "1"})

    def merged(*requests: ResourceAbility) -> object:
        return Recap.of(requests).attenuations[resource.key]["Auth/Auth"]

    assert merged(plain, plain) == [{}]
    assert merged(plain, limited) == [{"uses": "1"}]
    assert merged(limited, plain) == [{"uses": "1"}, {}]
    assert merged(limited, limited) == [{"uses": "1"}, {"uses": "1"}]

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lit_airflow.errors import ConditionError
from lit_airflow.protocol.condition_validation import MAX_CONDITIONS
from lit_airflow.protocol.conditions import Conditions

BASIC: dict[str, Any] = {
    "contractAddress": "",
    "standardContractType": "",
    "chain": "ethereum",
    "method": "",
    "parameters": [":userAddress"],
    "returnValueTest": {"comparator": "=", "value": "0x19E7E376E7C213B7E7e7e46cc70A5dD086DAff2A"},
}
AND, OR = {"operator": "and"}, {"operator": "or"}
FIELD = "accessControlConditions"


def parse(*items: object) -> Conditions:
    return Conditions.parse({FIELD: list(items), "chain": "ethereum"})


def without(key: str) -> dict[str, Any]:
    return {name: value for name, value in BASIC.items() if name != key}


def with_test(**test: object) -> dict[str, Any]:
    return {**BASIC, "returnValueTest": {**BASIC["returnValueTest"], **test}}


def nested(depth: int) -> object:
    item: object = BASIC
    for _ in range(depth):
        item = [item]
    return item


def test_a_ciphertext_alone_says_what_is_missing_beside_it() -> None:
    with pytest.raises(
        ConditionError, match=r"ciphertext has no conditions.*accessControlConditions.*and chain"
    ):
        Conditions.parse({"ciphertext": "", "dataToEncryptHash": "00" * 32})


@pytest.mark.parametrize(
    "source",
    [
        {},
        {"chain": "ethereum"},
        {FIELD: None, "chain": "ethereum"},
        {FIELD: "[]", "chain": "ethereum"},
        {FIELD: {}, "chain": "ethereum"},
        {FIELD: [BASIC]},
        {FIELD: [BASIC], "chain": ""},
        {FIELD: [BASIC], "chain": 1},
        {"unifiedAccessControlConditions": [], "chain": "ethereum"},
        {"unifiedAccessControlConditions": [BASIC], "chain": "ethereum"},
        [BASIC],
        "text",
    ],
)
def test_what_has_no_conditions(source: Any) -> None:  # noqa: ANN401 - what a user may write
    with pytest.raises(ConditionError) as caught:
        Conditions.parse(source)
    assert caught.value.field


@pytest.mark.parametrize(
    ("items", "field"),
    [
        ([None], "[0]"),
        ([1], "[0]"),
        (["and"], "[0]"),
        ([BASIC, AND, without("returnValueTest")], "[2].returnValueTest"),
        ([{**BASIC, "returnValueTest": "x"}], "[0].returnValueTest"),
        ([[BASIC, OR, [None]]], "[0][2][0]"),
    ],
)
def test_what_has_no_canonical_form(items: list[object], field: str) -> None:
    with pytest.raises(ConditionError) as caught:
        parse(*items)
    assert caught.value.field == FIELD + field


@pytest.mark.parametrize(
    ("items", "field"),
    [
        ([without("chain")], "[0]"),
        ([{**BASIC, "chain": "etherium"}], "[0].chain"),
        ([{**BASIC, "standardContractType": "ERC-20"}], "[0].standardContractType"),
        ([{**BASIC, "extra": 1}], "[0]"),
        ([{**BASIC, "parameters": [1]}], "[0].parameters[0]"),
        ([with_test(comparator="==")], "[0].returnValueTest.comparator"),
        ([with_test(comparator="!=")], "[0].returnValueTest.comparator"),
        ([with_test(value=10)], "[0].returnValueTest.value"),
        ([BASIC, AND, [BASIC, OR, with_test(value=None)]], "[2][2].returnValueTest.value"),
        ([BASIC, BASIC], ""),
        ([], ""),
        ([AND], "[0]"),
        ([BASIC, AND], ""),
        ([AND, BASIC, AND], "[0]"),
        ([BASIC, {"operator": "xor"}, BASIC], "[1].operator"),
        ([BASIC, {"operator": ["and"]}, BASIC], "[1].operator"),
        ([BASIC, AND, []], "[2]"),
    ],
)
def test_what_does_not_validate(items: list[object], field: str) -> None:
    with pytest.raises(ConditionError) as caught:
        parse(*items).validate()
    assert caught.value.field == FIELD + field


def test_a_complaint_does_not_list_a_hundred_chains() -> None:
    with pytest.raises(ConditionError) as caught:
        parse({**BASIC, "chain": "etherium"}).validate()
    assert '"etherium" is not a known name' in str(caught.value)
    assert len(str(caught.value)) < 200


def alternating(count: int) -> list[object]:
    return [BASIC, *(part for _ in range(count - 1) for part in (AND, BASIC))]


def test_thirty_conditions_are_enough() -> None:
    assert parse(*alternating(MAX_CONDITIONS)).validate()
    with pytest.raises(ConditionError, match="31 conditions"):
        parse(*alternating(MAX_CONDITIONS + 1)).validate()


def test_the_conditions_of_a_wallet() -> None:
    address = "0x19E7E376E7C213B7E7e7e46cc70A5dD086DAff2A"
    for written in (address, address.lower(), address[2:]):
        assert Conditions.for_wallet(written).validate() == parse(BASIC)
    other = Conditions.for_wallet(address, chain="polygon")
    assert other.chain == other.items[0]["chain"] == "polygon"
    assert other.validate() is other


@pytest.mark.parametrize("address", ["", "alice.eth", "0x12", "\x1b[2J", "x" * 5000, None, 5])
def test_the_conditions_of_no_wallet(address: Any) -> None:  # noqa: ANN401 - what a user may write
    with pytest.raises(ConditionError) as caught:
        Conditions.for_wallet(address)
    assert caught.value.field == "address"
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 250


ODD_VALUES: list[Any] = [
    math.nan,
    math.inf,
    -math.inf,
    10**5000,
    [10**5000],
    {"a": math.inf},
    {1: object()},
    object(),
    b"x",
    nested(2000),
]


@pytest.mark.parametrize("value", ODD_VALUES, ids=range(len(ODD_VALUES)))
def test_what_json_cannot_represent_has_no_hash_and_does_not_validate(value: object) -> None:
    for item in ({**BASIC, "parameters": value}, with_test(value=value), with_test(comparator=value)):
        with pytest.raises(ConditionError) as caught:
            _ = parse(item).hash
        assert caught.value.field.startswith(FIELD)
    for item in ({**BASIC, "parameters": value}, with_test(comparator=value), {**BASIC, "extra": value}):
        with pytest.raises(ConditionError) as caught:
            parse(item).validate()
        assert len(str(caught.value)) < 500


def test_a_complaint_about_a_long_value_is_short_and_printable() -> None:
    for value in ("\x1b[2J" * 5000, ["\r"] * 5000, {"\u202e": "x" * 5000}):
        for item in (with_test(comparator=value), {**BASIC, "chain": value}, {**BASIC, "method": [value]}):
            with pytest.raises(ConditionError) as caught:
                parse(item).validate()
            assert str(caught.value).isprintable()
            assert len(str(caught.value)) < 1500
    with pytest.raises(ConditionError) as caught:
        parse(BASIC, {"operator": "\x1b" * 5000}, BASIC).validate()
    assert str(caught.value).isprintable()


def test_groups_nest_but_not_for_ever() -> None:
    assert parse(nested(10)).validate()
    with pytest.raises(ConditionError, match="more than 32 levels"):
        parse(nested(5000))


def test_the_first_kind_given_counts() -> None:
    both = {"unifiedAccessControlConditions": [], FIELD: [BASIC], "chain": "ethereum"}
    assert Conditions.parse(both).field == FIELD


def test_the_rest_of_a_container_is_ignored() -> None:
    container = {"ciphertext": "x", "dataToEncryptHash": "y", FIELD: [BASIC], "chain": "ethereum"}
    assert Conditions.parse(container) == parse(BASIC)
    assert Conditions.parse({FIELD: [BASIC]}, default_chain="polygon").chain == "polygon"


@pytest.mark.parametrize("data_hash", ["", "ab", "g" * 64, "A" * 64, "a" * 63, "a" * 65, "0x" + "a" * 62])
def test_what_is_no_hash_of_data(data_hash: str) -> None:
    with pytest.raises(ConditionError) as caught:
        parse(BASIC).identity(data_hash)
    assert caught.value.field == "dataToEncryptHash"


def test_half_a_character_has_no_hash() -> None:
    with pytest.raises(ConditionError, match="unpaired surrogate"):
        _ = parse(with_test(value="\ud800")).hash


values = st.recursive(
    st.none() | st.booleans() | st.integers(-10, 10) | st.text(max_size=5),
    lambda children: (
        st.lists(children, max_size=3) | st.dictionaries(st.text(max_size=3), children, max_size=3)
    ),
    max_leaves=6,
)
conditions = st.fixed_dictionaries(
    {"returnValueTest": st.dictionaries(st.sampled_from(["comparator", "value", "key", "x"]), values)},
    optional=dict.fromkeys(("chain", "method", "parameters", "contractAddress", "other"), values),
)
items = st.recursive(
    conditions | st.builds(lambda o: {"operator": o, "x": 1}, values),
    lambda children: st.lists(children, max_size=4),
    max_leaves=8,
)


@given(st.lists(items, max_size=5))
def test_canonical_is_canonical(given_items: list[object]) -> None:
    once = parse(*given_items)
    again = Conditions.parse(once.to_json())
    assert again.canonical_json == once.canonical_json
    assert json.loads(once.canonical_json) == list(once.items)


@given(conditions, st.randoms())
def test_the_order_of_keys_does_not_matter(condition: dict[str, Any], random: Any) -> None:  # noqa: ANN401
    shuffled = list(condition.items())
    random.shuffle(shuffled)
    assert parse(dict(shuffled)).canonical_json == parse(condition).canonical_json


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ([BASIC], '{"chain": "ethereum", "accessControlConditions": […]}'),
        ("{'chain': 'ethereum'}", "render_template_as_native_obj=True"),
        (5, "JSON object"),
    ],
)
def test_what_is_no_object_says_what_to_write(source: Any, said: str) -> None:  # noqa: ANN401 - what a user may give
    with pytest.raises(ConditionError, match="Conditions must be a JSON object") as caught:
        Conditions.parse(source)
    assert said in str(caught.value)


SOLANA = {
    "method": "getBalance",
    "params": [":userAddress"],
    "pdaParams": [],
    "pdaInterface": {"offset": 0, "fields": {}},
    "pdaKey": "",
    "chain": "solana",
    "returnValueTest": {"key": "", "comparator": ">=", "value": "1"},
}
CALL = {
    "contractAddress": "0x" + "11" * 20,
    "functionName": "f",
    "functionParams": [],
    "functionAbi": {"name": "f", "inputs": [], "outputs": [], "stateMutability": "view"},
    "chain": "sepolia",
    "returnValueTest": {"key": "", "comparator": "=", "value": "true"},
}
COSMOS = {"path": "/p", "chain": "cosmos", "returnValueTest": {"key": "", "comparator": "=", "value": "1"}}


@pytest.mark.parametrize(
    ("item", "field", "belongs"),
    [
        (SOLANA, "accessControlConditions", "solRpcConditions"),
        (CALL, "accessControlConditions", "evmContractConditions"),
        (COSMOS, "accessControlConditions", "unifiedAccessControlConditions"),
        (BASIC, "evmContractConditions", "accessControlConditions"),
        (SOLANA, "evmContractConditions", "solRpcConditions"),
        (BASIC, "solRpcConditions", "accessControlConditions"),
    ],
)
def test_a_condition_in_the_list_of_another_kind(item: dict[str, Any], field: str, belongs: str) -> None:
    with pytest.raises(ConditionError, match=belongs):
        Conditions.parse({field: [item], "chain": "ethereum"}).validate()


def test_several_lists_are_read_as_nodes_read_them_and_encrypted_under_by_nobody() -> None:
    lists = {"accessControlConditions": [BASIC], "evmContractConditions": [CALL], "chain": "ethereum"}
    parsed = Conditions.parse(lists)
    assert parsed == Conditions.parse({"accessControlConditions": [BASIC], "chain": "ethereum"})
    with pytest.raises(ConditionError, match="Only accessControlConditions would count") as caught:
        parsed.validate()
    assert caught.value.field == "evmContractConditions"
    Conditions.parse({**lists, "evmContractConditions": []}).validate()


@pytest.mark.parametrize(
    "abi",
    [
        None,
        "f",
        {"name": "f", "inputs": []},
        {"name": "f", "outputs": []},
        {"name": "f", "inputs": None, "outputs": []},
        {"name": "f", "inputs": [], "outputs": ""},
        {"name": "f", "inputs": [], "outputs": {}},
        {"name": "f", "inputs": [None], "outputs": []},
    ],
)
@pytest.mark.parametrize("field", ["unifiedAccessControlConditions", "evmContractConditions"])
def test_a_contract_condition_without_the_parts_of_its_abi_has_no_canonical_form(
    abi: object, field: str
) -> None:
    items = [
        CALL | {"functionAbi": abi, "conditionType": "evmContract"},
        {key: value for key, value in CALL.items() if key != "functionAbi"}
        | {"conditionType": "evmContract"},
    ]
    for item in items:
        with pytest.raises(ConditionError, match="functionAbi"):
            Conditions.parse({field: [item], "chain": "ethereum"})


@pytest.mark.parametrize("side", ["inputs", "outputs"])
@pytest.mark.parametrize(
    "parameter",
    [
        {"name": "s", "type": "tuple", "components": [{"name": "who", "type": "address"}]},
        {"name": "s", "type": "bool", "indexed": False},
        {"name": "s", "type": 5},
        {"name": "s"},
        {"type": "bool"},
    ],
)
def test_a_parameter_that_the_sdk_refuses(side: str, parameter: dict[str, Any]) -> None:
    item = CALL | {"functionAbi": CALL["functionAbi"] | {side: [parameter]}}  # type: ignore[operator]
    with pytest.raises(ConditionError, match=rf"functionAbi\.{side}\[0\]"):
        Conditions.parse({"evmContractConditions": [item], "chain": "ethereum"}).validate()


CONDITION = Conditions.for_wallet("0x" + "11" * 20).to_json()["accessControlConditions"][0]


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ([CONDITION], r"this is a list\. Write \{\"chain\": \"ethereum\", \"accessControlConditions\""),
        (b"{}", "this is a text"),
        (CONDITION, r"This is one condition.*\"accessControlConditions\": \[\{…\}\]"),
        ({"accessControlCondition": [CONDITION]}, "not the name of a list. Write accessControlConditions"),
        ({"access_control_conditions": [CONDITION]}, "Write accessControlConditions"),
        ({"solRPCConditions": []}, "Write solRpcConditions"),
        ({"conditions": [CONDITION]}, "The object has no conditions. Give one of"),
        ({"unifiedAccessControlConditions": [CONDITION]}, 'missing or unknown. Set it to "evmBasic"'),
    ],
)
def test_an_object_without_conditions_leads_on(source: Any, said: str) -> None:  # noqa: ANN401 - what people write
    with pytest.raises(ConditionError, match=said):
        Conditions.parse(source, default_chain="ethereum")


def test_an_empty_list_is_called_empty() -> None:
    with pytest.raises(ConditionError, match="accessControlConditions is empty"):
        Conditions.parse({"accessControlConditions": [], "chain": "ethereum"}).validate()

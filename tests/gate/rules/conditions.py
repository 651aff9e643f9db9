"""Conditions: expressions, canonical form, the user's address and the clock."""

from __future__ import annotations

import json
from collections.abc import Iterator

from tests.gate.building import STRANGER, Container, is_wallet
from tests.gate.engine import NOW_MS
from tests.gate.rules.cases import (
    AND,
    BAD_INPUT,
    BAD_NUMBERS,
    ME,
    NOT_MET,
    OPENS,
    OR,
    SHAPE,
    URL,
    USER,
    VALUE,
    YOU,
    Case,
    basic,
    decrypt,
    function,
    returning,
    without,
    word,
)


def cases() -> Iterator[Case]:
    yield from _expressions()
    yield from _readings()


def _expressions() -> Iterator[Case]:
    for name, conditions, expected in (
        ("me", [ME], OPENS),
        ("you", [YOU], NOT_MET),
        ("me and me", [ME, AND, ME], OPENS),
        ("me and you", [ME, AND, YOU], NOT_MET),
        ("you and me", [YOU, AND, ME], NOT_MET),
        ("me or you", [ME, OR, YOU], OPENS),
        ("you or me", [YOU, OR, ME], OPENS),
        ("you or you", [YOU, OR, YOU], NOT_MET),
        ("you and you or me", [YOU, AND, YOU, OR, ME], OPENS),
        ("me or me and you", [ME, OR, ME, AND, YOU], NOT_MET),
        ("me or (me and you)", [ME, OR, [ME, AND, YOU]], OPENS),
        ("you and (you or me)", [YOU, AND, [YOU, OR, ME]], NOT_MET),
        ("(you or me) and me", [[YOU, OR, ME], AND, ME], OPENS),
        ("((me))", [[[ME]]], OPENS),
        ("operator with more keys", [ME, {"operator": "and", "x": 1, **YOU}, ME], OPENS),
    ):
        hashed = json.loads(json.dumps(conditions))
        if name == "operator with more keys":
            hashed = [ME, AND, ME]
        yield decrypt(
            f"expression: {name}", expected, container=Container(conditions=conditions, hashed=hashed)
        )
    for name, conditions in {
        "operator alone": [AND],
        "operator first": [AND, ME],
        "operator last": [ME, AND],
        "two operators": [ME, AND, OR, ME],
        "two conditions": [ME, ME],
        "three conditions": [ME, ME, ME],
        "text for an operator": [ME, "and", ME],
        "empty group": [ME, AND, []],
        "in a group": [ME, AND, [ME, ME]],
        "deep in groups": [[[ME, AND]]],
        "group for an operator": [ME, [ME], ME],
    }.items():
        yield decrypt(f"shape: {name}", SHAPE, accessControlConditions=conditions)
    for operator in ("AND", "xor", "", None, 1, ["and"]):
        conditions = [ME, OR, ME, {"operator": operator}, ME]
        yield decrypt(f"operator {operator!r}", BAD_INPUT, accessControlConditions=conditions)
    for item in (None, "x", 1, True, {}):
        yield decrypt(f"condition {item!r}", BAD_INPUT, accessControlConditions=[item])
        yield decrypt(f"condition {item!r} later", BAD_INPUT, accessControlConditions=[ME, OR, item])
    many = [ME, *[OR, ME] * 28]
    yield decrypt("30 conditions, in groups", container=Container(conditions=[many, OR, [ME]]))
    yield decrypt(
        "31 conditions, in groups",
        "NodeTooManyConditions",
        container=Container(conditions=[many, OR, [ME, OR, ME]]),
    )


def _readings() -> Iterator[Case]:
    for name in ME:
        yield decrypt(f"condition without {name}", BAD_INPUT, accessControlConditions=[without(ME, name)])
        for value in (None, 1, {}, [1]):
            yield decrypt(
                f"condition's {name} {value!r}", BAD_INPUT, accessControlConditions=[{**ME, name: value}]
            )
        if isinstance(ME[name], str):
            yield decrypt(
                f"{name} with half a character", BAD_INPUT, accessControlConditions=[{**ME, name: "\udc00"}]
            )
    test = ME["returnValueTest"]
    for name in test:
        changed = {**ME, "returnValueTest": without(test, name)}
        yield decrypt(f"returnValueTest without {name}", BAD_INPUT, accessControlConditions=[changed])
        changed = {**ME, "returnValueTest": {**test, name: [test[name]]}}
        yield decrypt(f"returnValueTest.{name} a list", BAD_INPUT, accessControlConditions=[changed])
    plain = [is_wallet(chain="any chain, for nothing is read")]
    yield decrypt("chain of a comparison is not looked up", container=Container(conditions=plain))
    more = [{**ME, "x": 1, "functionAbi": {}, "conditionType": "solRpc"}]
    yield decrypt("unknown keys are not hashed", container=Container(conditions=more, hashed=[ME]))
    for parameters in ([], [":userAddress", ":userAddress"], [":useraddress"], [USER], [""]):
        yield decrypt(
            f"compared directly: {parameters}",
            BAD_INPUT,
            accessControlConditions=[{**ME, "parameters": parameters}],
        )
    for type_, method in (
        ("", "balanceOf"),
        ("ERC20", ""),
        ("ERC20", "ownerOf"),
        ("ERC721", "tokenURI"),
        ("ERC1155", "ownerOf"),
        ("ERC1155", "balanceOfBatch"),
        ("erc20", "balanceOf"),
        (" ", ""),
        ("", " "),
        ("ERC20 ", "balanceOf"),
        ("SIWE", ""),
        ("LitAction", "go"),
        ("Timestamp", ""),
        ("ERC20", "eth_getBalance"),
        ("constructor", ""),
    ):
        one = basic(type_, method, [":userAddress"])
        yield decrypt(
            f"{type_!r} {method!r}", BAD_INPUT, accessControlConditions=[one], rpc={"ethereum": [URL]}
        )
    yield from _unified()
    yield from _clock()


def _unified() -> Iterator[Case]:
    field = "unifiedAccessControlConditions"
    call = function([], [], ["bool"], "=", "true")
    both = [{"conditionType": "evmBasic", **YOU}, OR, {"conditionType": "evmContract", **call}]
    rpc = {"ethereum": [URL]}
    hashed = [YOU, OR, call]
    answers = returning(word(1))
    container = Container(conditions=both, field_name=field, hashed=hashed, rpc=rpc)
    yield decrypt("unified", container=container, servers=answers)
    plain = Container(conditions=hashed, field_name=field, rpc=rpc)
    yield decrypt("unified, conditionType is not looked at", container=plain, servers=answers)
    for name, item in {
        "both kinds": {**ME, **call},
        "both kinds, one null": {**ME, "functionAbi": None},
        "neither": {"conditionType": "cosmos", "path": "/", "chain": "cosmos", "returnValueTest": {}},
    }.items():
        yield decrypt(
            f"unified of {name}", BAD_INPUT, rpc=rpc, **{field: [item], "accessControlConditions": ...}
        )
    yield decrypt("basic among functions", BAD_INPUT, evmContractConditions=[ME], accessControlConditions=...)
    yield decrypt("function among basic", BAD_INPUT, accessControlConditions=[call], rpc=rpc)


def _clock() -> Iterator[Case]:
    now_s = NOW_MS // 1000
    for comparator, difference, met in (
        ("=", 0, True),
        ("=", 1, False),
        (">=", 0, True),
        (">=", 1, False),
        (">", 0, False),
        (">", -1, True),
        ("<", 0, False),
        ("<", 1, True),
        ("<=", 0, True),
        ("<=", -1, False),
        ("!=", 0, False),
        ("!=", 1, True),
    ):
        one = is_wallet(
            str(now_s + difference), standardContractType="timestamp", method="x", parameters=["y"], chain="z"
        )
        one["returnValueTest"]["comparator"] = comparator
        name = f"time {comparator} now{difference:+}"
        yield decrypt(name, OPENS if met else NOT_MET, container=Container(conditions=[one]))
    for comparator in ("contains", "!contains", "", "==", "constructor"):
        one = basic("timestamp", "", [], comparator, "1")
        yield decrypt(f"time {comparator!r}", BAD_INPUT, accessControlConditions=[one])
        one = {**ME, "returnValueTest": {"comparator": comparator, "value": USER}}
        yield decrypt(f"address {comparator!r}", BAD_INPUT, accessControlConditions=[one])
    for value in BAD_NUMBERS:
        yield decrypt(
            f"time > {value!r}", VALUE, accessControlConditions=[basic("timestamp", "", [], ">", value)]
        )
    for value in ("-1", "0", "1" + "0" * 9):
        yield decrypt(
            f"time > {value}", container=Container(conditions=[basic("timestamp", "", [], ">", value)])
        )
    yield decrypt(
        "time < 78 digits", container=Container(conditions=[basic("timestamp", "", [], "<", "9" * 78)])
    )
    number = int(USER, 16)
    for comparator, value, met in (
        ("=", USER.lower(), True),
        ("=", "0x" + USER[2:].upper(), True),
        ("=", ":userAddress", True),
        ("!=", STRANGER.address, True),
        ("!=", USER, False),
        (">", f"0x{number - 1:040x}", True),
        (">", USER, False),
        (">=", USER, True),
        ("<", f"0x{number + 1:040x}", True),
        ("<", USER, False),
        ("<=", USER, True),
        ("<=", f"0x{number - 1:040x}", False),
    ):
        one = {**ME, "returnValueTest": {"comparator": comparator, "value": value}}
        yield decrypt(
            f"address {comparator} {value[:8]}",
            OPENS if met else NOT_MET,
            container=Container(conditions=[one]),
        )
    for value in (
        "",
        USER[2:],
        USER + "0",
        USER[:-1],
        "0X" + USER[2:],
        "0x" + "g" * 40,
        ":useraddress",
        "1",
        f" {USER}",
    ):
        yield decrypt(
            f"address = {value!r:.12} of {len(value)}", VALUE, accessControlConditions=[is_wallet(value)]
        )

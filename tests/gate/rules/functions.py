"""Conditions that call a function: its ABI, types and parameters."""

from __future__ import annotations

import json
from collections.abc import Iterator

from tests.gate.building import Container, Json
from tests.gate.rules.cases import (
    BAD_INPUT,
    BAD_NUMBERS,
    CONTRACT,
    NOT_MET,
    OPENS,
    URL,
    USER,
    Case,
    called,
    decrypt,
    function,
    returning,
    without,
    word,
)


def cases() -> Iterator[Case]:
    yield from _abis()
    yield from _types()
    yield from _good_parameters()
    yield from _bad_parameters()


def _abis() -> Iterator[Case]:
    good = function([], [], ["bool"], "=", "true")
    abi, answers = good["functionAbi"], returning(word(1))
    yield called("function", OPENS, good, answers)
    hashed = {**good, "functionAbi": {**abi, "constant": False}}
    absent = Container(
        conditions=[{**good, "functionAbi": without(abi, "constant")}],
        hashed=[hashed],
        field_name="evmContractConditions",
        rpc={"ethereum": [URL]},
    )
    yield decrypt("constant absent is false", container=absent, servers=answers)
    yield called("constant true", OPENS, {**good, "functionAbi": {**abi, "constant": True}}, answers)
    for name in good:
        yield called(f"function without {name}", BAD_INPUT, without(good, name), answers)
        for value in (None, 1, [1]):
            yield called(f"function's {name} {value!r}", BAD_INPUT, {**good, name: value}, answers)
    for name in abi:
        for value in (None, 1, {}, [1]):
            changed = {**good, "functionAbi": {**abi, name: value}}
            yield called(f"abi's {name} {value!r}", BAD_INPUT, changed, answers)
        if name != "constant":
            yield called(
                f"abi without {name}", BAD_INPUT, {**good, "functionAbi": without(abi, name)}, answers
            )
    for output in (
        None,
        {},
        {"name": "o0"},
        {"type": "bool"},
        {"name": None, "type": "bool"},
        {"name": "", "type": 1},
    ):
        yield called(
            f"output {output}", BAD_INPUT, {**good, "functionAbi": {**abi, "outputs": [output]}}, answers
        )
        yield called(
            f"input {output}",
            BAD_INPUT,
            {**good, "functionAbi": {**abi, "inputs": [output]}, "functionParams": ["true"]},
            answers,
        )
    surplus = {
        **good,
        "functionAbi": {
            **abi,
            "type": "function",
            "outputs": [{**abi["outputs"][0], "internalType": "bool"}],
        },
    }
    container = Container(
        conditions=[surplus], hashed=[good], field_name="evmContractConditions", rpc={"ethereum": [URL]}
    )
    yield decrypt("unknown keys of the abi", container=container, servers=answers)
    for name in ("F", "_", "$", "aZ09_$"):
        named = function([], [], ["bool"], "=", "true", name=name)
        yield called(f"function named {name}", OPENS, named, returning(word(1), name=name))
    for name in ("", "1f", "f g", "f-", "f(", "f()", "\u00e9", "f\n"):
        yield called(
            f"function name {name!r}", BAD_INPUT, function([], [], ["bool"], "=", "true", name=name), answers
        )
    yield called("function names differ", BAD_INPUT, {**good, "functionName": "g"}, answers)
    yield called("contract of a function", BAD_INPUT, {**good, "contractAddress": CONTRACT[2:]}, answers)
    yield called("no outputs", BAD_INPUT, function([], [], [], "=", "true"), answers)
    two = function([], [], ["bool", "bool"], "=", "true")
    yield called("empty key, two outputs", BAD_INPUT, two, answers)
    pair = returning(word(0) + word(1))
    yield called(
        "first of two outputs",
        NOT_MET,
        {**two, "returnValueTest": {**two["returnValueTest"], "key": "o0"}},
        pair,
    )
    yield called(
        "second of two outputs",
        OPENS,
        {**two, "returnValueTest": {**two["returnValueTest"], "key": "o1"}},
        pair,
    )
    yield called("key of no output", BAD_INPUT, function([], [], ["bool"], "=", "true", key="o1"), answers)
    same = json.loads(
        json.dumps({**two, "returnValueTest": {**two["returnValueTest"], "key": "o0"}}).replace(
            '"o1"', '"o0"'
        )
    )
    yield called("key of two outputs", BAD_INPUT, same, pair)
    mixed = function([], [], ["uint8", "address", "string"], "=", "x", key="o2")
    data = word(9) + word(int(USER, 16)) + word(96) + word(1) + "78" + "00" * 31
    yield called("third of three outputs", OPENS, mixed, returning(data))


INTEGERS = [f"{sign}int{bits}" for sign in ("u", "") for bits in range(8, 257, 8)]
BYTES = [f"bytes{size}" for size in range(1, 33)]


def _types() -> Iterator[Case]:
    for type_ in INTEGERS:
        yield called(f"output {type_}", OPENS, function([], [], [type_], "=", "5"), returning(word(5)))
    for type_ in BYTES:
        size = int(type_[5:])
        yield called(
            f"output {type_}",
            OPENS,
            function([], [], [type_], "=", "0x" + "ab" * size),
            returning("ab" * size + "00" * (32 - size)),
        )
    for type_ in (
        "uint",
        "int",
        "uint0",
        "uint7",
        "uint264",
        "uint08",
        "bytes0",
        "bytes33",
        "bytes01",
        "byte",
        "function",
        "fixed",
        "tuple",
        "uint256[]",
        "address[1]",
        "",
        "Address",
        " bool",
        "bool ",
        "string memory",
        "constructor",
        "uint256 indexed",
    ):
        yield called(
            f"output type {type_!r}", BAD_INPUT, function([], [], [type_], "=", "0"), returning(word(0))
        )
        yield called(
            f"unread output type {type_!r}",
            BAD_INPUT,
            function([], [], ["bool", type_], "=", "true", key="o0"),
            returning(word(1) * 9),
        )
        yield called(
            f"input type {type_!r}",
            BAD_INPUT,
            function([type_], ["0"], ["bool"], "=", "true"),
            returning(word(1)),
        )


def _good_parameters() -> Iterator[Case]:
    from eth_abi import encode
    from eth_utils import function_signature_to_4byte_selector

    def good(type_: str, text: str, value: Json) -> Case:
        data = function_signature_to_4byte_selector(f"f({type_})") + encode([type_], [value])
        rows = [
            {
                "method": "eth_call",
                "params": [{"to": CONTRACT, "data": f"0x{data.hex()}"}, "latest"],
                "result": f"0x{word(1)}",
            }
        ]
        return called(
            f"parameter {type_} {text[:14]}",
            OPENS,
            function([type_], [text], ["bool"], "=", "true"),
            {URL: rows},
        )

    yield good("address", ":userAddress", USER)
    yield good("address", USER.lower(), USER)
    yield good("address", "0x" + USER[2:].upper(), USER)
    yield good("address", USER.swapcase().replace("0X", "0x"), USER)
    for text in ("true", "false"):
        yield good("bool", text, text == "true")
    for text in ("", "x", "caf\u00e9 \U0001d11e", "a:b", "0x00", "\u0001\n"):
        yield good("string", text, text)
    for text in ("0x", "0x00", "0xAbcD", "0x" + "00" * 33):
        yield good("bytes", text, bytes.fromhex(text[2:]))
    for size in (1, 2, 31, 32):
        yield good(f"bytes{size}", "0x" + "aB" * size, b"\xab" * size)
        yield good(f"bytes{size}", "0x" + "19" * size, b"\x19" * size)
    for bits in (8, 16, 128, 248, 256):
        for number in (0, 1, 2**bits - 1):
            yield good(f"uint{bits}", str(number), number)
        for number in (-(2 ** (bits - 1)), -1, 0, 2 ** (bits - 1) - 1):
            yield good(f"int{bits}", str(number), number)


def _bad_parameters() -> Iterator[Case]:
    for bits in (8, 16, 128, 248, 256):
        for type_, number in (
            (f"uint{bits}", -1),
            (f"uint{bits}", 2**bits),
            (f"int{bits}", 2 ** (bits - 1)),
            (f"int{bits}", -(2 ** (bits - 1)) - 1),
        ):
            yield called(
                f"{type_} {str(number)[:6]}",
                BAD_INPUT,
                function([type_], [str(number)], ["bool"], "=", "true"),
            )
    bad = {
        "address": (
            "",
            USER[2:],
            USER + "0",
            "0X" + USER[2:],
            ":litParam:x",
            ":currentActionIpfsId",
            "XE7338O073KYGTWWZN0F2WZ0R8PX5ZPPZS",
        ),
        "bool": ("", "1", "True", "yes", ":userAddress"),
        "string": (":userAddress", ":", ":x"),
        "bytes": ("", "0", "00", "0x0", "0xg0", "0x00 ", "0X00", "00x00", ":userAddress", "0x00\n"),
        "bytes2": (
            "",
            "0x",
            "0x00",
            "0x000",
            "0x000000",
            "0x00g0",
            "00x0ab",
            "aaaabb",
            "0000",
            ":userAddress",
        ),
        "uint8": BAD_NUMBERS,
        "int256": BAD_NUMBERS,
    }
    for type_, texts in bad.items():
        for text in texts:
            yield called(
                f"parameter {type_} {text[:14]!r} refused",
                BAD_INPUT,
                function([type_], [text], ["bool"], "=", "true"),
            )
    for params in ([], ["1"], ["1", "2", "3"]):
        yield called(
            f"{len(params)} parameters for two",
            BAD_INPUT,
            function(["uint8", "uint8"], params, ["bool"], "=", "true"),
        )

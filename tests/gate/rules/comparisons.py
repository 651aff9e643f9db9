"""What a function returns: how it is decoded, and compared with the value of the condition."""

from __future__ import annotations

from collections.abc import Iterator

from tests.gate.rules.cases import (
    BAD_INPUT,
    BAD_NUMBERS,
    NOT_MET,
    OPENS,
    RPC,
    USER,
    VALUE,
    Case,
    called,
    function,
    returning,
    word,
)


def cases() -> Iterator[Case]:
    texts = word(32) + word(3) + b"abc".hex() + "00" * 29
    orders = {"=": (0,), "!=": (-1, 1), ">": (1,), ">=": (0, 1), "<": (-1,), "<=": (-1, 0)}
    for type_, actual, raw in (
        ("uint8", 5, 5),
        ("uint256", 2**200, 2**200),
        ("int8", -5, -5),
        ("int256", -(2**200), -(2**200)),
    ):
        for comparator, signs in orders.items():
            for difference in (-1, 0, 1):
                value = str(actual - difference)
                expected = OPENS if difference in signs else NOT_MET
                name = f"{type_} {str(actual)[:4]} {comparator} {difference:+}"
                yield called(
                    name, expected, function([], [], [type_], comparator, value), returning(word(raw))
                )
    lower = f"0x{int(USER, 16) - 1:040x}"
    yield called(
        "address >", OPENS, function([], [], ["address"], ">", lower), returning(word(int(USER, 16)))
    )
    yield called(
        "address is the user",
        OPENS,
        function([], [], ["address"], "=", ":userAddress"),
        returning(word(int(USER, 16))),
    )
    for comparator, value, met in (
        ("=", "abc", True),
        ("=", "ab", False),
        ("=", "ABC", False),
        ("!=", "ab", True),
        ("!=", "abc", False),
        ("contains", "b", True),
        ("contains", "abc", True),
        ("contains", "", True),
        ("contains", "x", False),
        ("!contains", "x", True),
        ("!contains", "c", False),
    ):
        one = function([], [], ["string"], comparator, value)
        yield called(f"string {comparator} {value!r}", OPENS if met else NOT_MET, one, returning(texts))
    for comparator, value, result, met in (
        ("=", "true", 1, True),
        ("=", "true", 2, True),
        ("=", "true", 0, False),
        ("=", "false", 0, True),
        ("!=", "false", 1, True),
        ("!=", "true", 1, False),
    ):
        yield called(
            f"bool {result} {comparator} {value}",
            OPENS if met else NOT_MET,
            function([], [], ["bool"], comparator, value),
            returning(word(result)),
        )
    for comparator, value, met in (
        ("=", "0xab", True),
        ("=", "0xabab", False),
        ("=", "0x", False),
        ("!=", "0xac", True),
        ("!=", "0xab", False),
        ("!=", "0xabc", True),
    ):
        data = "ab" + "cd" * 31  # cut to the type's width
        yield called(
            f"bytes1 {comparator} {value}",
            OPENS if met else NOT_MET,
            function([], [], ["bytes1"], comparator, value),
            returning(data),
        )
    dynamic = word(32) + word(2) + "abcd" + "00" * 30
    yield called("bytes =", OPENS, function([], [], ["bytes"], "=", "0xabcd"), returning(dynamic))
    digits = word(32) + word(3) + "19af05" + "00" * 29
    yield called("bytes with digits", OPENS, function([], [], ["bytes"], "=", "0x19af05"), returning(digits))
    colon = word(32) + word(3) + b"a:b".hex() + "00" * 29
    yield called("string with a colon", OPENS, function([], [], ["string"], "=", "a:b"), returning(colon))
    yield from _misfits()
    yield from _undecodable(texts)


def _misfits() -> Iterator[Case]:
    wrong = {
        "string": (">", "<=", "==", ""),
        "bool": (">", "contains", "<"),
        "bytes": (">", "contains"),
        "bytes4": (">=", "!contains"),
        "uint8": ("contains", "!contains", "eq"),
        "address": ("contains", "=="),
    }
    good = {"string": "x", "bool": "true", "bytes": "0x", "bytes4": "0x", "uint8": "1", "address": USER}
    for type_, comparators in wrong.items():
        for comparator in comparators:
            yield called(
                f"{type_} {comparator!r}",
                BAD_INPUT,
                function([], [], [type_], comparator, good[type_]),
                returning(word(1)),
            )
    bad = {
        "string": (":userAddress", ":"),
        "bool": ("", "True", "1", ":userAddress"),
        "bytes": ("", "ab", "0xAB", "0xg", "0X", " 0x", "0xab\n"),
        "bytes4": ("", "0xABCDEF01"),
        "uint8": BAD_NUMBERS,
        "int256": ("", "0x1", ":userAddress"),
        "address": ("", "1", USER[2:], ":x"),
    }
    for type_, values in bad.items():
        for value in values:
            yield called(
                f"{type_} = {value[:12]!r} refused",
                VALUE,
                function([], [], [type_], "=", value),
                returning(word(1)),
            )
    beyond = function([], [], ["uint8"], "<", "9" * 78)
    yield called("a number beyond its type may be compared with", OPENS, beyond, returning(word(1)))


def _undecodable(texts: str) -> Iterator[Case]:
    for type_, value, data in (
        ("bool", "true", ""),
        ("uint256", "1", "00" * 31),
        ("uint256", "1", "0"),
        ("address", USER, "00" * 31),
        ("string", "abc", word(1)),
        ("string", "abc", word(32) + word(100) + "61" * 32),
        ("string", "abc", texts.replace("616263", "61ff63")),
        ("bytes", "0x", word(64)),
    ):
        yield called(
            f"{type_} from 0x{data[-10:]}", RPC, function([], [], [type_], "=", value), returning(data)
        )
    yield called("surplus bytes", OPENS, function([], [], ["uint8"], "=", "1"), returning(word(1) + "ff" * 7))
    cut = function([], [], ["uint8"], "=", "1")
    yield called("uint8 is cut to its width", OPENS, cut, returning(word(2**200 + 1)))

"""Conditions that are well-formed, and that nobody will meet: found before data is encrypted under them.

Source: docs/protocol/conditions.md#conditions-that-nobody-can-meet, which follows from what nodes evaluate.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum
from typing import Any

from lit_airflow.errors import ConditionError
from lit_airflow.keys.address import is_address, parse_address
from lit_airflow.protocol import condition_arguments as arguments
from lit_airflow.protocol.condition_arguments import ADDRESS, NUMBER, Comparison, is_substituted
from lit_airflow.text import quoted

log = logging.getLogger(__name__)

USER_ADDRESS = ":userAddress"
"""The parameter that nodes replace with the address of the wallet that asks."""

_CONTRACT_TYPES = frozenset(
    {
        *("CASK", "Creaton", "ERC1155", "ERC20", "ERC721", "ERC721MetadataName"),
        *("MolochDAOv2.1", "PKPPermissions", "POAP", "ProofOfHumanity"),
    }
)
# (contract type, method) -> types of the arguments, and how the result is compared.
_STANDARD_CALLS: Mapping[tuple[str, str], tuple[tuple[str, ...], Comparison]] = {
    ("ERC20", "balanceOf"): (("address",), NUMBER),
    ("ERC721", "balanceOf"): (("address",), NUMBER),
    ("ERC721", "ownerOf"): (("uint256",), ADDRESS),
    ("ERC1155", "balanceOf"): (("address", "uint256"), NUMBER),
}
_BASE58 = frozenset("123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz")
_SOLANA_ADDRESS_CHARS = range(32, 45)
_SINCE = 1_700_000_000
"""Unix time. Every network that this package knows began later than this, and so does every decryption."""
_FIRST_IN_MILLISECONDS = 100_000_000_000
_TIME_BOUND = 2**256
_MOST_BOXES = 64


class Severity(IntEnum):
    """How bad it is."""

    UNLIKELY = 1
    """It may hold, but it is probably not what was meant."""
    NEVER = 2
    """The condition can never hold."""
    UNREADABLE = 3
    """Nodes cannot judge the condition: they answer with an error."""


@dataclass(frozen=True, slots=True)
class Doubt:
    """Why conditions may never be met.

    Attributes:
        field: The path of what is doubtful.
        message: A clause that follows the path.
        severity: How bad it is.
    """

    field: str
    message: str
    severity: Severity = Severity.UNLIKELY


@dataclass(frozen=True, slots=True)
class _Box:
    """Wallets and times at which conditions may hold: from the first to the last of both, inclusive."""

    wallet: tuple[int, int] = (0, arguments.ADDRESS_BOUND - 1)
    time: tuple[int, int] = (0, _TIME_BOUND)

    def within(self, other: _Box) -> _Box | None:
        wallet, time = _overlap(self.wallet, other.wallet), _overlap(self.time, other.time)
        return _Box(wallet, time) if wallet and time else None


def doubts(given: Sequence[Any], kind: str | None, path: str, *, now: datetime | None = None) -> list[Doubt]:
    """Return what is doubtful in conditions that are well-formed, worst first.

    A condition that can never hold is only unlikely where another one may hold instead of it.

    Args:
        given: The items as the user wrote them.
        kind: The kind of the conditions; ``None`` if each names its own in ``conditionType``.
        path: The list's path.
        now: The time before which nothing will be decrypted.
    """
    since = _SINCE if now is None else int(now.timestamp())
    found: list[Doubt] = []
    boxes = _Reader(kind, since, found).list_of(given, path)
    if boxes:
        found = [
            Doubt(doubt.field, doubt.message) if doubt.severity is Severity.NEVER else doubt
            for doubt in found
        ]
    elif not any(doubt.severity is Severity.NEVER for doubt in found):
        message = "no wallet can meet these conditions together: they contradict each other"
        found.append(Doubt(path, message, Severity.NEVER))
    return sorted(found, key=lambda doubt: -doubt.severity)


def refuse_hopeless(found: Iterable[Doubt]) -> None:
    """Log each doubt as a warning; refuse conditions that are hopeless.

    Raises:
        ConditionError: Nodes cannot judge a condition, or nobody can ever meet the conditions.
    """
    for doubt in found:
        if doubt.severity > Severity.UNLIKELY:
            raise ConditionError(
                f"{doubt.field}: {doubt.message}.",
                field=doubt.field,
                hint="What is encrypted under these conditions could never be decrypted.",
            )
        log.warning("%s: %s. Check that somebody can meet these conditions.", doubt.field, doubt.message)


@dataclass(frozen=True, slots=True)
class _Reader:
    """Collects doubts, and the wallets and times at which conditions may hold."""

    kind: str | None
    since: int
    found: list[Doubt]

    def list_of(self, items: Sequence[Any], path: str) -> list[_Box]:
        boxes: list[_Box] | None = None
        either = False
        for index, item in enumerate(items):
            if isinstance(item, Mapping) and "operator" in item:
                either = item["operator"] == "or"
                continue
            at = f"{path}[{index}]"
            alone = self._condition(item, at) if isinstance(item, Mapping) else self.list_of(item, at)
            before = [_Box()] if boxes is None else boxes
            boxes = [*before, *alone] if either else list(_common(before, alone))
            boxes = list(dict.fromkeys(boxes))
            if len(boxes) > _MOST_BOXES:  # no longer worth following: anything may hold
                boxes = [_Box()]
        return boxes or []

    def _condition(self, item: Mapping[str, Any], at: str) -> list[_Box]:
        kind = self.kind or str(item.get("conditionType"))
        before = len(self.found)
        box = _Box(time=(self.since, _TIME_BOUND))
        if kind == "evmBasic":
            box = self._basic(item, at) or box
        elif kind == "evmContract":
            self._contract(item, at)
        elif kind == "solRpc":
            self._solana(item, at)
        new = self.found[before:]
        self._look(item, at, {doubt.field for doubt in new})
        return [] if any(doubt.severity is Severity.NEVER for doubt in new) else [box]

    def _basic(self, item: Mapping[str, Any], at: str) -> _Box | None:
        kind, method, parameters = item["standardContractType"], item["method"], item["parameters"]
        test, test_at = item["returnValueTest"], f"{at}.returnValueTest"
        if kind == "timestamp":
            return self._time(test, test_at)
        if kind == "SIWE" and parameters[:1] not in ([":domain"], [":resources"]):
            self._add(f"{at}.parameters", 'must be [":domain"] or [":resources"]', Severity.NEVER)
        if kind in _CONTRACT_TYPES:
            self._is_contract(item, at)
        if kind == "" and method == "":
            return self._parameter(parameters, test, at)
        if kind == "" and method == "eth_getBalance":
            self._arguments(("address",), parameters[:1], f"{at}.parameters")
            self._compared(NUMBER, test, test_at)
        elif kind == "":
            self._add(
                f"{at}.method",
                f"nodes know no method {quoted(method)} without a contract type",
                Severity.NEVER,
            )
        elif (kind, method) in _STANDARD_CALLS:
            types, comparison = _STANDARD_CALLS[kind, method]
            self._arguments(types, parameters, f"{at}.parameters")
            self._compared(comparison, test, test_at)
        return None

    def _parameter(self, parameters: Sequence[str], test: Mapping[str, str], at: str) -> _Box | None:
        """Judge a condition that compares its first parameter."""
        if not parameters:
            self._add(f"{at}.parameters", "there is nothing to compare", Severity.NEVER)
            return None
        subject = parameters[0]
        if subject == USER_ADDRESS:
            value = self._compared(ADDRESS, test, f"{at}.returnValueTest")
            return None if value is None else _Box(_range(test["comparator"], value, arguments.ADDRESS_BOUND))
        if not is_substituted(subject) and not is_substituted(test["value"]):
            self._text(subject, test, at)
        return None

    def _text(self, subject: str, test: Mapping[str, str], at: str) -> None:
        value = test["value"]
        holds = {
            "=": subject == value,
            ">": subject > value,
            ">=": subject >= value,
            "<": subject < value,
            "<=": subject <= value,
            "contains": value in subject,
            "!=": subject != value,
            "!contains": value not in subject,
        }
        if not holds[test["comparator"]]:
            near = f"; nodes replace only {', '.join(arguments.SUBSTITUTIONS)}" if subject[:1] == ":" else ""
            self._add(
                f"{at}.parameters[0]",
                f"the text {quoted(subject)} never passes this test{near}",
                Severity.NEVER,
            )

    def _time(self, test: Mapping[str, str], at: str) -> _Box | None:
        value = self._compared(NUMBER, test, at)
        if value is None:
            return None
        comparator, value_at = test["comparator"], f"{at}.value"
        if value >= _FIRST_IN_MILLISECONDS:
            self._add(value_at, f"{value} looks like milliseconds; times are Unix seconds")
        elif comparator == "=":
            self._add(value_at, "a block of exactly this second is needed; use >= or <=")
        first, last = _range(comparator, value, _TIME_BOUND)
        if last < self.since:
            self._add(value_at, "this time is over", Severity.NEVER)
        return _Box(time=(max(first, self.since), last))

    def _contract(self, item: Mapping[str, Any], at: str) -> None:
        abi, key = item["functionAbi"], item["returnValueTest"]["key"]
        self._is_contract(item, at)
        if abi["name"] != item["functionName"]:
            self._add(f"{at}.functionAbi.name", "must be the same as functionName", Severity.UNREADABLE)
        for side in ("inputs", "outputs"):
            for index, parameter in enumerate(abi[side]):
                if not arguments.is_type(parameter["type"]):
                    self._add(
                        f"{at}.functionAbi.{side}[{index}].type",
                        f"nodes cannot read the type {quoted(parameter['type'])}",
                        Severity.UNREADABLE,
                    )
        types = [parameter["type"] for parameter in abi["inputs"]]
        self._arguments(types, item["functionParams"], f"{at}.functionParams")
        outputs = [output["type"] for output in abi["outputs"] if key in ("", output["name"])]
        comparison = arguments.comparison_of(outputs[0]) if len(outputs) == 1 else None
        if comparison is not None:
            self._compared(comparison, item["returnValueTest"], f"{at}.returnValueTest")
        elif not outputs:
            self._add(f"{at}.returnValueTest.key", "the function has no such output")

    def _solana(self, item: Mapping[str, Any], at: str) -> None:
        test, value_at = item["returnValueTest"], f"{at}.returnValueTest.value"
        value = test["value"]
        if is_substituted(value) or test["key"] or item.get("pdaParams"):
            return
        if item["method"] == "" and item["params"] == [USER_ADDRESS]:
            if len(value) not in _SOLANA_ADDRESS_CHARS or not _BASE58.issuperset(value):
                self._add(value_at, f"{quoted(value)} is not the address of a Solana wallet")
        elif item["method"] == "getBalance" and arguments.whole_number(value) is None:
            self._add(value_at, f"{quoted(value)} is not a number of lamports")

    def _arguments(self, types: Sequence[str], given: Sequence[str], at: str) -> None:
        if len(types) != len(given):
            self._add(
                at,
                f"the function takes {len(types)} arguments, and {len(given)} are given",
                Severity.UNREADABLE,
            )
            return
        for index, (kind, text) in enumerate(zip(types, given, strict=True)):
            if not arguments.is_argument(text, kind):
                self._add(f"{at}[{index}]", f"{quoted(text)} is not of the type {kind}", Severity.UNREADABLE)
            self._checksum(text, f"{at}[{index}]")

    def _compared(self, comparison: Comparison, test: Mapping[str, str], at: str) -> int | None:
        """Judge a comparison; return the number that a result is compared with, if that is known now."""
        comparator, text = test["comparator"], test["value"]
        if comparison.comparators is not None and comparator not in comparison.comparators:
            self._add(f"{at}.comparator", f"{comparator} never holds for {comparison.name}", Severity.NEVER)
            return None
        if is_substituted(text):
            return None
        value = comparison.read(text)
        if value is None:
            if comparator != "contains":
                message = f"{quoted(text)} is compared with {comparison.name}; write {comparison.wanted}"
                self._add(f"{at}.value", message, Severity.UNREADABLE)
            return None
        self._checksum(text, f"{at}.value")
        if comparison is ADDRESS and value == 0 and comparator == "=":
            self._add(f"{at}.value", "nobody has the key of the address of zeros")
        if comparison.bound is not None:
            first, last = _range(comparator, value, comparison.bound)
            if first > last:
                self._add(f"{at}.value", f"nothing is {comparator} {text}", Severity.NEVER)
        return value

    def _is_contract(self, item: Mapping[str, Any], at: str) -> None:
        contract = item["contractAddress"]
        if not is_address(contract):
            self._add(
                f"{at}.contractAddress", "must be an address: 0x and 40 hex digits", Severity.UNREADABLE
            )
        self._checksum(contract, f"{at}.contractAddress")

    def _checksum(self, text: str, at: str) -> None:
        if not is_address(text):
            return
        if text[2:] not in (text[2:].lower(), text[2:].upper()) and text != parse_address(text):
            self._add(at, f"the address {text} has a wrong checksum, as after a typing error")

    def _look(self, item: Mapping[str, Any], at: str, named: set[str]) -> None:
        """Doubt every text that begins or ends with something that cannot be seen."""
        for field, text in _texts(item, at):
            if field not in named and text and (text != text.strip() or not text.isprintable()):
                self._add(field, "has white space around it, or a character that cannot be seen")

    def _add(self, field: str, message: str, severity: Severity = Severity.UNLIKELY) -> None:
        self.found.append(Doubt(field, message, severity))


def _texts(item: Mapping[str, Any], at: str) -> Iterator[tuple[str, str]]:
    for key in ("contractAddress", "method", "functionName", "path"):
        if isinstance(item.get(key), str):
            yield f"{at}.{key}", item[key]
    for key in ("parameters", "functionParams", "params"):
        for index, text in enumerate(item.get(key) or ()):
            yield f"{at}.{key}[{index}]", text
    yield f"{at}.returnValueTest.value", item["returnValueTest"]["value"]


def _common(some: Iterable[_Box], others: Sequence[_Box]) -> Iterator[_Box]:
    for one in some:
        for other in others:
            both = one.within(other)
            if both is not None:
                yield both


def _overlap(one: tuple[int, int], other: tuple[int, int]) -> tuple[int, int] | None:
    first, last = max(one[0], other[0]), min(one[1], other[1])
    return (first, last) if first <= last else None


def _range(comparator: str, value: int, bound: int) -> tuple[int, int]:
    """Return the first and the last number for which a comparison holds; the first is greater if there is none."""
    if comparator == "=":
        return value, value
    if comparator in (">", ">="):
        return value + (comparator == ">"), bound - 1
    if comparator in ("<", "<="):
        return 0, value - (comparator == "<")
    return 0, bound - 1

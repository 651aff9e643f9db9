"""Decide whether conditions are met, for what can be decided without a chain.

Compared here: the wallet's address, texts, numbers, the node's clock, the sign-in message. Balances and
contract calls are looked up in a ledger that the test gives; what it does not hold is refused as a node
refuses when its chain is unreachable, never guessed.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from eth_utils.address import is_address

from lit_airflow.devnet.conditions import ConditionList, kind_of
from lit_airflow.devnet.errors import NodeError

if TYPE_CHECKING:
    from datetime import datetime

    from lit_airflow.devnet.parsing import Json
    from lit_airflow.devnet.siwe import SignIn

Ledger = Mapping[str, object]
"""What the chains say: ``"ethereum:0x…"`` -> wei, ``"polygon:0x….balanceOf(0x…,8)"`` -> what the call returns
(number, text, boolean; an object where the condition's ``key`` picks an output), ``"solana:getBalance(…)"``,
``"cosmos:/path"``. Keys are compared without case."""

_CONTRACT_TYPES = frozenset(
    {
        "CASK",
        "Creaton",
        "ERC1155",
        "ERC20",
        "ERC721",
        "ERC721MetadataName",
        "MolochDAOv2.1",
        "PKPPermissions",
        "POAP",
        "ProofOfHumanity",
    }
)
_Test = Callable[[Any, Any], bool]
_ORDERINGS: dict[str, _Test] = {
    "=": operator.eq,
    ">": operator.gt,
    "<": operator.lt,
    ">=": operator.ge,
    "<=": operator.le,
}
_NUMBER_TESTS = {**_ORDERINGS, "!=": operator.ne}
_TEXT_TESTS: dict[str, _Test] = {
    **_NUMBER_TESTS,
    "contains": lambda text, part: part in text,
    "!contains": lambda text, part: part not in text,
}
_LARGEST = 2**256 - 1


@dataclass(frozen=True, slots=True)
class Asker:
    """Who asks: the wallet's address, and the message it signed in with."""

    address: str
    sign_in: SignIn


def ledger_key(chain: str, subject: str, call: str = "", arguments: list[str] | None = None) -> str:
    """The ledger's key for a balance (``subject`` alone) or a call; lower case, as keys are compared."""
    name = ".".join(filter(None, (subject, call)))
    called = "" if arguments is None else f"({','.join(arguments)})"
    return f"{chain}:{name}{called}".lower()


def check_met(conditions: ConditionList, asker: Asker, now: datetime, ledger: Ledger) -> None:
    """Refuse unless the conditions are met.

    Operators work strictly from left to right; what cannot change the result any more is not looked up.

    Raises:
        NodeError: ``NodeInvalidBooleanConditionType`` for a misshapen expression,
            ``NodeAccessControlConditionsReturnedNotAuthorized`` when not met, or what prevented the check.
    """
    items = conditions.items
    if conditions.field == "accessControlConditions" and not _has_operator(items):
        items = _joined(items)
    _check_expression(items)

    def leaf(condition: Json) -> bool:
        return _Question(condition, asker, now, ledger).answer(kind_of(conditions.field, condition))

    if not _evaluate(items, leaf):
        raise NodeError("NodeAccessControlConditionsReturnedNotAuthorized")


def _has_operator(items: list[object]) -> bool:
    return any(_has_operator(i) if isinstance(i, list) else "operator" in cast("Json", i) for i in items)


def _joined(items: list[object]) -> list[object]:
    """The old form of a top list: nothing but conditions, all of which must hold."""
    joined: list[object] = []
    for item in items:
        joined += [{"operator": "and"}, item] if joined else [item]
    return joined


def _is_operator(item: object) -> bool:
    return isinstance(item, dict) and "operator" in item


def _check_expression(items: list[object]) -> None:
    for index, item in enumerate(items):
        if _is_operator(item) != (index % 2 == 1):
            raise NodeError("NodeInvalidBooleanConditionType", f"item {index} is out of order")
        if isinstance(item, list):
            _check_expression(item)
    if len(items) % 2 == 0:
        raise NodeError("NodeInvalidBooleanConditionType", "a condition is missing at the end")


def _evaluate(items: list[object], leaf: Callable[[Json], bool]) -> bool:
    so_far = True
    for index in range(0, len(items), 2):
        if index and (cast("Json", items[index - 1])["operator"] == "or") == so_far:
            continue  # true or …, false and …
        item = items[index]
        so_far = _evaluate(item, leaf) if isinstance(item, list) else leaf(cast("Json", item))
    return so_far


class _Question:
    """One condition, put to one asker."""

    def __init__(self, condition: Json, asker: Asker, now: datetime, ledger: Ledger) -> None:
        self._condition = condition
        self._asker = asker
        self._now = now
        self._ledger = ledger
        test = cast("dict[str, str]", condition["returnValueTest"])
        self._key = test.get("key", "")
        self._comparator = test["comparator"]
        self._value = self._filled(test["value"])

    def answer(self, kind: str) -> bool:
        if kind == "evmBasic":
            return self._basic()
        if kind == "evmContract":
            return self._called(self._text("contractAddress"), "functionName", "functionParams")
        if kind == "cosmos":
            return self._holds(self._looked_up(ledger_key(self._text("chain"), self._text("path"))))
        return self._called("", "method", "params")

    def _basic(self) -> bool:
        type_, method = self._text("standardContractType"), self._text("method")
        parameters = cast("list[str]", self._condition["parameters"])
        if type_ == "timestamp":
            return self._number(int(self._now.timestamp()))
        if type_ == "SIWE":
            return self._signed_in(parameters[0] if parameters else "")
        if type_ == "LitAction":
            raise NodeError("NodeAccessControlConditionsCheckFailed", "Lit Actions do not run here")
        if type_ in _CONTRACT_TYPES:
            return self._called(self._text("contractAddress"), "method", "parameters")
        if type_ == "" and method == "":
            return self._direct(parameters[0] if parameters else "")
        if type_ == "" and method == "eth_getBalance":
            subject = self._filled(parameters[0]) if parameters else ""
            return self._holds(self._looked_up(ledger_key(self._text("chain"), subject)))
        return False

    def _direct(self, parameter: str) -> bool:
        if parameter == ":userAddress":
            return self._address(self._asker.address)
        if parameter.startswith((":currentActionIpfsId", ":litParam")):
            raise NodeError("NodeAccessControlConditionsCheckFailed", f"{parameter} has no value here")
        return self._compare(_TEXT_TESTS, parameter, self._value)

    def _signed_in(self, parameter: str) -> bool:
        if parameter == ":domain":
            return self._compare(_TEXT_TESTS, self._asker.sign_in.domain, self._value)
        if parameter == ":resources":
            answers = [self._compare(_TEXT_TESTS, r, self._value) for r in self._asker.sign_in.resources]
            return all(answers) if self._comparator.startswith("!") else any(answers)
        return False

    def _called(self, contract: str, method: str, parameters: str) -> bool:
        arguments = [self._filled(str(each)) for each in cast("list[object]", self._condition[parameters])]
        key = ledger_key(self._text("chain"), contract, self._text(method), arguments)
        return self._holds(self._looked_up(key))

    def _looked_up(self, key: str) -> object:
        if key not in self._ledger:
            raise NodeError("NodeRpcError", f"the local network's state has no {key}")
        found = self._ledger[key]
        return found.get(self._key) if self._key and isinstance(found, dict) else found

    def _holds(self, found: object) -> bool:
        if isinstance(found, bool):
            return self._compare(_TEXT_TESTS, "true" if found else "false", self._value.lower())
        if isinstance(found, int):
            return self._number(found)
        if isinstance(found, str) and is_address(found) and is_address(self._value):
            return self._address(found)
        return isinstance(found, str) and self._compare(_TEXT_TESTS, found, self._value)

    def _number(self, found: int) -> bool:
        if not (self._value.isascii() and self._value.isdecimal()) or int(self._value) > _LARGEST:
            raise NodeError("NodeInvalidACCReturnValueTest", "a decimal number is expected")
        return self._compare(_NUMBER_TESTS, found, int(self._value))

    def _address(self, found: str) -> bool:
        if not is_address(self._value):
            raise NodeError("NodeInvalidACCReturnValueTest", "an address is expected")
        return self._compare(
            _ORDERINGS, int(found, 16).to_bytes(20), int(self._value.removeprefix("0x"), 16).to_bytes(20)
        )

    def _compare(self, tests: dict[str, _Test], found: object, wanted: object) -> bool:
        return self._comparator in tests and tests[self._comparator](found, wanted)

    def _text(self, key: str) -> str:
        return cast("str", self._condition[key])

    def _filled(self, text: str) -> str:
        return text.replace(":userAddress", self._asker.address)

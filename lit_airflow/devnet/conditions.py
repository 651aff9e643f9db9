"""Access control conditions as they are received: their shapes, canonical form and hash.

The canonical form keeps the known keys in their fixed order; its SHA-256 is half of the identity that a
ciphertext is sealed for. A node does not get ``conditionType`` from the clients (the canonical form drops
it), so in a unified list the kind of a condition is told by its shape.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256

from lit_airflow.devnet.errors import NodeError
from lit_airflow.devnet.parsing import Json, misfit

MOST_CONDITIONS = 30

_TEST = {"comparator": str, "value": str}
_KEYED_TEST = {"key": str, **_TEST}
_NAMED_TYPES = [{"name": str, "type": str}]

_SHAPES: dict[str, Json] = {
    "evmBasic": {
        "contractAddress": str,
        "chain": str,
        "standardContractType": str,
        "method": str,
        "parameters": [str],
        "returnValueTest": _TEST,
    },
    "evmContract": {
        "contractAddress": str,
        "functionName": str,
        "functionParams": [str],
        "functionAbi": {
            "name": str,
            "inputs": _NAMED_TYPES,
            "outputs": _NAMED_TYPES,
            "constant?": bool,
            "stateMutability": str,
        },
        "chain": str,
        "returnValueTest": _KEYED_TEST,
    },
    "solRpcV2": {
        "method": str,
        "params": list,
        "pdaParams": [str],
        "pdaInterface": {"offset": int, "fields": (dict, list)},
        "pdaKey": str,
        "chain": str,
        "returnValueTest": _KEYED_TEST,
    },
    "solRpcV1": {"method": str, "params": list, "chain": str, "returnValueTest": _KEYED_TEST},
    "cosmos": {
        "path": str,
        "chain": str,
        "method?": str,
        "parameters?": list,
        "returnValueTest": _KEYED_TEST,
    },
}
"""What a node can read, per kind; the order of the keys is the order of the canonical form."""

_KINDS: dict[str, tuple[str, ...]] = {
    "accessControlConditions": ("evmBasic",),
    "evmContractConditions": ("evmContract",),
    "solRpcConditions": ("solRpcV2",),
    "unifiedAccessControlConditions": ("evmBasic", "evmContract", "solRpcV2", "cosmos"),
}
"""The body fields in the order in which they win, with the kinds that each may hold."""


@dataclass(frozen=True, slots=True)
class ConditionList:
    """One request's conditions: the body field they came in, and the items as received."""

    field: str
    items: list[object]

    def leaves(self) -> Iterator[Json]:
        """Every condition, groups opened, operators left out."""
        yield from _leaves(self.items)

    def hash(self) -> str:
        """SHA-256 of the canonical JSON, hex."""
        text = json.dumps(canonical(self.field, self.items), separators=(",", ":"), ensure_ascii=False)
        return sha256(text.encode()).hexdigest()


def read_conditions(body: Json) -> ConditionList:
    """Take the conditions out of a request body.

    Raises:
        NodeError: ``NodeBadInput`` when they do not have the shape, ``NodeMissingAccessControlConditions``,
            ``NodeTooManyConditions``.
    """
    for field in _KINDS:
        if body.get(field) is not None and (wrong := _misread(field, body[field], f".{field}")):
            raise NodeError("NodeBadInput", wrong)
    for field in _KINDS:
        items = body.get(field)
        if isinstance(items, list):
            found = ConditionList(field, items)
            if sum(1 for _ in found.leaves()) > MOST_CONDITIONS:
                raise NodeError("NodeTooManyConditions", f"at most {MOST_CONDITIONS} are allowed")
            return found
    raise NodeError("NodeMissingAccessControlConditions")


def canonical(field: str, items: list[object]) -> list[object]:
    """The canonical form of a list: known keys only, in their order, absent ones left out.

    Args:
        field: The body field the list belongs to.
        items: Conditions, operators and groups; values are kept as they are.

    Raises:
        ValueError: An item is no condition of this field, or a unified list is empty.
    """
    if field == "unifiedAccessControlConditions" and not items:
        raise ValueError("there are no conditions")
    return [_canonical_item(field, item) for item in items]


def _canonical_item(field: str, item: object) -> object:
    if isinstance(item, list):
        return [_canonical_item(field, each) for each in item]
    if not isinstance(item, dict):
        raise ValueError("an item is neither a condition, an operator nor a group")  # noqa: TRY004
    if "operator" in item:
        return {"operator": item["operator"]}
    if "returnValueTest" not in item:
        raise ValueError("a condition has no returnValueTest")
    return _pick(item, _SHAPES[kind_of(field, item)])


def kind_of(field: str, condition: Json) -> str:
    """The kind of a condition, told by the keys that only it has.

    Raises:
        ValueError: No kind of this field.
    """
    if field == "solRpcConditions" and "pdaParams" not in condition:
        return "solRpcV1"  # the older form, which no other list may hold
    if field in ("accessControlConditions", "evmContractConditions"):
        return _KINDS[field][0]
    marks = {
        "solRpcV2": ("pdaParams", "pdaInterface", "pdaKey"),
        "evmContract": ("functionAbi",),
        "cosmos": ("path",),
        "evmBasic": ("standardContractType",),
    }
    for kind in _KINDS[field]:
        if all(mark in condition for mark in marks[kind]):
            return kind
    raise ValueError("a condition is of no kind that may stand here")


def _pick(value: object, shape: object) -> object:
    """Keep what the shape names, in its order; what the shape leaves open is kept whole."""
    if isinstance(value, list) and isinstance(shape, list):
        return [_pick(each, shape[0]) for each in value]
    if not isinstance(value, dict) or not isinstance(shape, dict):
        return value
    kept: Json = {}
    for key, inner in shape.items():
        name = key.removesuffix("?")
        if name in value:
            kept[name] = _pick(value[name], inner)
        elif name == "constant":  # the one key that is filled in: ABIs of today no longer have it
            kept[name] = False
    return kept


def _misread(field: str, value: object, path: str) -> str:
    if isinstance(value, list):
        return next(filter(None, (_misread(field, v, f"{path}[{i}]") for i, v in enumerate(value))), "")
    if not isinstance(value, dict):
        return f"{path}: a condition, an operator or a group is expected"
    if path == f".{field}":
        return f"{path}: a list is expected"
    if "operator" in value:
        return "" if value["operator"] in ("and", "or") else f"{path}.operator: 'and' or 'or' is expected"
    try:
        return misfit(value, _SHAPES[kind_of(field, value)], path)
    except ValueError as error:
        return f"{path}: {error}"


def _leaves(items: list[object]) -> Iterator[Json]:
    for item in items:
        if isinstance(item, list):
            yield from _leaves(item)
        elif isinstance(item, dict) and "operator" not in item:
            yield item

"""Access control conditions as a request carries them: their shapes, canonical form and hash.

The canonical form has only the known keys, in a fixed order; its SHA-256 is half of a ciphertext's identity.
Clients do not send ``conditionType`` (the canonical form drops it), so a node recognises the kind of a condition
in a unified list by its keys.

Source: docs/protocol/conditions.md.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256

from lit_airflow.devnet.errors import NodeError
from lit_airflow.devnet.parsing import Json, shape_error

MAX_CONDITIONS = 30

_TEST = {"comparator": str, "value": str}
_KEYED_TEST = {"key": str, **_TEST}
_NAMED_TYPES = [{"name": str, "type": str}]

# The shape of each kind of condition; the order of the keys is the order of the canonical form.
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
# The body fields that may hold conditions, by precedence, and the kinds that each may hold.
_KINDS: dict[str, tuple[str, ...]] = {
    "accessControlConditions": ("evmBasic",),
    "evmContractConditions": ("evmContract",),
    "solRpcConditions": ("solRpcV2",),
    "unifiedAccessControlConditions": ("evmBasic", "evmContract", "solRpcV2", "cosmos"),
}
# In a unified list, a condition with these keys is of that kind.
_DISTINCTIVE_KEYS = {
    "solRpcV2": ("pdaParams", "pdaInterface", "pdaKey"),
    "evmContract": ("functionAbi",),
    "cosmos": ("path",),
    "evmBasic": ("standardContractType",),
}


@dataclass(frozen=True, slots=True)
class ConditionList:
    """The conditions of one request.

    Attributes:
        field: The body field that held them.
        items: Conditions, operators and groups, as received.
    """

    field: str
    items: list[object]

    def leaves(self) -> Iterator[Json]:
        """Yield every condition, also those inside groups, without the operators."""
        yield from _leaves(self.items)

    def hash(self) -> str:
        """Return the SHA-256 of the canonical JSON, in hex.

        Raises:
            ValueError: As ``canonical``.
            UnicodeEncodeError: A text contains an unpaired surrogate.
        """
        text = json.dumps(canonical(self.field, self.items), separators=(",", ":"), ensure_ascii=False)
        return sha256(text.encode()).hexdigest()


def parse_conditions(body: Json) -> ConditionList:
    """Return the conditions of a request body.

    Raises:
        NodeError: ``NodeBadInput`` if a list does not have the shape, ``NodeMissingAccessControlConditions``
            or ``NodeTooManyConditions``.
    """
    for field in _KINDS:
        if body.get(field) is not None and (error := _list_error(field, body[field], f".{field}")):
            raise NodeError("NodeBadInput", error)
    for field in _KINDS:
        items = body.get(field)
        if isinstance(items, list):
            conditions = ConditionList(field, items)
            if sum(1 for _ in conditions.leaves()) > MAX_CONDITIONS:
                raise NodeError("NodeTooManyConditions", f"at most {MAX_CONDITIONS} are allowed")
            return conditions
    raise NodeError("NodeMissingAccessControlConditions")


def canonical(field: str, items: list[object]) -> list[object]:
    """Return the canonical form of a list: only known keys, in their order, absent keys left out.

    Args:
        field: The body field of the list.
        items: Conditions, operators and groups; their values are not changed.

    Raises:
        ValueError: An item is not a condition of this field, or a unified list is empty.
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
    return _project(item, _SHAPES[kind_of(field, item)])


def kind_of(field: str, condition: Json) -> str:
    """Return the kind of a condition.

    Args:
        field: The body field of the list that the condition is in.
        condition: The condition.

    Raises:
        ValueError: The condition is of no kind that the field may hold.
    """
    if field == "solRpcConditions" and "pdaParams" not in condition:
        return "solRpcV1"  # the older form, which no other list may hold
    if field in ("accessControlConditions", "evmContractConditions"):
        return _KINDS[field][0]
    for kind in _KINDS[field]:
        if all(key in condition for key in _DISTINCTIVE_KEYS[kind]):
            return kind
    raise ValueError("a condition is of no kind that may stand here")


def _project(value: object, shape: object) -> object:
    """Keep the keys of the shape, in its order; values whose shape is only a type are kept whole."""
    if isinstance(value, list) and isinstance(shape, list):
        return [_project(each, shape[0]) for each in value]
    if not isinstance(value, dict) or not isinstance(shape, dict):
        return value
    kept: Json = {}
    for key, inner in shape.items():
        name = key.removesuffix("?")
        if name in value:
            kept[name] = _project(value[name], inner)
        elif name == "constant":  # the only key with a default: current ABIs no longer have it
            kept[name] = False
    return kept


def _list_error(field: str, value: object, path: str) -> str:
    """Return where a list, group or condition departs from its shape; empty if it does not."""
    if isinstance(value, list):
        items = (_list_error(field, item, f"{path}[{index}]") for index, item in enumerate(value))
        return next(filter(None, items), "")
    if not isinstance(value, dict):
        return f"{path}: a condition, an operator or a group is expected"
    if path == f".{field}":
        return f"{path}: a list is expected"
    if "operator" in value:
        return "" if value["operator"] in ("and", "or") else f"{path}.operator: 'and' or 'or' is expected"
    try:
        return shape_error(value, _SHAPES[kind_of(field, value)], path)
    except ValueError as error:
        return f"{path}: {error}"


def _leaves(items: list[object]) -> Iterator[Json]:
    for item in items:
        if isinstance(item, list):
            yield from _leaves(item)
        elif isinstance(item, dict) and "operator" not in item:
            yield item

"""Whether nodes can evaluate access control conditions.

Source: ``@lit-protocol/accs-schemas`` for the fields of a condition; docs/protocol/conditions.md, for
    lists.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from lit_airflow.errors import ConditionError
from lit_airflow.protocol.canonical_conditions import other_kind
from lit_airflow.text import as_json, cut, printable

if TYPE_CHECKING:
    from jsonschema.protocols import Validator

MAX_CONDITIONS = 30
OPERATORS = ("and", "or")
_MAX_MESSAGE_CHARS = 200


def validate(given: Iterable[Any], items: Sequence[Any], kind: str | None, path: str) -> None:
    """Check a list of conditions.

    Args:
        given: The items as the user wrote them.
        items: The same in canonical form.
        kind: The kind of the conditions; ``None`` if each names its own in ``conditionType``.
        path: The list's path, for errors.

    Raises:
        ConditionError: See :meth:`lit_airflow.protocol.conditions.Conditions.validate`.
    """
    for item, at in leaves(given, path):
        _check_fields(item, kind or str(item.get("conditionType")), at)
    check_order(items, path)
    count = count_conditions(items)
    if count > MAX_CONDITIONS:
        raise ConditionError(f"{count} conditions are too many; nodes accept {MAX_CONDITIONS}.", field=path)


def count_conditions(items: Iterable[Any]) -> int:
    """Return the number of conditions in a canonical list, groups included."""
    return sum(count_conditions(item) if isinstance(item, list) else "operator" not in item for item in items)


def leaves(items: Iterable[Any], path: str) -> Iterator[tuple[Mapping[str, Any], str]]:
    """Yield each condition of a list, groups included, and its path, such as ``evmContractConditions[2][0]``."""
    for index, item in enumerate(items):
        at = f"{path}[{index}]"
        if isinstance(item, Mapping):
            if "operator" not in item:
                yield item, at
        else:
            yield from leaves(item, at)


def _check_fields(item: Mapping[str, Any], kind: str, path: str) -> None:
    try:
        error = next(iter(sorted(_validator(kind).iter_errors(item), key=_depth)), None)
    except (ValueError, RecursionError):  # the message of the schema's error contains the value's repr
        raise ConditionError(
            f"{path} contains a value that JSON cannot represent.", field=path, hint="Write numbers as texts."
        ) from None
    if error is not None:
        at = path + "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in error.path)
        raise ConditionError(f"{at}: {_complaint(error)}.", field=at, hint=other_kind(item, kind))


def check_order(items: Sequence[Any], path: str) -> None:
    """Check for condition (operator condition)*; a group counts as a condition.

    Args:
        items: The conditions in canonical form.
        path: The list's path, for errors.

    Raises:
        ConditionError: Conditions and operators do not alternate, or an operator is neither ``and`` nor ``or``.
    """
    if not items:
        raise ConditionError(f"{path} is empty.", field=path, hint="Put at least one condition into it.")
    if len(items) % 2 == 0:
        raise ConditionError(
            f"{path}: conditions and operators must alternate, beginning and ending with a condition.",
            field=path,
            hint='Put {"operator": "and"} or {"operator": "or"} between two conditions.',
        )
    for index, item in enumerate(items):
        at = f"{path}[{index}]"
        is_operator = isinstance(item, Mapping) and "operator" in item
        if is_operator != bool(index % 2):
            expected = "a condition" if is_operator else "an operator"
            raise ConditionError(f"{at} must be {expected}.", field=at)
        if is_operator and item["operator"] not in OPERATORS:
            raise ConditionError(
                f'{at}.operator is {as_json(item["operator"])}; it must be "and" or "or".',
                field=f"{at}.operator",
            )
        if not isinstance(item, Mapping):
            check_order(item, at)


@functools.cache
def _validator(kind: str) -> Validator:
    from jsonschema import Draft202012Validator  # noqa: PLC0415 - needed only to encrypt

    schema = json.loads(files("lit_airflow.protocol").joinpath("condition_schemas.json").read_text("utf-8"))
    return Draft202012Validator({"$ref": f"#/$defs/{kind}", "$defs": schema["$defs"]})


def _depth(error: Any) -> int:  # noqa: ANN401 - jsonschema's ValidationError, imported lazily
    return len(error.path)


def _complaint(error: Any) -> str:  # noqa: ANN401 - see above
    """Return the validator's message, without a list of a hundred chains, and cut."""
    if error.validator == "enum" and len(error.validator_value) > MAX_CONDITIONS:
        return f"{as_json(error.instance)} is not a known name"
    return printable(cut(str(error.message), _MAX_MESSAGE_CHARS))

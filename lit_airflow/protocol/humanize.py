"""Access control conditions as an English sentence.

Texts from the conditions are quoted, escaped and cut (:mod:`lit_airflow.text`), and of a long list only the
beginning is shown.

Source: docs/protocol/conditions.md: what each condition means on a node.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lit_airflow.protocol.condition_phrases import condition_phrase
from lit_airflow.protocol.condition_validation import OPERATORS, count_conditions
from lit_airflow.protocol.conditions import BASIC, Conditions
from lit_airflow.protocol.phrases import MAX_JSON_CHARS, as_json
from lit_airflow.text import cut

MAX_SHOWN_CONDITIONS = 30
MAX_SENTENCE_CHARS = 4000


def humanize(conditions: Conditions) -> str:
    """Say in one sentence who may decrypt.

    Nodes apply operators strictly from left to right; parentheses show the order wherever "and" and "or" meet.
    Of more than 30 conditions, or more than about 4,000 characters, only the beginning is shown, and the rest
    is counted.

    Args:
        conditions: Any conditions that :meth:`Conditions.parse` accepts, including those that nodes refuse.
    """
    items = list(conditions.items)
    if not items:
        return "There are no conditions."
    if conditions.field == BASIC and not _has_operator(items):
        items = _with_and(items)
    renderer = _Renderer(conditions.field)
    if _is_expression(items):
        sentence = _capitalized(_expression(renderer.beginning(items)))
    else:
        shown = _listed(renderer.beginning(items))
        sentence = f"Nodes refuse this list, because conditions and operators do not alternate: {shown}"
    if not renderer.is_cut:
        return f"{sentence}."
    total = count_conditions(items)
    return f"Only the first {renderer.conditions} of {total} conditions are shown: {sentence}."


def _capitalized(text: str) -> str:
    start = len(text) - len(text.lstrip("("))
    return f"{text[:start]}{text[start].upper()}{text[start + 1 :]}"


def _has_operator(items: Sequence[Any]) -> bool:
    return any(_has_operator(i) if isinstance(i, list) else "operator" in i for i in items)


def _with_and(items: Sequence[Any]) -> list[Any]:
    """Join the old form, a list of conditions without operators; all of them must hold."""
    joined: list[Any] = []
    for item in items:
        joined += [{"operator": "and"}, item] if joined else [item]
    return joined


def _is_expression(items: Sequence[Any]) -> bool:
    """Return whether the list is condition (operator condition)*; a group counts as a condition."""
    return len(items) % 2 == 1 and all(_fits(item, index % 2 == 1) for index, item in enumerate(items))


def _fits(item: Any, between: bool) -> bool:  # noqa: ANN401, FBT001 - an item of conditions, odd place or even
    if isinstance(item, list):
        return not between and _is_expression(item)
    if not between:
        return "operator" not in item
    return isinstance(item.get("operator"), str) and item["operator"] in OPERATORS


_Shown = Sequence["str | _Shown"]
"""The beginning of a list of conditions: texts of conditions and operators, and groups of them."""


@dataclass(slots=True)
class _Renderer:
    """Renders the beginning of a list of conditions.

    Attributes:
        field: The list's body field.
        conditions: How many conditions have been rendered.
        chars: The length of their texts, and of the operators between them.
        is_cut: Whether something was left out.
    """

    field: str
    conditions: int = 0
    chars: int = 0
    is_cut: bool = False

    def beginning(self, items: Sequence[Any]) -> _Shown:
        shown: list[str | _Shown] = []
        for item in items:
            if self.conditions >= MAX_SHOWN_CONDITIONS or self.chars >= MAX_SENTENCE_CHARS:
                self.is_cut = True
                break
            shown.append(self.beginning(item) if isinstance(item, list) else self._text(item))
            self.chars += 2  # what joins or encloses it
        return shown

    def _text(self, item: Mapping[str, Any]) -> str:
        if "operator" in item:
            operator = item["operator"]
            text = operator if operator in OPERATORS else as_json(operator)
        else:
            text = cut(condition_phrase(item, self.field), MAX_JSON_CHARS)
            self.conditions += 1
        self.chars += len(text)
        return text


def _expression(shown: _Shown) -> str:
    said, last = _operand(shown[0]), None
    for index in range(1, len(shown) - 1, 2):  # of a list that is cut, the last operator may have no operand
        operator = shown[index]
        said = f"({said})" if last not in (None, operator) else said
        said, last = f"{said} {operator} {_operand(shown[index + 1])}", operator
    return said


def _operand(shown: str | _Shown) -> str:
    if isinstance(shown, str):
        return shown
    return _operand(shown[0]) if len(shown) == 1 else f"({_expression(shown)})"


def _listed(shown: _Shown) -> str:
    return "; ".join(each if isinstance(each, str) else f"({_listed(each)})" for each in shown)

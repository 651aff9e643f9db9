"""Good inputs, spoiled: what hypothesis draws for a target."""

from __future__ import annotations

import copy
from typing import Any

from hypothesis import strategies as st

# Whatever a parser may not expect in a place: other types, the ends of numbers, halves of characters, long texts.
JUNK = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.sampled_from([2**63, -(2**63) - 1, 2**256, 10**400, -1, 0]),
        st.floats(),
        st.text(st.characters(), max_size=40),
        st.sampled_from(
            ["", "\ud800", "\x00", "0x", "a" * 3000, "9" * 400, "2026-01-01T00:00:00Z", "٣", "é\u0301"]
        ),
        st.sampled_from(
            ["9999-12-31T23:59:59.999Z", "0001-01-01T00:00:00+23:59", "-1", "NaN", "http://[", "://"]
        ),
    ),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@st.composite
def json_like(draw: st.DrawFn, seed: Any) -> Any:  # noqa: ANN401 - JSON
    """A JSON value with one to three things changed in it."""
    spoiled = copy.deepcopy(seed)
    for _ in range(draw(st.integers(1, 3))):
        spoiled = _changed(draw, spoiled)
    return spoiled


def _changed(draw: st.DrawFn, value: Any) -> Any:  # noqa: ANN401, PLR0911 - JSON; one return per way
    """Something changed, here or further in."""
    if isinstance(value, dict) and value and draw(st.integers(0, 9)):
        key = draw(st.sampled_from(sorted(value)))
        ways = st.sampled_from(["in", "in", "in", "drop", "twice", "rename"])
        match draw(ways):
            case "in":
                return {**value, key: _changed(draw, value[key])}
            case "drop":
                return {name: inner for name, inner in value.items() if name != key}
            case "twice":
                return {**value, draw(st.text(max_size=8)): value[key]}
            case _:
                return {(key + "x" if name == key else name): inner for name, inner in value.items()}
    if isinstance(value, list) and value and draw(st.integers(0, 9)):
        at = draw(st.integers(0, len(value) - 1))
        match draw(st.sampled_from(["in", "in", "drop", "twice"])):
            case "in":
                return [*value[:at], _changed(draw, value[at]), *value[at + 1 :]]
            case "drop":
                return [*value[:at], *value[at + 1 :]]
            case _:
                return [*value[: at + 1], *value[at:]]
    if isinstance(value, str) and value and draw(st.booleans()):
        at = draw(st.integers(0, len(value) - 1))
        return value[:at] + draw(st.text(max_size=3)) + value[at + draw(st.integers(0, 2)) :]
    return draw(JUNK)


@st.composite
def bytes_like(draw: st.DrawFn, seed: bytes) -> bytes:
    """Bytes, some of them changed, dropped or added."""
    spoiled = seed
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(spoiled)))
        spoiled = spoiled[:at] + draw(st.binary(max_size=4)) + spoiled[at + draw(st.integers(0, 4)) :]
    return spoiled[: draw(st.integers(0, len(spoiled)))] if draw(st.booleans()) else spoiled

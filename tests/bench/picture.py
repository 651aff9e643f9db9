"""CPU time over the number of nodes and of secrets, and figures beside their targets, as SVGs."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element, ElementTree, SubElement, indent

Json = dict[str, Any]
Points = Sequence[tuple[float, float]]

OURS, SDK = ("lit-airflow", "#2a6fb0"), ("Lit's JavaScript SDK", "#b0612a")
_WIDTH, _HEIGHT = 400, 300
_LEFT, _RIGHT, _TOP, _BOTTOM = 60, 16, 56, 44
_LINES = 4
_ROW, _LONGEST = 18, 82
_DOUBLINGS = 3
"""How far a figure may be from its target and still be drawn where it is."""


@dataclass(frozen=True, slots=True)
class Panel:
    """One picture of several.

    Attributes:
        heading: What is drawn upwards.
        across: What is drawn to the right.
        series: Name, colour and points of each line.
        powers: Whether both axes are logarithmic; else they are linear from zero.
    """

    heading: str
    across: str
    series: Sequence[tuple[tuple[str, str], Points]]
    powers: bool = False


def panels(result: Json) -> list[Panel]:
    """Beside the SDK: session sigs and decryption. Ours alone: many nodes and many secrets. As far as measured."""

    def comparison(what: str) -> Panel:
        rows = sorted(
            (row for row in result["comparison"] if row["what"] == what), key=lambda row: row["nodes"]
        )
        series = [
            (name, [(row["nodes"], row[who]["cpu_ms"]) for row in rows])
            for who, name in (("sdk", SDK), ("ours", OURS))
        ]
        return Panel(f"{what}: client CPU, ms", "nodes", series)

    nodes = [(row["nodes"], row["decrypt"]) for row in result["nodes"]]
    secrets = [(row["secrets"], row["cpu_s"]) for row in result["secrets"]]
    drawn = [
        comparison("session sigs"),
        comparison("decrypt 1 kB"),
        Panel("decrypt 1 kB: client CPU, ms", "nodes", [(OURS, nodes)]),
        Panel("decrypt many of 1 kB: client CPU, s", "secrets", [(OURS, secrets)], powers=True),
    ]
    return [panel for panel in drawn if all(points for _, points in panel.series)]


def draw(result: Json, path: Path) -> None:
    """All panels, two in a row."""
    drawn = panels(result)
    width, height = 2 * _WIDTH, (len(drawn) + 1) // 2 * _HEIGHT
    svg = _canvas(width, height, "CPU time of the client over the number of nodes and of secrets")
    for place, panel in enumerate(drawn):
        row, column = divmod(place, 2)
        _draw(SubElement(svg, "g", {"transform": f"translate({column * _WIDTH} {row * _HEIGHT})"}), panel)
    _written(svg, path)


def _canvas(width: int, height: int, title: str) -> Element:
    size = {"width": str(width), "height": str(height)}
    svg = Element(
        "svg",
        {
            **size,
            "xmlns": "http://www.w3.org/2000/svg",
            "viewBox": f"0 0 {width} {height}",
            "font-family": "sans-serif",
            "font-size": "12",
            "role": "img",
        },
    )
    SubElement(svg, "title").text = title
    SubElement(svg, "rect", {**size, "fill": "white"})
    return svg


def _written(svg: Element, path: Path) -> None:
    indent(svg)
    path.parent.mkdir(parents=True, exist_ok=True)
    ElementTree(svg).write(path, encoding="unicode")


def draw_targets(rows: Sequence[Json], path: Path) -> None:
    """One line per target of several runs: each run a dot, the median a larger one, the target in the middle.

    Across is the measured figure divided by the target, by powers of two; at the edge where it is farther away. In
    blue, the target is met.
    """
    width, height = 2 * _WIDTH, _TOP + len(rows) * _ROW
    svg = _canvas(width, height, "What several runs measured, beside each target")
    middle, unit = _WIDTH + 220, 40
    _line(svg, (middle, _TOP - 10), (middle, height), "#888")
    _text(svg, middle, _TOP - 16, "target", anchor="middle")
    for place, row in enumerate(rows):
        y = _TOP + place * _ROW + _ROW / 2
        _text(svg, middle - _DOUBLINGS * unit - 12, y + 4, _shortened(row["what"]), anchor="end", size=10)
        for measured, radius in (*((value, 3) for value in row["runs"]), (row["measured"], 5)):
            doublings = math.log2(max(measured, 1e-9) / row["target"])
            x = middle + unit * max(-_DOUBLINGS, min(_DOUBLINGS, doublings))
            fill = OURS[1] if row["met"] else SDK[1]
            dot = {"cx": f"{x:.1f}", "cy": f"{y:.1f}", "r": str(radius), "fill": fill, "fill-opacity": "0.6"}
            SubElement(svg, "circle", dot)
        sense = "→" if row["sense"] == "at least" else "←"
        _text(svg, width - 8, y + 4, f"{sense} {row['target']:g}", anchor="end", size=10)
    _written(svg, path)


def _shortened(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def _draw(group: Element, panel: Panel) -> None:
    _text(group, _LEFT, 20, panel.heading, weight="bold")
    points = [point for _, line in panel.series for point in line]
    across = _axis([x for x, _ in points], _LEFT, _WIDTH - _RIGHT, powers=panel.powers)
    up = _axis([y for _, y in points], _HEIGHT - _BOTTOM, _TOP, powers=panel.powers)
    for value in up.marks:
        y = up.at(value)
        _line(group, (_LEFT, y), (_WIDTH - _RIGHT, y), "#ddd")
        _text(group, _LEFT - 6, y + 4, f"{value:g}", anchor="end")
    for value in sorted({x for x, _ in points}):
        _text(group, across.at(value), _HEIGHT - _BOTTOM + 16, f"{value:,g}", anchor="middle")
    _text(group, (_LEFT + _WIDTH - _RIGHT) / 2, _HEIGHT - 8, panel.across, anchor="middle")
    for place, ((name, colour), line) in enumerate(panel.series):
        places = [(across.at(x), up.at(y)) for x, y in line]
        drawn = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        SubElement(
            group, "polyline", {"points": drawn, "fill": "none", "stroke": colour, "stroke-width": "2"}
        )
        for x, y in places:
            SubElement(group, "circle", {"cx": f"{x:.1f}", "cy": f"{y:.1f}", "r": "3", "fill": colour})
        _text(group, _LEFT + 10 + place * 160, 40, name, colour=colour)


@dataclass(frozen=True, slots=True)
class Axis:
    """Where a value lies, and which values are marked."""

    at: Callable[[float], float]
    marks: Sequence[float]


def _axis(values: Sequence[float], start: float, end: float, *, powers: bool) -> Axis:
    if powers:
        low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
        span = max(high - low, 1)
        return Axis(
            lambda value: start + (math.log10(value) - low) / span * (end - start),
            [10.0**power for power in range(low, high + 1)],
        )
    top = _round_up(max(values))
    whole = max(values) if start < end else top  # to the right, the last value is the end
    return Axis(
        lambda value: start + value / whole * (end - start), [top * i / _LINES for i in range(_LINES + 1)]
    )


def _round_up(value: float) -> float:
    """The next of 1, 2, 4 or 8 times a power of ten."""
    power = 1.0
    while power * 8 < value:
        power *= 10
    return next(power * digit for digit in (1, 2, 4, 8) if power * digit >= value)


def _line(group: Element, start: tuple[float, float], end: tuple[float, float], colour: str) -> None:
    ends = {"x1": start[0], "y1": start[1], "x2": end[0], "y2": end[1]}
    SubElement(group, "line", {**{name: f"{value:.1f}" for name, value in ends.items()}, "stroke": colour})


def _text(
    group: Element,
    x: float,
    y: float,
    text: str,
    *,
    anchor: str = "start",
    weight: str = "normal",
    colour: str = "#222",
    size: int = 12,
) -> None:
    looks = {"text-anchor": anchor, "font-weight": weight, "fill": colour, "font-size": str(size)}
    SubElement(group, "text", {"x": f"{x:.1f}", "y": f"{y:.1f}", **looks}).text = text

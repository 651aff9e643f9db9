"""CPU time over the number of nodes, as an SVG."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element, ElementTree, SubElement, indent

Json = dict[str, Any]

_PANELS = ("session sigs", "decrypt 1 kB")
_SERIES = (("sdk", "Lit's JavaScript SDK", "#b0612a"), ("ours", "lit-airflow", "#2a6fb0"))
_WIDTH, _HEIGHT = 400, 300
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 16, 56, 44
_LINES = 4


def draw(rows: Sequence[Json], path: Path) -> None:
    """One panel for session sigs and one for decryption; linear axes from zero, CPU milliseconds."""
    size = {"width": str(_WIDTH * len(_PANELS)), "height": str(_HEIGHT)}
    svg = Element(
        "svg",
        {
            **size,
            "xmlns": "http://www.w3.org/2000/svg",
            "viewBox": f"0 0 {size['width']} {size['height']}",
            "font-family": "sans-serif",
            "font-size": "12",
            "role": "img",
        },
    )
    SubElement(svg, "title").text = "CPU time of the client over the number of nodes"
    SubElement(svg, "rect", {**size, "fill": "white"})
    for place, what in enumerate(_PANELS):
        panel = SubElement(svg, "g", {"transform": f"translate({place * _WIDTH} 0)"})
        _panel(
            panel, what, sorted((row for row in rows if row["what"] == what), key=lambda row: row["nodes"])
        )
    indent(svg)
    path.parent.mkdir(parents=True, exist_ok=True)
    ElementTree(svg).write(path, encoding="unicode")


def _panel(panel: Element, what: str, rows: Sequence[Json]) -> None:
    _text(panel, _LEFT, 20, f"{what}: client CPU, ms", weight="bold")
    most_nodes = max(row["nodes"] for row in rows)
    top = _round_up(max(row[who]["cpu_ms"] for row in rows for who, _, _ in _SERIES))

    def at(nodes: float, ms: float) -> tuple[float, float]:
        x = _LEFT + nodes / most_nodes * (_WIDTH - _LEFT - _RIGHT)
        return x, _HEIGHT - _BOTTOM - ms / top * (_HEIGHT - _TOP - _BOTTOM)

    for step in range(_LINES + 1):
        ms = top * step / _LINES
        (left, y), (right, _) = at(0, ms), at(most_nodes, ms)
        _line(panel, (left, y), (right, y), "#ddd")
        _text(panel, left - 6, y + 4, f"{ms:g}", anchor="end")
    for row in rows:
        x, y = at(row["nodes"], 0)
        _text(panel, x, y + 16, str(row["nodes"]), anchor="middle")
    _text(panel, (_LEFT + _WIDTH - _RIGHT) / 2, _HEIGHT - 8, "nodes", anchor="middle")
    for place, (who, name, colour) in enumerate(_SERIES):
        points = [at(row["nodes"], row[who]["cpu_ms"]) for row in rows]
        drawn = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        SubElement(
            panel, "polyline", {"points": drawn, "fill": "none", "stroke": colour, "stroke-width": "2"}
        )
        for x, y in points:
            SubElement(panel, "circle", {"cx": f"{x:.1f}", "cy": f"{y:.1f}", "r": "3", "fill": colour})
        _text(panel, _LEFT + 10 + place * 160, 40, name, colour=colour)


def _round_up(value: float) -> float:
    """The next of 1, 2, 4 or 8 times a power of ten."""
    power = 1.0
    while power * 8 < value:
        power *= 10
    return next(power * digit for digit in (1, 2, 4, 8) if power * digit >= value)


def _line(panel: Element, start: tuple[float, float], end: tuple[float, float], colour: str) -> None:
    ends = {"x1": start[0], "y1": start[1], "x2": end[0], "y2": end[1]}
    SubElement(panel, "line", {**{name: f"{value:.1f}" for name, value in ends.items()}, "stroke": colour})


def _text(
    panel: Element,
    x: float,
    y: float,
    text: str,
    *,
    anchor: str = "start",
    weight: str = "normal",
    colour: str = "#222",
) -> None:
    looks = {"text-anchor": anchor, "font-weight": weight, "fill": colour}
    SubElement(panel, "text", {"x": f"{x:.1f}", "y": f"{y:.1f}", **looks}).text = text

"""Measure, print, keep: ``python -m tests.bench [--quick | --long] [--docs]``.

Every figure is the median of several repetitions, ours beside what it is compared with, in turn, so that a busy
machine slows both. The whole takes about ten minutes on two idle cores, ``--quick`` about two.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rich.console import Console

from tests.bench import contest, curve, growth, imports, overhead, picture, tables, targets
from tests.bench.measure import machine

RESULT = Path("build/bench.json")
PAGE = Path("docs/performance.md")
PICTURE = Path("docs/images/performance.svg")
KILO, MEGA = 1000, 1_000_000
_MAIN_COMMITTEE = 10

progress = Console(stderr=True)


@dataclass(frozen=True, slots=True)
class Extent:
    """How much is measured.

    Attributes:
        committees: Numbers of nodes.
        rounds: Repetitions of what is warm.
        sizes: Plaintexts for the main committee, in bytes; the others get all but the longest.
        counts: Decryptions per whole process -> repetitions.
        thresholds: For the cryptography alone.
        imports: Repetitions.
        growth: Numbers of nodes for which ours alone is measured.
        secrets: How many are decrypted in one call, for the smallest committee.
        many: How many are decrypted one by one and at once, in each of three rounds.
        airflow: Whether a whole Airflow runs the demo DAG.
    """

    committees: Sequence[int]
    rounds: int
    sizes: Sequence[int]
    counts: dict[int, int]
    thresholds: Sequence[int]
    imports: int
    growth: Sequence[int]
    secrets: Sequence[int]
    many: int
    airflow: bool


FULL = Extent(
    committees=(3, 7, 10, 30),
    rounds=8,
    sizes=(KILO, 100 * KILO, 10 * MEGA),
    counts={1: 4, 20: 1},
    thresholds=(2, 5, 7, 20),
    imports=5,
    growth=(3, 10, 30, 60, 100),
    secrets=(1, 10, 100, 1000, 10_000),
    many=60,
    airflow=True,
)
QUICK = Extent(
    committees=(3, 10),
    rounds=6,
    sizes=(KILO, 100 * KILO),
    counts={1: 2, 20: 1},
    thresholds=(2, 7),
    imports=1,
    growth=(3, 10, 30),
    secrets=(1, 10, 100),
    many=30,
    airflow=False,
)
LONG = replace(FULL, rounds=30, counts={1: 9, 100: 2, 1000: 1}, imports=9, many=300)


def measured(extent: Extent) -> dict[str, Any]:
    """One run."""
    result: dict[str, Any] = {"machine": machine(), "contest": [], "processes": []}
    with tempfile.TemporaryDirectory() as temporary:
        for nodes in extent.committees:
            _say(f"{nodes} nodes")
            main = nodes == _MAIN_COMMITTEE
            sizes = extent.sizes if main else [size for size in extent.sizes if size < MEGA]
            with contest.devnet(nodes) as net:
                rows = contest.warm(net, nodes, sizes, extent.rounds, Path(temporary))
                result["contest"] += [row.to_json() for row in rows]
                for count, rounds in extent.counts.items() if main else ():
                    _say(f"whole processes, {count} in each")
                    for given in (False, True) if count == 1 else (False,):
                        row = contest.whole(net, nodes, count, rounds, Path(temporary), given=given)
                        result["processes"].append(row.to_json())
    result |= _grown(extent)
    _say("cryptography alone")
    result["decryptions"] = [curve.decryption(threshold, 100) for threshold in extent.thresholds]
    result["sessions"] = [curve.session(nodes, 20) for nodes in (10, 30)]
    _say("imports")
    result["imports"] = imports.added(extent.imports)
    if extent.airflow:
        _say("the demo DAG")
        result["overhead"] = overhead.of_the_demo()
    result["targets"] = targets.judged(result)
    return result


def _grown(extent: Extent) -> dict[str, Any]:
    result: dict[str, Any] = {"nodes": [], "secrets": [], "many": []}
    for nodes in extent.growth:
        _say(f"{nodes} nodes, ours alone")
        with contest.devnet(nodes) as net:
            result["nodes"].append(growth.by_nodes(net, nodes, extent.rounds))
            if nodes in (min(extent.growth), _MAIN_COMMITTEE):
                _say("many at once")
                result["many"].append(growth.at_once(net, nodes, extent.many, 3))
            if nodes == min(extent.growth):
                _say(f"up to {max(extent.secrets)} secrets")
                result["secrets"] = growth.by_secrets(net, nodes, extent.secrets)
    return result


def _say(what: str) -> None:
    progress.print(f"{time.strftime('%H:%M:%S')} {what}", style="dim", highlight=False)


def main() -> None:
    """Measure, print, and keep."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    extent = parser.add_mutually_exclusive_group()
    extent.add_argument("--quick", action="store_const", const=QUICK, dest="extent", help="about a minute")
    extent.add_argument(
        "--long", action="store_const", const=LONG, dest="extent", help="1,000 decryptions too"
    )
    parser.add_argument(
        "--docs", action="store_true", help=f"also put tables and picture into {PAGE.parent}/"
    )
    chosen = parser.parse_args()
    result = measured(chosen.extent or FULL)
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps(result, indent=1) + "\n")
    picture.draw(result, RESULT.with_suffix(".svg"))
    if chosen.docs:
        tables.keep(result, PAGE)
        picture.draw(result, PICTURE)
    tables.show(result)


if __name__ == "__main__":
    main()

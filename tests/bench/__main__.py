"""Measure, print, keep: ``python -m tests.bench [--quick | --long] [--runs 5] [--docs]``.

Every figure is the median of several repetitions, ours beside what it is compared with, in turn, so that a busy
machine slows both. The whole takes about ten minutes on two idle cores, ``--quick`` about two. Machines also vary
from minute to minute: ``--runs 5`` repeats a short run and shows each target's median and spread.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console

from tests.bench import (
    comparison,
    curve,
    gate,
    growth,
    imports,
    large,
    mapped,
    overhead,
    picture,
    tables,
    targets,
)
from tests.bench.measure import machine

RESULT, RUNS = Path("build/bench.json"), Path("build/bench-runs.json")
PAGE = Path("docs/performance.md")
PICTURE, TARGETS = (Path(f"docs/images/{name}.svg") for name in ("performance", "targets"))
_CAPTION = "What several runs measured, beside each target"
KILO, MEGA = 1000, 1_000_000
_MAIN_COMMITTEE = 10

Json = dict[str, Any]
Tables = dict[str, list[Json]]
Part = Callable[[], Tables]

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
        imports: Repetitions; 0 for none.
        growth: Numbers of nodes for which ours alone is measured.
        secrets: How many are decrypted in one call, for the smallest committee.
        many: How many are decrypted one by one and at once, in each of three rounds.
        airflow: Whether a whole Airflow runs the demo DAG.
        gate_rounds: Repetitions of what is warm on Chipotle.
        gate_batch: How many secrets go into batches there, and how many of them with one call each.
        gate_secrets: How many are decrypted in one call there.
        large: Megabytes of a large file on this machine, and of one in S3; 0 for none.
        mapped: How many mapped tasks of each kind a whole Airflow runs; 0 for none.
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
    gate_rounds: int
    gate_batch: tuple[int, int]
    gate_secrets: Sequence[int]
    large: tuple[int, int]
    mapped: int


FULL = Extent(
    committees=(3, 7, 10, 30),
    rounds=16,
    sizes=(KILO, 100 * KILO, 10 * MEGA),
    counts={1: 4, 20: 1},
    thresholds=(2, 5, 7, 20),
    imports=5,
    growth=(3, 10, 30, 60, 100),
    secrets=(1, 10, 100, 1000, 10_000),
    many=60,
    airflow=True,
    gate_rounds=40,
    gate_batch=(1000, 100),
    gate_secrets=(1, 10, 100, 1000, 10_000),
    large=(1000, 200),
    mapped=60,
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
    gate_rounds=12,
    gate_batch=(200, 10),
    gate_secrets=(1, 10, 100),
    large=(200, 100),
    mapped=0,
)
RUN = replace(
    QUICK,
    committees=(10,),
    sizes=(KILO,),
    counts={1: 2},
    thresholds=(2, 5, 7, 20),
    growth=(3, 100),
    secrets=(100,),
    many=15,
    gate_batch=(1000, 10),
    gate_secrets=(100, 500),
    large=(500, 0),
)
"""One of several runs: what the targets need, in three minutes. Imports do not vary, and are in the first only."""
LONG = replace(
    FULL, rounds=30, counts={1: 9, 100: 2, 1000: 1}, imports=9, many=300, large=(1000, 1000), mapped=1000
)


def measured(extent: Extent, keep: Callable[[Json], None]) -> Json:
    """One run; a part that fails is named in it, and the others go on.

    Args:
        extent: How much is measured.
        keep: Called after each part with what there is so far.
    """
    result: Json = {"machine": machine(), "failed": [], **{table: [] for table in tables.TABLES}}
    with tempfile.TemporaryDirectory() as temporary:
        for what, part in _parts(extent, Path(temporary)):
            _say(what)
            try:
                for table, rows in part().items():
                    result[table] += rows
            except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever it is, the other parts are wanted
                _say(f"{what} failed: {error!r}")
                result["failed"].append({"what": what, "error": repr(error)})
            result["targets"] = targets.judged(result)
            keep(result)
    return result


def _parts(extent: Extent, folder: Path) -> Iterator[tuple[str, Part]]:
    """What is measured, in turn; each part returns rows by table."""
    for nodes in extent.committees:
        sizes = [size for size in extent.sizes if size < MEGA or nodes == _MAIN_COMMITTEE]
        yield f"{nodes} nodes", partial(_warm, nodes, sizes, extent.rounds, folder)
    for count, rounds in extent.counts.items():
        for given in comparison.GIVEN if count == 1 else comparison.GIVEN[:1]:
            what = f"whole processes, {count} in each{f', {given} given' * bool(given)}"
            yield what, partial(_whole, count, rounds, folder, given)
    for nodes in extent.growth:
        yield f"{nodes} nodes, ours alone", partial(_alone, nodes, extent.rounds)
    fewest = min(extent.growth)
    for nodes in (fewest, _MAIN_COMMITTEE):
        yield f"{nodes} nodes, many at once", partial(_many, nodes, extent.many)
        yield f"{nodes} nodes, many in two processes", partial(_in_processes, nodes, extent.many)
    yield f"up to {max(extent.secrets):,} secrets", partial(_secrets, fewest, extent.secrets)
    yield "cryptography alone", partial(_cryptography, extent.thresholds)
    yield from _chipotle(extent)
    yield from _files(extent, folder)
    if extent.imports:
        yield "imports", lambda: {"imports": imports.added(extent.imports)}
    if extent.airflow:
        yield "the demo DAG", lambda: {"overhead": overhead.of_the_demo()}
    if extent.mapped:
        for executor in mapped.EXECUTORS:
            yield (
                f"{extent.mapped} mapped tasks, {executor}",
                partial(_mapped, extent.mapped, executor),
            )


def _mapped(count: int, executor: str) -> Tables:
    return {"mapped": mapped.tasks(count, executor)}


def _chipotle(extent: Extent) -> Iterator[tuple[str, Part]]:
    """What is measured on Chipotle, in turn."""
    rounds, (count, singly) = extent.gate_rounds, extent.gate_batch
    yield "Chipotle, encryption", lambda: {"gate_encrypt": gate.encryption(10 * rounds)}
    yield "Chipotle, the gate", lambda: {"gate_items": [gate.of_an_item(rounds)]}
    yield "Chipotle, decryption", lambda: {"gate_decrypt": [gate.client_cost(rounds)]}
    yield f"Chipotle, {count:,} secrets", lambda: {"gate_batches": [gate.batches(count, singly)]}
    yield (
        f"Chipotle, up to {max(extent.gate_secrets):,} secrets",
        lambda: {"gate_secrets": gate.many(extent.gate_secrets)},
    )


def _files(extent: Extent, folder: Path) -> Iterator[tuple[str, Part]]:
    """Large files, in turn."""
    here, there = extent.large
    yield f"a file of {here} MB", partial(_large, large.on_this_machine, here, folder)
    if there:
        yield f"a file of {there} MB in S3", partial(_large, large.in_s3, there, folder)


def _warm(nodes: int, sizes: Sequence[int], rounds: int, folder: Path) -> Tables:
    with comparison.devnet(nodes) as net:
        return {"comparison": [row.to_json() for row in comparison.warm(net, nodes, sizes, rounds, folder)]}


def _whole(count: int, rounds: int, folder: Path, given: str) -> Tables:
    with comparison.devnet(_MAIN_COMMITTEE) as net:
        row = comparison.whole(net, _MAIN_COMMITTEE, count, rounds, folder, given=given)
        return {"processes": [row.to_json()]}


def _alone(nodes: int, rounds: int) -> Tables:
    with comparison.devnet(nodes) as net:
        return {"nodes": [growth.by_nodes(net, nodes, rounds)]}


def _many(nodes: int, count: int) -> Tables:
    with comparison.devnet(nodes) as net:
        return {"many": [growth.at_once(net, nodes, count, 3)]}


def _in_processes(nodes: int, count: int) -> Tables:
    return {"in_processes": [growth.in_processes(nodes, 4 * count, 3)]}


def _secrets(nodes: int, counts: Sequence[int]) -> Tables:
    with comparison.devnet(nodes) as net:
        return {"secrets": growth.by_secrets(net, nodes, counts)}


def _large(measured: Callable[..., list[Json]], megabytes: int, folder: Path) -> Tables:
    with comparison.devnet(3) as net:
        return {"large": measured(net, megabytes, 1, folder)}


def _cryptography(thresholds: Sequence[int]) -> Tables:
    return {
        "decryptions": [curve.decryption(threshold, 100) for threshold in thresholds],
        "sessions": [curve.session(nodes, 20) for nodes in (10, 30)],
    }


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
        "--runs", type=int, default=1, help="so many runs of three minutes: each target's median and spread"
    )
    parser.add_argument(
        "--docs", action="store_true", help=f"also put tables and picture into {PAGE.parent}/"
    )
    chosen = parser.parse_args()
    if chosen.runs > 1:
        _several(chosen.extent or RUN, chosen.runs, docs=chosen.docs)
    else:
        _one(chosen.extent or FULL, docs=chosen.docs)


def _one(extent: Extent, *, docs: bool) -> None:
    result = measured(extent, partial(_keep, RESULT))
    shown = tables.grids(result)
    picture.draw(result, RESULT.with_suffix(".svg"))
    if docs:
        tables.keep(shown, PAGE, tables.BEGIN, tables.END)
        picture.draw(result, PICTURE)
    tables.show(shown)
    _check([result])


def _several(extent: Extent, count: int, *, docs: bool) -> None:
    runs: list[Json] = []
    for number in range(1, count + 1):
        _say(f"run {number} of {count}")
        runs.append(measured(extent if number == 1 else replace(extent, imports=0), lambda _: None))
        found = targets.over_runs([run["targets"] for run in runs])
        _keep(RUNS, {"machine": runs[0]["machine"], "targets": found, "runs": runs})
    result = json.loads(RUNS.read_text())
    shown = tables.over_runs(result)
    picture.draw_targets(result["targets"], RUNS.with_suffix(".svg"))
    if docs:
        tables.keep(
            shown, PAGE, tables.BEGIN_RUNS, tables.END_RUNS, above=f"![{_CAPTION}](images/{TARGETS.name})"
        )
        picture.draw_targets(result["targets"], TARGETS)
    tables.show(shown)
    _check(runs)


def _check(runs: Sequence[Json]) -> None:
    if failed := sum(len(run["failed"]) for run in runs):
        raise SystemExit(f"{failed} of the parts failed; the rest is in {RESULT.parent}")


def _keep(path: Path, result: Json) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()

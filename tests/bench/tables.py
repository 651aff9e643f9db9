"""The tables of one run, for the terminal and for the documentation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

Json = dict[str, Any]

TABLES = (
    "comparison",
    "processes",
    "many",
    "in_processes",
    "nodes",
    "secrets",
    "decryptions",
    "sessions",
    "gate_encrypt",
    "gate_items",
    "gate_decrypt",
    "gate_batches",
    "gate_secrets",
    "large",
    "imports",
    "mapped",
    "overhead",
)
"""What a run consists of: rows under each of these names."""
BEGIN, END = "<!-- one run of make bench begins -->", "<!-- and ends -->"
BEGIN_RUNS, END_RUNS = "<!-- several runs of make bench begin -->", "<!-- and end -->"


@dataclass(frozen=True, slots=True)
class Grid:
    """A table: heading, names of the columns, cells."""

    heading: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]

    def rich(self) -> Table:
        table = Table(title=self.heading, title_justify="left")
        for i, column in enumerate(self.columns):
            table.add_column(column, justify="right" if i else "left")
        for row in self.rows:
            table.add_row(*row)
        return table

    def markdown(self) -> str:
        lines = [self.columns, ["---", *["---:"] * (len(self.columns) - 1)], *self.rows]
        return f"### {self.heading}\n\n" + "\n".join(f"| {' | '.join(line)} |" for line in lines)


def grids(result: Json) -> list[Grid]:
    """All tables of a run; those without a row are left out."""
    found = [
        Grid("The run", ("", ""), [(name, value) for name, value in result["machine"].items()]),
        Grid("What failed", ("part", "error"), [(each["what"], each["error"]) for each in result["failed"]]),
        _targets(result),
        _comparison(result["comparison"]),
        _processes(result["processes"]),
        _many(result["many"]),
        _in_processes(result["in_processes"]),
        _nodes(result["nodes"]),
        _secrets(result["secrets"]),
        _gate_encrypt(result["gate_encrypt"]),
        _gate_decrypt(result["gate_decrypt"]),
        _gate_items(result["gate_items"]),
        _gate_batches(result["gate_batches"]),
        _gate_secrets(result["gate_secrets"]),
        _decryptions(result["decryptions"]),
        _sessions(result["sessions"]),
        _large(result["large"]),
        _imports(result["imports"]),
        _mapped(result["mapped"]),
        _overhead(result["overhead"]),
    ]
    return [grid for grid in found if grid.rows]


def _targets(result: Json) -> Grid:
    return Grid(
        "Targets",
        ("ratio", "target", "measured", "met"),
        [
            (
                each["what"],
                f"{each['sense']} {each['target']:g}",
                f"{each['measured']:.2f}",
                "yes" if each["met"] else "no",
            )
            for each in result["targets"]
        ],
    )


def _comparison(rows: Sequence[Json]) -> Grid:
    return Grid(
        "Warm, in ms",
        (
            "what",
            "nodes",
            "ours: CPU",
            "SDK: CPU",
            "ratio",
            "ours: wall",
            "SDK: wall",
            "ratio",
            "the nodes' CPU",
        ),
        [
            (
                row["what"],
                str(row["nodes"]),
                *(f"{row[who]['cpu_ms']:.1f}" for who in ("ours", "sdk", "ratio")),
                *(f"{row[who]['wall_ms']:.1f}" for who in ("ours", "sdk", "ratio")),
                f"{row['ours']['net_cpu_ms']:.1f}",
            )
            for row in rows
        ],
    )


def _processes(rows: Sequence[Json]) -> Grid:
    measures = (
        ("first_ms", "to first plaintext, ms"),
        ("wall_ms", "to the end, ms"),
        ("cpu_ms", "CPU, ms"),
        ("peak_mb", "peak memory, MB"),
    )
    return Grid(
        "Whole processes, with one session, opened or given",
        ("what", "nodes", "measure", "ours", "SDK", "ratio"),
        [
            (
                row["what"],
                str(row["nodes"]),
                label,
                f"{row['ours'][measure]:.0f}",
                f"{row['sdk'][measure]:.0f}",
                f"{row['ratio'][measure]:.1f}",
            )
            for row in rows
            for measure, label in measures
        ],
    )


def _many(rows: Sequence[Json]) -> Grid:
    names = ("one_core", "all_cores", "ours", "nodes_cpu", "ratio")
    return Grid(
        "Many secrets of 1 kB, in ms per secret",
        (
            "nodes",
            "one by one on one core",
            "eight at once on all cores",
            "ours: CPU",
            "the nodes' CPU",
            "ratio",
        ),
        [(str(row["nodes"]), *(f"{row[name]:.2f}" for name in names)) for row in rows],
    )


def _in_processes(rows: Sequence[Json]) -> Grid:
    names = ("one_core", "one_process", "two_processes", "ratio", "worker_mb")
    return Grid(
        "Many secrets of 1 kB in two processes, the network in two as well, in ms per secret",
        (
            "nodes",
            "one by one on one core",
            "eight at once in one process",
            "eight at once in each of two",
            "two processes, times faster than one core",
            "memory of a worker, MB",
        ),
        [(str(row["nodes"]), *(f"{row[name]:.2f}" for name in names)) for row in rows],
    )


def _nodes(rows: Sequence[Json]) -> Grid:
    names = ("connect", "session", "decrypt")
    return Grid(
        "More nodes: our CPU, in ms, and a ticket's size",
        ("nodes", "connect", "connect and session sigs", "decrypt 1 kB", "decrypt, per node", "ticket, kB"),
        [
            (
                str(row["nodes"]),
                *(f"{row[name]:.1f}" for name in names),
                f"{row['decrypt'] / row['nodes']:.2f}",
                f"{row['ticket_bytes'] / 1000:.1f}",
            )
            for row in rows
        ],
    )


def _secrets(rows: Sequence[Json]) -> Grid:
    return Grid(
        "More secrets of 1 kB, eight at once",
        ("secrets", "nodes", "our CPU, s", "per secret, ms", "wall, s", "peak memory, MB"),
        [
            (
                f"{row['secrets']:,}",
                str(row["nodes"]),
                f"{row['cpu_s']:.2f}",
                f"{row['cpu_s'] / row['secrets'] * 1000:.2f}",
                f"{row['wall_s']:.2f}",
                f"{row['peak_mb']:.0f}",
            )
            for row in rows
        ],
    )


def _gate_encrypt(rows: Sequence[Json]) -> Grid:
    return Grid(
        "Chipotle: encryption without a network, CPU in ms",
        ("plaintext, kB", "lock", "ours", "the library's seals alone", "ratio"),
        [
            (
                f"{row['bytes'] // 1000}",
                "yes" if row["seals"] > 1 else "no",
                *(f"{row[name]:.2f}" for name in ("ours", "sealed", "ratio")),
            )
            for row in rows
        ],
    )


def _gate_decrypt(rows: Sequence[Json]) -> Grid:
    names = ("gate", "datil_1", "datil_2", "datil_10", "ratio")
    return Grid(
        "Chipotle: one decryption of 1 kB, our CPU in ms",
        ("what", "Chipotle", "Datil, 1 node", "2 nodes", "10 nodes", "Chipotle / 1 node"),
        [(row["what"], *(f"{row[name]:.2f}" for name in names)) for row in rows],
    )


def _gate_items(rows: Sequence[Json]) -> Grid:
    return Grid(
        "Chipotle: the gate in Deno, CPU per item in ms",
        ("items of 1 kB in a run", "first run", "warm"),
        [(str(row["items"]), f"{row['first_ms']:.2f}", f"{row['warm_ms']:.2f}") for row in rows],
    )


def _gate_batches(rows: Sequence[Json]) -> Grid:
    return Grid(
        "Chipotle: secrets of 1 kB at 50 ms of delay, beside one call each with `requests`",
        ("secrets", "runs", "runs, times less", "wall, s", "one call, ms", "wall, times less", "our CPU, s"),
        [
            (
                f"{row['secrets']:,}",
                f"{row['runs']}",
                f"{row['fewer_runs']:.1f}",
                f"{row['wall_s']:.1f}",
                f"{row['single_ms']:.0f}",
                f"{row['faster']:.1f}",
                f"{row['cpu_s']:.2f}",
            )
            for row in rows
        ],
    )


def _gate_secrets(rows: Sequence[Json]) -> Grid:
    return Grid(
        "Chipotle: more secrets of 1 kB in one call",
        ("secrets", "our CPU, s", "per secret, ms", "wall, s", "peak memory, MB"),
        [
            (
                f"{row['secrets']:,}",
                f"{row['cpu_s']:.2f}",
                f"{row['cpu_s'] / row['secrets'] * 1000:.2f}",
                f"{row['wall_s']:.2f}",
                f"{row['peak_mb']:.0f}",
            )
            for row in rows
        ],
    )


def _decryptions(rows: Sequence[Json]) -> Grid:
    names = ("ours", "decode", "combine", "pairing", "spared")
    return Grid(
        "Cryptography of one decryption of 1 kB, CPU in ms",
        (
            "threshold",
            "ours",
            "decode shares",
            "multi-exponentiation",
            "pairing to open",
            "ours / least",
            "not needed: hash and pairings to verify",
        ),
        [
            (
                str(row["threshold"]),
                *(f"{row[name]:.2f}" for name in names[:-1]),
                f"{row['ratio']:.2f}",
                f"{row['spared']:.2f}",
            )
            for row in rows
        ],
    )


def _sessions(rows: Sequence[Json]) -> Grid:
    names = ("ours", "wallet", "node_signatures", "reading", "ratio")
    return Grid(
        "Session sigs without a network, CPU in ms",
        (
            "nodes",
            "ours",
            "one secp256k1 signature",
            "ed25519 signatures",
            "reading the message back",
            "ratio",
        ),
        [(str(row["nodes"]), *(f"{row[name]:.2f}" for name in names)) for row in rows],
    )


def _large(rows: Sequence[Json]) -> Grid:
    names = ("aes", "cpu", "copy_cpu", "wall", "copy_wall")
    return Grid(
        "Large files, in MB per second",
        (
            "from or into",
            "what",
            "MB",
            "`openssl speed`",
            "ours: of CPU time",
            "a copy: of CPU time",
            "ours: of wall time",
            "a copy: of wall time",
            "ours / openssl",
            "ours / openssl and a copy",
            "more memory, MB",
        ),
        [
            (
                row["place"],
                row["what"],
                f"{row['megabytes']}",
                *(f"{row[name]:.0f}" for name in names),
                f"{row['ratio']:.2f}",
                f"{row['ratio_with_copy']:.2f}",
                f"{row['more_mb']:.0f}",
            )
            for row in rows
        ],
    )


def _imports(rows: Sequence[Json]) -> Grid:
    return Grid(
        "Import, over Airflow's own base classes",
        ("module", "CPU, ms", "modules"),
        [(f"`{row['what']}`", f"{row['ms']:.1f}", f"{row['modules']:.0f}") for row in rows],
    )


def _overhead(rows: Sequence[Json]) -> Grid:
    names = ("queued", "starting", "starting_cpu", "work", "work_cpu")
    return Grid(
        "Where the time of the demo DAG goes, in s",
        (
            "task",
            "until its process starts",
            "until its work begins",
            "CPU of that",
            "its work",
            "CPU of that",
        ),
        [
            *((row["task"], *(f"{row[name]:.2f}" for name in names)) for row in rows),
            *([("all", *(f"{sum(row[name] for row in rows):.2f}" for name in names))] if rows else []),
        ],
    )


def _mapped(rows: Sequence[Json]) -> Grid:
    names = ("cpu_ms", "slow_cpu_ms", "duration_ms", "slow_duration_ms")
    return Grid(
        "Mapped tasks, four at once, in ms",
        ("task", "executor", "of each", "CPU", "90th percentile", "duration", "90th percentile"),
        [
            (row["task"], row["executor"], str(row["count"]), *(f"{row[name]:.0f}" for name in names))
            for row in rows
        ],
    )


def over_runs(result: Json) -> list[Grid]:
    """The tables of several runs."""
    rows, count = result["targets"], len(result["runs"])
    failed = [(each["what"], each["error"]) for run in result["runs"] for each in run["failed"]]
    found = [
        Grid("The machine", ("", ""), [(name, value) for name, value in result["machine"].items()]),
        Grid("What failed", ("part", "error"), failed),
        Grid(
            f"Targets, of {count} runs",
            ("ratio", "target", "median", "lowest", "highest", "met in"),
            [
                (
                    each["what"],
                    f"{each['sense']} {each['target']:g}",
                    *(f"{value:.2f}" for value in (each["measured"], min(each["runs"]), max(each["runs"]))),
                    f"{each['met_in']} of {len(each['runs'])}",
                )
                for each in rows
            ],
        ),
    ]
    return [grid for grid in found if grid.rows]


def show(shown: Sequence[Grid]) -> None:
    """Print tables."""
    console = Console(width=140)
    for grid in shown:
        console.print(grid.rich())


def keep(shown: Sequence[Grid], page: Path, begin: str, end: str, *, above: str = "") -> None:
    """Put tables into a page of the documentation, between two marks, below a line of text."""
    before, _, rest = page.read_text().partition(begin)
    after = rest.partition(end)[2]
    text = "\n\n".join([*([above] if above else []), *(grid.markdown() for grid in shown)])
    page.write_text(f"{before}{begin}\n\n{text}\n\n{end}{after}")

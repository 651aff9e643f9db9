"""What is to be reached, as ratios within one run."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from typing import Any

from tests.bench import large
from tests.bench.mapped import MORE

Json = dict[str, Any]
AT_LEAST, AT_MOST = "at least", "at most"
COLD = "process, 1 decryption"
GIVEN = f"{COLD}, session given"
LISTED = f"{COLD}, session and nodes given"
# Airflow's own bash and python operators add no more modules than this: they are all but loaded already.
BARE = 5


def _of_chipotle(result: Json) -> list[tuple[str, str, float, float]]:
    """Targets and figures of what was measured on Chipotle."""
    found: list[tuple[str, str, float, float]] = []
    for row in result["gate_encrypt"]:
        lock = "with a lock" if row["seals"] > 1 else "without a lock"
        what = f"Chipotle, encrypt {row['bytes'] // 1000} kB, {lock}, beside the library's own seals"
        found.append((what, AT_MOST, 1.5, row["ratio"]))
    what = "Chipotle, decrypt 1 kB: our CPU beside Datil's with one node"
    found.extend((what, AT_MOST, 1, row["ratio"]) for row in result["gate_decrypt"])
    for row in result["gate_items"]:
        what = f"Chipotle, the gate's CPU per item of a batch of {row['items']}, warm, ms"
        found.append((what, AT_MOST, 10, row["warm_ms"]))
    for row in result["gate_batches"]:
        what = f"Chipotle, {row['secrets']:,} secrets at 50 ms of delay beside one call each"
        found.append((f"{what}: billed runs, times less", AT_LEAST, 50, row["fewer_runs"]))
        found.append((f"{what}: wall time, times less", AT_LEAST, 10, row["faster"]))
    if len(rows := result["gate_secrets"]) > 1:
        before, last = rows[-2:]
        growth = (last["cpu_s"] / last["secrets"]) / (before["cpu_s"] / before["secrets"])
        what = f"Chipotle, {last['secrets']:,} secrets beside {before['secrets']:,}"
        found.append((f"{what}: our CPU per secret", AT_MOST, 1.2, growth))
        found.append((f"{what}: peak memory", AT_MOST, 1.2, last["peak_mb"] / before["peak_mb"]))
    return found


def _of_large_files(rows: Sequence[Json]) -> Iterator[tuple[str, str, float, float]]:
    """Half of AES's speed; and where a copy alone is slower than that, half of both together."""
    for row in rows:
        what = f"{row['what']} {row['megabytes']} MB, {row['place']}: our CPU's speed beside"
        if row["place"] != large.S3:
            yield f"{what} `openssl speed`", AT_LEAST, 0.5, row["ratio"]
        if row["place"] != large.NOWHERE:
            yield f"{what} that and a copy's", AT_LEAST, 0.5, row["ratio_with_copy"]


def judged(result: Json) -> list[Json]:
    """Each target with what was measured and whether it is met; those not measured are left out."""
    rows = {(row["what"], row["nodes"]): row for row in (*result["comparison"], *result["processes"])}

    def ratio(what: str, measure: str) -> float | None:
        row = rows.get((what, 10))
        return None if row is None else row["ratio"][measure]

    imports = result["imports"]
    ours = [each["ms"] for each in imports if each["what"].startswith("lit_airflow.")]
    reaching = [each["ms"] for each in imports if not each["ours"] and each["modules"] > BARE]
    session = next((each for each in result["sessions"] if each["nodes"] == 30), None)
    found = [
        ("decrypt 1 kB, 10 nodes: our CPU time, times less", AT_LEAST, 8, ratio("decrypt 1 kB", "cpu_ms")),
        ("decrypt 1 kB, 10 nodes: wall time, times less", AT_LEAST, 4, ratio("decrypt 1 kB", "wall_ms")),
        ("session sigs, 10 nodes: our CPU time, times less", AT_LEAST, 8, ratio("session sigs", "cpu_ms")),
        ("cold process to first plaintext, times faster", AT_LEAST, 3, ratio(COLD, "first_ms")),
        ("the same, with a session that is given", AT_LEAST, 3, ratio(GIVEN, "first_ms")),
        ("the same, with the nodes given, too", AT_LEAST, 3, ratio(LISTED, "first_ms")),
        ("cold process, peak memory, times less", AT_LEAST, 2, ratio(COLD, "peak_mb")),
        (
            "session sigs for 30 nodes beside one secp256k1 and 30 ed25519 signatures",
            AT_MOST,
            2,
            session and session["ratio"],
        ),
        *(
            (
                f"decrypt cryptography beside its curve operations, threshold {each['threshold']}",
                AT_MOST,
                1.5,
                each["ratio"],
            )
            for each in result["decryptions"]
        ),
        *(
            (
                f"many secrets, {each['nodes']} nodes: at once on all cores beside one by one on one core",
                AT_LEAST,
                1.7,
                each["ratio"],
            )
            for each in result["many"]
        ),
        *(
            (
                f"many secrets, {each['nodes']} nodes: in two processes on two cores beside one by one on one",
                AT_LEAST,
                1.8,
                each["ratio"],
            )
            for each in result["in_processes"]
        ),
        *(
            (f"a ticket for {each['nodes']} nodes, kB", AT_MOST, 48, each["ticket_bytes"] / 1000)
            for each in sorted(result["nodes"], key=lambda each: each["nodes"])[-1:]
        ),
        *_of_chipotle(result),
        *_of_large_files(result["large"]),
        *(
            (
                f"a mapped decryption, {each['executor']}, more than an empty task: {what}, ms",
                AT_MOST,
                most,
                each[name],
            )
            for each in result["mapped"]
            if each["task"] == MORE
            for what, name, most in (("CPU", "cpu_ms", 150), ("duration", "duration_ms", 500))
        ),
        (
            "import: the most expensive of our modules beside the cheapest provider that reaches a service",
            AT_MOST,
            1,
            max(ours) / max(min(reaching), 0.1) if ours and reaching else None,
        ),
    ]
    return [
        {
            "what": what,
            "sense": sense,
            "target": target,
            "measured": measured,
            "met": _is_met(measured, sense, target),
        }
        for what, sense, target, measured in found
        if measured is not None
    ]


def over_runs(runs: Sequence[Sequence[Json]]) -> list[Json]:
    """Each target of several runs: what each measured, the median, and in how many it is met.

    Args:
        runs: What :func:`judged` returned for each; a target that a run lacks is judged by the others.
    """
    found: dict[str, list[Json]] = {}
    for run in runs:
        for each in run:
            found.setdefault(each["what"], []).append(each)
    rows = []
    for what, each in found.items():
        measured = [one["measured"] for one in each]
        sense, target, median = each[0]["sense"], each[0]["target"], statistics.median(measured)
        rows.append(
            {
                "what": what,
                "sense": sense,
                "target": target,
                "runs": measured,
                "measured": median,
                "met": _is_met(median, sense, target),
                "met_in": sum(one["met"] for one in each),
            }
        )
    return rows


def _is_met(measured: float, sense: str, target: float) -> bool:
    return measured >= target if sense == AT_LEAST else measured <= target

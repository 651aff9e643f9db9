"""What the bench makes of several runs."""

from pathlib import Path
from typing import Any

from tests.bench import picture, tables, targets
from tests.bench.targets import AT_LEAST, AT_MOST


def judged(what: str, measured: float, sense: str = AT_LEAST, target: float = 2) -> dict[str, Any]:
    met = measured >= target if sense == AT_LEAST else measured <= target
    return {"what": what, "sense": sense, "target": target, "measured": measured, "met": met}


RUNS = [
    [judged("speed", 3), judged("memory", 1, AT_MOST)],
    [judged("speed", 1), judged("memory", 5, AT_MOST)],
    [judged("speed", 2.5)],
]


def test_a_target_is_judged_by_the_median() -> None:
    speed, memory = targets.over_runs(RUNS)
    assert (speed["measured"], speed["runs"], speed["met"], speed["met_in"]) == (2.5, [3, 1, 2.5], True, 2)
    assert (memory["measured"], memory["met"], memory["met_in"]) == (3, False, 1)


def test_tables_and_picture_of_several_runs(tmp_path: Path) -> None:
    rows = targets.over_runs(RUNS)
    runs = [{"failed": []}, {"failed": [{"what": "S3", "error": "no room"}]}, {"failed": []}]
    shown = tables.over_runs({"machine": {"python": "3"}, "runs": runs, "targets": rows})
    page = tmp_path / "page.md"
    page.write_text(f"before\n{tables.BEGIN_RUNS} old {tables.END_RUNS}\nafter\n")
    for _ in range(2):  # what is kept twice is there once
        tables.keep(shown, page, tables.BEGIN_RUNS, tables.END_RUNS, above="![targets](targets.svg)")
    text = page.read_text()
    assert text.startswith("before\n")
    assert text.endswith("\nafter\n")
    assert text.count("| speed | at least 2 | 2.50 | 1.00 | 3.00 | 2 of 3 |") == 1
    assert "no room" in text
    assert " old " not in text
    picture.draw_targets(rows, tmp_path / "targets.svg")
    drawn = (tmp_path / "targets.svg").read_text()
    assert drawn.count("<circle") == sum(len(row["runs"]) + 1 for row in rows)

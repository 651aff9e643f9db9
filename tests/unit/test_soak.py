"""The parts of ``make soak``: nothing that is marked is forgotten, and all limits together are an hour."""

from pathlib import Path

from tests.soak import PARTS

ROOT = Path(__file__).parents[2]
HOURS = {"tests/gate/test_mutants.py"}
"""Files whose long runs are a target of their own."""


def test_all_limits_together_are_an_hour() -> None:
    assert sum(part.limit_s for part in PARTS) <= 3600
    assert len({part.name for part in PARTS}) == len(PARTS)


def test_every_long_run_is_in_a_part() -> None:
    marked = {
        file.relative_to(ROOT).as_posix()
        for file in (ROOT / "tests").rglob("test_*.py")
        if "pytest.mark." + "soak" in file.read_text()
    }
    given = [path.partition("::")[0] for part in PARTS for path in part.tests]
    assert [path for path in given if not (ROOT / path).exists()] == []
    assert {file for file in marked if not any(file.startswith(path) for path in given)} == HOURS

"""Pages name tests, files and folders: each of them exists."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections import Counter
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
TEST = re.compile(r"`(tests/[\w/]+\.py)::([\w:]+)`")
PLACE = re.compile(r"(?<![\w/.-])((?:lit_airflow|tests|dags|docker)/(?:[\w./-]*\w)?)(?![\w*])")
# What readers make, and a pattern.
NOT_HERE = {"dags/network.json", "tests/vectors/NAME"}


@cache
def names_in(file: str) -> set[str]:
    """The tests of a file, those in classes as ``Class::test``."""
    tree = ast.parse((ROOT / file).read_text("utf-8"))
    found = set()
    for node in tree.body:
        if isinstance(node, ast.FunctionDef):
            found.add(node.name)
        elif isinstance(node, ast.ClassDef):
            found |= {
                f"{node.name}::{inner.name}" for inner in node.body if isinstance(inner, ast.FunctionDef)
            }
    return {name for name in found if name.rpartition("::")[2].startswith("test")}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_what_a_page_names_exists(page: Path) -> None:
    text = page.read_text("utf-8")
    places = {place for place in PLACE.findall(text) if "..." not in place} - NOT_HERE
    assert sorted(place for place in places if not (ROOT / place).exists()) == []
    named = TEST.findall(text)
    assert [f"{file}::{test}" for file, test in named if test not in names_in(file)] == []


def test_every_table_of_security_names_tests() -> None:
    text = (ROOT / "SECURITY.md").read_text("utf-8")
    tables = re.findall(r"^\| Claim \| Test \|\n\|---\|---\|\n((?:\|.*\n)+)", text, re.MULTILINE)
    assert tables
    rows = [row for table in tables for row in table.splitlines()]
    assert [row for row in rows if not TEST.search(row.rpartition(" | ")[2])] == []


def collected(files: set[str], session: pytest.Session) -> Counter[str]:
    """How many cases each test of these files has; pytest is asked again for files that this run leaves out."""
    ids = [item.nodeid for item in session.items]
    left_out = files - {each.partition("::")[0] for each in ids}
    if left_out:
        argv = [sys.executable, "-m", "pytest", "--collect-only", "-q", *sorted(left_out)]
        ids += subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False).stdout.splitlines()
    return Counter(re.split(r"[\[@]", each)[0] for each in ids)  # xdist writes @GROUP behind


def test_what_was_attacked_is_as_much_as_the_page_says(request: pytest.FixtureRequest) -> None:
    """More cases than the page says are fine, fewer are not."""
    text = (ROOT / "docs" / "proof.md").read_text("utf-8")
    (table,) = re.findall(r"^\| Attack \|.*\n\|[-|]+\|\n((?:\|.*\n)+)", text, re.MULTILINE)
    rows = [row.strip("|").split(" | ") for row in table.splitlines()]
    tests = [TEST.findall(row[3]) for row in rows]
    cases = collected({file for each in tests for file, _ in each}, request.session)
    counted = [sum(cases[f"{file}::{test}"] for file, test in each) for each in tests]
    assert len(rows) > 1
    assert [(row[0], found) for row, found in zip(rows, counted, strict=True) if found < int(row[1])] == []

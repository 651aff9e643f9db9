"""The protocol pages: every example is cut from a vector file, and every page that code cites exists."""

from __future__ import annotations

import json
import re
from functools import reduce
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted((ROOT / "docs" / "protocol").glob("*.md"))
VECTORS = ROOT / "tests" / "vectors" / "datil"
# The comment above a block names its source: a vector file and a JSON pointer (RFC 6901) into it.
EXAMPLE = re.compile(r"^<!-- (\S+\.json) (/\S+) -->\n```text\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# A page, and perhaps headings in it: docs/protocol/gate.md#lock, #container and #chains
CITATION = re.compile(r"(docs/protocol/[\w-]+(?:\.\w+)?)((?:(?:,|\s+and|,\s+and)?[\s#]*#[\w-]+)*)")
EXAMPLES = {
    f"{page.name}: {file} {pointer}": (file, pointer, block)
    for page in PAGES
    for file, pointer, block in EXAMPLE.findall(page.read_text("utf-8"))
}


def value_at(document: object, pointer: str) -> Any:  # noqa: ANN401 - JSON of any shape
    def step(value: Any, token: str) -> Any:  # noqa: ANN401 - the same
        return value[int(token)] if isinstance(value, list) else value[token]

    tokens = [token.replace("~1", "/").replace("~0", "~") for token in pointer.split("/")[1:]]
    return reduce(step, tokens, document)


def without_space(text: str) -> str:
    return "".join(text.split())


@pytest.mark.parametrize("example", EXAMPLES)
def test_example_equals_its_vector(example: str) -> None:
    file, pointer, block = EXAMPLES[example]
    value = value_at(json.loads((VECTORS / file).read_text("utf-8")), pointer)
    recorded = (
        value if isinstance(value, str) else json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    )
    shown = ".*".join(re.escape(part) for part in without_space(block).split("…"))
    assert re.fullmatch(shown, without_space(recorded))


def test_every_example_names_its_vector() -> None:
    text = "".join(page.read_text("utf-8") for page in PAGES)
    assert len(EXAMPLE.findall(text)) == len(re.findall(r"^```text$", text, re.MULTILINE)) > 0


def cited() -> set[tuple[str, str]]:
    """Pages that code cites, each with a heading's anchor or an empty text."""
    sources = [*(ROOT / "lit_airflow").rglob("*.py"), *(ROOT / "tests").rglob("*.py")]
    return {
        (page, anchor)
        for source in sources
        for page, anchors in CITATION.findall(source.read_text("utf-8"))
        for anchor in ("", *re.findall(r"#([\w-]+)", anchors))
    }


def anchors_of(page: Path) -> set[str]:
    """The anchors of a page's headings, as the documentation site makes them."""
    headings = re.findall(r"^#+ (.*)$", page.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[\s-]+", "-", re.sub(r"[^\w\s-]", "", heading).strip().lower()) for heading in headings}


def test_cited_pages_exist() -> None:
    assert sorted(page for page, _ in cited() if not (ROOT / page).is_file()) == []


def test_cited_headings_exist() -> None:
    wrong = [
        f"{page}#{anchor}" for page, anchor in cited() if anchor and anchor not in anchors_of(ROOT / page)
    ]
    assert sorted(wrong) == []


def test_a_citation_of_several_headings_is_understood() -> None:
    text = "Source: docs/protocol/gate.md#lock, #container and\n# #chains."
    ((page, anchors),) = CITATION.findall(text)
    assert page == "docs/protocol/gate.md"
    assert re.findall(r"#([\w-]+)", anchors) == ["lock", "container", "chains"]

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
CITATION = re.compile(r"docs/protocol/[\w-]+(?:\.\w+)?")
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


def test_cited_pages_exist() -> None:
    sources = [*(ROOT / "lit_airflow").rglob("*.py"), *(ROOT / "tests").rglob("*.py")]
    cited = {page for source in sources for page in CITATION.findall(source.read_text("utf-8"))}
    assert sorted(page for page in cited if not (ROOT / page).is_file()) == []

"""The documentation site: it builds, without a warning and without the network, and leaves nothing out."""

import inspect
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from lit_airflow import errors, get_provider_info

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
BIN = Path(sys.executable).parent
GROUPS = {
    errors.LitError,
    errors.SecretError,
    errors.NetworkError,
    errors.ThresholdError,
}


def build(config: Path, site: Path) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "mkdocs", "build", "--strict", "--config-file", config, "--site-dir", site]
    return subprocess.run(argv, capture_output=True, text=True, check=False, cwd=ROOT)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    done = build(ROOT / "mkdocs.yml", folder)
    assert done.returncode == 0, done.stderr
    return folder


def test_a_reader_fetches_nothing_from_elsewhere(site: Path) -> None:
    for page in site.rglob("*.html"):
        text = page.read_text()
        assert re.findall(r'(?:src="|<link[^>]* href="|@import "|url\()https?:[^"]*', text) == [], page


def field_row(name: str, field: dict[str, Any]) -> str:
    schema = field["schema"]
    default = "empty" if schema.get("default") is None else f"`{schema['default']}`"
    choices = ", ".join(f"`{each}`" for each in schema.get("enum", ()))
    shown = f"{default}, of {choices}" if choices else default
    return f"| {field['label']} | `{name}` | {shown} | {field['description']} |"


def test_the_connections_fields_are_those_of_the_form() -> None:
    fields = get_provider_info()["connection-types"][0]["conn-fields"]
    assert fields
    table = "\n".join(field_row(name, field) for name, field in fields.items())
    head = "| Field | In extra | Default | |\n|---|---|---|---|"
    assert f"\n\n{head}\n{table}\n\n" in (DOCS / "connection.md").read_text()


def test_docstrings_are_shown_without_the_marks_of_another_tool(site: Path) -> None:
    text = (site / "reference" / "operators.html").read_text()
    assert "LitDecryptOperator" in text
    assert "Needs no wallet key." in text
    for page in (site / "reference").glob("*.html"):
        assert re.findall(r":(?:class|func|meth|mod):|::</p>", page.read_text()) == [], page


def test_the_reference_has_no_private_names(site: Path) -> None:
    for page in (site / "reference").glob("*.html"):
        text = re.sub(r"<[^>]+>", "", page.read_text().partition("<article")[2])
        assert re.findall(r"(?<![\w.])_[A-Za-z]\w+", text) == [], page


def test_code_wraps_and_drawings_have_a_dark_form(site: Path) -> None:
    style = (site / "stylesheets" / "site.css").read_text()
    assert "pre-wrap" in style
    assert "slate" in style
    assert 'href="../stylesheets/site.css"' in (site / "reference" / "operators.html").read_text()


def test_a_broken_link_is_noticed(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "index.md").write_text("[nowhere](nowhere.md)\n")
    config = yaml.safe_load((ROOT / "mkdocs.yml").read_text())
    kept = {key: config[key] for key in ("site_name", "strict", "validation")}
    (tmp_path / "mkdocs.yml").write_text(yaml.safe_dump(kept))
    done = build(tmp_path / "mkdocs.yml", tmp_path / "site")
    assert done.returncode == 1
    assert "nowhere.md" in done.stderr


def pages(nav: object) -> set[str]:
    if isinstance(nav, str):
        return {nav}
    entries = nav.values() if isinstance(nav, dict) else nav
    return {page for entry in entries for page in pages(entry)}  # type: ignore[attr-defined]


def test_no_page_is_in_the_navigation_twice() -> None:
    lines = re.findall(r"^ +- (\S+\.md)$", (ROOT / "mkdocs.yml").read_text(), re.MULTILINE)
    assert sorted(lines) == sorted(set(lines))
    assert set(lines) == pages(yaml.safe_load((ROOT / "mkdocs.yml").read_text())["nav"])


def test_every_page_is_in_the_navigation_or_in_the_list_of_records() -> None:
    named = pages(yaml.safe_load((ROOT / "mkdocs.yml").read_text())["nav"])
    listed = {
        f"adr/{file}" for file in re.findall(r"\]\((\S+\.md)\)", (DOCS / "adr" / "README.md").read_text())
    }
    assert {page.relative_to(DOCS).as_posix() for page in DOCS.rglob("*.md")} == named | listed


def test_every_module_that_airflow_is_told_of_has_a_reference() -> None:
    info = get_provider_info()
    kinds = ("hooks", "operators", "sensors", "triggers", "transfers")
    modules = {module for kind in kinds for entry in info.get(kind, ()) for module in entry["python-modules"]}
    shown = re.findall(
        r"^::: ([\w.]+)",
        "".join(page.read_text() for page in (DOCS / "reference").glob("*.md")),
        re.MULTILINE,
    )
    assert [module for module in sorted(modules) if not any(each.startswith(module) for each in shown)] == []


def test_the_runbook_has_every_error() -> None:
    classes = {
        each.__name__
        for _, each in inspect.getmembers(errors, inspect.isclass)
        if issubclass(each, errors.LitError) and each not in GROUPS and not each.__name__.startswith("_")
    }
    text = (DOCS / "runbook.md").read_text()
    entries = dict(re.findall(r"^### `(\w+)`\n(.*?)(?=^##|\Z)", text, re.MULTILINE | re.DOTALL))
    assert set(entries) == classes
    for name, entry in entries.items():
        assert "**Look at**" in entry, name
        assert "**Do**" in entry, name
        assert ("Retried." in entry) == getattr(errors, name).retryable, name

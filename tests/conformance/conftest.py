"""One test per case of every vector file: ``<generation>/test_<topic>.py`` runs ``<topic>.json``.

A test that asks for ``case`` runs once per case; one that asks for ``vectors`` gets the whole file. Files
that are absent are left out, files that nobody here understands fail.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable
from pathlib import Path
from typing import Any

import pytest

from tests.conformance.reading import HERE, Folder

_FOLDER = pytest.StashKey[Folder]()
_CASES = pytest.StashKey[dict[str, tuple[str, str]]]()
"""Of each test that runs a case: which file's, and which."""


def pytest_configure(config: pytest.Config) -> None:
    given = config.getoption("vectors")
    ours = (config.rootpath / "tests/vectors" / name for name in ("datil", "chipotle", "gate"))
    folders = [config.invocation_params.dir / given] if given else ours
    try:
        config.stash[_FOLDER] = Folder.read(*folders)
    except FileNotFoundError as error:
        raise pytest.UsageError(f"--vectors: {error}") from error


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    path = Path(metafunc.definition.path)
    topic, generation = path.stem.removeprefix("test_"), path.parent.name
    folder = metafunc.config.stash[_FOLDER]
    if "stranger" in metafunc.fixturenames:
        metafunc.parametrize("stranger", folder.strangers, ids=[s.name for s in folder.strangers])
    elif "case" in metafunc.fixturenames:
        cases = folder.cases(generation, topic)
        metafunc.parametrize("case", [c for _, c in cases], ids=[name for name, _ in cases])
    elif "vectors" in metafunc.fixturenames:
        found = folder.file(generation, topic)
        metafunc.parametrize("vectors", [found] if found else [], ids=[topic] if found else [])


@pytest.fixture
def whole_file(request: pytest.FixtureRequest) -> dict[str, Any]:
    """The file that the case is from."""
    path = Path(request.path)
    found = request.config.stash[_FOLDER].file(path.parent.name, path.stem.removeprefix("test_"))
    assert found is not None
    return found


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what has nothing to run on, rather than skip it."""
    items[:] = [item for item in items if not _is_empty(item)]
    config.stash[_CASES] = {
        item.nodeid: (str(item.path), item.callspec.id)
        for item in items
        if isinstance(item, pytest.Function) and item.path.is_relative_to(HERE) and _runs_a_case(item)
    }


def _runs_a_case(item: pytest.Function) -> bool:
    return "case" in getattr(getattr(item, "callspec", None), "params", ())


def _is_empty(item: pytest.Item) -> bool:
    markers: Iterable[pytest.Mark] = item.iter_markers("skip")
    return item.path.is_relative_to(HERE) and any(
        "empty parameter set" in str(marker.kwargs.get("reason")) for marker in markers
    )


@pytest.hookimpl(wrapper=True)
def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> Generator[None]:
    yield
    stats = terminalreporter.stats
    passed, failed = stats.get("passed", []), [*stats.get("failed", []), *stats.get("error", [])]
    if config.getoption("vectors") is not None:
        terminalreporter.write_line(f"{len(passed)} passed, {len(failed)} failed")
    elif cases := config.stash.get(_CASES, {}):
        bad = {cases[report.nodeid] for report in failed if report.nodeid in cases}
        good = {cases[report.nodeid] for report in passed if report.nodeid in cases} - bad
        told = f"vectors: {len(good)} cases of {len({file for file, _ in good})} files passed"
        terminalreporter.write_line(f"{told}, {len(bad)} failed" if bad else told)

"""One test for each case of each vector file: ``<generation>/test_<topic>.py`` runs ``<topic>.json``.

A test that asks for ``case`` runs once for each case; one that asks for ``vectors`` gets the whole file. A topic
whose file is absent has no tests; a file that no module reads is a failure.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable
from pathlib import Path
from typing import Any

import pytest

from tests.conformance.reading import HERE, Folder

_FOLDER = pytest.StashKey[Folder]()


def pytest_configure(config: pytest.Config) -> None:
    given = config.getoption("vectors")
    try:
        if given is None:
            config.stash[_FOLDER] = Folder.read_all(config.rootpath / "tests" / "vectors")
        else:
            config.stash[_FOLDER] = Folder.read(config.invocation_params.dir / given)
    except FileNotFoundError as error:
        raise pytest.UsageError(f"--vectors: {error}") from error


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    path = Path(metafunc.definition.path)
    topic, generation = path.stem.removeprefix("test_"), path.parent.name
    folder = metafunc.config.stash[_FOLDER]
    if "unread" in metafunc.fixturenames:
        metafunc.parametrize("unread", folder.unread, ids=[file.name for file in folder.unread])
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
    """Leave out tests without a case, rather than skip them; with --vectors, all that run no vectors."""
    given = config.getoption("vectors") is not None
    items[:] = [
        item
        for item in items
        if not item.path.is_relative_to(HERE) or not (_is_empty(item) or (given and not _runs_vectors(item)))
    ]


def _is_empty(item: pytest.Item) -> bool:
    markers: Iterable[pytest.Mark] = item.iter_markers("skip")
    return any("empty parameter set" in str(marker.kwargs.get("reason")) for marker in markers)


def _runs_vectors(item: pytest.Item) -> bool:
    given = getattr(getattr(item, "callspec", None), "params", {})
    return not {"case", "vectors", "unread"}.isdisjoint(given)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> Generator[None]:
    """With --vectors, the last line says how it ended."""
    yield
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None or session.config.getoption("vectors") is None:
        return
    passed, failed, broken = (len(reporter.stats.get(name, ())) for name in ("passed", "failed", "error"))
    reporter.write_line(f"{passed} passed, {failed + broken} failed")

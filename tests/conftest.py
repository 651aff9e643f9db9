"""What all folders of tests share: options, which tests share a process, and what is told at the end."""

from __future__ import annotations

import gc
import json
import os
import signal
import sys
from collections import Counter
from collections.abc import Callable, Generator
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any
from zlib import crc32

import pytest
from _pytest.assertion import rewrite

HERE = Path(__file__).parent

TOGETHER = ("installation", "airflow", "vault", "interop", "bench")
"""Folders with a fixture that is expensive to start: all of a folder's tests run in one process."""

NEIGHBOURS = {"pipelines": "airflow", "toy": "airflow"}
"""Folders whose tests run in the process of another, which has loaded what they need."""

LONGEST = ("installation", "airflow", "vault", "interop", "docs", "faults", "compose")
"""What takes longest, in this order; it begins first, so that no process works alone at the end."""

ALONE = ("faults/test_simulation.py",)
"""Files whose tests share nothing, and take long: each may run in another process."""

_LONGEST_ID = 80

_TALLY = pytest.StashKey[Counter[tuple[str, str]]]()
_ASKED = pytest.StashKey[Counter[str]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--vectors",
        metavar="DIR",
        help="folder of vector files for tests/conformance (default: tests/vectors/<generation>)",
    )
    parser.addoption(
        "--gate",
        metavar="FILE",
        help="text of a gate to put the vectors for gates to (default: the shipped one)",
    )


def pytest_configure(config: pytest.Config) -> None:
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        # A shell's background ignores it, and so would all processes that tests start and interrupt.
        signal.signal(signal.SIGINT, signal.default_int_handler)
    config.stash[_TALLY] = Counter()
    config.stash[_ASKED] = Counter()
    # pytest-xdist declares it, too; the environments of tests/matrix have none.
    config.addinivalue_line("markers", "xdist_group(name): tests that run in one process")


@pytest.hookimpl(wrapper=True)
def pytest_collection(session: pytest.Session) -> Generator[None, object, object]:
    """Collect without looking for garbage: there is none to speak of, and looking takes a third of the time."""
    gc.disable()
    try:
        _compile_a_share(session.config)
        return (yield)
    finally:
        gc.freeze()
        gc.enable()
        gc.set_threshold(50_000, 1, 1)  # the default takes a twentieth of the tests' time


def _compile_a_share(config: pytest.Config) -> None:
    """In one process of several: compile a share of the tests. In a new clone, each process would compile all.

    This uses private functions of pytest. The tests pass without it, some seconds later.
    """
    worker = getattr(config, "workerinput", None)
    if worker is None or sys.dont_write_bytecode:
        return
    folders = [Path(config.invocation_params.dir, each.partition("::")[0]) for each in config.args]
    files = sorted({file for folder in folders for file in folder.rglob("test_*.py")})
    for file in files[int(worker["workerid"].removeprefix("gw")) :: worker["workercount"]]:
        compiled = rewrite.get_cache_dir(file) / f"{file.stem}{rewrite.PYC_TAIL}"
        if compiled.exists() or not rewrite.try_makedirs(compiled.parent):
            continue
        with suppress(SyntaxError):  # pytest reports it when it collects the file
            status, code = rewrite._rewrite_test(file, config)
            rewrite._write_pyc(config.stash[rewrite.assertstate_key], code, status, compiled)


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Keep long values out of the ids: each process sends all ids to the others."""
    return f"{argname}-of-{len(val)}" if isinstance(val, str | bytes) and len(val) > _LONGEST_ID else None


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """With several processes: what belongs together runs in one of them, and what takes long begins first.

    The rest is mixed, so that tests that wait run beside tests that compute.
    """
    if not hasattr(config, "workerinput"):
        return
    items.sort(key=lambda item: _turn(item.path))
    for item in items:
        if (group := _group(item.path)) is not None:
            item.add_marker(pytest.mark.xdist_group(group))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_node_collection_finished(node: Any, ids: list[str]) -> None:  # noqa: ANN401 - of pytest-xdist
    """Stop where xdist does not see the groups: each process would start every server for itself."""
    grouping = node.config.getoption("dist") == "loadgroup"
    if grouping and not all(each.endswith("@vault") for each in ids if each.startswith("tests/vault/")):
        pytest.exit("pytest-xdist does not group tests: does it fit this version of pytest?", returncode=2)


@cache
def _turn(file: Path) -> tuple[int, int]:
    group = _group(file) or file.relative_to(HERE).as_posix()
    rank = next((rank for rank, start in enumerate(LONGEST) if group.startswith(start)), len(LONGEST))
    return rank, crc32(group.encode())


@cache
def _group(file: Path) -> str | None:
    path = file.relative_to(HERE)
    if path.as_posix() in ALONE:
        return None
    folder = NEIGHBOURS.get(path.parts[0], path.parts[0])
    return folder if folder in TOGETHER else path.as_posix()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """In a long run: say which test of how many this is; a test that uses ``progress`` says more."""
    if (file := os.environ.get("LIT_SOAK_PROGRESS")) is not None:
        items = item.session.items
        Path(file).write_text(f"test {items.index(item) + 1} of {len(items)}, {item.name}")
    return (yield)


@pytest.fixture(scope="session")
def tally(pytestconfig: pytest.Config) -> Counter[tuple[str, str]]:
    """(fault, outcome) -> how often; each test that tries a fault adds to it."""
    return pytestconfig.stash[_TALLY]


@pytest.fixture
def progress() -> Callable[[str], None]:
    """Says how far a long run has come; ``tests/soak.py`` shows the last of it."""
    file = os.environ.get("LIT_SOAK_PROGRESS")

    def tell(text: str) -> None:
        if file is not None:
            Path(file).write_text(text)

    return tell


@pytest.fixture(scope="session")
def exchanges(pytestconfig: pytest.Config) -> Counter[str]:
    """What was asked of the SDK how often."""
    return pytestconfig.stash[_ASKED]


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """In one process of several: hand over what was counted. In any: look for no garbage, which takes seconds."""
    gc.freeze()
    output: dict[str, Any] | None = getattr(session.config, "workeroutput", None)
    if output is not None:
        stash = session.config.stash
        output["tally"] = [[*key, count] for key, count in stash[_TALLY].items()]
        output["asked"] = dict(stash[_ASKED])


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:  # noqa: ANN401 - of pytest-xdist
    output = getattr(node, "workeroutput", {})
    for fault, outcome, count in output.get("tally", ()):
        node.config.stash[_TALLY][fault, outcome] += count
    node.config.stash[_ASKED].update(output.get("asked", {}))


@pytest.hookimpl(wrapper=True)
def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> Generator[None]:
    yield
    _tell_faults(terminalreporter, config.stash[_TALLY])
    _tell_exchanges(terminalreporter, config.stash[_ASKED])
    if config.getoption("vectors") is None:
        _tell_vectors(terminalreporter)


def _tell_faults(reporter: pytest.TerminalReporter, tally: Counter[tuple[str, str]]) -> None:
    faults = sorted({fault for fault, _ in tally})
    if not faults:
        return
    width = max(map(len, faults))
    reporter.section("faults and what came of them")
    reporter.write_line(f"{'fault':{width}}  {'tried':>6}  outcomes")
    for fault in faults:
        outcomes = Counter({outcome: count for (name, outcome), count in tally.items() if name == fault})
        told = ", ".join(f"{outcome} {count}" for outcome, count in outcomes.most_common())
        reporter.write_line(f"{fault:{width}}  {outcomes.total():>6}  {told}")
    reporter.write_line(f"faults: {len(faults)}, tried {tally.total()} times")


def _tell_exchanges(reporter: pytest.TerminalReporter, asked: Counter[str]) -> None:
    if asked:
        packages = json.loads((HERE / "interop" / "package.json").read_text())["dependencies"]
        version = packages["@lit-protocol/lit-node-client-nodejs"]
        told = ", ".join(f"{command} {count}" for command, count in sorted(asked.items()))
        reporter.write_line(f"interop: {asked.total()} exchanges with @lit-protocol {version} ({told})")


def _tell_vectors(reporter: pytest.TerminalReporter) -> None:
    """How many cases of how many vector files passed: a case is a test ``test_case[NAME]`` of its file's module."""
    outcomes = {name: set(_cases(reporter.stats.get(name, ()))) for name in ("passed", "failed", "error")}
    bad = outcomes["failed"] | outcomes["error"]
    if good := outcomes["passed"] - bad:
        told = f"vectors: {len(good)} cases of {len({file for file, _ in good})} files passed"
        reporter.write_line(f"{told}, {len(bad)} failed" if bad else told)


def _cases(reports: list[pytest.TestReport]) -> Generator[tuple[str, str]]:
    for report in reports:
        file, _, test = report.nodeid.partition("::")
        if file.startswith("tests/conformance/") and test.startswith("test_case["):
            yield file, test


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """In one process of several: what a passed test printed or logged is not sent, since nobody is shown it."""
    report = yield
    if report.passed and hasattr(item.config, "workerinput"):
        report.sections.clear()
    return report

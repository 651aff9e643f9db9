"""What all folders of tests share: options, and a table of what was tried how often and what came of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator

import pytest

_TALLY = pytest.StashKey[Counter[tuple[str, str]]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--vectors",
        metavar="DIR",
        help="folder of vector files for tests/conformance (default: tests/vectors/<generation>)",
    )


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_TALLY] = Counter()


@pytest.fixture(scope="session")
def tally(pytestconfig: pytest.Config) -> Counter[tuple[str, str]]:
    """(fault, outcome) -> how often; whoever tries a fault adds to it."""
    return pytestconfig.stash[_TALLY]


@pytest.hookimpl(wrapper=True)
def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> Generator[None]:
    yield
    tally = config.stash.get(_TALLY, Counter())
    faults = sorted({fault for fault, _ in tally})
    if not faults:
        return
    width = max(map(len, faults))
    terminalreporter.section("faults and what came of them")
    terminalreporter.write_line(f"{'fault':{width}}  {'tried':>6}  outcomes")
    for fault in faults:
        outcomes = Counter({outcome: count for (name, outcome), count in tally.items() if name == fault})
        told = ", ".join(f"{outcome} {count}" for outcome, count in outcomes.most_common())
        terminalreporter.write_line(f"{fault:{width}}  {outcomes.total():>6}  {told}")
    terminalreporter.write_line(f"faults: {len(faults)}, tried {tally.total()} times")

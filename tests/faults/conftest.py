"""What was tried how often and what came of it, as a table at the end of the run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator

import pytest

from tests.faults.simulator import Tally

_TALLY = pytest.StashKey[Tally]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_TALLY] = Counter()


@pytest.fixture(scope="session")
def tally(pytestconfig: pytest.Config) -> Tally:
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

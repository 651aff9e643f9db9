"""Which processes of Airflow load what decrypting tasks need, as the page about workers says."""

import json
import multiprocessing
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from lit_airflow.provider.plugin import forks_tasks
from tests.docs.test_docs import blocks

WORKERS = Path(__file__).parents[2] / "docs" / "workers.md"
SCHEDULER = ["airflow", "scheduler"]

# Each way is tried in a fork of one process that has loaded Airflow. A scheduler's first step is to make its Job.
PROCESSES = """
import json, multiprocessing, os, shlex, sys
import airflow.jobs.job, airflow.executors.local_executor

blocks = json.load(sys.stdin)

def has_loaded():
    return "lit_airflow.preload" in sys.modules and "hvac" in sys.modules

def job(*command):
    sys.argv = ["airflow", *command]
    airflow.jobs.job.Job()
    return has_loaded()

def scheduler():
    loaded = job("scheduler", "--skip-serve-logs")
    with multiprocessing.Pool(1) as workers:
        return [loaded, workers.apply(has_loaded)]

def failing_scheduler():
    sys.modules["hvac"] = None
    return job("scheduler")

def exported(name):
    block, = (block for block in blocks if name in block)
    for word in shlex.split(block):
        if "=" in word:
            key, _, value = word.partition("=")
            os.environ[key] = value

def celery_worker():
    exported("EXTRA_CELERY_CONFIG")
    return celery_worker_without()

def celery_worker_without():
    from airflow.providers.celery.executors.celery_executor_utils import app
    app.loader.import_default_modules()
    return has_loaded()

def fork_server():
    exported("MP_FORKSERVER_PRELOAD")
    try:
        from airflow.utils.process_utils import set_component_mp_start_method
    except ImportError:
        return True  # a release before 3.3, which has no such setting
    set_component_mp_start_method("scheduler")
    with multiprocessing.Pool(1) as workers:
        return workers.apply(eval, ("'lit_airflow.preload' in __import__('sys').modules",))

ways = {
    "scheduler and a task of it": scheduler,
    "scheduler without a library": failing_scheduler,
    "triggerer": lambda: job("triggerer"),
    "dag-processor": lambda: job("dag-processor"),
    "command": lambda: job("dags", "list"),
    "Celery worker": celery_worker,
    "Celery worker without the setting": celery_worker_without,
    "fork server": fork_server,
}
found = {}
for name, way in ways.items():
    reader, writer = os.pipe()
    if not os.fork():
        with open(writer, "w") as sink:
            json.dump(way(), sink)
        os._exit(0)
    os.close(writer)
    with open(reader) as source:
        found[name] = json.load(source)
    os.wait()
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def loaded() -> dict[str, Any]:
    """Kind of process -> whether it has loaded it."""
    done = subprocess.run(
        [sys.executable, "-c", PROCESSES],
        input=json.dumps(blocks(WORKERS, "sh")),
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_a_scheduler_loads_it_and_its_forks_have_it(loaded: dict[str, Any]) -> None:
    assert loaded["scheduler and a task of it"] == [True, True]


def test_other_processes_do_not(loaded: dict[str, Any]) -> None:
    names = ("triggerer", "dag-processor", "command", "Celery worker without the setting")
    assert not any(loaded[name] for name in names)


def test_workers_do_if_they_are_told_to_as_the_page_says(loaded: dict[str, Any]) -> None:
    assert loaded["Celery worker"]
    assert loaded["fork server"]


def test_a_scheduler_starts_although_a_library_is_missing(loaded: dict[str, Any]) -> None:
    assert not loaded["scheduler without a library"]


@pytest.mark.parametrize(
    ("argv", "executors", "expected"),
    [
        (SCHEDULER, "LocalExecutor", True),
        ([*SCHEDULER, "--daemon"], "KubernetesExecutor,LocalExecutor", True),
        (SCHEDULER, "airflow.executors.local_executor.LocalExecutor", True),
        (SCHEDULER, "CeleryExecutor", False),
        (SCHEDULER, "", False),
        (["airflow", "api-server"], "LocalExecutor", False),
        (["airflow", "dags", "scheduler"], "LocalExecutor", False),
        (["airflow"], "LocalExecutor", False),
    ],
)
def test_whose_forks_are_tasks(argv: list[str], executors: str, *, expected: bool) -> None:
    assert forks_tasks(argv, executors) is expected


def test_processes_that_are_not_forked_inherit_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(multiprocessing, "get_start_method", lambda **_options: "forkserver")
    assert not forks_tasks(SCHEDULER, "LocalExecutor")


def test_a_worker_of_the_scheduler_does_not_load_it_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    parent: Any = object()
    monkeypatch.setattr(multiprocessing, "parent_process", lambda: parent)
    assert not forks_tasks(SCHEDULER, "LocalExecutor")

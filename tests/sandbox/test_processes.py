import os
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from lit_airflow.sandbox import watchdog
from lit_airflow.sandbox.processes import (
    Children,
    SandboxError,
    clean_environment,
    free_port,
    tail,
    write_private,
)
from tests.sandbox.running import Run, belonging_to

# A leader that ignores polite signals, a child in a process group and one in a session of its own.
STUBBORN = """
    import os, signal, subprocess, sys, time
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    sleeper = [sys.executable, "-c", "import time; time.sleep(600)"]
    subprocess.Popen(sleeper, process_group=0)
    subprocess.Popen(sleeper, start_new_session=True, cwd="/")
    print("ready", flush=True)
    time.sleep(600)
"""


def start_stubborn(children: Children, home: Path) -> None:
    argv = [sys.executable, "-c", textwrap.dedent(STUBBORN)]
    child = children.start("stubborn", argv, env=clean_environment(MARK=str(home)), cwd=home)
    while "ready" not in tail(child.log):
        time.sleep(0.02)


def test_nothing_is_left_even_of_processes_that_hide_and_refuse(tmp_path: Path) -> None:
    with Children(tmp_path) as children:
        start_stubborn(children, tmp_path)
        started = belonging_to(tmp_path)
        children.stop(*children._children, grace_s=0.3)
        assert len(started) == 4  # with the watchdog
    assert belonging_to(tmp_path) == []


def test_a_polite_process_is_asked_and_not_killed(tmp_path: Path) -> None:
    code = """
        import signal, time
        signal.signal(signal.SIGINT, lambda *_: (print("asked"), exit(0)))
        print("ready", flush=True)
        time.sleep(600)
    """
    with Children(tmp_path) as children:
        argv = [sys.executable, "-c", textwrap.dedent(code)]
        child = children.start("polite", argv, env=clean_environment(), cwd=tmp_path)
        while "ready" not in tail(child.log):
            time.sleep(0.02)
        children.stop(child, grace_s=300)  # it has to react before it would be killed
    assert tail(child.log) == "ready\nasked"
    assert child.process.returncode == 0


def test_a_program_begins_only_when_the_watchdog_knows_its_process(start: Callable[[str], Run]) -> None:
    """Otherwise it would stay if the owner were killed in between."""
    code = """
        import os, signal, sys, tempfile
        from pathlib import Path
        from lit_airflow.sandbox import watchdog
        from lit_airflow.sandbox.processes import Children, clean_environment
        watchdog.identity = lambda _: os.kill(os.getpid(), signal.SIGKILL)
        home = Path(tempfile.mkdtemp())
        with Children(home) as children:
            argv = [sys.executable, "-c", "import time; time.sleep(600)"]
            children.start("program", argv, env=clean_environment(MARK=str(home)), cwd=home)
    """
    run = start(textwrap.dedent(code))
    run.finish()
    assert run.process.returncode == -signal.SIGKILL
    run.wait_until_nothing_is_left()


def test_when_the_owner_is_killed_the_watchdog_ends_the_rest_and_removes_the_home(
    start: Callable[[str], Run],
) -> None:
    code = """
        import tempfile, time
        from pathlib import Path
        from tests.sandbox.test_processes import start_stubborn
        from lit_airflow.sandbox.processes import Children
        home = Path(tempfile.mkdtemp())
        with Children(home) as children:
            start_stubborn(children, home)
            print("ready", flush=True)
            time.sleep(600)
    """
    run = start(textwrap.dedent(code))
    assert run.process.stdout is not None
    assert run.process.stdout.readline() == "ready\n", run.log.read_text()
    assert len(belonging_to(run.folder)) == 5
    run.process.kill()
    run.process.wait()
    run.wait_until_nothing_is_left()


def test_a_child_that_died_is_reported_with_the_end_of_its_log(tmp_path: Path) -> None:
    with Children(tmp_path) as children:
        argv = [sys.executable, "-c", "print('the reason'); raise SystemExit(3)"]
        child = children.start("short", argv, env=clean_environment(), cwd=tmp_path)
        child.process.wait()
        with pytest.raises(SandboxError, match="short ended with exit code 3") as caught:
            children.check()
    assert caught.value.details == "the reason"


def test_a_process_with_an_odd_name_belongs_to_its_leader(tmp_path: Path) -> None:
    odd = tmp_path / "a) R 1 (b"
    odd.symlink_to(sys.executable)
    with Children(tmp_path) as children:
        argv = [str(odd), "-c", "print('ready', flush=True); import time; time.sleep(600)"]
        child = children.start("odd", argv, env=clean_environment(), cwd=tmp_path)
        while not tail(child.log):
            time.sleep(0.02)
        assert watchdog.family([child.leader]) == {child.leader}


@pytest.fixture
def bystander(tmp_path: Path) -> Iterator[psutil.Process]:
    """A process that is not the sandbox's, the leader of a session of its own, with a child."""
    code = (
        "import subprocess, time; subprocess.Popen(['sleep', '600']); print(1, flush=True); time.sleep(600)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, start_new_session=True, cwd=tmp_path
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        leader = psutil.Process(process.pid)
        yield leader
        for each in [*leader.children(), leader]:
            each.kill()


def test_a_line_tells_a_process_from_a_later_one_with_its_number(bystander: psutil.Process) -> None:
    number, created = watchdog.identity(bystander).split()
    assert watchdog.identified(f"{number} {created}") == bystander
    for line in (f"{number} {float(created) - 60}", number, f"+{number}", "", "? ?"):
        assert watchdog.identified(line) is None


def test_the_watchdog_spares_a_process_that_only_has_the_number_of_one_of_ours(
    bystander: psutil.Process, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    number, created = watchdog.identity(bystander).split()
    lines = f"{number}\n{number} {float(created) - 60}\n"
    argv = [sys.executable, "-P", watchdog.__file__, str(home)]
    subprocess.run(argv, input=lines.encode(), check=True, timeout=900)
    assert not home.exists()
    assert len(watchdog.alive([bystander, *bystander.children()])) == 2


def test_a_folder_that_is_still_written_to_is_removed_in_the_end(tmp_path: Path) -> None:
    folder = tmp_path / "home"
    folder.mkdir()

    def write() -> None:
        with suppress(FileNotFoundError):
            for number in range(1000):
                (folder / f"{number}.log").write_text("late")

    writer = threading.Thread(target=write)
    writer.start()
    watchdog.remove(folder)
    writer.join()
    assert not folder.exists()


def test_a_child_gets_none_of_our_airflow_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__CORE__LOAD_EXAMPLES", "True")
    monkeypatch.setenv("AIRFLOW_HOME", "/home/me/airflow")
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    monkeypatch.setenv("NO_PROXY", "example.org")
    env = clean_environment(AIRFLOW_HOME="/ours")
    assert [name for name in env if name.startswith("AIRFLOW")] == ["AIRFLOW_HOME"]
    assert env["NO_PROXY"] == "example.org,127.0.0.1,localhost"
    assert "PYTHONDONTWRITEBYTECODE" not in env


def test_a_free_port_is_free_and_below_the_outgoing_ones() -> None:
    port = free_port()
    assert 20_000 <= port < 32_000
    with socket.create_server(("127.0.0.1", port)):
        assert free_port() != port


def test_a_private_file_is_private_from_the_start(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        file = write_private(tmp_path / "secret", "text")
    finally:
        os.umask(before)
    assert (file.read_text(), file.stat().st_mode & 0o777) == ("text", 0o600)

"""Commands of the sandbox as processes, and what they leave behind."""

import os
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from lit_airflow.sandbox import watchdog


def belonging_to(folder: Path) -> list[str]:
    """Processes that work in the folder, or have it in their environment or arguments."""
    found = []
    for pid in watchdog.table():
        facts = b""
        for part in ("cmdline", "environ"):
            try:
                facts += Path(f"/proc/{pid}/{part}").read_bytes()
            except OSError:
                continue
        try:
            facts += str(Path(f"/proc/{pid}/cwd").readlink()).encode()
        except OSError:
            continue
        if str(folder).encode() in facts and pid != os.getpid():
            found.append(f"{pid} {Path(f'/proc/{pid}/cmdline').read_bytes()!r}")
    return found


@dataclass
class Run:
    """One command of the sandbox, its temporary files in a folder of the test."""

    process: subprocess.Popen[str]
    folder: Path
    log: Path

    def wait_for(self, text: str, timeout_s: float = 120) -> None:
        self.wait_until(lambda: text in self.log.read_text(), timeout_s)

    def wait_until(self, condition: Callable[[], object], timeout_s: float = 120) -> None:
        end = time.monotonic() + timeout_s
        while not condition():
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < end, self.log.read_text()
            time.sleep(0.05)

    def finish(self, timeout_s: float = 180) -> str:
        """Standard output, after the end."""
        return self.process.communicate(timeout=timeout_s)[0]

    def assert_nothing_left(self) -> None:
        assert belonging_to(self.folder) == []
        assert list(self.folder.iterdir()) == []

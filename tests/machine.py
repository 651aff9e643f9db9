"""What the tests need of the machine, and what to do where it is missing: the first step of ``make test``.

Needs no package, so that it can run before any is installed: ``python tests/machine.py``. A Chromium that is
missing is installed where that is possible.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
PROGRAMS = {"bash": "bash", "chroot": "coreutils", "mount": "mount", "unshare": "util-linux"}
"""Program -> its Debian package."""

NAMESPACES = ("unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc")
_AS_USER = ("--user", "--map-current-user")


def chromium() -> str | None:
    """The system's Chromium; None if there is none, where the browser driver's own may serve."""
    return shutil.which("chromium") or shutil.which("chromium-browser")


def namespaces() -> list[str]:
    """The command that runs another one in namespaces of its own, as docker-compose.yml is tried in."""
    return [*NAMESPACES, *(() if os.geteuid() == 0 else _AS_USER)]


def missing(*, have_chromium: bool) -> Iterator[str]:
    """What is not here, each with the command that brings it."""
    for program, package in PROGRAMS.items():
        if shutil.which(program) is None:
            yield f"the program {program}: apt-get install {package}"
    if shutil.which("unshare") and not _runs([*namespaces(), "true"]):
        yield "leave to make namespaces (tests/compose): run make test as root"
    if not have_chromium:
        yield "the program chromium (tests/installation): apt-get install chromium"


def ensure_chromium() -> bool:
    """Whether there is one, installed now if need be: by root as a package, else by the browser driver."""
    if chromium():
        return True
    if os.geteuid() == 0 and shutil.which("apt-get"):
        install = ["apt-get", "install", "-y", "-q", "--no-install-recommends", "chromium"]
        if _runs(["apt-get", "update", "-q"]) and _runs(install):
            return True
    pinned = re.search(r"^playwright==\S+", (ROOT / "constraints.txt").read_text(), re.MULTILINE)
    uv = Path(sys.executable).with_name("uv")
    if pinned is None or not uv.exists():
        return False
    driver = [str(uv), "tool", "run", "--from", pinned[0], "playwright"]
    return _runs([*driver, "install", "chromium"])


def _runs(argv: list[str]) -> bool:
    try:
        return subprocess.run(argv, capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def main() -> int:
    """Say what is missing, in lines for people; 2 if something is."""
    lacks = list(missing(have_chromium=ensure_chromium()))
    for lack in lacks:
        print(f"This machine lacks {lack}", file=sys.stderr)  # noqa: T201 - a command's output
    return 2 if lacks else 0


if __name__ == "__main__":
    sys.exit(main())

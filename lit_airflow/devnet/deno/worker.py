"""One Deno process: started without permissions, spoken to in lines of JSON, ended when over its limits."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib import import_module
from pathlib import Path
from typing import IO, Any, cast

from lit_airflow.errors import SettingsError

_SCRIPT = Path(__file__).with_name("worker.js")
_CERTIFICATES = ("SSL_CERT_FILE", "SSL_CERT_DIR", "DENO_CERT", "DENO_TLS_CA_STORE")
# Longest line that is read from a worker; a run's response and logs are far below it.
_MAX_LINE_BYTES = 16 * 2**20
# The heap limit of V8 does not count buffers: these may take this many times as much.
_BUFFERS_PER_HEAP = 4
_START_S = 60.0


class WorkerDiedError(Exception):
    """The process ended by itself, or sent something that is not a message."""


class WorkerStoppedError(Exception):
    """The process was ended at its deadline."""


def find_deno() -> str:
    """Return the path of the Deno binary that the wheel ``deno`` brings.

    Raises:
        SettingsError: The wheel is not installed.
    """
    try:
        return str(import_module("deno").find_deno_bin())
    except (ImportError, FileNotFoundError) as error:
        raise SettingsError(
            "Lit Actions run in Deno, which is not installed.",
            field="deno",
            hint="Install the extra: pip install 'lit-airflow[devnet]'.",
        ) from error


class Worker:
    """A Deno process that waits for jobs.

    Attributes:
        runs: How many jobs it was given; counted by the owner.
    """

    def __init__(
        self, deno: str, ethers: Path, *, code_cache: Path, allow_net: Sequence[str], memory_mb: int
    ) -> None:
        self.runs = 0
        self._memory_mb = memory_mb
        self._ready = False
        self._overdue = False
        self._killed = False
        self._process = subprocess.Popen(  # noqa: S603 (a fixed command, no shell)
            _command(deno, ethers, allow_net, memory_mb),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=_environment(code_cache),
            start_new_session=True,
        )
        self._stdin = cast("IO[bytes]", self._process.stdin)
        self._stdout = cast("IO[bytes]", self._process.stdout)

    @property
    def is_alive(self) -> bool:
        """Whether the process runs and was not told to end."""
        return not self._killed and self._process.poll() is None

    def wait_until_ready(self) -> None:
        """Wait until ethers is loaded, then limit the process's memory.

        Raises:
            WorkerDiedError: The process ended instead.
            WorkerStoppedError: It was not ready in time.
        """
        if self._ready:
            return
        with self.deadline(_START_S):
            self.receive()
        self._limit_buffers()
        self._ready = True

    def send(self, message: object) -> None:
        """Write a line of JSON. A process that is gone is noticed by the next ``receive``."""
        line = json.dumps(message).encode() + b"\n"
        with suppress(BrokenPipeError):
            self._stdin.write(line)
            self._stdin.flush()

    def receive(self) -> dict[str, Any]:
        """Read a line of JSON.

        Raises:
            WorkerDiedError: The process ended, or the line is not a JSON object.
            WorkerStoppedError: The process was ended by its deadline.
        """
        line = self._stdout.readline(_MAX_LINE_BYTES)
        if self._overdue:
            raise WorkerStoppedError
        try:
            message = json.loads(line)
        except ValueError:
            message = None
        if not isinstance(message, dict):
            self.kill()
            raise WorkerDiedError
        return message

    @contextmanager
    def deadline(self, seconds: float) -> Iterator[None]:
        """End the process if the block takes longer."""
        timer = threading.Timer(seconds, self._expire)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def kill(self) -> None:
        """End the process; a ``receive`` on another thread notices."""
        self._killed = True
        self._process.kill()

    def dispose(self) -> None:
        """End the process and close its pipes. Nothing may use the worker any more."""
        self.kill()
        self._process.wait()
        self._stdout.close()
        with suppress(BrokenPipeError):
            self._stdin.close()

    def _expire(self) -> None:
        self._overdue = True
        self.kill()

    def _limit_buffers(self) -> None:
        """Cap the process's data segment. Where the system cannot, only the heap is limited."""
        with suppress(OSError, AttributeError):
            status = Path(f"/proc/{self._process.pid}/status").read_text(encoding="ascii")
            data_kb = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmData:"))
            most = data_kb * 1024 + _BUFFERS_PER_HEAP * self._memory_mb * 2**20
            resource.prlimit(self._process.pid, resource.RLIMIT_DATA, (most, most))


def _command(deno: str, ethers: Path, allow_net: Sequence[str], memory_mb: int) -> list[str]:
    imports = json.dumps({"imports": {"ethers": ethers.as_uri()}})
    return [
        deno,
        "run",
        "--quiet",
        "--no-prompt",
        "--no-config",
        "--no-lock",
        "--no-npm",
        "--no-remote",
        "--cached-only",
        f"--v8-flags=--disallow-code-generation-from-strings,--max-old-space-size={memory_mb}",
        f"--import-map=data:application/json,{imports}",
        *([f"--allow-net={','.join(allow_net)}"] if allow_net else []),
        str(_SCRIPT),
    ]


def _environment(code_cache: Path) -> dict[str, str]:
    certificates = {name: os.environ[name] for name in _CERTIFICATES if name in os.environ}
    return {"DENO_DIR": str(code_cache), "DENO_NO_UPDATE_CHECK": "1", "NO_COLOR": "1", **certificates}

"""Large files as envelopes, on this machine and in S3, beside AES alone and beside copying the file.

``python -m tests.bench.large TASK`` is one measured process; its memory is not that of the bench.
"""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from lit_airflow import LitClient, Session
from lit_airflow.provider import files
from tests.bench import comparison, providers
from tests.bench.comparison import CONDITIONS, Net
from tests.bench.ours import timed

Json = dict[str, Any]

STORES = Path(__file__).with_name("stores.txt")
ROOT = Path(__file__).parents[2]
MEGA = 1_000_000
BUCKET = "bench"
NOWHERE, HERE, S3 = "a file into nothing", "a file", "S3"
"""Where the source or the result is. Into nothing: what the encryption itself takes, and reading."""
_BLOCK_BYTES = 16 * 1024
_PATIENCE_S = 60


def on_this_machine(net: Net, megabytes: int, rounds: int, folder: Path) -> list[Json]:
    """Encrypt and decrypt a file on this machine: into nothing, and into a file."""
    into = {NOWHERE: {"folder": str(folder), "nowhere": True}, HERE: {"folder": str(folder)}}
    return [row for place, task in into.items() for row in _rows(net, place, task, megabytes, rounds)]


def in_s3(net: Net, megabytes: int, rounds: int, folder: Path) -> list[Json]:
    """Encrypt a file into S3, and decrypt it from there: moto's server in a process of its own."""
    with _moto() as url:
        return _rows(net, S3, {"folder": str(folder), "s3": url}, megabytes, rounds)


def _rows(net: Net, place: str, task: Json, megabytes: int, rounds: int) -> list[Json]:
    session_sigs = comparison.session(net).session_sigs
    written = Path(task["folder"]) / "large.json"
    written.write_text(
        json.dumps(
            {
                **task,
                "network": net.description,
                "session_sigs": session_sigs,
                "bytes": megabytes * MEGA,
                "rounds": rounds,
            }
        )
    )
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench.large", str(written)],
        cwd=ROOT,
        env=_environment(),
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    return [
        {"place": place, "megabytes": megabytes, **row} for row in json.loads(done.stdout.splitlines()[-1])
    ]


def _environment() -> dict[str, str]:
    packages = str(providers.installed(STORES))
    return {**os.environ, "PYTHONPATH": os.pathsep.join((packages, str(ROOT)))}


@contextmanager
def _moto() -> Iterator[str]:
    """S3 with one bucket; the server says on stderr where it listens."""
    command = [sys.executable, "-m", "moto.server", "-p", "0"]
    with subprocess.Popen(command, env=_environment(), stderr=subprocess.PIPE, text=True) as process:
        try:
            found = None
            while found is None:
                line = _line(process)
                found = re.search(r"http://127\.0\.0\.1:\d+", line)
            yield found[0]
        finally:
            process.kill()


def _line(process: subprocess.Popen[str]) -> str:
    assert process.stderr is not None
    line = process.stderr.readline()
    if not line:
        raise SystemExit("moto's server has ended")
    return line


class Measurement:
    """One process, which encrypts, decrypts and copies in turn."""

    def __init__(self, task: Json) -> None:
        folder = Path(task["folder"])
        self.base = str(folder)
        if "s3" in task:
            _attach(task["s3"])
            self.base = f"s3://{BUCKET}"
        self.plain, self.back = folder / "plain", folder / "back"
        self.bytes, self.rounds, self.nowhere = task["bytes"], task["rounds"], task.get("nowhere", False)
        self.client = LitClient(task["network"])
        self.session = Session.from_session_sigs(task["session_sigs"])
        self._warm_up()
        with self.plain.open("wb") as target:
            block = os.urandom(MEGA)
            for _ in range(self.bytes // MEGA):
                target.write(block)
        if self.nowhere:  # what is decrypted must be there
            self.client.encrypt_file(self.plain, f"{self.base}/sealed", CONDITIONS)

    def rows(self) -> list[Json]:
        """Medians: megabytes per second of CPU time and of wall time, and the memory that each takes."""
        steps: dict[str, Callable[[], None]] = {
            "copy there": lambda: self._copy(self.plain, f"{self.base}/copy"),
            "encrypt": self._encrypt,
            "copy back": lambda: self._copy(self.plain if self.nowhere else f"{self.base}/copy", self.back),
            "decrypt": self._decrypt,
        }
        runs: dict[str, list[Json]] = {name: [] for name in steps}
        aes = []
        for _ in range(self.rounds):
            for name, step in steps.items():
                aes.append(_aes_megabytes_per_s())
                runs[name].append(_watched(step))
        medians = {
            name: {measure: statistics.median(run[measure] for run in found) for measure in found[0]}
            for name, found in runs.items()
        }
        speed = statistics.median(aes)
        return [
            self._row(what, medians[what], medians[copy], speed)
            for what, copy in (("encrypt", "copy there"), ("decrypt", "copy back"))
        ]

    def _row(self, what: str, ours: Json, copy: Json, aes: float) -> Json:
        megabytes = self.bytes / MEGA
        per_s, copied_per_s = (megabytes / each["cpu_ms"] * 1000 for each in (ours, copy))
        return {
            "what": what,
            "aes": aes,
            "cpu": per_s,
            "ratio": per_s / aes,
            "ratio_with_copy": per_s * (1 / aes + 1 / copied_per_s),
            "copy_cpu": copied_per_s,
            "wall": megabytes / ours["wall_ms"] * 1000,
            "copy_wall": megabytes / copy["wall_ms"] * 1000,
            "more_mb": ours["more_mb"],
            "copy_more_mb": copy["more_mb"],
        }

    def _warm_up(self) -> None:
        """What is loaded and connected once is none of the file's cost."""
        sealed = io.BytesIO()
        self.client.encrypt_file(io.BytesIO(), sealed, CONDITIONS)
        sealed.seek(0)
        self.client.decrypt_file(sealed, io.BytesIO(), self.session)

    @contextmanager
    def _writing(self, path: Path | str) -> Iterator[BinaryIO]:
        with Path(os.devnull).open("wb") if self.nowhere else files.writing(path) as target:
            yield target

    def _encrypt(self) -> None:
        with files.reading(self.plain) as source, self._writing(f"{self.base}/sealed") as target:
            self.client.encrypt_file(source, target, CONDITIONS)

    def _decrypt(self) -> None:
        with files.reading(f"{self.base}/sealed") as source, self._writing(self.back) as target:
            if self.client.decrypt_file(source, target, self.session) != self.bytes:
                raise SystemExit("decrypted something else")

    def _copy(self, source: Path | str, target: Path | str) -> None:
        with files.reading(source) as reader, self._writing(target) as writer:
            shutil.copyfileobj(reader, writer, 1024 * 1024)


def _attach(url: str) -> None:
    from airflow.sdk.io import attach
    from s3fs import S3FileSystem

    store = S3FileSystem(endpoint_url=url, key="any", secret="any")
    store.mkdir(BUCKET)
    attach("s3", fs=store)


def _watched(step: Callable[[], None]) -> Json:
    """What a step takes, and how much more memory the process holds meanwhile, in MB."""
    Path("/proc/self/clear_refs").write_text("5")  # the high-water mark starts anew
    before = _memory_mb("VmRSS")
    took = timed(step)
    return {**took, "more_mb": _memory_mb("VmHWM") - before}


def _memory_mb(name: str) -> float:
    found = re.search(rf"{name}:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found is not None
    return int(found[1]) / 1024


def _aes_megabytes_per_s() -> float:
    """What ``openssl speed`` says of AES-256-GCM in blocks of 16 KiB; without openssl, what the library does."""
    openssl = shutil.which("openssl")
    if openssl is None:
        return _library_megabytes_per_s()
    command = [openssl, "speed", "-evp", "aes-256-gcm", "-bytes", str(_BLOCK_BYTES), "-seconds", "1"]
    told = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return float(told.split()[-1].removesuffix("k")) / 1000


def _library_megabytes_per_s() -> float:
    cipher, block, count = AESGCM(bytes(32)), bytes(_BLOCK_BYTES), 0
    started = time.process_time()
    while (took := time.process_time() - started) < 1:
        cipher.encrypt(bytes(12), block, None)
        count += 1
    return count * _BLOCK_BYTES / MEGA / took


if __name__ == "__main__":
    sys.stdout.write(json.dumps(Measurement(json.loads(Path(sys.argv[1]).read_text())).rows()) + "\n")

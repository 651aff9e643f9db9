"""The real JavaScript SDK as an object: one long-lived process, one JSON line per question and answer."""

from __future__ import annotations

import base64
import json
import subprocess
import threading
from collections import Counter
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from types import TracebackType

    from lit_airflow import Scope

Json = dict[str, Any]
_PATIENCE_S = 600


def requests_of(scope: Scope) -> list[Json]:
    """A scope as ``lit.mjs`` takes it."""
    return [
        {"resource": r.resource.key, "ability": r.ability, **({"data": dict(r.data)} if r.data else {})}
        for r in scope.requests
    ]


class RefusedError(Exception):
    """The SDK, one of its packages, or a node behind it said no.

    Attributes:
        code: The node's error code, else the SDK's own, else empty.
    """

    def __init__(self, error: Json) -> None:
        super().__init__(f"{error['name']} {error['code']}: {error['message']}")
        self.code: str = error["code"]


class Sdk:
    """A running SDK; a context manager.

    Args:
        node: Path of Node.js.
        packages: The folder in which the packages are installed.
        talk: The file that takes what the SDK prints.

    Attributes:
        asked: How often each command was asked and answered, refusals included.
    """

    def __init__(self, node: str, packages: Path, talk: Path) -> None:
        self.asked: Counter[str] = Counter()
        self._command = [node, str(Path(__file__).with_name("lit.mjs"))]
        self._packages = packages
        self._talk = talk

    def __enter__(self) -> Self:
        with self._talk.open("wb") as talk:
            self._process = subprocess.Popen(
                self._command,
                cwd=self._packages,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=talk,
                encoding="utf-8",
            )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pipe(self._process.stdin).close()
        try:
            self._process.wait(_PATIENCE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._pipe(self._process.stdout).close()

    @staticmethod
    def _pipe(stream: IO[str] | None) -> IO[str]:
        assert stream is not None
        return stream

    def ask(self, command: str, **parameters: Any) -> Any:  # noqa: ANN401 - JSON in, JSON out
        """Give one command of ``lit.mjs``.

        Raises:
            RefusedError: It ended in an error.
            RuntimeError: The process died or did not answer.
        """
        question, answers = self._pipe(self._process.stdin), self._pipe(self._process.stdout)
        watchdog = threading.Timer(_PATIENCE_S, self._process.kill)
        watchdog.start()
        try:
            question.write(json.dumps({"do": command, **parameters}) + "\n")
            question.flush()
            line = answers.readline()
        except BrokenPipeError:
            line = ""
        finally:
            watchdog.cancel()
        if not line:
            raise RuntimeError(f"{command}: the SDK's process ended. {self._talk.read_text()[-2000:]}")
        self.asked[command] += 1
        answer = json.loads(line)
        if "error" in answer:
            raise RefusedError(answer["error"])
        return answer["result"]

    def encrypt(self, network: Json, plaintext: bytes, conditions: Json) -> Json:
        """What the SDK's ``encrypt`` returns."""
        sealed: Json = self.ask(
            "encrypt", network=network, conditions=conditions, plaintext=base64.b64encode(plaintext).decode()
        )
        return sealed

    def decrypt(self, network: Json, sealed: Json, conditions: Json, session_sigs: Json) -> bytes:
        """What the SDK's ``decrypt`` returns."""
        return base64.b64decode(
            self.ask(
                "decrypt", network=network, sealed=sealed, conditions=conditions, sessionSigs=session_sigs
            )
        )

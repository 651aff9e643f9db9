"""A pool of Deno worker processes and one method that runs an action in one of them."""

from __future__ import annotations

import base64
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

from lit_airflow.devnet.deno.ethers import cache_directory, ethers_module
from lit_airflow.devnet.deno.worker import Worker, WorkerDiedError, WorkerStoppedError, find_deno

if TYPE_CHECKING:
    from types import TracebackType


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of one run. The defaults are those of the production server in April 2026.

    Attributes:
        time_s: Wall-clock seconds until the run is ended.
        memory_mb: JavaScript heap in MB; memory outside the heap (buffers) may take four times as much.
        response_bytes: Longest response.
        log_bytes: Longest console output.
        fetches: Most calls of ``fetch``.
    """

    time_s: float = 900.0
    memory_mb: int = 64
    response_bytes: int = 102_400
    log_bytes: int = 102_400
    fetches: int = 50


@dataclass(frozen=True, slots=True)
class ActionFailure:
    """Why a run has no response.

    Attributes:
        kind: ``thrown`` by the action (also: response too long), over its ``time``, or ``died``: the process
            ended, in practice for lack of memory.
        message: For ``thrown``, the error's name and text.
    """

    kind: Literal["thrown", "time", "died"]
    message: str


@dataclass(frozen=True, slots=True)
class ActionRun:
    """What a run left behind.

    Attributes:
        response: What ``main`` returned: a text as it is, anything else as JSON, ``""`` for nothing.
        logs: The console output.
        failure: Why there is no response; ``None`` if the run succeeded.
    """

    response: str = field(repr=False)
    logs: str = field(repr=False)
    failure: ActionFailure | None


@dataclass(frozen=True, slots=True)
class FetchRequest:
    """A request that an action makes with ``fetch``. ``redirect`` is ``follow``, ``error`` or ``manual``."""

    url: str
    method: str
    headers: Mapping[str, str]
    body: str
    redirect: str


@dataclass(frozen=True, slots=True)
class FetchReply:
    """What the action's ``fetch`` resolves to."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


class CallError(Exception):
    """Raised by a call's function: its text becomes an error inside the action.

    Attributes:
        kind: The error's class there: ``Error``, ``RangeError`` or ``TypeError``.
    """

    def __init__(self, message: str, *, kind: Literal["Error", "RangeError", "TypeError"] = "Error") -> None:
        super().__init__(message)
        self.kind = kind


Call = Callable[[dict[str, Any]], object]
Fetch = Callable[[FetchRequest], FetchReply]


@dataclass(frozen=True, slots=True)
class Host:
    """What surrounds a run.

    Attributes:
        calls: Function for each ``Lit.Actions`` name; raise ``CallError`` for an error inside the action.
        fetch: Answers the action's requests; raise ``CallError`` for a network error. ``None``: requests go out
            to the hosts that the runner allows.
        now_ms: What the action's clock says (milliseconds since 1970), standing still; ``None``: the time.
        headers: ``Lit.Headers``.
        started: Called when the action begins, with a function that ends it; the run then fails with ``died``.
    """

    calls: Mapping[str, Call] = field(default_factory=dict)
    fetch: Fetch | None = None
    now_ms: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    started: Callable[[Callable[[], None]], None] | None = None

    def call(self, name: str, argument: dict[str, Any]) -> dict[str, object]:
        """Answer one call of the action with its value or an error's text."""
        try:
            if name == "fetch" and self.fetch is not None:
                return {"value": _fetch(self.fetch, argument)}
            if name in self.calls:
                return {"value": self.calls[name](argument)}
        except CallError as error:
            return {"error": str(error), "kind": error.kind}
        return {"error": "there is no such function"}


class DenoRunner:
    """Runs Lit Actions. Safe to use from several threads; use it as a context manager or call ``close``.

    Args:
        spare: Worker processes that are kept started, so that a run need not wait for one.
        runs_per_worker: Runs that share one process and isolate; see the package's docstring.
        allow_net: Hosts, perhaps with ports, that actions may reach, such as ``127.0.0.1:8545``.
        limits: Limits of each run.
        directory: Where ethers and compiled code are cached; by default the user's cache directory.

    Raises:
        SettingsError: The wheel ``deno`` or ethers is not available.
    """

    def __init__(
        self,
        *,
        spare: int = 1,
        runs_per_worker: int = 1,
        allow_net: Sequence[str] = (),
        limits: Limits | None = None,
        directory: Path | None = None,
    ) -> None:
        self._limits = limits or Limits()
        self._runs_per_worker = runs_per_worker
        self._allow_net = tuple(allow_net)
        self._spare = spare
        self._directory = directory or cache_directory()
        self._deno = find_deno()
        self._ethers = ethers_module(self._deno, self._directory)
        self._lock = threading.Lock()
        self._idle: deque[Worker] = deque()
        self._busy: set[Worker] = set()
        self._closed = False
        self._refill()

    def run(self, code: str, params_json: str = "null", host: Host | None = None) -> ActionRun:
        """Run an action and return what it left behind.

        Args:
            code: The action's text, a script that defines ``main``.
            params_json: JSON text of ``js_params``. It stands in the source, so ``__proto__`` sets a prototype.
            host: What surrounds the run; by default no calls, and the time as it is.
        """
        host = host or Host()
        job = self._job(code, params_json, host)
        worker = self._take()
        try:
            return _serve(worker, job, host, self._limits)
        except BaseException:
            worker.kill()  # it is in the middle of a run
            raise
        finally:
            self._give_back(worker)

    def close(self) -> None:
        """End all worker processes, also those with a run."""
        with self._lock:
            self._closed = True
            for worker in self._busy:
                worker.kill()
            for worker in self._idle:
                worker.dispose()
            self._idle.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _job(self, code: str, params_json: str, host: Host) -> dict[str, object]:
        one_run = self._runs_per_worker == 1
        return {
            "source": _source(code, params_json, own_scope=not one_run),
            "now": host.now_ms,
            "names": sorted(host.calls),
            "hostFetch": host.fetch is not None,
            "headers": dict(host.headers),
            "limits": {
                "response": self._limits.response_bytes,
                "log": self._limits.log_bytes,
                "fetches": self._limits.fetches,
            },
            "drain": one_run,
        }

    def _start(self) -> Worker:
        return Worker(
            self._deno,
            self._ethers,
            code_cache=self._directory / "code",
            allow_net=self._allow_net,
            memory_mb=self._limits.memory_mb,
        )

    def _take(self) -> Worker:
        with self._lock:
            if self._closed:
                raise RuntimeError("the runner is closed")
            worker = self._idle.popleft() if self._idle else self._start()
            self._busy.add(worker)
            if self._runs_per_worker == 1:
                self._refill()
            return worker

    def _give_back(self, worker: Worker) -> None:
        worker.runs += 1
        with self._lock:
            self._busy.discard(worker)
            if worker.is_alive and worker.runs < self._runs_per_worker and not self._closed:
                self._idle.append(worker)
                return
        worker.dispose()

    def _refill(self) -> None:
        while len(self._idle) < self._spare:
            self._idle.append(self._start())


def _source(code: str, params_json: str, *, own_scope: bool) -> str:
    """The action's text, then an async function that calls ``main``, as the server builds it."""
    call = f"{code};\n(async () => {{ const params = {params_json}; return await main(params); }})()"
    # In a shared isolate, a function keeps one run's declarations from the next one's.
    return f"(function () {{{code};\nreturn {call[len(code) + 2 :]};}})()" if own_scope else call


def _fetch(fetch: Fetch, argument: dict[str, Any]) -> object:
    reply = fetch(FetchRequest(**argument))
    body = base64.b64encode(reply.body).decode()
    return {"status": reply.status, "headers": dict(reply.headers), "body": body}


def _serve(worker: Worker, job: object, host: Host, limits: Limits) -> ActionRun:
    """Send a job to a worker and answer its calls until it is done."""
    try:
        worker.wait_until_ready()
        with worker.deadline(limits.time_s):
            worker.send(job)
            if host.started is not None:
                host.started(worker.kill)
            while "done" not in (message := worker.receive()):
                worker.send({"id": message["id"], **host.call(message["call"], message["argument"])})
    except WorkerStoppedError:
        return ActionRun("", "", ActionFailure("time", f"the run took longer than {limits.time_s:g} s"))
    except WorkerDiedError:
        return ActionRun("", "", ActionFailure("died", "the run ended its process"))
    done = message["done"]
    failure = None if done["error"] is None else ActionFailure("thrown", done["error"])
    return ActionRun(done["response"], done["logs"], failure)

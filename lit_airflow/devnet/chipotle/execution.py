"""``POST /lit_action``: finds the code, authorises the key, runs the action in Deno, bills it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import cast

from lit_airflow.devnet.chipotle.action_host import ActionHost, Argument, well_formed
from lit_airflow.devnet.chipotle.billing_calls import account_wallet
from lit_airflow.devnet.chipotle.call import Call
from lit_airflow.devnet.chipotle.group_calls import cid_of
from lit_airflow.devnet.chipotle.identifiers import key_hash
from lit_airflow.devnet.chipotle.key_service import KeyService
from lit_airflow.devnet.chipotle.ledger import CreditError
from lit_airflow.devnet.chipotle.meter import Meter
from lit_airflow.devnet.chipotle.process import ChainDownError
from lit_airflow.devnet.chipotle.profiles import ActionLimits
from lit_airflow.devnet.chipotle.refusals import RefusalError, bad_request, failed, reverted_read
from lit_airflow.devnet.chipotle.reverts import RevertError
from lit_airflow.devnet.deno import ActionFailure, ActionRun, DenoRunner, Host, Limits
from lit_airflow.devnet.strict_json import parse
from lit_airflow.errors import SettingsError

Stopwatch = Callable[[], float]
"""Returns seconds since an arbitrary start."""

_FORBIDDEN = 403
_MOST_AT_ONCE = 32
_INTERNAL = "Internal server error."
_BLANK = " \t\n\r\x0b\x0c"


class Actions:
    """Runs and bills actions.

    Args:
        stopwatch: Clock that runs are billed by, in seconds.
        tick_s: Interval at which a running action is billed.
        allow_net: Hosts that actions may reach, with or without port.
        directory: Where ethers and compiled code are cached; by default the user's cache directory.
    """

    def __init__(
        self,
        stopwatch: Stopwatch,
        *,
        tick_s: float = 0.5,
        allow_net: Sequence[str] = (),
        directory: Path | None = None,
    ) -> None:
        self._stopwatch = stopwatch
        self._tick_s = tick_s
        self._allow_net = allow_net
        self._directory = directory
        self._runner: DenoRunner | None = None
        self._starting = asyncio.Lock()
        self._threads = ThreadPoolExecutor(_MOST_AT_ONCE, thread_name_prefix="lit-action")

    def start(self, limits: ActionLimits) -> DenoRunner:
        """Start the runner if necessary and return it.

        Raises:
            SettingsError: Deno or ethers is not available.
        """
        if self._runner is None:
            self._runner = DenoRunner(
                allow_net=self._allow_net,
                directory=self._directory,
                limits=Limits(
                    time_s=limits.time_s,
                    memory_mb=limits.memory_mb,
                    response_bytes=limits.response_bytes,
                    log_bytes=limits.log_bytes,
                    fetches=limits.fetches,
                ),
            )
        return self._runner

    async def close(self) -> None:
        """Stop all runs and wait until they have ended."""
        if self._runner is not None:
            self._runner.close()
        # The event loop keeps answering calls of the runs that are ending.
        await asyncio.to_thread(self._threads.shutdown)

    async def lit_action(self, call: Call, keys: KeyService) -> object:
        """Run an action for a request.

        Args:
            call: The request. Its account has credit.
            keys: The enclave's keys.

        Raises:
            RefusalError: 400 for missing code, 403 for a missing permission, 500 if the run fails.
        """
        code, cid = _resolve(call)
        _authorize(call, cid)
        call.process.cache_code(cid, code)
        params = _compact(call.body["js_params"])
        _check_length(call, code, params)
        run = await self._run(call, cid, keys, code, params)
        response = reparsed(well_formed(run.response))
        return {"response": response, "logs": well_formed(run.logs), "has_error": False}

    async def _run(self, call: Call, cid: str, keys: KeyService, code: str, params: str) -> ActionRun:
        begun = self._stopwatch()
        wallet = account_wallet(call)
        meter = Meter(
            lambda: self._stopwatch() - begun,
            lambda cents: call.state.ledger.charge(wallet, cents, call.name),
        )
        if code.strip(_BLANK):
            run, stopped = await self._metered(ActionHost(call, cid, keys), code, params, meter)
        else:
            run, stopped = ActionRun("", "", None), False
        try:
            meter.settle()
        except CreditError as error:
            if not stopped:
                raise _failure(f"Billing failed: {error}") from error
        if stopped:
            raise _failure("Your function ran out of funds to continue execution and was terminated.")
        if run.failure is not None:
            raise _failure(_reason(run.failure, call.state.limits))
        return run

    async def _metered(
        self, host: ActionHost, code: str, params: str, meter: Meter
    ) -> tuple[ActionRun, bool]:
        """Run and bill an action; return the run and whether it was stopped because credit ran out."""
        loop = asyncio.get_running_loop()
        runner = await self._started(host.call.state.limits)
        cancellation = _Cancellation()
        surroundings = Host(
            calls={name: _on_loop(loop, answer) for name, answer in host.calls().items()},
            now_ms=_shown_time(host.call),
            headers=host.call.headers,
            started=cancellation.connect,
        )
        running = loop.run_in_executor(self._threads, runner.run, code, params, surroundings)
        while not running.done() and not cancellation.requested:
            await asyncio.wait({running}, timeout=self._tick_s)
            try:
                meter.tick()
            except CreditError:
                cancellation.cancel()
        return await running, cancellation.requested

    async def _started(self, limits: ActionLimits) -> DenoRunner:
        async with self._starting:
            try:
                return await asyncio.to_thread(self.start, limits)
            except SettingsError as error:
                raise failed(_INTERNAL, error) from error


class _Cancellation:
    """Ends a run, even if it has not started yet."""

    def __init__(self) -> None:
        self.requested = False
        self._end: Callable[[], None] | None = None

    def connect(self, end: Callable[[], None]) -> None:
        """Set the function that ends the run."""
        self._end = end
        if self.requested:
            end()

    def cancel(self) -> None:
        """End the run now, or as soon as it starts."""
        self.requested = True
        if self._end is not None:
            self._end()


def reparsed(text: str) -> object:
    """Parse an action's response as the server does: as JSON if possible, else as text."""
    try:
        return parse(text)
    except ValueError:
        return text


def _resolve(call: Call) -> tuple[str, str]:
    code, cid = cast("str | None", call.body["code"]), cast("str | None", call.body["ipfs_id"])
    if code:
        return code, cid_of(call, code)
    if not cid:
        raise bad_request("Either `code` or `ipfs_id` must be provided.", "missing code and ipfs_id")
    known = call.process.cached_code(cid)
    if known is None:
        context = (
            "No cached code found. Submit the action code at least once before referencing it by IPFS ID."
        )
        raise bad_request(context, f"cache miss for IPFS ID {cid}")
    return known, cid


def _authorize(call: Call, cid: str) -> None:
    cid_hash = key_hash(cid)
    try:
        permitted = call.process.can_execute(call.hashed, cid_hash)
    except RevertError as revert:
        raise reverted_read(_INTERNAL, revert, call.state.profile) from revert
    except ChainDownError as error:
        raise failed(_INTERNAL, error) from error
    if not permitted:
        raise RefusalError(
            _FORBIDDEN,
            f"The provided API key is not authorized to execute the specified action ({cid}/{cid_hash}).",
        )


def _check_length(call: Call, code: str, params: str) -> None:
    size, most = len(code.encode()), call.state.limits.code_bytes
    if call.state.profile.counts_params:
        size += len(params.encode())
    if size > most:
        raise _failure(f"Code payload is too large ({size} bytes). Max length is {most} bytes.")


def _shown_time(call: Call) -> int | None:
    """Return the fixed time for an action (ms), or ``None`` if the service's clock is the real one."""
    if not call.state.clock_is_moved:
        return None
    return int(call.state.now().timestamp() * 1000)


def _on_loop(
    loop: asyncio.AbstractEventLoop, answer: Callable[[Argument], object]
) -> Callable[[Argument], object]:
    """Wrap a function so that worker threads run it on the event loop, where the state lives."""

    async def answered(argument: Argument) -> object:
        return answer(argument)

    def ask(argument: Argument) -> object:
        work: Coroutine[object, object, object] = answered(argument)
        return asyncio.run_coroutine_threadsafe(work, loop).result()

    return ask


def _reason(failure: ActionFailure, limits: ActionLimits) -> str:
    if failure.kind == "time":
        milliseconds = int(limits.time_s * 1000)
        return f"Your function exceeded the maximum runtime of {milliseconds}ms and was terminated."
    if failure.kind == "died":
        return f"Your function exceeded the maximum memory of {limits.memory_mb} MB and was terminated."
    return f"Uncaught (in promise) {well_formed(failure.message)}\n    at <user_provided_script>"


def _failure(reason: str) -> RefusalError:
    return failed(f"{_INTERNAL}: Actions failed with ", reason)


def _compact(value: object) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)

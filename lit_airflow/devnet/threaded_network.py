"""Run a local network in a thread of the present process."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from types import TracebackType
from typing import Generic, Protocol, Self, TypeVar


class AsyncNetwork(Protocol):
    """A network that serves on an event loop."""

    async def open(self) -> None:
        """Start to serve."""

    async def close(self) -> None:
        """Stop serving and release all ports."""


_Network = TypeVar("_Network", bound=AsyncNetwork)
_T = TypeVar("_T")


class ThreadedNetwork(Generic[_Network]):
    """A context manager that runs a network in a thread of its own.

    Args:
        make_network: Called in the present thread when the context is entered.
        thread_name: The name of the thread.
    """

    def __init__(self, make_network: Callable[[], _Network], thread_name: str) -> None:
        self._make_network = make_network
        self._thread_name = thread_name
        self._network: _Network | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._stop: asyncio.Event | None = None

    def __enter__(self) -> Self:
        self._network = self._make_network()
        ready: Future[None] = Future()
        self._thread = threading.Thread(
            target=lambda: asyncio.run(self._serve(ready)), name=self._thread_name, daemon=True
        )
        self._thread.start()
        ready.result()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._loop is not None and self._stop is not None and self._thread is not None:
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join()
        self._thread = self._loop = self._stop = None

    async def _serve(self, ready: Future[None]) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        try:
            await self.network.open()
        except BaseException as error:  # noqa: BLE001 - the thread that waits for the future must see every error
            ready.set_exception(error)
        else:
            ready.set_result(None)
            await self._stop.wait()
        await self.network.close()

    @property
    def network(self) -> _Network:
        """The network, for inspection; it belongs to the other thread.

        Raises:
            RuntimeError: The context was not entered.
        """
        if self._network is None:
            raise RuntimeError("the network does not run: use it in a with statement")
        return self._network

    def _run(self, work: Coroutine[object, object, _T]) -> _T:
        """Run a coroutine in the network's thread and return its result."""
        if self._loop is None:
            work.close()
            raise RuntimeError("the network does not run: use it in a with statement")
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def _call(self, work: Callable[[_Network], _T]) -> _T:
        """Call a function with the network in the network's thread and return its result."""

        async def call() -> _T:
            return work(self.network)

        return self._run(call())

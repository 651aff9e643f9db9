"""The same as ``environment``, on real sockets and in real time."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from requests.adapters import HTTPAdapter

from lit_airflow import LitClient, Session
from lit_airflow.devnet import Devnet
from tests.faults.in_memory import Sealed, hold, opens

if TYPE_CHECKING:
    import requests

ENOUGH_S = 300.0
HURRY_S = 2.0


class _Watched(HTTPAdapter):
    def __init__(self, environment: SocketEnvironment) -> None:
        super().__init__(pool_maxsize=32)
        self._environment = environment

    def send(self, *request: Any, **options: Any) -> requests.Response:  # noqa: ANN401 - as requests has it
        self._environment.before_each_request()
        return super().send(*request, **options)


class SocketEnvironment:
    """A devnet in a thread of this process; see ``simulator.Environment``.

    Args:
        seed: Where the schedule's chance comes from; order and keys are not in anybody's hand.
    """

    patience_s = math.inf  # the machine may have other things to do
    longest_read = 0  # nobody counts

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.before_each_request: Callable[[], None] = lambda: None
        self._net: Devnet | None = None

    @property
    def now_s(self) -> float:
        """The time."""
        return time.monotonic()

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Nothing is left running after it."""
        try:
            yield
        finally:
            if self._net is not None:
                self._net.__exit__(None, None, None)

    @property
    def net(self) -> Devnet:
        """The network, once it is built."""
        assert self._net is not None
        return self._net

    def build(self, nodes: int, threshold: int) -> tuple[Sealed, Session]:
        """Make the network; something encrypted on it, and a session for it."""
        self._net = Devnet(nodes, threshold).__enter__()
        return hold(self.client(pinned=True))

    def nodes(self) -> dict[int, str]:
        """Who is there: number -> URL."""
        return {each.node.index: each.node.url for each in self.net.network.nodes}

    def set_fault(self, place: int | str, fault: str | None, seconds: float | None = None) -> None:
        """Give a node or the chain a fault."""
        self.net.set_fault(place, fault, seconds)

    def set_clock_offset(self, seconds: float) -> None:
        """Move the nodes' clock."""
        self.net.set_clock_offset(seconds)

    def client(self, *, pinned: bool) -> LitClient:
        """A client that has surveyed nobody."""
        description = {**self.net.description, **({} if pinned else {"network_public_key": ""})}
        lit = LitClient(description, timeout_s=ENOUGH_S)
        lit._network.http._session.mount("http://", _Watched(self))  # type: ignore[attr-defined]
        return lit

    def timeout_s(self, *, must_work: bool) -> float:
        """Long where the client must succeed; short where it may have to wait for nodes that never answer."""
        return ENOUGH_S if must_work else HURRY_S

    def opens(self, sealed: Sealed) -> bool:
        """Whether the network's own secret opens what was encrypted, and it is what it must be."""
        return opens(self.net.network.dealer, sealed)

    def sleep(self, seconds: float) -> None:
        """Time passes, but nobody waits for it."""

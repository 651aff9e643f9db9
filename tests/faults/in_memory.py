"""No sockets and no waiting: client and devnet in one thread, on a clock that only they move.

The client's ``Http`` is the real one down to its transport adapter, which hands requests straight to the devnet's
own nodes. Who is asked at the same time is asked one after the other, each on a time of its own, and the answers
are taken in the order in which they would have come.
"""

from __future__ import annotations

import base64
import io
import random
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from functools import cache
from types import ModuleType
from typing import TYPE_CHECKING, Any, TypeVar
from unittest import mock
from urllib.parse import urlsplit

import requests
from py_arkworks_bls12381 import Scalar
from requests.adapters import HTTPAdapter
from urllib3 import HTTPResponse

import lit_airflow.clock
from lit_airflow import LitClient, Scope, Session, Wallet
from lit_airflow.devnet import dealer, listener, network
from lit_airflow.devnet.asgi import HttpRequest
from lit_airflow.errors import LitError
from lit_airflow.networks.datil import survey
from lit_airflow.protocol.conditions import Conditions
from lit_airflow.threshold import ciphertext
from lit_airflow.transport import fan_out, retry
from lit_airflow.transport.fan_out import FanOut, Outcome
from tests.client.conftest import only

if TYPE_CHECKING:
    from lit_airflow.devnet.asgi import RequestHandler
    from lit_airflow.devnet.faults import Event

T = TypeVar("T")
Sealed = dict[str, Any]
PLAINTEXT = b"what must come out, whoever lies"
WALLET = Wallet.from_key("11" * 32)
CONDITIONS = only(WALLET)
FIRST_PORT = 7000
TIMEOUT_S = 20.0
_LATENCY_S = (0.001, 0.02)


def done(work: Coroutine[Any, Any, T]) -> T:
    """What a coroutine returns that waits for nothing."""
    try:
        work.send(None)
    except StopIteration as stop:
        return stop.value  # type: ignore[no-any-return]
    raise AssertionError("it waits for something")


def hold(lit: LitClient) -> tuple[Sealed, Session]:
    """A ciphertext, and a session that may decrypt it."""
    scope = Scope.parse(["access-control-condition-decryption=lit-accesscontrolcondition://*"])
    return lit.encrypt(PLAINTEXT, CONDITIONS), lit.open_session(WALLET, scope, ttl_s=86400)


def opens(secrets: dealer.Dealer, sealed: Sealed) -> bool:
    """Whether the dealer's own secret opens what was encrypted, and it is what it must be."""
    identity = Conditions.parse(CONDITIONS).identity(sealed["dataToEncryptHash"])
    signature = dealer.hash_to_g2(identity) * secrets._secret
    try:
        return ciphertext.unseal(signature, base64.b64decode(sealed["ciphertext"])) == PLAINTEXT
    except LitError:
        return False


class InMemoryListener:
    """A port that nobody binds."""

    def __init__(self, _host: str, port: int) -> None:
        self.port = port
        self.open = False

    async def set_open(self, _app: object, *, accepts: bool) -> None:
        self.open = accepts

    async def start(self, _app: object) -> None:
        self.open = True

    async def stop(self) -> None:
        self.open = False

    close = stop


class InMemoryNetwork(network.LocalNetwork):
    """The devnet, without sockets; what happens, happens at once."""

    def _start_event(self, event: Event, node: int) -> None:
        done(event(self, node))

    def handler(self, port: int) -> RequestHandler | None:
        """What answers at a port; ``None`` where connections are refused."""
        if port == self.chain_listener.port:
            return self.rpc if self.chain_listener.open else None
        for each in self.nodes:
            if each.listener.port == port:
                return each.node if each.listener.open else None
        return None


class Stream(io.BufferedIOBase):
    """The bytes of a body, as they come over a bad wire."""

    def __init__(
        self,
        environment: InMemoryEnvironment,
        body: bytes,
        times: int,
        *,
        pause_s: float,
        breaks: bool,
        timeout: float,
    ) -> None:
        self._environment, self._body, self._times, self._at, self._given = environment, body, times, 0, 0
        self._pause_s, self._until_s = pause_s, environment.now_s + timeout
        self._end = len(body) // 2 if breaks else None

    def readable(self) -> bool:
        return True

    def read1(self, size: int = -1) -> bytes:
        if self._end is not None and self._at >= self._end:
            raise ConnectionResetError("Connection reset by peer")
        if self._at >= len(self._body):
            if self._times <= 1:
                return b""
            self._times, self._at = self._times - 1, 0
        if self._pause_s:
            size = 1
            left_s = self._until_s - self._environment.now_s
            self._environment.sleep(min(self._pause_s, left_s))
            if self._pause_s >= left_s:
                raise TimeoutError("timed out")
        chunk = self._body[self._at : self._end][:size] if size >= 0 else self._body[self._at : self._end]
        self._at += len(chunk)
        self._given += len(chunk)
        self._environment.longest_read = max(self._environment.longest_read, self._given)
        return chunk

    def read(self, size: int | None = -1) -> bytes:
        return self.read1(-1 if size is None else size)


class Wire(HTTPAdapter):
    """Hands requests to the devnet's nodes."""

    def __init__(self, environment: InMemoryEnvironment) -> None:
        super().__init__()
        self._environment = environment

    def send(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:  # noqa: ANN401 - as requests
        environment, parts, timeout = self._environment, urlsplit(str(request.url)), options["timeout"]
        environment.before_each_request()
        handler = environment.network.handler(parts.port or 0)
        if handler is None:
            raise requests.ConnectionError("Connection refused")
        fault = handler.active_fault
        wait_s = fault.delay_s()
        if wait_s is None or wait_s >= timeout:
            environment.sleep(timeout)
            raise requests.ReadTimeout("timed out")
        environment.sleep(wait_s + environment.random.uniform(*_LATENCY_S))
        body = request.body if isinstance(request.body, bytes) else b""
        headers = {name.lower(): value for name, value in request.headers.items()}
        response = handler.answer(HttpRequest(str(request.method), parts.path, headers, body))
        stream = Stream(
            environment,
            response.body,
            response.repeat,
            pause_s=fault.seconds if fault.behaviour.drips else 0,
            breaks=fault.behaviour.resets,
            timeout=timeout,
        )
        raw = HTTPResponse(
            stream,
            headers={**response.headers, "content-length": str(response.length)},
            status=response.status,
            preload_content=False,
        )
        return self.build_response(request, raw)


class InMemoryEnvironment:
    """Time, chance, and a network; see ``simulator.Environment``.

    Args:
        seed: Where all chance comes from.
    """

    network: InMemoryNetwork
    patience_s = 0.1

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.random = random.Random(seed)
        self.now_s = time.monotonic()
        self.longest_read = 0
        self.before_each_request: Callable[[], None] = lambda: None

    def monotonic(self) -> float:
        """The environment's time, in place of :func:`time.monotonic`."""
        return self.now_s

    def sleep(self, seconds: float) -> None:
        """Time passes."""
        self.now_s += max(0.0, seconds)

    def scalar(self) -> Scalar:
        """In place of the dealer's own."""
        return Scalar.from_be_bytes_mod_order(self.random.randbytes(48))

    def _make(self, nodes: int, threshold: int) -> None:
        """The network; its secret and its first shares are the same for the same numbers."""
        drawn, self.random = self.random, random.Random(nodes * 1000 + threshold)
        try:
            self.network = InMemoryNetwork(nodes, threshold, port=FIRST_PORT)
        finally:
            self.random = drawn
        done(self.network.open())

    def build(self, nodes: int, threshold: int) -> tuple[Sealed, Session]:
        """Make the network; what was encrypted on one of the same numbers, and a session for it."""
        held = _held(nodes, threshold)
        random.seed(self.seed)  # the pauses between retries
        self._make(nodes, threshold)
        return held

    def nodes(self) -> dict[int, str]:
        """Who is there: number -> URL."""
        return {each.node.index: each.node.url for each in self.network.nodes}

    def set_fault(self, place: int | str, fault: str | None, seconds: float | None = None) -> None:
        """Give a node or the chain a fault."""
        if isinstance(place, str):
            done(self.network.set_chain_fault(fault, seconds))
        else:
            done(self.network.set_fault(place, fault, seconds))

    def set_clock_offset(self, seconds: float) -> None:
        """Move the nodes' clock."""
        self.network.set_clock_offset(seconds)

    def client(self, *, pinned: bool) -> LitClient:
        """A client that has surveyed nobody."""
        description = {**self.network.description(), **({} if pinned else {"network_public_key": ""})}
        lit = LitClient(description, timeout_s=TIMEOUT_S)
        session = lit._network.http._session  # type: ignore[attr-defined]
        session.mount("http://", Wire(self))
        session.trust_env = False  # no proxy is on the way
        lit._network.http._routes = _ROUTES  # type: ignore[attr-defined]
        return lit

    def timeout_s(self, *, must_work: bool) -> float:
        """The client's time-out: always the same."""
        return TIMEOUT_S

    def opens(self, sealed: Sealed) -> bool:
        """Whether the network's own secret opens what was encrypted, and it is what it must be."""
        return opens(self.network.dealer, sealed)

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Within it, the client's and the devnet's modules live in this environment."""
        clockwork = mock.Mock(spec=["monotonic", "sleep"], monotonic=self.monotonic, sleep=self.sleep)
        places: list[tuple[object, str, object]] = [
            *((module, "time", clockwork) for module in _TIMED),
            (listener, "Listener", InMemoryListener),
            (dealer, "random_scalar", self.scalar),
            (dealer.Dealer, "signature_share", _share),
            (retry, "sleep_using_event", lambda _event: self.sleep),
            (FanOut, "__enter__", _ask_all(self)),
            (FanOut, "next", _next(self)),
        ]
        patches = [mock.patch.object(place, name, value) for place, name, value in places]
        for patch in patches:
            patch.start()
        try:
            yield
        finally:
            for patch in reversed(patches):
                patch.stop()


# What is always the same is done once for all environments: preparing requests, computing the first epoch's shares.
_ROUTES: dict[object, object] = {}
_deal = dealer.Dealer.signature_share


_SHARES: dict[tuple[str, int, bytes], bytes] = {}


def _share(holder: dealer.Dealer, node: int, message: bytes, epoch: int) -> bytes:
    """In place of the dealer's own: shares of the first epoch are the same for the same key."""
    if holder.epoch > 1:
        return _deal(holder, node, message, epoch)
    key = (holder.public_key, node, message)
    if key not in _SHARES:
        _SHARES[key] = _deal(holder, node, message, epoch)
    return _SHARES[key]


@cache
def _held(nodes: int, threshold: int) -> tuple[Sealed, Session]:
    """A ciphertext and a session of the network of these numbers; its key does not depend on the seed."""
    environment = InMemoryEnvironment(0)
    with environment.entered():
        environment._make(nodes, threshold)
        return hold(environment.client(pinned=True))


_TIMED: tuple[ModuleType, ...] = (lit_airflow.clock, fan_out, survey)


def _ask_all(environment: InMemoryEnvironment) -> Callable[[FanOut[Any]], FanOut[Any]]:
    def enter(asking: FanOut[Any]) -> FanOut[Any]:
        began, ends = environment.now_s, []
        for node in asking.waiting:
            environment.now_s = began
            asking._run(node)
            ends.append((environment.now_s, asking._outcomes.get_nowait()))
        environment.now_s = began
        asking.ends = sorted(ends, key=lambda end: end[0])  # type: ignore[attr-defined]
        return asking

    return enter


def _next(environment: InMemoryEnvironment) -> Callable[..., Outcome[Any] | None]:
    def next_(asking: FanOut[Any], within_s: float | None = None) -> Outcome[Any] | None:
        ends: list[tuple[float, Outcome[Any]]] = asking.ends  # type: ignore[attr-defined]
        if not ends:
            return None
        limit = asking._deadline.left_s()
        limit = limit if within_s is None else min(limit, within_s)
        end, outcome = ends[0]
        if end > environment.now_s + limit:
            environment.now_s += limit
            return None
        environment.now_s = max(environment.now_s, end)
        del ends[0], asking._waiting[outcome.server]
        return outcome

    return next_

"""A local Chipotle without sockets and waiting: client and service in one thread, on a clock that they move.

The client's ``Http`` is the real one down to its transport adapter, which hands requests to the devnet's service.
Its gates run in Python; see ``gate_model``.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from functools import cache
from typing import Any, cast
from unittest import mock
from urllib.parse import urlsplit

import requests
import tenacity
from requests.adapters import HTTPAdapter
from urllib3 import HTTPResponse

import lit_airflow.clock
from lit_airflow import LitClient
from lit_airflow.devnet.chipotle import key_service
from lit_airflow.devnet.chipotle.action_host import ActionHost
from lit_airflow.devnet.chipotle.default_account import DefaultAccount
from lit_airflow.devnet.chipotle.execution import Actions
from lit_airflow.devnet.chipotle.faults import ActiveFault, ActiveFaults, Answer, changed
from lit_airflow.devnet.chipotle.identifiers import hex_number, key_hash
from lit_airflow.devnet.chipotle.key_service import KeyService
from lit_airflow.devnet.chipotle.ledger import CreditError
from lit_airflow.devnet.chipotle.meter import Meter
from lit_airflow.devnet.chipotle.profiles import PROFILES
from lit_airflow.devnet.chipotle.refusals import Body
from lit_airflow.devnet.chipotle.service import BASE, FaultEffects, IncomingRequest, Service
from lit_airflow.devnet.chipotle.state import State
from lit_airflow.devnet.deno import ActionRun
from lit_airflow.networks.descriptions import describe
from lit_airflow.transport import http, retry
from tests.faults import gate_model
from tests.faults.in_memory import Stream, done

NOW = datetime(2026, 11, 27, 12, tzinfo=UTC)
API_URL = "http://127.0.0.1:7000/core/v1"
TIMEOUT_S = 20.0
_LATENCY_S = (0.001, 0.02)
_ROOT = b"\x07" * 32
# What is always the same is done once for all environments: preparing requests.
_ROUTES: dict[object, object] = {}
_address = cache(key_service.address)


class ModelActions(Actions):
    """Runs the gate's model in place of JavaScript; a run takes time."""

    def __init__(self, environment: ServiceEnvironment) -> None:
        super().__init__(lambda: environment.now_s)
        self._environment = environment

    async def _metered(
        self, host: ActionHost, code: str, params: str, meter: Meter
    ) -> tuple[ActionRun, bool]:
        environment = self._environment
        environment.sleep(environment.run_takes_s)
        try:
            meter.tick()
        except CreditError:
            return ActionRun("", "", None), True
        secret = bytes.fromhex(host.get_lit_action_private_key({}).removeprefix("0x"))
        answer = gate_model.answer(secret, json.loads(params), environment.state.now())
        return ActionRun(json.dumps(answer), "", None), False


class Wire(HTTPAdapter):
    """Hands requests to the service, through the fault that is in force."""

    def __init__(self, environment: ServiceEnvironment) -> None:
        super().__init__()
        self._environment = environment

    def send(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:  # noqa: ANN401 - as requests
        environment, timeout = self._environment, options["timeout"]
        environment.before_each_request()
        if not environment.faults.listens:
            raise requests.ConnectionError(ConnectionRefusedError("Connection refused"))
        url = urlsplit(str(request.url))
        raw = request.body if isinstance(request.body, bytes) else b""
        incoming = IncomingRequest(
            str(request.method),
            url.path,
            url.query,
            {name.lower(): str(value) for name, value in request.headers.items()},
            raw,
            too_large=len(raw) > environment.state.profile.max_body_bytes,
            client="127.0.0.1",
        )
        began_s = environment.now_s
        route = environment.service.route(incoming)
        active = environment.faults.take(incoming.name, changes=route is not None and route.changes)
        environment.sleep(environment.random.uniform(*_LATENCY_S))
        try:
            answer: Answer | requests.ConnectionError = self._answer(incoming, active, timeout)
        except requests.ConnectionError as error:
            answer = error
        left_s = began_s + timeout - environment.now_s
        if left_s <= 0:  # nobody waits for what comes later
            environment.now_s = began_s + timeout
            raise requests.ReadTimeout("timed out")
        if isinstance(answer, requests.ConnectionError):
            raise answer
        return self._sent(request, answer, active, left_s)

    def _answer(self, incoming: IncomingRequest, active: ActiveFault, timeout: float) -> Answer:
        """As ``delivery.Delivery`` does it."""
        environment, fault = self._environment, active.fault
        self._end(active, "before", timeout)
        environment.sleep(active.seconds if fault.waits else 0)
        if fault.hangs == "before" or (fault.waits and active.seconds >= timeout):
            return _UNSEEN
        if fault.instead is not None:
            return fault.instead()
        keys = environment.other_enclave if fault.other_enclave else None
        effects = FaultEffects(fault.refusal, fault.splits, keys)
        answer = Answer(*done(environment.service.answer(incoming, _REQUEST_ID, effects)))
        self._end(active, "after", timeout)
        if fault.afterwards is not None:
            return fault.afterwards()
        return changed(answer, fault.change) if fault.change is not None else answer

    def _end(self, active: ActiveFault, when: str, timeout: float) -> None:
        if active.fault.ends == when:
            raise requests.ConnectionError(ConnectionResetError("Connection reset by peer"))
        if active.fault.hangs == when:
            self._environment.sleep(timeout)

    def _sent(
        self, request: requests.PreparedRequest, answer: Answer, active: ActiveFault, timeout: float
    ) -> requests.Response:
        environment, content = self._environment, answer.body.content
        stream = Stream(
            cast("Any", environment),
            content,
            answer.times,
            pause_s=active.seconds if active.fault.drips else 0,
            breaks=active.fault.breaks,
            timeout=timeout,
        )
        headers = {
            "content-type": answer.body.content_type,
            "content-length": str(len(content) * answer.times),
            "date": format_datetime(environment.state.now(), usegmt=True),
            "x-request-id": _REQUEST_ID,
            **answer.headers,
        }
        response = HTTPResponse(stream, headers=headers, status=answer.status, preload_content=False)
        return self.build_response(request, response)


_UNSEEN = Answer(500, Body.json(""))
"""In place of the answer to a request that is not processed, since the client has left."""
_REQUEST_ID = "01234567-89ab-4def-8123-456789abcdef"


class ServiceEnvironment:
    """Time, chance, and a service with one account.

    Args:
        seed: Where all chance comes from.
        profile: Which build it imitates; by default the seed tells.

    Attributes:
        random: The same.
        now_s: The time, on the monotonic clock.
        longest_read: How many bytes the client has read of one answer at most.
        before_each_request: Called before each request that the client sends.
        run_takes_s: How long a run of a gate takes.
        api_key: The API key in the secret of decrypting roles.
    """

    def __init__(self, seed: int, profile: str | None = None) -> None:
        self.random = random.Random(seed)
        self.now_s = self._began_s = time.monotonic()
        self.longest_read = 0
        self.before_each_request: Callable[[], None] = lambda: None
        self.run_takes_s = 0.2
        # The account and its gate are the same for all seeds, so that containers and sessions can be made once.
        drawn = self.random.choice(sorted(PROFILES))
        build = PROFILES[profile or drawn]
        with mock.patch.object(key_service, "address", _address):
            self.state = State(build, self.clock, random.Random(1).randbytes, _ROOT)
            self.account = DefaultAccount.of(self.state)
        self.service = Service(self.state, ModelActions(self), self.random.choice((1, 1, 2, 3)))
        self.faults = ActiveFaults()
        self.other_enclave = KeyService(b"\x08" * 32)
        self.api_key = self.account.api_key

    def clock(self) -> datetime:
        """The time on the wall."""
        return NOW + timedelta(seconds=self.now_s - self._began_s)

    def monotonic(self) -> float:
        """In place of :func:`time.monotonic`."""
        return self.now_s

    def sleep(self, seconds: float) -> None:
        """Time passes."""
        self.now_s += max(0.0, seconds)

    def client(self, *, knows_gate: bool = True) -> LitClient:
        """A client that knows nothing yet; its secret always has the API key that is in use."""
        described = {"network": "custom", "generation": "chipotle", "api_url": API_URL}
        described |= cast("dict[str, str]", self.account.description())
        if not knows_gate:
            del described["gate_key"]

        def read_secret() -> Mapping[str, Any]:
            return {**described, "api_key": self.api_key}

        description = replace(cast("Any", describe(described)), read_secret=read_secret)
        lit = LitClient(description, timeout_s=TIMEOUT_S, clock=self.clock)
        self.wire(cast("Any", lit._network).http)
        return lit

    def wire(self, client_http: http.Http) -> None:
        """Have an ``Http`` send to this service."""
        client_http._session.mount("http://", Wire(self))
        client_http._session.trust_env = False  # no proxy is on the way
        client_http._routes = _ROUTES  # type: ignore[assignment]

    def rotate(self, *, by_hash: bool, delay_s: float) -> None:
        """The owner replaces the API key and revokes the one before, which the service sees after a while."""
        self.state.chain.delay_s = delay_s
        old, self.api_key = self.api_key, self.account.permit(self.state, [self.account.gate.text], [])
        self.revoke(old, by_hash=by_hash)
        self.state.chain.delay_s = 0

    def revoke(self, key: str, *, by_hash: bool) -> None:
        """The owner revokes a key."""
        raw = json.dumps({"usage_api_key": hex_number(key_hash(key)) if by_hash else key}).encode()
        headers = {"authorization": f"Bearer {self.account.account_key}", "content-type": "application/json"}
        incoming = IncomingRequest("POST", f"{BASE}remove_usage_api_key", "", headers, raw)
        done(self.service.answer(incoming, _REQUEST_ID, FaultEffects()))

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Within it, the client's modules live in this environment."""
        clockwork = mock.Mock(spec=["monotonic", "sleep"], monotonic=self.monotonic, sleep=self.sleep)
        places: list[tuple[object, str, object]] = [
            (lit_airflow.clock, "time", clockwork),
            (http, "time", clockwork),
            (tenacity, "time", clockwork),
            (retry, "sleep_using_event", lambda _event: self.sleep),
        ]
        patches = [mock.patch.object(place, name, value) for place, name, value in places]
        for patch in patches:
            patch.start()
        try:
            yield
        finally:
            for patch in reversed(patches):
                patch.stop()


@cache
def gate_secret() -> bytes:
    """The secret of the gate, which no client has."""
    from lit_airflow.devnet.chipotle.cid import action_cid

    environment = ServiceEnvironment(0)
    return environment.state.keys.action_secret(action_cid(environment.account.gate.text))

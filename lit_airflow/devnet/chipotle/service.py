"""The REST service: routing, guards, body parsing.

Order of checks as in the real server: route, load, key, credit, query, body, endpoint.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from urllib.parse import parse_qsl
from uuid import UUID

from lit_airflow.devnet.chipotle import billing_calls
from lit_airflow.devnet.chipotle.call import Call
from lit_airflow.devnet.chipotle.enclave import LocalEnclave
from lit_airflow.devnet.chipotle.execution import Actions
from lit_airflow.devnet.chipotle.identifiers import key_hash
from lit_airflow.devnet.chipotle.key_service import KeyService
from lit_airflow.devnet.chipotle.ledger import WRITE_CENTS
from lit_airflow.devnet.chipotle.process import ServerProcess
from lit_airflow.devnet.chipotle.refusals import JSON, Body, RefusalError, body, guarded
from lit_airflow.devnet.chipotle.routes import LIT_ACTION, Guard, Route, table
from lit_airflow.devnet.chipotle.shapes import fitted, fitted_query
from lit_airflow.devnet.chipotle.state import State
from lit_airflow.devnet.strict_json import parse

BASE = "/core/v1/"
_HEALTH = ("GET", "/health")
_ATTESTATION = ("/attestation", "/info", "/evidences")
_TEXT = "text/plain; charset=utf-8"
_REQUEST_ID_BYTES = 16
_PRIVATE_TAG = "_privacy_mode"
_SECONDS_PER_MINUTE = 60
_BAD, _UNAUTHORIZED, _NOT_FOUND, _TOO_LARGE, _UNPROCESSABLE, _TOO_MANY, _UNAVAILABLE = (
    400,
    401,
    404,
    413,
    422,
    429,
    503,
)


@dataclass(frozen=True, slots=True)
class IncomingRequest:
    """A request as received.

    Attributes:
        method: The HTTP method.
        path: The URL's path.
        query: The URL's query.
        headers: By lower-case name.
        raw: The body; incomplete if ``too_large``.
        too_large: Whether the body exceeds the limit.
        client: Address of the client.
    """

    method: str
    path: str
    query: str = ""
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    raw: bytes = field(default=b"", repr=False)
    too_large: bool = False
    client: str = ""

    @property
    def key(self) -> str:
        """The API key: the bearer token or else ``X-Api-Key``; empty if missing."""
        scheme, *rest = self.headers.get("authorization", "").split() or [""]
        if scheme.lower() == "bearer" and rest:
            return rest[0]
        return self.headers.get("x-api-key", "").strip()

    @property
    def name(self) -> str:
        """The endpoint's name; the path for unknown paths."""
        return self.path.removeprefix(BASE) if self.path.startswith(BASE) else self.path


@dataclass(frozen=True, slots=True)
class FaultEffects:
    """Faults that apply while a request is processed; see ``faults``.

    Attributes:
        refusal: Refuse without processing the request.
        split: Fail between the two transactions of a mint.
        keys: Key service to use in place of the enclave's own.
    """

    refusal: RefusalError | None = None
    split: bool = False
    keys: KeyService | None = None


@dataclass(slots=True)
class _Bucket:
    tokens: float
    filled_at: datetime


class Service:
    """Serves requests to ``/core/v1``.

    Args:
        state: State of the service.
        actions: Runs actions.
        processes: Number of processes that take requests in turn.
        enclave: What it runs in; ``None`` for a process that attests nothing.
    """

    def __init__(
        self, state: State, actions: Actions, processes: int = 1, enclave: LocalEnclave | None = None
    ) -> None:
        self._enclave = enclave
        self.state = state
        self.processes = [ServerProcess(state) for _ in range(processes)]
        self._actions = actions
        self._routes = table(state.profile)
        self._next = 0
        self._buckets: dict[str, _Bucket] = {}

    def has_call(self, name: str) -> bool:
        """Return whether there is an endpoint of this name; a path outside of ``/core/v1`` begins with ``/``."""
        return name.startswith("/") or any(name == known for _, known in self._routes)

    def route(self, incoming: IncomingRequest) -> Route | None:
        """Return the endpoint of a request."""
        if not incoming.path.startswith(BASE):
            return None
        found = self._routes.get((incoming.method, incoming.name))
        is_json = incoming.headers.get("content-type", "").split(";")[0].strip().lower() == JSON
        return None if found is not None and found.shape is not None and not is_json else found

    def clear_later(self, hashed: int) -> None:
        """Clear the caches of all processes after an owner's transaction, with the event listener's delay."""
        listens_s, storage = self.state.profile.listens_s, self.state.chain.head
        master = storage.masters.get(hashed)
        if listens_s is None or master is None:
            return
        hashes = (master, *storage.accounts[master].usage_key_list.values)
        at = self.state.time() + timedelta(seconds=listens_s)
        for process in self.processes:
            process.clear_later(hashes, at)

    def request_id(self, incoming: IncomingRequest) -> str:
        """Create a request id. A client's ``X-Request-Id`` is ignored."""
        drawn = str(UUID(bytes=self.state.entropy(_REQUEST_ID_BYTES), version=4))
        return drawn + _PRIVATE_TAG if "x-privacy-mode" in incoming.headers else drawn

    async def answer(
        self, incoming: IncomingRequest, request_id: str, effects: FaultEffects
    ) -> tuple[int, Body]:
        """Return the status and body."""
        if incoming.path.startswith(_ATTESTATION):
            return self._evidence(incoming.path)
        try:
            return 200, Body.json(await self._serve(incoming, request_id, effects))
        except RefusalError as refusal:
            return refusal.status, body(refusal, self.state.profile, incoming.headers.get("accept", "*/*"))

    def _evidence(self, path: str) -> tuple[int, Body]:
        if self._enclave is None:
            return _UNAVAILABLE, Body(_TEXT, b"attestation is not available")
        found = self._enclave.body(path)
        if found is None:
            return _NOT_FOUND, Body(_TEXT, b"not found")
        return 200, Body(_TEXT if path.endswith((".txt", ".pem")) else JSON, found)

    async def _serve(self, incoming: IncomingRequest, request_id: str, effects: FaultEffects) -> object:
        if effects.refusal is not None:
            raise effects.refusal.copy()
        if (incoming.method, incoming.path) == _HEALTH:
            return {"lit_actions_reachable": True, "cpu_available": True, "billing_keys_present": True}
        route = self.route(incoming)
        if route is None:
            raise guarded(_NOT_FOUND)
        call = self._call(incoming, request_id, effects)
        payer = self._guard(call, route, incoming)
        call.query = dict(parse_qsl(incoming.query, keep_blank_values=True))
        try:
            call.numbers = fitted_query(call.query, route.query)
        except ValueError as error:
            raise guarded(_UNPROCESSABLE) from error
        call.body = _read(incoming, route)
        if incoming.name == LIT_ACTION:
            return await self._actions.lit_action(call, effects.keys or self.state.keys)
        result = route.serve(call)
        if payer is not None:
            self.state.ledger.charge(payer, WRITE_CENTS, call.name)
        return result

    def _call(self, incoming: IncomingRequest, request_id: str, effects: FaultEffects) -> Call:
        process = self.processes[self._next % len(self.processes)]
        self._next += 1
        headers = {"x-request-id": request_id}
        if correlation := incoming.headers.get("x-correlation-id"):
            headers["x-correlation-id"] = correlation
        takes_signature = self.state.profile.typed_signatures
        return Call(
            name=incoming.name,
            process=process,
            others=[each for each in self.processes if each is not process],
            key=incoming.key,
            headers=headers,
            wallet_auth=incoming.headers.get("x-wallet-auth", "") if takes_signature else "",
            split=effects.split,
        )

    def _guard(self, call: Call, route: Route, incoming: IncomingRequest) -> int | None:
        """Apply the route's guard; return the wallet to charge after success, if any."""
        guard = route.guard
        if guard is Guard.NOTHING:
            return None
        if guard is Guard.NEW:
            self._admit(incoming.client)
            return None
        if not call.key and not (guard is Guard.PAYER and call.wallet_auth):
            raise guarded(_UNAUTHORIZED)
        if guard in {Guard.KEY, Guard.PAYER}:
            return None
        wallet = billing_calls.check_credit(call, WRITE_CENTS)
        if guard is Guard.ACTION:
            return None
        if not self.state.profile.charges_first:
            return wallet
        self.state.ledger.charge(wallet, WRITE_CENTS, call.name)
        return None

    def _admit(self, client: str) -> None:
        """Rate limit: a token bucket per address, refilled within a minute."""
        burst = self.state.profile.new_account_burst
        if burst is None:
            return
        now = self.state.time()
        bucket = self._buckets.setdefault(client, _Bucket(burst, now))
        passed_s = max(0.0, (now - bucket.filled_at).total_seconds())
        bucket.tokens = min(burst, bucket.tokens + passed_s * burst / _SECONDS_PER_MINUTE)
        bucket.filled_at = now
        if bucket.tokens < 1:
            raise guarded(_TOO_MANY, "Too many accounts were made from this address.")
        bucket.tokens -= 1


def hashed_key(incoming: IncomingRequest) -> int | None:
    """Return the hash of the request's key."""
    return key_hash(incoming.key) if incoming.key else None


def _read(incoming: IncomingRequest, route: Route) -> Mapping[str, object]:
    shape = route.shape
    if shape is None:
        return {}
    if incoming.too_large:
        raise guarded(_TOO_LARGE)
    try:
        value = parse(incoming.raw)
    except ValueError as error:
        raise guarded(_BAD) from error
    try:
        return fitted({"": value} if "" in shape else value, shape)
    except ValueError as error:
        raise guarded(_UNPROCESSABLE) from error

"""A toy network: one server, bearer tokens, XOR for a cipher. It shows all that a generation has to bring."""

from __future__ import annotations

import base64
import hashlib
import json
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import cycle
from typing import Any

from lit_airflow.clock import Clock, Deadline, iso, parse_iso
from lit_airflow.errors import (
    CiphertextError,
    ConditionError,
    ConditionsNotMetError,
    Failure,
    FailureKind,
    LitError,
    NodeError,
    NodesUnavailableError,
    ScopeError,
    SessionError,
    SessionExpiredError,
)
from lit_airflow.keys.secret import Secret
from lit_airflow.keys.wallet import Signer, recover
from lit_airflow.networks.batch import decrypt_each
from lit_airflow.networks.contract import (
    Check,
    Decrypted,
    DecryptionReport,
    Health,
    Load,
    NetworkTraits,
    OnReport,
    Session,
    SessionOptions,
)
from lit_airflow.protocol.conditions import Conditions
from lit_airflow.protocol.container import Container
from lit_airflow.protocol.scope import Scope
from lit_airflow.transport.addresses import check_url
from lit_airflow.transport.clock_skew import clock_sentence, skew_s
from lit_airflow.transport.fan_out import ask_one
from lit_airflow.transport.http import Http, Repeat, Response

log = logging.getLogger(__name__)

KIND = "toy-bearer/1"
MASK = b"toy"


@dataclass(frozen=True, slots=True)
class ToyDescription:
    network: str
    api_url: str
    generation: str = "toy"


def describe(given: Mapping[str, Any], known: Mapping[str, Any] | None) -> ToyDescription:
    url = given.get("api_url") or (known or {}).get("api_url")
    check_url(url, "api_url")
    return ToyDescription(str(given.get("network") or "custom"), str(url))


def open_network(description: ToyDescription, *, clock: Clock, on_report: OnReport | None) -> ToyNetwork:
    return ToyNetwork(description, Http(), clock, on_report)


@dataclass(frozen=True, slots=True, kw_only=True)
class ToySession:
    wallet: str
    scope: Scope
    issued_at: str
    ends: str
    proof: str
    token: Secret = field(repr=False)

    @property
    def kind(self) -> str:
        return KIND

    @property
    def public_key(self) -> str:
        return hashlib.sha256(self.token.reveal()).hexdigest()

    @property
    def session_sigs(self) -> Mapping[str, Any]:
        return {}

    @property
    def expires_at(self) -> datetime:
        return parse_iso(self.ends)

    def check_alive(self, now: datetime) -> None:
        if now >= self.expires_at:
            raise SessionExpiredError("The session has ended.", expired_at=self.expires_at, now=now)

    def check_covers(self, asked: Scope) -> None:
        if not self.scope.covers(asked):
            raise ScopeError(f"The session may not do {asked}.", asked=str(asked), granted=str(self.scope))

    def check_delegation(self, wallet: str, now: datetime) -> None:
        self.check_alive(now)
        text = permission(self.wallet, self.scope, self.ends)
        if self.wallet != wallet or recover(text, self.proof) != wallet:
            raise SessionError(f"The session was not opened by {wallet}.")

    def secrets(self) -> Iterator[str]:
        yield self.token.reveal().decode()

    def to_json(self) -> dict[str, Any]:
        return {
            "wallet": self.wallet,
            "scope": self.scope.to_json(),
            "issued_at": self.issued_at,
            "ends": self.ends,
            "proof": self.proof,
            "token": self.token.reveal().decode(),
        }


@dataclass(slots=True)
class ToyNetwork:
    description: ToyDescription
    http: Http
    clock: Clock
    on_report: OnReport | None

    @property
    def name(self) -> str:
        return self.description.network

    @property
    def traits(self) -> NetworkTraits:
        return NetworkTraits(
            single_server=True,
            encrypts_offline=True,
            condition_fields=frozenset({"accessControlConditions"}),
            max_plaintext_bytes=1024 * 1024,
        )

    def scope_of(self, container: Container) -> Scope:
        container.check_network(self.name)
        return container.scope()

    def check_conditions(self, conditions: Conditions) -> None:
        conditions.validate()
        if conditions.field not in self.traits.condition_fields:
            raise ConditionError(f"This network cannot judge {conditions.field}.", field=conditions.field)

    def load_session(self, kind: str, contents: Mapping[str, Any]) -> ToySession:
        if kind != KIND:
            raise SessionError("The ticket holds another kind of session.")
        try:
            return ToySession(
                wallet=contents["wallet"],
                scope=Scope.from_json(contents["scope"]),
                issued_at=contents["issued_at"],
                ends=contents["ends"],
                proof=contents["proof"],
                token=Secret(contents["token"].encode()),
            )
        except (KeyError, TypeError, AttributeError):
            raise SessionError("The session is incomplete.") from None

    def health(self, deadline: Deadline) -> Health:
        response = self._ask("/health", {}, deadline)
        ahead = skew_s(self.clock(), response.date, response.took_s)
        return Health({self.description.api_url: response.took_s}, 1, clock_sentence(ahead))

    def diagnose(self, deadline: Deadline) -> Iterator[Check]:
        try:
            yield Check.good("server", f"answers; {self.health(deadline).clock}")
        except LitError as error:
            yield Check.failed("server", error)

    def open_session(
        self, signer: Signer, scope: Scope, options: SessionOptions, deadline: Deadline
    ) -> ToySession:
        now = self.clock()
        ends = iso(now + timedelta(seconds=options.ttl_s))
        proof = signer.sign(permission(signer.address, scope, ends))
        body = {"wallet": signer.address, "scope": str(scope), "ends": ends, "proof": proof}
        answer: Any = self._ask("/sessions", body, deadline, repeat=Repeat.NEVER).json()
        return ToySession(
            wallet=signer.address,
            scope=scope,
            issued_at=iso(now),
            ends=ends,
            proof=proof,
            token=Secret(answer["token"].encode()),
        )

    def encrypt(self, plaintext: bytes, conditions: Conditions, deadline: Deadline) -> dict[str, Any]:
        self.check_conditions(conditions)
        return {
            "ciphertext": base64.b64encode(xor(plaintext)).decode(),
            "dataToEncryptHash": hashlib.sha256(plaintext).hexdigest(),
        }

    def decrypt(
        self, container: Container, session: Session, deadline: Deadline, *, log_level: int = logging.INFO
    ) -> bytes:
        session.check_alive(self.clock())
        session.check_covers(self.scope_of(container))
        if not isinstance(session, ToySession):
            raise SessionError("The session is for another network.")
        body = {**container.to_json(), "token": session.token.reveal().decode()}
        response = self._ask("/decrypt", body, deadline)
        plaintext = response.body
        if hashlib.sha256(plaintext).hexdigest() != container.fields["dataToEncryptHash"]:
            raise CiphertextError("The plaintext does not match dataToEncryptHash.")
        report = DecryptionReport({self.description.api_url: response.took_s})
        if self.on_report:
            self.on_report(report)
        log.log(log_level, "Decrypted %d bytes. %s", len(plaintext), report)
        return plaintext

    def decrypt_many(
        self,
        items: Iterable[Load],
        session: Callable[[Container], Session],
        *,
        timeout_s: float,
        at_once: int,
    ) -> Iterator[Decrypted]:
        def one(load: Load) -> bytes:
            container = load()
            return self.decrypt(
                container, session(container), Deadline.after(timeout_s), log_level=logging.DEBUG
            )

        return decrypt_each(one, items, at_once)

    def close(self) -> None:
        self.http.close()

    def _ask(
        self, path: str, body: Mapping[str, Any], deadline: Deadline, *, repeat: Repeat = Repeat.ALWAYS
    ) -> Response:
        def ask(url: str, cancelled: Any) -> Response:  # noqa: ANN401 - an event
            return self.http.post(
                url, json.dumps(body), deadline=deadline, repeat=repeat, cancelled=cancelled
            )

        try:
            response = ask_one(self.description.api_url + path, ask, deadline)
        except NodeError as error:
            failures = {self.description.api_url: Failure(error.kind, str(error))}
            raise NodesUnavailableError(
                "The server does not answer.", needed=1, reached=0, failures=failures
            ) from None
        if response.status == 403:
            raise ConditionsNotMetError("The conditions do not hold.")
        if not response.succeeded:
            failures = {self.description.api_url: Failure(FailureKind.REFUSED, f"HTTP {response.status}")}
            raise NodesUnavailableError("The server refused.", needed=1, reached=0, failures=failures)
        return response


def permission(wallet: str, scope: Scope, ends: str) -> str:
    return f"{wallet} may {scope} until {ends}"


def xor(data: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(data, cycle(MASK), strict=False))

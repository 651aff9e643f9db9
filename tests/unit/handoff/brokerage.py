"""A broker on small real parts: real sessions of a network that sends nothing, a real seal, a store in memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography.fernet import Fernet

from lit_airflow import clock
from lit_airflow.clock import Deadline
from lit_airflow.handoff.broker import SessionBroker, SessionPolicy
from lit_airflow.handoff.seal import FernetSeal
from lit_airflow.handoff.ticket import Origin
from lit_airflow.keys.secret import Secret
from lit_airflow.keys.wallet import Signer, Wallet
from lit_airflow.networks.contract import Session, SessionOptions
from lit_airflow.protocol.auth_sig import AuthSig
from lit_airflow.protocol.scope import Scope
from tests.surveying import surveyed

NODES = ("http://127.0.0.1:7470", "http://127.0.0.1:7471")
WALLET = Wallet.from_key("11" * 32)
STRANGER = Wallet.from_key("22" * 32)
SEAL = FernetSeal(Secret(Fernet.generate_key()))
HERE = Origin("reports", "run 1", "session")
LATER = Origin("reports", "run 2", "session")
ITEM = Scope.to_decrypt("0" * 64 + "/" + "1" * 64)
OTHER_ITEM = Scope.to_decrypt("0" * 64 + "/" + "2" * 64)
BOTH = Scope((*ITEM.requests, *OTHER_ITEM.requests))
ALL = Scope.to_decrypt("*")

Wait = Callable[[float], None]


class Client:
    """Opens and reads the sessions of a network whose nodes were surveyed before."""

    def __init__(self) -> None:
        self.network = surveyed(NODES, 2, nonce="0x" + "ab" * 32, clock=lambda: clock.now())  # noqa: PLW0108 - tests set it
        self.opened: list[Session] = []
        self.asked = 0

    def open_session(
        self,
        wallet: Signer,
        scope: Scope,
        *,
        ttl_s: float,
        domain: str | None,
        capabilities: Sequence[AuthSig] = (),
    ) -> Session:
        options = SessionOptions(ttl_s=ttl_s, domain=domain, capabilities=capabilities)
        self.opened.append(self.network.open_session(wallet, scope, options, Deadline.after(5)))
        return self.opened[-1]

    def load_session(self, kind: str, contents: Mapping[str, Any]) -> Session:
        return self.network.load_session(kind, contents)

    def health(self) -> str:
        self.asked += 1
        return "2 of 2 servers answered"


@dataclass
class Store:
    """What is published, by name."""

    published: dict[str, object] = field(default_factory=dict)

    def fetch(self, name: str) -> object | None:
        return self.published.get(name)


@dataclass
class Task:
    """One task's broker, and what it used.

    Attributes:
        policy: What its connection says.
        key: The wallet that its connection reads.
        origin: Where it runs.
        store: Where sessions are published.
        lent: What others have lent to the wallet.
        reads: How often the wallet was read.
        seen: The sessions that were to be masked.
    """

    policy: dict[str, Any] = field(default_factory=dict)
    key: Signer = WALLET
    origin: Origin = HERE
    store: Store = field(default_factory=Store)
    client: Client = field(default_factory=Client)
    lent: tuple[AuthSig, ...] = ()
    reads: int = 0
    seen: list[Session] = field(default_factory=list)

    @property
    def broker(self) -> SessionBroker:
        stated: dict[str, Any] = {
            "network": "custom",
            "ttl_s": 3600,
            "lead_s": 300,
            "domain": "airflow.example.org",
            "wallet_address": WALLET.address,
            "has_wallet": True,
        }
        return SessionBroker(
            policy=SessionPolicy(**{**stated, **self.policy}),
            client=lambda: self.client,
            seal=lambda: SEAL,
            store=lambda: self.store,  # type: ignore[arg-type,return-value]  # it fetches
            wallet=self.wallet,
            origin=lambda: self.origin,
            on_session=self.seen.append,
            lent=lambda _: self.lent,
        )

    def wallet(self) -> Signer:
        self.reads += 1
        return self.key


@pytest.fixture
def wait(monkeypatch: pytest.MonkeyPatch) -> Wait:
    """Let time pass."""
    passed = timedelta()
    monkeypatch.setattr(clock, "now", lambda: datetime.now(UTC) + passed)

    def later(seconds: float) -> None:
        nonlocal passed
        passed += timedelta(seconds=seconds)

    return later

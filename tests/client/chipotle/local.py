"""A local Chipotle whose clock the test moves, and the client's side of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import count
from typing import Any, cast

from lit_airflow.clock import Deadline
from lit_airflow.devnet.chipotle import Chipotle
from lit_airflow.keys.secret import Secret
from lit_airflow.networks.chipotle.account import Account
from lit_airflow.networks.chipotle.api import Api
from lit_airflow.networks.chipotle.api_calls import ApiCall
from lit_airflow.networks.chipotle.identifiers import key_hash
from lit_airflow.networks.chipotle.usage_key_name import usage_key_name
from lit_airflow.transport.http import Http
from tests.unit.networks.chipotle.making import NOW

TAG = "d3adb33f"


@dataclass(slots=True)
class MovedClock:
    """Tells the time that the test sets; waiting moves it."""

    now: datetime = NOW
    waited_s: list[float] = field(default_factory=list)

    def __call__(self) -> datetime:
        return self.now

    def wait(self, seconds: float) -> None:
        self.waited_s.append(seconds)
        self.now += timedelta(seconds=seconds)


@dataclass(slots=True)
class Local:
    """What a test gets."""

    net: Chipotle
    clock: MovedClock
    answer_within_s: float = 10.0
    numbers: Any = field(default_factory=count)
    http: Http = field(default_factory=Http)

    @property
    def description(self) -> dict[str, Any]:
        return cast("dict[str, Any]", self.net.description)

    @property
    def api(self) -> Api:
        return Api(self.description["api_url"], self.http)

    @property
    def account_key(self) -> Secret:
        return Secret(self.description["account_key"].encode())

    @property
    def account(self) -> Account:
        def send(call: ApiCall) -> object:
            return self.api.send(call, self.account_key, Deadline.after(self.answer_within_s))

        return Account(send, self.clock.wait)

    @property
    def prepared_key(self) -> str:
        """The hash of the usage key that was there from the beginning."""
        return key_hash(self.description["api_key"])

    def new_name(self, *, ends_in_s: float = 3600) -> str:
        number = next(self.numbers)
        return usage_key_name(TAG, self.clock.now + timedelta(seconds=ends_in_s), number.to_bytes(16))

    def keys_left(self) -> set[str]:
        """Hashes of all keys that are alive, as the chain has them."""
        (prepared,) = cast("list[dict[str, Any]]", self.net.snapshot["accounts"])
        return set(prepared["keys_left"])

    def sent(self, call: str) -> int:
        """How often a call arrived."""
        return sum(request["call"] == call for request in self.net.requests)

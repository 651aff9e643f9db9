"""A deployment's secret in memory, with versions for check-and-set and faults; and its set-up and rotation."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from lit_airflow.errors import FailureKind, NodeError, VaultUnavailableError
from lit_airflow.keys.secret import Secret
from lit_airflow.keys.vault_answers import Version
from lit_airflow.networks import chipotle
from lit_airflow.networks.api_keys import ManagedSecrets
from lit_airflow.networks.chipotle.account_answers import UsageKey
from lit_airflow.networks.chipotle.api import Api
from lit_airflow.networks.chipotle.credentials import gate_entry
from lit_airflow.networks.chipotle.deployment import cid_of
from lit_airflow.networks.chipotle.description import ChipotleDescription, describe
from lit_airflow.networks.chipotle.identifiers import key_hash
from lit_airflow.networks.chipotle.managing import Manager
from lit_airflow.networks.chipotle.registrations import derivation_path
from lit_airflow.networks.chipotle.rotation import Rotation
from lit_airflow.networks.chipotle.setup import Setup
from lit_airflow.networks.chipotle.usage_key_name import UsageKeyName, group_name
from lit_airflow.transport.http import Http
from tests.client.chipotle.local import Local


class CrashError(BaseException):
    """The process ends here: no ``except LitError`` sees it."""


def process_ends(_name: str) -> BaseException:
    """What is raised where the process ends."""
    return CrashError()


def answer_is_lost(name: str) -> BaseException:
    """What is raised where the connection to the service or to Vault breaks."""
    if name == "vault":
        return VaultUnavailableError("No answer.")
    return NodeError("the connection broke", kind=FailureKind.UNREACHABLE, retryable=True)


@dataclass(slots=True)
class Crashes:
    """Ends the process at one of the requests, or loses its answer.

    Attributes:
        at: Where: a call's name or ``vault``, ``before`` or ``after``, and which one of that name, from 1.
        error: What is raised there.
        seen: How many requests of each name there were.
        hit: Whether it was raised.
    """

    at: tuple[str, str, int] | None = None
    error: Callable[[str], BaseException] = process_ends
    seen: dict[str, int] = field(default_factory=dict)
    hit: bool = False

    def check(self, name: str, when: str) -> None:
        if when == "before":
            self.seen[name] = self.seen.get(name, 0) + 1
        if self.at == (name, when, self.seen[name]):
            self.at, self.hit = None, True
            raise self.error(name)


@dataclass(slots=True)
class CrashingHttp:
    """Sends requests, unless the process ends."""

    crashes: Crashes
    http: Http

    def get(self, url: str, **options: Any) -> Any:  # noqa: ANN401 - as Http's
        return self._sent(url, lambda: self.http.get(url, **options))

    def post(self, url: str, body: str, **options: Any) -> Any:  # noqa: ANN401 - as Http's
        return self._sent(url, lambda: self.http.post(url, body, **options))

    def _sent(self, url: str, send: Any) -> Any:  # noqa: ANN401 - as Http's
        name = url.partition("/core/v1/")[2].partition("?")[0]
        self.crashes.check(name, "before")
        answer = send()
        self.crashes.check(name, "after")
        return answer


@dataclass(slots=True)
class Store:
    """A KV secret of version 2.

    Attributes:
        crashes: Ends the process at a write.
        fields: What is there.
        number: Its version.
        faults: The next faults of ``write``: ``before``, ``after``, or ``blind``, where nothing can be read either.
        blind: Whether reading fails.
        meanwhile: Fields that somebody else writes before the next write.
    """

    crashes: Crashes
    fields: dict[str, str] = field(default_factory=dict, repr=False)
    number: int = 0
    faults: list[str] = field(default_factory=list)
    blind: bool = False
    meanwhile: dict[str, str] = field(default_factory=dict)
    where: str = "secret/lit/gate"

    def read(self) -> tuple[Secret, Version]:
        if self.blind:
            raise VaultUnavailableError("No answer.")
        return Secret(json.dumps(self.fields).encode()), Version(self.number)

    def write(self, fields: Mapping[str, Secret], replaces: Version) -> bool:
        self.crashes.check("vault", "before")
        fault = self.faults.pop(0) if self.faults else ""
        if fault == "before":
            raise VaultUnavailableError("No answer.")
        if self.meanwhile:
            self.fields, self.meanwhile = {**self.fields, **self.meanwhile}, {}
            self.number += 1
        if replaces.number != self.number:
            return False
        self.fields = {name: value.reveal().decode() for name, value in fields.items()}
        self.number += 1
        self.crashes.check("vault", "after")
        self.blind = fault == "blind"
        if fault:
            raise VaultUnavailableError("No answer.")
        return True

    def table(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.fields[name])
        return found


@dataclass(slots=True)
class Deploying:
    """One deployment at a local Chipotle, which others may share."""

    local: Local
    said: list[str] = field(default_factory=list)
    told: list[Secret] = field(default_factory=list)
    crashes: Crashes = field(default_factory=Crashes)
    asks_base: bool = False
    base_url: str = ""
    store: Store = field(init=False)

    def __post_init__(self) -> None:
        self.store = Store(self.crashes)

    @property
    def description(self) -> ChipotleDescription:
        given = {"network": "custom", "api_url": self.local.description["api_url"]}
        base_url = self.base_url or self.local.description["rpc_url"]
        return describe({**given, "rpc": {"base": [base_url]} if self.asks_base else {}}, None)

    @property
    def managed(self) -> ManagedSecrets:
        local = self.local
        return ManagedSecrets(local.account_key, self.store, local.clock, local.clock.wait, self.told.append)

    def _crashing(self, manager: Manager) -> Manager:
        http: Any = CrashingHttp(self.crashes, self.local.http)
        return replace(manager, api=Api(manager.api.url, http))

    @property
    def setup(self) -> Setup:
        opened = chipotle.open_setup(self.description, self.managed)
        return replace(opened, manager=self._crashing(opened.manager))

    @property
    def further(self) -> Setup:
        """A set-up that makes a further gate."""
        return replace(self.setup, new_gate=True)

    def register_path_of(self, gate: str) -> None:
        """As a stranger who knows the salt of a gate; the pending one without a name."""
        row = self.store.table("gates")[gate] if gate else self.store.table("pending_gate")
        path = derivation_path(cid_of(gate_entry(row, "gates", "")))

        def register(network: Any) -> dict[str, object]:  # noqa: ANN401 - LocalChipotle
            state, account = network.state, network.account.account_hash
            state.chain.send(
                state.api_payers[0], "register_wallet_derivation", account, path >> 96, path, "", ""
            )
            return {}

        self.local.net._call(register)

    @property
    def rotation(self) -> Rotation:
        opened = chipotle.open_rotation(self.description, self.managed)
        return replace(opened, manager=self._crashing(opened.manager))

    def set_up(self) -> None:
        self.setup.run(self.said.append)

    @property
    def tag(self) -> str:
        return str(self.store.table("rotation")["tag"])

    @property
    def api_key_hash(self) -> str:
        return key_hash(self.store.fields["api_key"])

    def keys(self) -> list[UsageKey]:
        """The deployment's keys that are alive."""
        names = [(key, UsageKeyName.parse(key.name)) for key in self.local.account.usage_keys()]
        return [key for key, name in names if name is not None and name.tag == self.tag]

    def left(self) -> tuple[int, int, int]:
        """How many keys, groups and labels the account has of this deployment."""
        account, name = self.local.account, group_name(self.tag)
        labels = [row for row in account.actions() if row["name"] == name]
        return len(self.keys()), len(account.groups_named(name)), len(labels)

    def is_whole(self) -> bool:
        """Whether there are one key, one group and one label, and the secret has that key."""
        return self.left() == (1, 1, 1) and self.keys()[0].key_hash == self.api_key_hash

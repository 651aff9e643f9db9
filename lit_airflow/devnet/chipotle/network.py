"""The parts of a local Chipotle on one event loop: service, chain and control server."""

from __future__ import annotations

import asyncio
import secrets
import socket
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from lit_airflow import clock as system_clock
from lit_airflow.devnet.chipotle.base_rpc import BaseRpc
from lit_airflow.devnet.chipotle.config_calls import CONTRACT_ADDRESS
from lit_airflow.devnet.chipotle.control import control_app
from lit_airflow.devnet.chipotle.default_account import DefaultAccount
from lit_airflow.devnet.chipotle.delivery import Delivery
from lit_airflow.devnet.chipotle.enclave import LocalEnclave
from lit_airflow.devnet.chipotle.execution import Actions, Stopwatch
from lit_airflow.devnet.chipotle.faults import EVERY_CALL, FAULTS, READS, WRITES, ActiveFault, ActiveFaults
from lit_airflow.devnet.chipotle.identifiers import hex_number
from lit_airflow.devnet.chipotle.key_service import KeyService
from lit_airflow.devnet.chipotle.profiles import JUNE, ActionLimits, Profile
from lit_airflow.devnet.chipotle.routes import LIT_ACTION
from lit_airflow.devnet.chipotle.service import Service
from lit_airflow.devnet.chipotle.state import CHAIN_ID, Entropy, State
from lit_airflow.devnet.chipotle.storage import Storage
from lit_airflow.devnet.cross_site import same_site_only
from lit_airflow.devnet.listener import Listener, bind_consecutive

Json = dict[str, object]

_EVERYWHERE = "0.0.0.0"  # noqa: S104 - a host to bind, chosen by the caller
_SECRET_BYTES = 32
_FURTHEST_S = 100 * 365 * 86400


@dataclass(frozen=True, slots=True)
class Settings:
    """Settings of a local Chipotle.

    Attributes:
        profile: The build to imitate.
        host: Name or IPv4 address to bind; ``0.0.0.0`` is announced as ``127.0.0.1``.
        port: Port of the service; chain and control server take the next two. 0 takes any free ports.
        processes: Number of server processes that take requests in turn.
        clock: The clock.
        entropy: Source of random bytes for keys, nonces, salts and request ids.
        root: Root of the enclave's keys, 32 bytes; random if omitted.
        stopwatch: Clock that runs are billed by; by default the event loop's.
        tick_s: Interval at which running actions are billed.
        limits: Limits of actions; by default the profile's.
        allow_net: Hosts that actions may reach, with or without port.
        directory: Where ethers and compiled code are cached; by default the user's cache directory.
        enclave: What the service attests, with TLS; by default it attests nothing and speaks plain http.
    """

    profile: Profile = JUNE
    host: str = "127.0.0.1"
    port: int = 0
    processes: int = 1
    clock: system_clock.Clock = system_clock.now
    entropy: Entropy = secrets.token_bytes
    root: bytes | None = None
    stopwatch: Stopwatch | None = None
    tick_s: float = 0.5
    limits: ActionLimits | None = None
    allow_net: Sequence[str] = ()
    directory: Path | None = None
    enclave: LocalEnclave | None = None


class LocalChipotle:
    """A local Chipotle with a default account.

    Args:
        settings: Its settings.

    Attributes:
        state: State of the service.
        service: The service.
        account: The default account.

    Raises:
        SettingsError: A port is taken.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.state = State(settings.profile, settings.clock, settings.entropy, settings.root)
        if settings.limits is not None:
            self.state.limits = settings.limits
        self._actions = Actions(
            settings.stopwatch or _loop_time,
            tick_s=settings.tick_s,
            allow_net=settings.allow_net,
            directory=settings.directory,
        )
        self.service = Service(self.state, self._actions, settings.processes, settings.enclave)
        self.account = DefaultAccount.of(self.state)
        self.active_faults = ActiveFaults()
        other_enclave = KeyService(settings.entropy(_SECRET_BYTES))
        self._delivery = Delivery(self.service, self.active_faults, other_enclave)
        self._api, self._chain, self._control = bind_consecutive(settings.host, settings.port, 3)
        if settings.enclave is not None:
            self._api.tls = settings.enclave.tls
        ip = socket.gethostbyname(settings.host)
        self._host = "127.0.0.1" if ip == _EVERYWHERE else ip

    async def open(self) -> None:
        """Start serving."""
        await self._api.start(self._delivery)
        await self._chain.start(BaseRpc(self.state.chain, self.service.clear_later).app())
        await self._control.start(same_site_only(control_app(self), self._settings.host))

    async def close(self) -> None:
        """Drop all connections, stop all runs and release the ports."""
        for listener in (self._api, self._chain, self._control):
            await listener.close()
        await self._actions.close()

    def start_actions(self) -> None:
        """Start the action runner now instead of with the first action.

        Raises:
            SettingsError: Deno or ethers is not available.
        """
        self._actions.start(self.state.limits)

    def description(self) -> Json:
        """Return the network description that ``lit-airflow --network FILE`` reads."""
        return {
            "network": "custom",
            "generation": "chipotle",
            "api_url": f"{self._url(self._api)}/core/v1",
            **self.account.description(),
            "rpc_url": self._url(self._chain),
            "chain_id": CHAIN_ID,
            "contract_address": CONTRACT_ADDRESS,
            "control_url": self._url(self._control),
            **({} if self._host in ("127.0.0.1", "localhost") else {"plain_http": True}),
        }

    def _url(self, listener: Listener) -> str:
        return f"{'https' if listener.tls else 'http'}://{self._host}:{listener.port}"

    def snapshot(self) -> Json:
        """Return the description, the active faults and the state."""
        state, chain = self.state, self.state.chain
        return {
            **self.description(),
            "profile": state.profile.name,
            "clock_offset_s": state.clock_offset_s,
            "faults": {name: fault.about for name, fault in FAULTS.items()},
            "in_force": self.active_faults.snapshot(),
            "chain": {
                "delay_s": chain.delay_s,
                "down": state.chain_down,
                "transactions": len(chain.transactions),
            },
            "billing_down": state.ledger.down,
            "rules": {**asdict(chain.head.rules), "compares_derivation": state.compares_derivation},
            "accounts": [self._account(hashed) for hashed in chain.head.accounts],
        }

    def _account(self, hashed: int) -> Json:
        account = self.state.chain.head.accounts[hashed]
        minted = [
            each.arguments[1]
            for each in self.state.chain.transactions
            if each.method == "set_usage_api_key" and each.arguments[0] in {hashed, *account.usage_keys}
        ]
        return {
            "account_hash": hex_number(hashed),
            "managed": account.managed,
            "credit_cents": self.state.ledger.credit_cents(account.admin),
            "keys_minted": list(dict.fromkeys(hex_number(int(str(each))) for each in minted)),
            "keys_left": [hex_number(each) for each in account.usage_key_list.values],
            "wallets": len(account.pkp_list),
            "groups": len(account.group_list.values),
        }

    def requests(self) -> list[Json]:
        """Return all requests."""
        return [
            {**asdict(seen), "key_hash": None if seen.key_hash is None else hex_number(seen.key_hash)}
            for seen in self.state.request_log
        ]

    def bills(self) -> list[Json]:
        """Return all charges."""
        return [
            {"at": system_clock.iso(bill.at), "cents": bill.cents, "what": bill.what}
            for bill in self.state.ledger.bills
        ]

    async def set_fault(
        self, name: str | None, call: str, seconds: float | None = None, times: int | None = None
    ) -> None:
        """Activate a fault for some calls, or remove it with ``None``.

        Raises:
            ValueError: Unknown fault or call, or options that do not fit the fault.
        """
        if call not in (EVERY_CALL, WRITES, READS) and not self.service.has_call(call):
            raise ValueError(
                f"there is no call {call!r}: name an endpoint, such as {LIT_ACTION}, or {WRITES}, {READS} or "
                f"{EVERY_CALL}"
            )
        if name is None:
            self.active_faults.clear(call)
        else:
            self.active_faults.add(ActiveFault.of(name, call, seconds, times))
        await self._api.set_open(self._delivery, accepts=self.active_faults.listens)

    async def clear_faults(self) -> None:
        """Remove all faults."""
        self.active_faults.clear()
        await self._api.set_open(self._delivery, accepts=True)

    def set_clock_offset(self, seconds: float) -> None:
        """Move the service's clock; positive is ahead.

        Raises:
            ValueError: More than a century.
        """
        if not abs(seconds) <= _FURTHEST_S:
            raise ValueError(f"offset_s must be within a century, got {seconds}")
        self.state.set_clock_offset(seconds)

    def set_chain_delay(self, seconds: float) -> None:
        """Set how long servers take to see changes made from now on.

        Raises:
            ValueError: Negative, or more than a century.
        """
        if not 0 <= seconds <= _FURTHEST_S:
            raise ValueError(f"delay_s must be from 0 to a century, got {seconds}")
        self.state.chain.delay_s = seconds

    def set_rule(self, name: str, *, holds: bool) -> None:
        """Change a rule of the contract (``ContractRules``), or ``compares_derivation``.

        Raises:
            ValueError: No such rule.
        """
        if name == "compares_derivation":
            self.state.compares_derivation = holds
            return
        if not hasattr(self.state.chain.head.rules, name):
            raise ValueError(f"unknown rule: {name!r}")

        def change(storage: Storage) -> None:
            setattr(storage.rules, name, holds)

        self.state.chain.send(self.state.admin_payer, "upgrade", change)

    def set_cache_lifetime(self, seconds: float) -> None:
        """Set the lifetime of the server processes' caches.

        Raises:
            ValueError: Negative.
        """
        if not seconds >= 0:
            raise ValueError(f"lifetime_s must be 0 or more, got {seconds}")
        for process in self.service.processes:
            process.permissions.lifetime_s = process.paths.lifetime_s = seconds

    def set_credit(self, cents: int, account: str | None = None) -> None:
        """Set the credit of an account.

        Args:
            cents: The credit.
            account: Its hash as ``0x`` and 64 hex digits; by default the default account.

        Raises:
            ValueError: Unknown account.
        """
        hashed = self.account.account_hash if account is None else int(account, 16)
        found = self.state.chain.head.accounts.get(hashed)
        if found is None:
            raise ValueError(f"unknown account: {account}")
        self.state.ledger.set_credit(found.admin, cents)


def _loop_time() -> float:
    return asyncio.get_running_loop().time()

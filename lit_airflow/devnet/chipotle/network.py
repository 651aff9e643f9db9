"""A whole local Chipotle on one event loop: the service, its chain and the switchboard."""

from __future__ import annotations

import asyncio
import secrets
import socket
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from lit_airflow import clock
from lit_airflow.devnet.chipotle.base_rpc import BaseRpc
from lit_airflow.devnet.chipotle.config_calls import CONTRACT_ADDRESS
from lit_airflow.devnet.chipotle.control import control_app
from lit_airflow.devnet.chipotle.delivery import Delivery
from lit_airflow.devnet.chipotle.execution import Actions, Stopwatch
from lit_airflow.devnet.chipotle.faults import FAULTS, Trouble, Troubles
from lit_airflow.devnet.chipotle.identifiers import hex_number
from lit_airflow.devnet.chipotle.key_service import KeyService
from lit_airflow.devnet.chipotle.opening import Opening
from lit_airflow.devnet.chipotle.profiles import JUNE, ActionLimits, Profile
from lit_airflow.devnet.chipotle.service import Service
from lit_airflow.devnet.chipotle.state import CHAIN_ID, Entropy, State
from lit_airflow.devnet.chipotle.storage import Storage
from lit_airflow.devnet.listener import Listener
from lit_airflow.errors import SettingsError

Json = dict[str, object]

_EVERYWHERE = "0.0.0.0"  # noqa: S104 - a host to bind, chosen by the caller
_SECRET_BYTES = 32
_FURTHEST_S = 100 * 365 * 86400


@dataclass(frozen=True, slots=True)
class Settings:
    """How a local Chipotle is made.

    Attributes:
        profile: Which build it plays.
        host: Name or IPv4 address to bind; ``0.0.0.0`` is announced as ``127.0.0.1``.
        port: The service's port; those of the chain and the switchboard follow it. 0 takes any free ports.
        processes: How many server processes share the requests.
        tells_time: The clock.
        entropy: Makes random bytes: keys, nonces, salts, request ids.
        root: What the enclave's keys are derived from; drawn if left out.
        stopwatch: What runs are billed by; ``None``: the event loop's time.
        tick_s: Seconds between two looks at it.
        limits: Limits of an action; ``None``: the profile's.
        allow_net: Hosts, perhaps with ports, that actions may reach.
        directory: Where ethers and compiled code are cached; by default the user's cache directory.
    """

    profile: Profile = JUNE
    host: str = "127.0.0.1"
    port: int = 0
    processes: int = 1
    tells_time: clock.Clock = clock.now
    entropy: Entropy = secrets.token_bytes
    root: bytes | None = None
    stopwatch: Stopwatch | None = None
    tick_s: float = 0.5
    limits: ActionLimits | None = None
    allow_net: Sequence[str] = ()
    directory: Path | None = None


class LocalChipotle:
    """All parts of a local Chipotle, with an account that is ready to use.

    Args:
        settings: How it is made.

    Attributes:
        state: What the service works on.
        service: The service.
        opening: The account, its gate and its key.

    Raises:
        SettingsError: A port is taken.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.state = State(settings.profile, settings.tells_time, settings.entropy, settings.root)
        if settings.limits is not None:
            self.state.limits = settings.limits
        self._actions = Actions(
            settings.stopwatch or _loop_time,
            tick_s=settings.tick_s,
            allow_net=settings.allow_net,
            directory=settings.directory,
        )
        self.service = Service(self.state, self._actions, settings.processes)
        self.opening = Opening.of(self.state)
        self.troubles = Troubles()
        other_enclave = KeyService(settings.entropy(_SECRET_BYTES))
        self._delivery = Delivery(self.service, self.troubles, other_enclave)
        self._api, self._chain, self._switchboard = _bind_all(settings.host, settings.port, 3)
        ip = socket.gethostbyname(settings.host)
        self._host = "127.0.0.1" if ip == _EVERYWHERE else ip

    async def open(self) -> None:
        """Begin to serve."""
        await self._api.start(self._delivery)
        await self._chain.start(BaseRpc(self.state.chain, self.service.hear_of).app())
        await self._switchboard.start(control_app(self))

    async def close(self) -> None:
        """Drop every connection, end every run, and give the ports back."""
        for listener in (self._api, self._chain, self._switchboard):
            await listener.close()
        await self._actions.close()

    def start_actions(self) -> None:
        """Start what runs actions now, and not with the first one.

        Raises:
            SettingsError: Deno or ethers is not available.
        """
        self._actions.start(self.state.limits)

    def description(self) -> Json:
        """What a client needs to know, in the form that ``lit-airflow --network FILE`` reads."""
        return {
            "network": "custom",
            "generation": "chipotle",
            "api_url": f"{self._url(self._api)}/core/v1",
            **self.opening.description(),
            "rpc_url": self._url(self._chain),
            "chain_id": CHAIN_ID,
            "contract_address": CONTRACT_ADDRESS,
            "control_url": self._url(self._switchboard),
        }

    def _url(self, listener: Listener) -> str:
        return f"http://{self._host}:{listener.port}"

    def snapshot(self) -> Json:
        """The description, what is wrong, and what there is."""
        state, chain = self.state, self.state.chain
        return {
            **self.description(),
            "profile": state.profile.name,
            "clock_offset_s": state.clock_offset_s,
            "faults": {name: fault.about for name, fault in FAULTS.items()},
            "in_force": self.troubles.snapshot(),
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
        """Every request that was served."""
        return [
            {**asdict(seen), "key_hash": None if seen.key_hash is None else hex_number(seen.key_hash)}
            for seen in self.state.seen
        ]

    def bills(self) -> list[Json]:
        """Everything that was charged."""
        return [
            {"at": clock.iso(bill.at), "cents": bill.cents, "what": bill.what}
            for bill in self.state.ledger.bills
        ]

    async def set_fault(
        self, name: str | None, call: str, seconds: float | None = None, times: int | None = None
    ) -> None:
        """Put a fault in force for some calls, or with ``None`` take away what is.

        Raises:
            ValueError: No such fault, or one that cannot be so.
        """
        if name is None:
            self.troubles.clear(call)
        else:
            self.troubles.add(Trouble.of(name, call, seconds, times))
        await self._api.set_open(self._delivery, accepts=self.troubles.listens)

    async def clear_faults(self) -> None:
        """Take away all faults."""
        self.troubles.clear()
        await self._api.set_open(self._delivery, accepts=True)

    def set_clock_offset(self, seconds: float) -> None:
        """Move the service's clock against the time; positive is ahead.

        Raises:
            ValueError: More than a century.
        """
        if not abs(seconds) <= _FURTHEST_S:
            raise ValueError("the clock moves by a century at most")
        self.state.set_clock_offset(seconds)

    def set_chain_delay(self, seconds: float) -> None:
        """Say how late servers see what is written from now on.

        Raises:
            ValueError: Negative, or more than a century.
        """
        if not 0 <= seconds <= _FURTHEST_S:
            raise ValueError("the chain's delay is between 0 and a century")
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
            raise ValueError(f"there is no rule {name!r}")

        def change(storage: Storage) -> None:
            setattr(storage.rules, name, holds)

        self.state.chain.send(self.state.admin_payer, "upgrade", change)

    def set_cache_lifetime(self, seconds: float) -> None:
        """Say for how long server processes remember what they know of the chain.

        Raises:
            ValueError: Negative.
        """
        if not seconds >= 0:
            raise ValueError(f"seconds must be 0 or more, got {seconds}")
        for process in self.service.processes:
            process.permissions.lifetime_s = process.paths.lifetime_s = seconds

    def set_credit(self, cents: int, account: str | None = None) -> None:
        """Set the credit of an account.

        Args:
            cents: What it can spend.
            account: Its hash as ``0x`` and 64 hex digits; the prepared one if left out.

        Raises:
            ValueError: No such account.
        """
        hashed = self.opening.account_hash if account is None else int(account, 16)
        found = self.state.chain.head.accounts.get(hashed)
        if found is None:
            raise ValueError(f"there is no account {account}")
        self.state.ledger.set_credit(found.admin, cents)


def _loop_time() -> float:
    return asyncio.get_running_loop().time()


def _bind_all(host: str, port: int, count: int) -> list[Listener]:
    bound: list[Listener] = []
    try:
        for offset in range(count):
            bound.append(Listener(host, port + offset if port else 0))  # noqa: PERF401 - undone on failure
    except (OSError, OverflowError) as error:
        for listener in bound:
            listener.release()
        raise SettingsError(
            f"{host} port {port + len(bound)} cannot be used: {error}.",
            field="port",
            hint="Port 0 takes free ones.",
        ) from error
    return bound

"""A whole network on one event loop: the chain, the nodes and the control API."""

from __future__ import annotations

import asyncio
import socket
from collections import deque
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from lit_airflow import clock
from lit_airflow.devnet import chain
from lit_airflow.devnet.asgi import asgi_app
from lit_airflow.devnet.blocks import Blocks
from lit_airflow.devnet.capacity import Credits, PaymentLedger
from lit_airflow.devnet.control import control_app
from lit_airflow.devnet.cross_site import same_site_only
from lit_airflow.devnet.dealer import Dealer
from lit_airflow.devnet.faults import CHAIN_FAULTS, FAULTS, ActiveFault, Event
from lit_airflow.devnet.listener import Listener, bind_consecutive
from lit_airflow.devnet.node import AnsweredRequest, Node
from lit_airflow.devnet.node_registry import NodeRegistry
from lit_airflow.devnet.pkps import PkpRegistry
from lit_airflow.devnet.rpc import RpcHandler
from lit_airflow.errors import SettingsError

if TYPE_CHECKING:
    from lit_airflow.devnet.evaluation import ChainState
    from lit_airflow.devnet.parsing import Json

_EPOCH_LENGTH_S = 3600
_MAX_OFFSET_S = 100 * 365 * 86400
_MAX_RECORDED_REQUESTS = 100_000
# Clients send the number of the previous epoch until the present one is 45 seconds old.
_SETTLED_EPOCH_AGE_S = 60
_MAX_EPOCH_AGE_S = 365 * 86400
_ALL_INTERFACES = "0.0.0.0"  # noqa: S104 - only compared with


class LocalNetwork:
    """All parts of a network, and the state that they share.

    Args:
        nodes: How many nodes, at most 255.
        threshold: How many shares make a signature, from 2 to ``nodes``.
        host: Host name or IPv4 address to bind; ``0.0.0.0`` is announced as ``127.0.0.1``.
        port: The port of the chain; the nodes and then the control API use the ports after it. 0 for any free
            ports.
        epoch: The number of the first epoch.
        chain_state: The answers of the chains that conditions ask.
        requires_payment: Whether the nodes require capacity credits.

    Raises:
        SettingsError: A number is out of range, or a port cannot be bound.
    """

    def __init__(  # noqa: PLR0913 - the properties of a network
        self,
        nodes: int,
        threshold: int,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        epoch: int = 1,
        chain_state: ChainState | None = None,
        requires_payment: bool = False,
    ) -> None:
        try:
            self.dealer = Dealer(nodes, threshold, epoch)
        except ValueError as error:
            raise SettingsError(f"{error}.", field="threshold") from error
        self.chain_state: dict[str, object] = {}
        self.add_chain_state(chain_state or {})
        self.answered: deque[AnsweredRequest] = deque(maxlen=_MAX_RECORDED_REQUESTS)
        self._clock_offset = timedelta()
        self.set_epoch_start(_SETTLED_EPOCH_AGE_S)
        self._requires_payment = requires_payment
        self.blocks = Blocks(self.now)
        self.pkps = PkpRegistry()
        self.credits = Credits()
        self._bind_host, self._next_port = host, port + nodes + 2 if port else 0
        self.chain_listener, *node_listeners, self._control_listener = bind_consecutive(host, port, nodes + 2)
        self.rpc = RpcHandler(self.staking_state)
        self._events: set[asyncio.Task[object]] = set()
        ip = socket.gethostbyname(host)
        self._host = "127.0.0.1" if ip == _ALL_INTERFACES else ip
        self.nodes = NodeRegistry(node_listeners, self._make_node)

    def _make_node(self, index: int, port: int) -> Node:
        return Node(
            index=index,
            address=f"{self._host}:{port}",
            dealer=self.dealer,
            clock=self.now,
            blocks=self.blocks,
            pkps=self.pkps,
            payments=PaymentLedger(self.credits) if self._requires_payment else None,
            chain_state=self.chain_state,
            record=self.answered.append,
            start_event=self._start_event,
        )

    def _start_event(self, event: Event, node: int) -> None:
        """Run an event in a task, so that the node that causes it can answer first."""
        task: asyncio.Task[object] = asyncio.get_running_loop().create_task(event(self, node))
        self._events.add(task)
        task.add_done_callback(self._events.discard)

    async def open(self) -> None:
        """Start to serve."""
        await self.chain_listener.start(asgi_app(self.rpc))
        await self.nodes.open()
        await self._control_listener.start(same_site_only(control_app(self), self._bind_host))

    async def close(self) -> None:
        """Drop every connection and release all ports."""
        await self.chain_listener.close()
        await self.nodes.close()
        await self._control_listener.close()

    def now(self) -> datetime:
        """Return the time of the nodes' clocks."""
        return clock.now() + self._clock_offset

    def staking_state(self) -> chain.StakingState:
        """Return the present state of the staking contract."""
        return chain.StakingState(
            epoch=self.dealer.epoch,
            epoch_start=self._epoch_start,
            epoch_length_s=_EPOCH_LENGTH_S,
            threshold=self.dealer.threshold,
            host=self._host,
            ports=self.nodes.ports(),
            block=self.blocks.latest,
        )

    def description(self) -> Json:
        """Return the network description that ``LitClient`` and ``lit-airflow --network FILE`` read."""
        return {
            "network": "custom",
            "generation": "datil",
            "rpc_url": self._url(self.chain_listener),
            "chain_id": chain.CHAIN_ID,
            "staking_address": chain.STAKING_ADDRESS,
            "nodes": [registered.node.url for registered in self.nodes],
            "threshold": self.dealer.threshold,
            "epoch": self.dealer.epoch,
            "network_public_key": self.dealer.public_key,
            **({} if self._host in ("127.0.0.1", "localhost") else {"plain_http": True}),
            "control_url": self._url(self._control_listener),
        }

    def _url(self, listener: Listener) -> str:
        return f"http://{self._host}:{listener.port}"

    def snapshot(self) -> Json:
        """Return the description and the present state, for the control API."""
        return {
            **self.description(),
            "nodes": [registered.to_json() for registered in self.nodes],
            "epoch_start": self._epoch_start,
            "pkps": [{**pkp.to_json(), "owner": pkp.owner} for pkp in self.pkps.all()],
            "pays": self._requires_payment,
            "credits": [
                {"tokenId": c.token_id, "owner": c.owner, "expiresAt": c.expires_at.isoformat()}
                for c in self.credits.all()
            ],
            "clock_offset_s": self._clock_offset.total_seconds(),
            "faults": {name: fault.description for name, fault in FAULTS.items()},
            "chain": {
                "url": self._url(self.chain_listener),
                "up": self.chain_listener.open,
                **self.rpc.active_fault.to_json(),
            },
            "chain_faults": {name: fault.description for name, fault in CHAIN_FAULTS.items()},
        }

    async def set_fault(self, node: int, name: str | None, seconds: float | None = None) -> None:
        """Replace the fault of a node; see ``NodeRegistry.set_fault``."""
        await self.nodes.set_fault(node, name, seconds)

    async def set_chain_fault(self, name: str | None, seconds: float | None = None) -> None:
        """Replace the fault of the chain.

        Args:
            name: A key of ``CHAIN_FAULTS``; ``None`` for no fault.
            seconds: Required for a fault that takes seconds.

        Raises:
            ValueError: There is no such fault, or seconds are missing, negative or not allowed.
        """
        self.rpc.active_fault = ActiveFault.named(CHAIN_FAULTS, name, seconds)
        accepts = self.rpc.active_fault.behaviour.listens
        await self.chain_listener.set_open(asgi_app(self.rpc), accepts=accepts)

    async def add_node(self) -> int:
        """Let a node join, in a new epoch that deals it a share.

        Returns:
            The number of the node.

        Raises:
            ValueError: All numbers are used, or no port is free.
        """
        prepared = await self.nodes.prepare(self._bind_host, self._next_port)
        if self._next_port:
            self._next_port = prepared.listener.port + 1
        self.nodes.register(prepared)
        self._change_epoch()
        return prepared.node.index

    async def remove_node(self, node: int) -> None:
        """Let a node leave, in a new epoch that deals it no share; its port refuses connections.

        Raises:
            IndexError: There is no such node.
            ValueError: Fewer nodes than the threshold would be left.
        """
        left, needed = len(self.nodes.numbers()) - 1, self.dealer.threshold
        url = self.nodes[node].node.url
        if left < needed:
            raise ValueError(
                f"node {node} ({url}) cannot leave: {left} would be left, and {needed} are needed"
            )
        await self.nodes.remove(node, on_removed=self._change_epoch)

    def advance_epoch(self, by: int = 1) -> int:
        """Start new epochs, the last of which began a minute ago, and return its number.

        Args:
            by: How many epochs.
        """
        for _ in range(by):
            self._change_epoch()
        return self.dealer.epoch

    def _change_epoch(self) -> None:
        self.dealer.reshare(self.nodes.numbers())
        self.set_epoch_start(_SETTLED_EPOCH_AGE_S)

    def set_epoch_start(self, ago_s: float) -> None:
        """Set when the present epoch began.

        Args:
            ago_s: Seconds ago, at most a year. Below 45, clients send the number of the previous epoch.

        Raises:
            ValueError: ``ago_s`` is out of range.
        """
        if not 0 <= ago_s <= _MAX_EPOCH_AGE_S:
            raise ValueError(f"an epoch must begin from 0 to {_MAX_EPOCH_AGE_S} seconds (a year) ago")
        self._epoch_start = int(clock.now().timestamp() - ago_s)

    def set_clock_offset(self, seconds: float) -> None:
        """Set how far the nodes' clocks are ahead of the real time; negative is behind.

        Raises:
            ValueError: The offset is more than a century.
        """
        if not abs(seconds) <= _MAX_OFFSET_S:
            raise ValueError("the clock offset must be at most a century")
        self._clock_offset = timedelta(seconds=seconds)

    def mint_pkp(self, owner: str) -> dict[str, str]:
        """Create a PKP for a wallet and return its ``publicKey``, ``ethAddress`` and ``tokenId``.

        Raises:
            ValueError: ``owner`` is not an address.
        """
        return self.pkps.mint(owner).to_json()

    def mint_credit(self, owner: str, lasts_s: float) -> str:
        """Create a capacity credit for a wallet and return its token id, decimal.

        Raises:
            ValueError: ``owner`` is not an address, or ``lasts_s`` is more than a century.
        """
        if not abs(lasts_s) <= _MAX_OFFSET_S:
            raise ValueError("a credit must expire within a century")
        return self.credits.mint(owner, self.now(), lasts_s).token_id

    def pay_for(self, payer: str, user: str) -> None:
        """Let the credits of one wallet pay for the requests of another.

        Raises:
            ValueError: One of the two is not an address.
        """
        self.credits.pay_for(payer, user)

    def add_chain_state(self, entries: ChainState) -> None:
        """Add to the answers of the chains that conditions ask."""
        self.chain_state.update({key.lower(): value for key, value in entries.items()})

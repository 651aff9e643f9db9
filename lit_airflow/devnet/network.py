"""A whole network on one event loop: the chain, the nodes, the switchboard."""

from __future__ import annotations

import asyncio
import socket
from collections import deque
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from lit_airflow import clock
from lit_airflow.devnet import chain
from lit_airflow.devnet.blocks import Blocks
from lit_airflow.devnet.capacity import Credits, PaymentLedger
from lit_airflow.devnet.control import control_app
from lit_airflow.devnet.dealer import Dealer
from lit_airflow.devnet.faults import CHAIN_FAULTS, FAULTS
from lit_airflow.devnet.listener import Listener
from lit_airflow.devnet.node import Node
from lit_airflow.devnet.node_registry import Seats
from lit_airflow.devnet.pkps import Pkps
from lit_airflow.devnet.responses import served
from lit_airflow.devnet.rpc import ChainDesk
from lit_airflow.devnet.trouble import Event, Trouble
from lit_airflow.errors import SettingsError

if TYPE_CHECKING:
    from lit_airflow.devnet.evaluation import Ledger
    from lit_airflow.devnet.parsing import Json

Seen = tuple[int, str, int, str | None]
"""One answer of a node: node, path, status, error code."""

_EPOCH_LENGTH_S = 3600
_FURTHEST_S = 100 * 365 * 86400
_LOG_LENGTH = 100_000
# Within its first 45 seconds, clients still send the number of the epoch before.
_SETTLED_S = 60
_LONGEST_EPOCH_S = 365 * 86400
_EVERYWHERE = "0.0.0.0"  # noqa: S104 - a host to bind, chosen by the caller


class LocalNetwork:
    """All parts of a network and the state they share.

    Args:
        nodes: How many, at most 255.
        threshold: How many of them make a signature, at least 2.
        host: Name or IPv4 address to bind; ``0.0.0.0`` is announced as ``127.0.0.1``.
        port: The chain's; the nodes and then the switchboard follow. 0 takes any free ports.
        epoch: The first epoch's number.
        ledger: What the chains say that conditions ask, see ``evaluation.Ledger``.
        pays: Whether the nodes want capacity credits.

    Raises:
        SettingsError: The numbers do not go together, or a port is taken.
    """

    def __init__(  # noqa: PLR0913 - what makes a network
        self,
        nodes: int,
        threshold: int,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        epoch: int = 1,
        ledger: Ledger | None = None,
        pays: bool = False,
    ) -> None:
        try:
            self.dealer = Dealer(nodes, threshold, epoch)
        except ValueError as error:
            raise SettingsError(str(error), field="threshold") from error
        self.ledger: dict[str, object] = {}
        self.set_ledger(ledger or {})
        self.seen: deque[Seen] = deque(maxlen=_LOG_LENGTH)
        self._clock_offset = timedelta()
        self.set_epoch_start(_SETTLED_S)
        self._pays = pays
        self.blocks = Blocks(self.now)
        self.pkps = Pkps()
        self.credits = Credits()
        self._bind_host, self._next_port = host, port + nodes + 2 if port else 0
        first, *ofnodes, last = _bind_all(host, port, nodes + 2)
        self._chain, self._switchboard = first, last
        self._desk = ChainDesk(self.facts)
        self._events: set[asyncio.Task[object]] = set()
        ip = socket.gethostbyname(host)
        self._host = "127.0.0.1" if ip == _EVERYWHERE else ip
        self._seats = Seats(ofnodes, self._node)

    def _node(self, index: int, port: int) -> Node:
        return Node(
            index=index,
            address=f"{self._host}:{port}",
            dealer=self.dealer,
            clock=self.now,
            blocks=self.blocks,
            pkps=self.pkps,
            till=PaymentLedger(self.credits) if self._pays else None,
            ledger=self.ledger,
            seen=lambda *answer: self.seen.append(answer),
            happen=self._happen,
        )

    def _happen(self, event: Event, node: int) -> None:
        """Let it happen at once, but not before who caused it has answered."""
        task: asyncio.Task[object] = asyncio.get_running_loop().create_task(event(self, node))
        self._events.add(task)
        task.add_done_callback(self._events.discard)

    async def open(self) -> None:
        """Begin to serve."""
        await self._chain.start(served(self._desk))
        await self._seats.open()
        await self._switchboard.start(control_app(self))

    async def close(self) -> None:
        """Drop every connection and give the ports back."""
        await self._chain.close()
        await self._seats.close()
        await self._switchboard.close()

    def now(self) -> datetime:
        """The nodes' clock."""
        return clock.now() + self._clock_offset

    def facts(self) -> chain.ChainFacts:
        """What the contracts know now."""
        return chain.ChainFacts(
            epoch=self.dealer.epoch,
            epoch_start=self._epoch_start,
            epoch_length_s=_EPOCH_LENGTH_S,
            threshold=self.dealer.threshold,
            host=self._host,
            ports=self._seats.ports(),
            block=self.blocks.latest,
        )

    def description(self) -> Json:
        """What a client needs to know, in the form that ``lit-airflow --network FILE`` reads."""
        return {
            "network": "custom",
            "generation": "datil",
            "rpc_url": self._url(self._chain),
            "chain_id": chain.CHAIN_ID,
            "staking_address": chain.STAKING_ADDRESS,
            "nodes": [seat.node.url for seat in self._seats],
            "threshold": self.dealer.threshold,
            "epoch": self.dealer.epoch,
            "network_public_key": self.dealer.public_key,
            "control_url": self._url(self._switchboard),
        }

    def _url(self, listener: Listener) -> str:
        return f"http://{self._host}:{listener.port}"

    def node_url(self, node: int) -> str:
        """Where clients reach a node.

        Raises:
            IndexError: No such node.
        """
        return self._seats[node].node.url

    def snapshot(self) -> Json:
        """The description, and what is wrong with whom."""
        return {
            **self.description(),
            "nodes": [seat.snapshot() for seat in self._seats],
            "epoch_start": self._epoch_start,
            "pkps": [{**pkp.facts(), "owner": pkp.owner} for pkp in self.pkps.all()],
            "pays": self._pays,
            "credits": [
                {"tokenId": c.token_id, "owner": c.owner, "expiresAt": c.expires_at.isoformat()}
                for c in self.credits.all()
            ],
            "clock_offset_s": self._clock_offset.total_seconds(),
            "faults": {name: fault.about for name, fault in FAULTS.items()},
            "chain": {"url": self._url(self._chain), "up": self._chain.open, **self._desk.trouble.snapshot()},
            "chain_faults": {name: fault.about for name, fault in CHAIN_FAULTS.items()},
        }

    async def set_fault(self, node: int, name: str | None, seconds: float | None = None) -> None:
        """Give a node a fault, or none; it replaces the one before.

        Raises:
            IndexError: No such node.
            ValueError: No such fault, or seconds missing, negative, or given where they mean nothing.
        """
        await self._seats.set_fault(node, name, seconds)

    async def set_chain_fault(self, name: str | None, seconds: float | None = None) -> None:
        """Give the chain a fault, or none; it replaces the one before.

        Raises:
            ValueError: No such fault, or seconds missing, negative, or given where they mean nothing.
        """
        self._desk.trouble = Trouble.of(CHAIN_FAULTS, name, seconds)
        await self._chain.listen(served(self._desk), self._desk.trouble.fault.listens)

    async def add_node(self) -> int:
        """Let a node join: with a new epoch, which deals a share to it too; its number.

        Raises:
            ValueError: There is no number or no port left for it.
        """
        seat = await self._seats.prepare(self._bind_host, self._next_port)
        if self._next_port:
            self._next_port = seat.listener.port + 1
        self._seats.admit(seat)
        self._change_epoch()
        return seat.node.index

    async def remove_node(self, node: int) -> None:
        """Let a node leave: with a new epoch, which deals no share to it; it refuses connections.

        Raises:
            IndexError: No such node.
            ValueError: The threshold could not be reached without it.
        """
        left, needed = len(self._seats.numbers()) - 1, self.dealer.threshold
        url = self.node_url(node)
        if left < needed:
            raise ValueError(
                f"node {node} ({url}) cannot leave: {left} would be left, and {needed} are needed"
            )
        await self._seats.remove(node, then=self._change_epoch)

    def advance_epoch(self, by: int = 1) -> int:
        """Reshare ``by`` times; the new number.

        The new epoch began a minute ago, so that clients send its number at once.
        """
        for _ in range(by):
            self._change_epoch()
        return self.dealer.epoch

    def _change_epoch(self) -> None:
        self.dealer.reshare(self._seats.numbers())
        self.set_epoch_start(_SETTLED_S)

    def set_epoch_start(self, ago_s: float) -> None:
        """Say when the epoch began.

        Args:
            ago_s: Seconds before now. Below 45, clients send the number of the epoch before.

        Raises:
            ValueError: Negative, or more than a year.
        """
        if not 0 <= ago_s <= _LONGEST_EPOCH_S:
            raise ValueError("an epoch began between now and a year ago")
        self._epoch_start = int(clock.now().timestamp() - ago_s)

    def set_clock_offset(self, seconds: float) -> None:
        """Move the nodes' clock against the real one; positive is ahead.

        Raises:
            ValueError: More than a century.
        """
        if not abs(seconds) <= _FURTHEST_S:
            raise ValueError("the clock moves by a century at most")
        self._clock_offset = timedelta(seconds=seconds)

    def mint_pkp(self, owner: str) -> dict[str, str]:
        """Make a PKP that a wallet may use; its ``publicKey``, ``ethAddress`` and ``tokenId``.

        Raises:
            ValueError: Not an address.
        """
        return self.pkps.mint(owner).facts()

    def mint_credit(self, owner: str, lasts_s: float) -> str:
        """Give a wallet a capacity credit; its token id, decimal.

        Raises:
            ValueError: Not an address, or more than a century.
        """
        if not abs(lasts_s) <= _FURTHEST_S:
            raise ValueError("a credit lasts a century at most")
        return self.credits.mint(owner, self.now(), lasts_s).token_id

    def pay_for(self, payer: str, user: str) -> None:
        """Put a user on a payer's account.

        Raises:
            ValueError: Not an address.
        """
        self.credits.pay_for(payer, user)

    def set_ledger(self, entries: Ledger) -> None:
        """Add to what the chains say, see ``evaluation.Ledger``."""
        self.ledger.update({key.lower(): value for key, value in entries.items()})


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

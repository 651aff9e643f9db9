"""The nodes of a network and their ports: who is there, who joins, who leaves."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from lit_airflow.devnet.dealer import MOST_NODES
from lit_airflow.devnet.faults import FAULTS
from lit_airflow.devnet.listener import Listener
from lit_airflow.devnet.node import Node
from lit_airflow.devnet.parsing import Json
from lit_airflow.devnet.responses import served
from lit_airflow.devnet.trouble import Trouble


@dataclass(frozen=True, slots=True)
class Seat:
    """One node at its port."""

    node: Node
    listener: Listener

    def snapshot(self) -> Json:
        """Where it is, and what is wrong with it."""
        node = self.node
        return {
            "index": node.index,
            "url": node.url,
            "up": self.listener.open,
            **node.trouble.snapshot(),
        }


class Seats:
    """The nodes that are there, by number. A number that was taken once is never given to another node.

    Args:
        listeners: The first nodes' ports, in order.
        make: Makes the node of a number and a port.
    """

    def __init__(self, listeners: list[Listener], make: Callable[[int, int], Node]) -> None:
        self._make = make
        self._seats = {
            index: Seat(make(index, listener.port), listener) for index, listener in enumerate(listeners)
        }
        self._next = len(listeners)
        # A port that was a node's stays bound, so that nobody else answers there.
        self._left: list[Listener] = []

    def __iter__(self) -> Iterator[Seat]:
        return iter(self._seats.values())

    def __getitem__(self, index: int) -> Seat:
        if index not in self._seats:
            raise IndexError(f"there is no node {index}, only {', '.join(map(str, self._seats))}")
        return self._seats[index]

    def numbers(self) -> list[int]:
        """Who is there."""
        return list(self._seats)

    def ports(self) -> dict[int, int]:
        """Number -> port."""
        return {index: seat.listener.port for index, seat in self._seats.items()}

    async def open(self) -> None:
        """Begin to serve."""
        for seat in self:
            await seat.listener.start(served(seat.node))

    async def close(self) -> None:
        """Drop every connection and give the ports back."""
        for listener in [*(seat.listener for seat in self), *self._left]:
            await listener.close()

    async def prepare(self, host: str, port: int) -> Seat:
        """A node that listens at a port of its own, but is not among the others yet: see ``admit``.

        Args:
            host: Name or IPv4 address to bind.
            port: The first one to try; 0 for any.

        Raises:
            ValueError: No number is left, or no port.
        """
        index = self._next
        if index >= MOST_NODES:
            raise ValueError(f"no further node can join: numbers end at {MOST_NODES - 1}, and none is reused")
        listener = _bind_next(host, port)
        self._next += 1
        seat = Seat(self._make(index, listener.port), listener)
        await listener.start(served(seat.node))
        return seat

    def admit(self, seat: Seat) -> None:
        """Put a prepared node among the others."""
        self._seats[seat.node.index] = seat

    async def remove(self, index: int, then: Callable[[], object]) -> None:
        """Take a node away: from now on its port refuses connections.

        Args:
            index: Its number.
            then: Called when it is no longer among the others, before anybody else can find out.

        Raises:
            IndexError: No such node.
        """
        seat = self[index]
        del self._seats[index]
        self._left.append(seat.listener)
        then()
        await seat.listener.stop()

    async def set_fault(self, index: int, name: str | None, seconds: float | None = None) -> None:
        """Give a node a fault, or none; it replaces the one before.

        Args:
            index: Its number.
            name: A key of ``FAULTS``; ``None`` makes the node good again.
            seconds: Where the fault takes some.

        Raises:
            IndexError: No such node.
            ValueError: No such fault, or seconds missing, negative, or given where they mean nothing.
        """
        seat = self[index]
        seat.node.trouble = Trouble.of(FAULTS, name, seconds)
        await seat.listener.listen(served(seat.node), seat.node.trouble.fault.listens)


def _bind_next(host: str, port: int) -> Listener:
    """The first free port from ``port`` on; any for 0.

    Raises:
        ValueError: There is none.
    """
    while True:
        try:
            return Listener(host, port)
        except OverflowError:
            raise ValueError("no further node can join: there is no port left for it") from None
        except OSError as error:
            if not port or error.errno != errno.EADDRINUSE:
                raise ValueError(f"no further node can join: {error}") from error
            port += 1

"""The nodes of a network and the ports they listen on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from lit_airflow.devnet.asgi import asgi_app
from lit_airflow.devnet.dealer import MAX_NODES
from lit_airflow.devnet.faults import FAULTS, ActiveFault
from lit_airflow.devnet.listener import Listener, bind_next_free
from lit_airflow.devnet.node import Node
from lit_airflow.devnet.parsing import Json


@dataclass(frozen=True, slots=True)
class RegisteredNode:
    """A node and the listener of its port."""

    node: Node
    listener: Listener

    def to_json(self) -> Json:
        """Return the node's number, URL, state and fault, for the control API."""
        node = self.node
        return {
            "index": node.index,
            "url": node.url,
            "up": self.listener.open,
            **node.active_fault.to_json(),
        }


class NodeRegistry:
    """The nodes of a network by number. The number of a node that left is not used again.

    Args:
        listeners: The ports of the first nodes, in order.
        make_node: Makes a node from its number and port.
    """

    def __init__(self, listeners: list[Listener], make_node: Callable[[int, int], Node]) -> None:
        self._make_node = make_node
        self._nodes = {
            index: RegisteredNode(make_node(index, listener.port), listener)
            for index, listener in enumerate(listeners)
        }
        self._next_index = len(listeners)
        # The ports of nodes that left stay bound, so that no other program answers there.
        self._unused_listeners: list[Listener] = []

    def __iter__(self) -> Iterator[RegisteredNode]:
        return iter(self._nodes.values())

    def __getitem__(self, index: int) -> RegisteredNode:
        if index not in self._nodes:
            raise IndexError(f"there is no node {index}, only {', '.join(map(str, self._nodes))}")
        return self._nodes[index]

    def numbers(self) -> list[int]:
        """Return the numbers of all nodes."""
        return list(self._nodes)

    def ports(self) -> dict[int, int]:
        """Return the port of each node by its number."""
        return {index: registered.listener.port for index, registered in self._nodes.items()}

    async def open(self) -> None:
        """Start to serve all nodes."""
        for registered in self:
            await registered.listener.start(asgi_app(registered.node))

    async def close(self) -> None:
        """Drop every connection and release all ports."""
        for listener in [*(registered.listener for registered in self), *self._unused_listeners]:
            await listener.close()

    async def prepare(self, host: str, port: int) -> RegisteredNode:
        """Make a node that serves requests but is not registered yet.

        Args:
            host: Host name or IPv4 address to bind.
            port: The first port to try; 0 for any free port.

        Raises:
            ValueError: All numbers are used, or no port is free.
        """
        index = self._next_index
        if index >= MAX_NODES:
            raise ValueError(f"no further node can join: numbers end at {MAX_NODES - 1}, and none is reused")
        try:
            listener = bind_next_free(host, port)
        except OSError as error:
            raise ValueError(f"no further node can join: {error}") from error
        self._next_index += 1
        prepared = RegisteredNode(self._make_node(index, listener.port), listener)
        await listener.start(asgi_app(prepared.node))
        return prepared

    def register(self, prepared: RegisteredNode) -> None:
        """Add a prepared node to the network."""
        self._nodes[prepared.node.index] = prepared

    async def remove(self, index: int, on_removed: Callable[[], object]) -> None:
        """Remove a node; its port refuses connections from then on.

        Args:
            index: The node's number.
            on_removed: Called after the removal, before any other request is served.

        Raises:
            IndexError: There is no such node.
        """
        registered = self[index]
        del self._nodes[index]
        self._unused_listeners.append(registered.listener)
        on_removed()
        await registered.listener.stop()

    async def set_fault(self, index: int, name: str | None, seconds: float | None = None) -> None:
        """Replace the fault of a node.

        Args:
            index: The node's number.
            name: A key of ``FAULTS``; ``None`` for no fault.
            seconds: Required for a fault that takes seconds.

        Raises:
            IndexError: There is no such node.
            ValueError: There is no such fault, or seconds are missing, negative or not allowed.
        """
        registered = self[index]
        node, listener = registered.node, registered.listener
        node.active_fault = ActiveFault.named(FAULTS, name, seconds)
        await listener.set_open(asgi_app(node), accepts=node.active_fault.behaviour.listens)

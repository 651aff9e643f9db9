"""A Lit network on loopback ports, for trying out and testing what uses Lit.

::

    from lit_airflow.devnet import Devnet

    with Devnet(nodes=3, threshold=2) as net:
        client = LitClient(net.description)
        net.stop_node(1)
        net.set_fault(0, "slow", 2)
        net.set_fault("chain", "down")
        joined = net.add_node()

It speaks the wire protocol of the Datil generation, lists its nodes on a chain of its own, and refuses what
a real node refuses with a real node's error bodies. It reads everything with its own code, not the client's.
It does not prove: that the real network answers in time, attests its hardware, charges as expected, or
knows the balances that a condition asks about (give those as ``state``).
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import Future
from functools import partial
from types import TracebackType
from typing import Self, TypeVar

from lit_airflow.devnet.evaluation import Ledger
from lit_airflow.devnet.network import LocalNetwork, Seen
from lit_airflow.errors import SettingsError

__all__ = ["Devnet", "serve"]

GENERATIONS = ("datil",)
CHAIN = "chain"
_T = TypeVar("_T")


class Devnet:
    """A local network in a thread of this process; a context manager.

    Args:
        nodes: How many nodes, at most 255.
        threshold: How many shares make a signature, from 2 to ``nodes``.
        host: Name or IPv4 address to bind.
        port: The chain's port; the nodes' and the switchboard's follow it. 0 takes any free ports.
        generation: Which protocol to speak; ``datil``.
        epoch: The first epoch's number.
        state: What the chains of conditions say, see ``lit_airflow.devnet.evaluation.Ledger``.
        pays: Whether the nodes want capacity credits before they give a share.

    Raises:
        SettingsError: The numbers do not go together, the generation is unknown, or a port is taken.
    """

    def __init__(  # noqa: PLR0913 - what makes a network
        self,
        nodes: int = 3,
        threshold: int = 2,
        host: str = "127.0.0.1",
        port: int = 0,
        generation: str = "datil",
        *,
        epoch: int = 1,
        state: Ledger | None = None,
        pays: bool = False,
    ) -> None:
        if generation not in GENERATIONS:
            raise SettingsError(
                f"there is no local network of generation {generation!r}, only {', '.join(GENERATIONS)}.",
                field="generation",
            )
        self._make = partial(
            LocalNetwork, nodes, threshold, host=host, port=port, epoch=epoch, ledger=state, pays=pays
        )
        self._network: LocalNetwork | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._stop: asyncio.Event | None = None

    def __enter__(self) -> Self:
        self._network = self._make()
        ready: Future[None] = Future()
        self._thread = threading.Thread(
            target=lambda: asyncio.run(self._serve(ready)), name="lit-devnet", daemon=True
        )
        self._thread.start()
        ready.result()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._loop is not None and self._stop is not None and self._thread is not None:
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join()
        self._thread = self._loop = self._stop = None

    async def _serve(self, ready: Future[None]) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        try:
            await self._running.open()
        except BaseException as error:  # noqa: BLE001 - whoever waits in the other thread must hear of it
            ready.set_exception(error)
        else:
            ready.set_result(None)
            await self._stop.wait()
        await self._running.close()

    @property
    def _running(self) -> LocalNetwork:
        if self._network is None:
            raise RuntimeError("the network is not open: use it in a with statement")
        return self._network

    def _do(self, work: Coroutine[object, object, _T]) -> _T:
        if self._loop is None:
            work.close()
            raise RuntimeError("the network is not open: use it in a with statement")
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    @property
    def description(self) -> dict[str, object]:
        """What a client needs to know: the JSON object that ``LitClient`` and ``--network`` read."""
        return self._running.description()

    @property
    def requests(self) -> list[Seen]:
        """What the nodes have answered so far: ``(node, path, status, error code or None)``."""
        return list(self._running.seen)

    def node_url(self, node: int) -> str:
        """Where a node is reached; of those that are there now.

        Args:
            node: Its number: the first ones have 0, 1 and so on, those that join the next ones.

        Raises:
            IndexError: No such node.
        """
        return self._running.node_url(node)

    def set_fault(self, node: int | str, fault: str | None, seconds: float | None = None) -> None:
        """Give a node a fault, or with ``None`` make it good again.

        Args:
            node: Its number; ``"chain"`` means the chain that lists the nodes.
            fault: A key of ``lit_airflow.devnet.faults.FAULTS``, for the chain of ``CHAIN_FAULTS`` there.
            seconds: For those that take some.

        Raises:
            IndexError: No such node.
            ValueError: No such fault, or wrong seconds.
        """
        if isinstance(node, int):
            self._do(self._running.set_fault(node, fault, seconds))
        elif node == CHAIN:
            self._do(self._running.set_chain_fault(fault, seconds))
        else:
            raise IndexError(f"there is no node {node!r}; nodes have numbers, and {CHAIN!r} is the chain")

    def stop_node(self, node: int) -> None:
        """Make a node refuse connections; its port stays its own."""
        self.set_fault(node, "down")

    def start_node(self, node: int) -> None:
        """Make a node good again, whatever was wrong with it."""
        self.set_fault(node, None)

    def slow_node(self, node: int, seconds: float) -> None:
        """Make a node wait before each answer."""
        self.set_fault(node, "slow", seconds)

    def lie(self, node: int, fault: str = "wrong-share") -> None:
        """Make a node answer wrongly; ``fault`` is one of the switchboard's names."""
        self.set_fault(node, fault)

    def add_node(self) -> int:
        """Let a node join, its number; the chain lists it, and a new epoch deals shares of the same key.

        The threshold stays. Of the epoch before, the new node has no share.

        Raises:
            ValueError: 255 nodes have been there, or no port is left.
        """
        return self._do(self._running.add_node())

    def remove_node(self, node: int) -> None:
        """Let a node leave; it is no longer listed and refuses connections, and a new epoch begins.

        The threshold stays. The others keep their numbers, and its own is not given away again.

        Raises:
            IndexError: No such node.
            ValueError: Fewer than the threshold would be left.
        """
        self._do(self._running.remove_node(node))

    def advance_epoch(self, by: int = 1) -> int:
        """Deal new shares of the same key; the new epoch's number.

        It counts as a minute old, so that clients send its number at once; see ``set_epoch_start``.
        """

        async def advance() -> int:
            return self._running.advance_epoch(by)

        return self._do(advance())

    def set_epoch_start(self, ago_s: float) -> None:
        """Say when the epoch began; for its first 45 seconds, clients send the number of the one before.

        Args:
            ago_s: Seconds before now, up to a year's worth.

        Raises:
            ValueError: Negative, or more than a year.
        """
        self._running.set_epoch_start(ago_s)

    def set_clock_offset(self, seconds: float) -> None:
        """Move the nodes' clock against the real one; positive is ahead.

        Raises:
            ValueError: More than a century.
        """
        self._running.set_clock_offset(seconds)

    def set_state(self, entries: Ledger) -> None:
        """Add to what the chains of conditions say."""
        self._running.set_ledger(entries)

    def mint_pkp(self, owner: str) -> dict[str, str]:
        """Make a PKP.

        Args:
            owner: The address of the wallet that may use it.

        Returns:
            ``{"publicKey": "0x04…", "ethAddress": "0x…", "tokenId": "0x…"}``.

        Raises:
            ValueError: Not an address.
        """
        return self._running.mint_pkp(owner)

    def mint_credit(self, owner: str, lasts_s: float = 30 * 86400) -> str:
        """Give a wallet a capacity credit (a rate-limit NFT).

        Args:
            owner: The wallet's address.
            lasts_s: Seconds until it expires; negative for one that has.

        Returns:
            Its token id, decimal.

        Raises:
            ValueError: Not an address.
        """
        return self._running.mint_credit(owner, lasts_s)

    def pay_for(self, payer: str, user: str) -> None:
        """Let one wallet's credits pay for another's requests, as the payment delegation contract does.

        Raises:
            ValueError: Not an address.
        """
        self._running.pay_for(payer, user)


def serve(  # noqa: PLR0913, PLR0917 - the command line's own options
    nodes: int,
    threshold: int,
    host: str,
    port: int,
    generation: str,
    announce: Callable[[dict[str, object]], None],
    stop: threading.Event,
    faults: Sequence[str] = (),
) -> None:
    """Run a network until ``stop`` is set.

    Args:
        nodes: How many nodes.
        threshold: How many shares make a signature.
        host: Name or IPv4 address to bind.
        port: The chain's port, 0 for any.
        generation: Which protocol to speak. ``chipotle`` is one service, without nodes and threshold.
        announce: Called once with the description, when all ports answer.
        stop: Ends it.
        faults: What is wrong from the beginning, each as ``NODE=NAME[:SECONDS]``; for Chipotle
            ``CALL=NAME[:SECONDS]``.

    Raises:
        SettingsError: As ``Devnet``, or no such fault.
    """
    if generation == "chipotle":
        from lit_airflow.devnet.chipotle import serve_chipotle  # noqa: PLC0415 - only where it is asked for

        serve_chipotle(host, port, announce, stop, faults=faults)
        return
    with Devnet(nodes, threshold, host, port, generation) as net:
        for text in faults:
            try:
                net.set_fault(*_fault(text))
            except (IndexError, ValueError) as error:
                raise SettingsError(
                    f"{text!r}: {error}.",
                    field="fault",
                    hint="Write it as 0=silent, 1=slow:2.5 or chain=down.",
                ) from error
        announce(net.description)
        stop.wait()


def _fault(text: str) -> tuple[int | str, str, float | None]:
    node, equals, fault = text.partition("=")
    if not equals:
        raise ValueError("it names no fault")
    name, colon, seconds = fault.partition(":")
    return int(node) if node.isdecimal() else node, name, float(seconds) if colon else None

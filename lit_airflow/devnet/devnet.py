"""The local network of the Datil generation, for use in Python."""

from __future__ import annotations

from functools import partial

from lit_airflow.devnet.capacity import CREDIT_LIFETIME_S
from lit_airflow.devnet.evaluation import ChainState
from lit_airflow.devnet.network import LocalNetwork
from lit_airflow.devnet.node import AnsweredRequest
from lit_airflow.devnet.threaded_network import ThreadedNetwork
from lit_airflow.errors import SettingsError

GENERATION = "datil"
CHAIN = "chain"


class Devnet(ThreadedNetwork[LocalNetwork]):
    """A local network that runs in a thread of this process; a context manager.

    Args:
        nodes: How many nodes, at most 255.
        threshold: How many shares make a signature, from 2 to ``nodes``.
        host: Host name or IPv4 address to bind.
        port: The port of the chain; the nodes and then the control API use the ports after it. 0 for any free
            ports.
        generation: The generation of the Lit protocol; ``datil``.
        epoch: The number of the first epoch.
        state: The answers of the chains that conditions ask, see ``lit_airflow.devnet.evaluation.ChainState``.
        pays: Whether the nodes require capacity credits for a share.

    Raises:
        SettingsError: A number is out of range, the generation is unknown, or a port cannot be bound.
    """

    def __init__(  # noqa: PLR0913 - the properties of a network
        self,
        nodes: int = 3,
        threshold: int = 2,
        host: str = "127.0.0.1",
        port: int = 0,
        generation: str = GENERATION,
        *,
        epoch: int = 1,
        state: ChainState | None = None,
        pays: bool = False,
    ) -> None:
        if generation != GENERATION:
            raise SettingsError(f"generation must be {GENERATION}, got {generation!r}.", field="generation")
        make_network = partial(
            LocalNetwork,
            nodes,
            threshold,
            host=host,
            port=port,
            epoch=epoch,
            chain_state=state,
            requires_payment=pays,
        )
        super().__init__(make_network, "lit-devnet")

    @property
    def description(self) -> dict[str, object]:
        """The network description that ``LitClient`` and ``lit-airflow --network FILE`` read."""
        return self.network.description()

    @property
    def requests(self) -> list[AnsweredRequest]:
        """The requests that the nodes have answered: ``(node, path, status, error code or None)``."""
        return list(self.network.answered)

    def node_url(self, node: int) -> str:
        """Return the URL of a node.

        Args:
            node: Its number: 0, 1 and so on for the first nodes, the next numbers for nodes that joined.

        Raises:
            IndexError: There is no such node.
        """
        return self.network.nodes[node].node.url

    def set_fault(self, node: int | str, fault: str | None, seconds: float | None = None) -> None:
        """Replace the fault of a node or of the chain.

        Args:
            node: The node's number; ``"chain"`` for the chain that lists the nodes.
            fault: A key of ``lit_airflow.devnet.faults.FAULTS``, for the chain of ``CHAIN_FAULTS``; ``None`` for no
                fault.
            seconds: Required for a fault that takes seconds.

        Raises:
            IndexError: There is no such node.
            ValueError: There is no such fault, or seconds are missing, negative or not allowed.
        """
        if isinstance(node, int):
            self._run(self.network.set_fault(node, fault, seconds))
        elif node == CHAIN:
            self._run(self.network.set_chain_fault(fault, seconds))
        else:
            raise IndexError(f"there is no node {node!r}; use a number, or {CHAIN!r} for the chain")

    def stop_node(self, node: int) -> None:
        """Make a node refuse connections; it keeps its port."""
        self.set_fault(node, "down")

    def start_node(self, node: int) -> None:
        """Remove the fault of a node."""
        self.set_fault(node, None)

    def slow_node(self, node: int, seconds: float) -> None:
        """Make a node wait before each response."""
        self.set_fault(node, "slow", seconds)

    def lie(self, node: int, fault: str = "wrong-share") -> None:
        """Make a node answer wrongly.

        Args:
            node: The node's number.
            fault: A key of ``lit_airflow.devnet.faults.FAULTS``.
        """
        self.set_fault(node, fault)

    def add_node(self) -> int:
        """Let a node join, and return its number.

        The chain lists the node, and a new epoch deals it a share of the same key. It has no share of the previous
        epoch. The threshold stays the same.

        Raises:
            ValueError: All 255 numbers are used, or no port is free.
        """
        return self._run(self.network.add_node())

    def remove_node(self, node: int) -> None:
        """Let a node leave.

        The chain no longer lists the node, its port refuses connections, and a new epoch begins. The threshold
        stays the same, and so do the numbers of the other nodes; the node's own number is not used again.

        Raises:
            IndexError: There is no such node.
            ValueError: Fewer nodes than the threshold would be left.
        """
        self._run(self.network.remove_node(node))

    def advance_epoch(self, by: int = 1) -> int:
        """Deal new shares of the same key, and return the number of the new epoch.

        The epoch counts as a minute old, so that clients send its number at once; see ``set_epoch_start``.

        Args:
            by: How many epochs to start.
        """
        return self._call(lambda network: network.advance_epoch(by))

    def set_epoch_start(self, ago_s: float) -> None:
        """Set when the epoch began; in its first 45 seconds, clients send the number of the previous one.

        Args:
            ago_s: Seconds ago, at most a year.

        Raises:
            ValueError: ``ago_s`` is out of range.
        """
        self.network.set_epoch_start(ago_s)

    def set_clock_offset(self, seconds: float) -> None:
        """Set how far the nodes' clocks are ahead of the real time; negative is behind.

        Raises:
            ValueError: The offset is more than a century.
        """
        self.network.set_clock_offset(seconds)

    def set_state(self, entries: ChainState) -> None:
        """Add to the answers of the chains that conditions ask."""
        self.network.add_chain_state(entries)

    def mint_pkp(self, owner: str) -> dict[str, str]:
        """Create a PKP.

        Args:
            owner: The address of the wallet that may use it.

        Returns:
            ``{"publicKey": "0x04…", "ethAddress": "0x…", "tokenId": "0x…"}``.

        Raises:
            ValueError: ``owner`` is not an address.
        """
        return self.network.mint_pkp(owner)

    def mint_credit(self, owner: str, lasts_s: float = CREDIT_LIFETIME_S) -> str:
        """Create a capacity credit (a rate-limit NFT).

        Args:
            owner: The address of the wallet that owns it.
            lasts_s: Seconds until it expires; negative for an expired credit.

        Returns:
            Its token id, decimal.

        Raises:
            ValueError: ``owner`` is not an address.
        """
        return self.network.mint_credit(owner, lasts_s)

    def pay_for(self, payer: str, user: str) -> None:
        """Let the credits of one wallet pay for the requests of another.

        This does what the payment delegation contract does on a real network.

        Raises:
            ValueError: One of the two is not an address.
        """
        self.network.pay_for(payer, user)

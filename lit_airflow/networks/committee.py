"""What networks of several nodes offer beside the contract: their committee, and sessions as the JS SDK opens them.

Only :mod:`lit_airflow.sdk`, which mirrors the SDK's calls, uses it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from lit_airflow.clock import Deadline
from lit_airflow.errors import Failure, NodeError
from lit_airflow.networks.contract import Network, SessionOptions
from lit_airflow.protocol.scope import Scope
from lit_airflow.protocol.session import Session
from lit_airflow.transport.addresses import check_public

if TYPE_CHECKING:
    from lit_airflow.protocol.auth_method import PkpAccess
    from lit_airflow.protocol.auth_sig import AuthNeeded


@dataclass(frozen=True, slots=True)
class Validators:
    """The validators that the chain lists.

    Attributes:
        nodes: Node URLs in the chain's order.
        threshold: How many must answer.
        epoch: The chain's epoch.
    """

    nodes: tuple[str, ...]
    threshold: int
    epoch: int


@dataclass(frozen=True, slots=True)
class Handshake:
    """One node's answer to the handshake.

    Attributes:
        public_key: The network's BLS key, 96 hex digits.
        nonce: The latest block hash it knows, ``0x`` hex.
        took_s: Seconds until it arrived, retries and attestation included.
        skew_s: Seconds by which this machine's clock is ahead of the node's, negative where behind; ``None`` where
            that cannot be told.
    """

    public_key: str
    nonce: str
    took_s: float = 0.0
    skew_s: float | None = None


@dataclass(frozen=True, slots=True)
class Committee:
    """The nodes at this moment, and what their handshakes agree on.

    Attributes:
        nodes: Node URLs in the chain's order, those without a handshake included.
        threshold: How many must answer.
        epoch: The epoch to name in requests.
        public_key: The network's BLS key, 96 hex digits.
        nonce: A recent block hash.
        absent: Node URL -> why it gave no usable handshake.
        handshakes: Node URL -> its handshake, in the order they arrived; not all need name the same key.
        credit_contract: The contract whose tokens pay for requests; empty where it is not known.
        attested: Whether the nodes had to prove their hardware.
        public: Whether the nodes must have public addresses.
    """

    nodes: tuple[str, ...]
    threshold: int
    epoch: int
    public_key: str
    nonce: str
    absent: Mapping[str, Failure] = field(default_factory=dict)
    handshakes: Mapping[str, Handshake] = field(default_factory=dict)
    credit_contract: str = ""
    attested: bool = False
    public: bool = False

    @property
    def skew_s(self) -> float | None:
        """Seconds by which this machine's clock is ahead of the nodes', negative where behind: the median.

        ``None`` if no node told the time. It is shown to people and decides nothing: it is good to a second, and
        comes from headers that a proxy before the node may have written.
        """
        import statistics  # noqa: PLC0415 - only surveys need it

        told = [shake.skew_s for shake in self.handshakes.values() if shake.skew_s is not None]
        return statistics.median(told) if told else None

    def check_may_ask(self, node: str) -> None:
        """Return nothing if a node may be sent sessions and proofs of identity.

        Only nodes whose handshake named the agreed network key may: one that failed it could be anybody's.

        Raises:
            NodeError: It may not; says why.
        """
        if self.public:
            check_public(node)
        if (absence := self.absent.get(node)) is not None:
            raise NodeError(absence.message, kind=absence.kind, sent=False)


class CommitteeNetwork(Network, Protocol):
    """A network whose nodes form a committee."""

    def validators(self, deadline: Deadline) -> Validators:
        """Return the validators listed on the chain. Contacts no node.

        Raises:
            ChainUnavailableError: The chain does not answer.
            ProtocolError: It lists too few nodes, or has no such contract.
        """
        ...

    def survey(self, deadline: Deadline) -> Committee:
        """Find the nodes and what they agree on.

        Raises:
            NetworkError: The chain or too many nodes do not answer, or they disagree.
        """
        ...

    def open_session_with(
        self, auth_needed: AuthNeeded, scope: Scope, options: SessionOptions, deadline: Deadline
    ) -> Session:
        """Open a session whose delegation a callback returns.

        Raises:
            SessionError: What the callback returned does not carry this session.
            NetworkError: As :meth:`survey`.
        """
        ...

    def open_pkp_session(
        self, access: PkpAccess, scope: Scope, options: SessionOptions, deadline: Deadline
    ) -> Session:
        """Have the network delegate from a PKP to a session key, and sign for every node.

        Raises:
            AccessDeniedError: No authentication method permits this PKP, or one has expired.
            NetworkError: As :meth:`survey`.
        """
        ...

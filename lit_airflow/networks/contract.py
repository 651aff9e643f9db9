"""What every generation of the network can do, and the records that pass between its parts."""

from __future__ import annotations

import logging
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from lit_airflow.clock import Deadline
from lit_airflow.errors import NodeError
from lit_airflow.networks.datil.consensus import Handshake, check_public
from lit_airflow.protocol.auth_method import PkpAccess
from lit_airflow.protocol.auth_sig import AuthNeeded
from lit_airflow.protocol.conditions import Conditions
from lit_airflow.protocol.scope import Scope
from lit_airflow.protocol.session import Session, SessionKey
from lit_airflow.protocol.session_storage import SessionStorage

Sealed = dict[str, str]
"""``{"ciphertext": base64, "dataToEncryptHash": hex}``, as the SDK's ``encrypt`` returns it."""
UNPROVEN = "its share may be wrong"
"""Said of every node that answered, where the shares do not show which of them lied."""


@dataclass(frozen=True, slots=True)
class Listing:
    """Whom the chain names, none of them asked yet.

    Attributes:
        nodes: Node URLs in the chain's order.
        threshold: How many must answer.
        epoch: The chain's epoch.
    """

    nodes: tuple[str, ...]
    threshold: int
    epoch: int


@dataclass(frozen=True, slots=True)
class Committee:
    """Who the nodes are at this moment, and what their handshakes agree on.

    Attributes:
        nodes: Node URLs in the chain's order, the silent ones included.
        threshold: How many must answer.
        epoch: The epoch to name in requests.
        public_key: The network's BLS key, 96 hex digits.
        nonce: A recent block hash.
        absent: Node URL -> why it gave no usable handshake.
        handshakes: Node URL -> its handshake, in the order they arrived; not all need name the same key.
        credit_contract: Whose tokens pay for requests; empty where it is not known.
        attested: Whether the nodes had to prove their hardware; those that did not are then asked for nothing.
        public: Whether the nodes must have public addresses; those that do not are asked for nothing.
    """

    nodes: tuple[str, ...]
    threshold: int
    epoch: int
    public_key: str
    nonce: str
    absent: Mapping[str, str] = field(default_factory=dict)
    handshakes: Mapping[str, Handshake] = field(default_factory=dict)
    credit_contract: str = ""
    attested: bool = False
    public: bool = False

    @property
    def skew_s(self) -> float | None:
        """Seconds by which our clock is ahead of the nodes', negative where behind: the median of their handshakes.

        ``None`` if none of them told the time. It is shown to people and decides nothing: it is good to a second,
        and comes from headers that whatever stands before a node may have written.
        """
        told = [shake.skew_s for shake in self.handshakes.values() if shake.skew_s is not None]
        return statistics.median(told) if told else None

    def check_may_ask(self, node: str) -> None:
        """Whether a node may be sent sessions and proofs of identity.

        Raises:
            NodeError: It did not prove its hardware where that is demanded, or has no public address; says why.
        """
        if self.public:
            check_public(node)
        if self.attested and node in self.absent:
            raise NodeError(self.absent[node])


@dataclass(frozen=True, slots=True)
class DecryptionReport:
    """What the nodes did when they were asked together; as text, a line for the log.

    Attributes:
        answered: Node URL -> seconds until its good answer, in the order they came.
        failed: Node URL -> why its answer was of no use, or why there was none.
        left_out: Nodes that were not waited for, because enough of the others had answered.
    """

    answered: Mapping[str, float]
    failed: Mapping[str, str]
    left_out: tuple[str, ...]

    def __str__(self) -> str:
        answered = ", ".join(f"{node} ({took_s * 1000:.0f} ms)" for node, took_s in self.answered.items())
        left_out = f" Not waited for: {', '.join(self.left_out)}." if self.left_out else ""
        failed = ", ".join(f"{node} ({cause})" for node, cause in self.failed.items())
        return f"Answered: {answered}.{left_out} Failed: {failed or 'none'}."


OnReport = Callable[[DecryptionReport], None]
"""Told how each decryption was answered, in the thread that decrypts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionOptions:
    """What a session is opened with, beside who signs and for what.

    Attributes:
        ttl_s: Lifetime in seconds, where ``expiration`` is not given.
        expiration: When it ends, RFC 3339 text; signed unchanged.
        chain: Told to whoever signs.
        domain: Who asks, as the wallet's message shows it.
        session_key: Use this key; else the stored one, else a new one.
        capabilities: Further authSigs to carry, in signed order.
        storage: Where key and signatures are kept between calls.
        wallet: Whose stored signature may be used, EIP-55 checksummed.
    """

    ttl_s: float
    expiration: str | None = None
    chain: str = "ethereum"
    domain: str | None = None
    session_key: SessionKey | None = None
    capabilities: Sequence[Mapping[str, Any]] = field(default=(), repr=False)
    storage: SessionStorage | None = None
    wallet: str | None = None


class Network(Protocol):
    """The four verbs, and the first half of the first. Every call ends by its deadline."""

    def listing(self, deadline: Deadline) -> Listing:
        """Whom the chain lists; asks no node."""
        ...

    def survey(self, deadline: Deadline) -> Committee:
        """Find the nodes and agree with them."""
        ...

    def open_session(
        self, auth_needed: AuthNeeded, scope: Scope, terms: SessionOptions, deadline: Deadline
    ) -> Session:
        """Have the wallet delegate to a session key, and sign for every node."""
        ...

    def open_pkp_session(
        self, access: PkpAccess, scope: Scope, terms: SessionOptions, deadline: Deadline
    ) -> Session:
        """Have the network delegate from a PKP to a session key, and sign for every node."""
        ...

    def encrypt(self, plaintext: bytes, conditions: Conditions, deadline: Deadline) -> Sealed:
        """Encrypt for whoever meets the conditions; asks no node for more than the network's key."""
        ...

    def decrypt(
        self,
        sealed: Mapping[str, Any],
        conditions: Conditions,
        session: Session,
        deadline: Deadline,
        *,
        log_level: int = logging.INFO,
    ) -> bytes:
        """Ask the nodes, combine the first threshold of good shares, open; say at that level who answered."""
        ...

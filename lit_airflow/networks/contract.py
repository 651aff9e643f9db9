"""What every network offers, and the records that cross this line.

Everything above ``networks/`` knows these and nothing else of a network: no generation by its name, and no
concept that only one of them has. What a network can do is data (:class:`NetworkTraits`); what it is asked
for is a verb with a deadline. Matters of committees have a protocol of their own,
:mod:`lit_airflow.networks.committee`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from lit_airflow.clock import Deadline
from lit_airflow.errors import Failure, LitError
from lit_airflow.protocol.container import Container
from lit_airflow.protocol.scope import Scope

if TYPE_CHECKING:
    from lit_airflow.keys.wallet import Signer
    from lit_airflow.protocol.auth_sig import AuthSig
    from lit_airflow.protocol.conditions import Conditions
    from lit_airflow.protocol.session import SessionKey
    from lit_airflow.protocol.session_storage import SessionStorage

DEFAULT_STATEMENT = "Open a Lit session."


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkTraits:
    """What sets networks apart, as data.

    Attributes:
        single_server: One server answers alone; else several do, of which a threshold must agree.
        encrypts_offline: Encryption needs no call, given what the description pins.
        condition_fields: The lists of conditions that it judges, by the names of their body fields.
        max_plaintext_bytes: The longest plaintext that one container may hold; longer data goes into an envelope.
        needs_api_key: Decryption is paid for with an API key.
        answers_to_session_key: Answers are sealed to the session's key, so bare session sigs decrypt nothing.
        proves_build: Its server can prove which software it runs: the network is an :class:`AttestedNetwork`.
        runs_actions: It runs programs: see :mod:`lit_airflow.networks.actions`.
        signs: It signs with keys that it holds: see the same.
    """

    single_server: bool
    encrypts_offline: bool
    condition_fields: frozenset[str]
    max_plaintext_bytes: int
    needs_api_key: bool = False
    answers_to_session_key: bool = False
    proves_build: bool = False
    runs_actions: bool = False
    signs: bool = False


class Session(Protocol):
    """An open session: who delegated, what it may do and until when."""

    @property
    def kind(self) -> str:
        """What the sealed contents of its ticket are, such as ``session-sigs/1``."""
        ...

    @property
    def wallet(self) -> str:
        """The wallet that delegated, EIP-55 checksummed."""
        ...

    @property
    def public_key(self) -> str:
        """The session's public id."""
        ...

    @property
    def scope(self) -> Scope:
        """What it may do."""
        ...

    @property
    def session_sigs(self) -> Mapping[str, Any]:
        """What each server is shown, as far as it is signed already: server -> object."""
        ...

    @property
    def issued_at(self) -> str:
        """When it began, RFC 3339 text."""
        ...

    @property
    def expires_at(self) -> datetime:
        """When it ends (aware, UTC)."""
        ...

    def check_alive(self, now: datetime) -> None:
        """Return nothing while it lasts.

        Raises:
            SessionExpiredError: It has ended.
        """
        ...

    def check_covers(self, asked: Scope) -> None:
        """Return nothing if it may do what is asked.

        Raises:
            ScopeError: It may not.
        """
        ...

    def check_delegation(self, wallet: str, now: datetime) -> None:
        """Return nothing if this wallet has delegated this session, for all of its scope.

        Args:
            wallet: The address of the expected wallet.
            now: The time.

        Raises:
            SessionError: Another wallet has, or none, or for less.
        """
        ...

    def secrets(self) -> Iterator[str]:
        """The texts in it that no log may show."""
        ...

    def to_json(self) -> dict[str, Any]:
        """Everything, its secrets included: only ever to be sealed."""
        ...


@runtime_checkable
class HasRootSecrets(Protocol):
    """What a session offers if most of its secrets are worth nothing without a few of them."""

    def root_secrets(self) -> Iterator[str]:
        """Those few: while no log shows them, what it shows of the others opens nothing."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionOptions:
    """What a session is opened with, beside the signer and the scope.

    Attributes:
        ttl_s: Lifetime in seconds, where ``expiration`` is not given.
        expiration: When it ends, RFC 3339 text; signed unchanged.
        chain: Passed to the signer.
        domain: The domain that the wallet's message names.
        statement: A sentence for people in that message.
        session_key: Use this key; else the stored one, else a new one.
        capabilities: Further AuthSigs to carry, in signed order.
        storage: Where key and signatures are kept between calls.
        wallet: The wallet whose stored signature may be used, EIP-55 checksummed.
    """

    ttl_s: float
    expiration: str | None = None
    chain: str = "ethereum"
    domain: str | None = None
    statement: str = DEFAULT_STATEMENT
    session_key: SessionKey | None = None
    capabilities: Sequence[AuthSig] = field(default=(), repr=False)
    storage: SessionStorage | None = None
    wallet: str | None = None


@dataclass(frozen=True, slots=True)
class Cost:
    """What one run of a program cost, estimated from the time until its answer.

    Attributes:
        seconds: How long it took.
        cents: The price of that, in US cents.
    """

    seconds: float
    cents: int

    def __str__(self) -> str:
        return f"Cost: ${self.cents / 100:.2f} for {self.seconds:.2f} s."


@dataclass(frozen=True, slots=True)
class DecryptionReport:
    """How the servers answered one decryption; as text, a line for the log.

    Attributes:
        answered: Server -> seconds until its good answer, in the order they came.
        failed: Server -> why its answer was of no use, or why there was none.
        left_out: Servers that were not waited for, because enough of the others had answered.
        cost: What it cost; ``None`` where decryption is not paid by the run.
    """

    answered: Mapping[str, float]
    failed: Mapping[str, Failure] = field(default_factory=dict)
    left_out: tuple[str, ...] = ()
    cost: Cost | None = None

    def __str__(self) -> str:
        answered = ", ".join(f"{server} ({took_s * 1000:.0f} ms)" for server, took_s in self.answered.items())
        left_out = f" Not waited for: {', '.join(self.left_out)}." if self.left_out else ""
        failed = ", ".join(f"{server} ({cause})" for server, cause in self.failed.items())
        cost = f" {self.cost}" if self.cost is not None else ""
        return f"Answered: {answered}.{left_out} Failed: {failed or 'none'}.{cost}"


OnReport = Callable[[DecryptionReport], None]
"""Called with each decryption's report, in the thread that decrypts."""


@dataclass(frozen=True, slots=True)
class Health:
    """How a network's servers are.

    Attributes:
        servers: Server -> seconds until it answered, or why it gave no usable answer.
        needed: How many of them must answer.
        clock: How this machine's clock compares with theirs, a sentence for people.
    """

    servers: Mapping[str, float | Failure]
    needed: int
    clock: str

    @property
    def reached(self) -> int:
        """How many servers gave a usable answer."""
        return sum(isinstance(found, float) for found in self.servers.values())

    def __str__(self) -> str:
        of = f"{self.reached} of {len(self.servers)} servers answered"
        return f"{of}, {self.needed} needed. {self.clock}"


class Verdict(StrEnum):
    """How a check ended."""

    GOOD = "ok"
    NOTE = "note"
    """Nothing is broken, but somebody should know; or there was nothing to check."""
    BAD = "wrong"


@dataclass(frozen=True, slots=True)
class Check:
    """One step of a diagnosis.

    Attributes:
        name: What was checked, such as ``vault login``; for a server, its URL.
        verdict: How it ended.
        found: What was found, a sentence.
        advice: What to do; empty where there is nothing to do.
    """

    name: str
    verdict: Verdict
    found: str
    advice: str = ""

    @classmethod
    def good(cls, name: str, found: str) -> Check:
        """A check that passed."""
        return cls(name, Verdict.GOOD, found)

    @classmethod
    def note(cls, name: str, found: str, advice: str = "") -> Check:
        """A check that found something to know."""
        return cls(name, Verdict.NOTE, found, advice)

    @classmethod
    def bad(cls, name: str, found: str, advice: str) -> Check:
        """A check that failed."""
        return cls(name, Verdict.BAD, found, advice)

    @classmethod
    def failed(cls, name: str, error: LitError) -> Check:
        """A check that ended in an error."""
        return cls.bad(name, error.message, error.hint)


@dataclass(frozen=True, slots=True)
class Decrypted:
    """The outcome of one of many items: its plaintext or its error.

    Attributes:
        index: Its place among the items, from 0.
        plaintext: The bytes; ``None`` where it failed.
        error: Why it failed; ``None`` where it did not.
    """

    index: int
    plaintext: bytes | None = field(default=None, repr=False)
    error: LitError | None = None

    def result(self) -> bytes:
        """Return the plaintext.

        Raises:
            LitError: The item's own error, if it failed.
        """
        if self.error is not None:
            raise self.error
        return self.plaintext or b""


class AttestationState(StrEnum):
    """Whether a server proved which software it runs."""

    UNVERIFIED = "not verified"
    VERIFIED = "verified"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Attestation:
    """What a server proved of itself; as text, a sentence for people.

    Attributes:
        state: How it ended.
        found: The sentence.
        check: Which check failed; empty where none did.
        build: The hash of the software that it runs, hex; empty where that is not proven.
        machine: The hash of the machine that runs it, hex: firmware, kernel and size; empty where not proven.
        accepted: Whether the description names this build, and this machine, as one to accept.
        platform: The state of the processor's firmware, in its maker's words, and the advisories that apply.
        certificate: SHA-256 of the TLS certificate that belongs to that build, 64 hex digits.
        at: When it was verified, RFC 3339 text; empty where it was not.
    """

    state: AttestationState
    found: str
    check: str = ""
    build: str = ""
    machine: str = ""
    accepted: bool = False
    platform: tuple[str, ...] = ()
    certificate: str = ""
    at: str = ""

    def __str__(self) -> str:
        return self.found


Load = Callable[[], Container]
"""Reads one container; a :class:`LitError` that it raises is that item's outcome."""


class NetworkDescription(Protocol):
    """A network as configured: what its generation made of a name, a file or a JSON object."""

    @property
    def network(self) -> str:
        """Its name, such as ``datil-dev``; ``custom`` for one that is not known."""
        ...

    @property
    def generation(self) -> str:
        """Which protocol it speaks."""
        ...


class Network(Protocol):
    """One network. The rules do no I/O; every verb ends by its deadline. Safe to use from several threads."""

    @property
    def name(self) -> str:
        """Its name, as containers and tickets carry it."""
        ...

    @property
    def traits(self) -> NetworkTraits:
        """What it can do."""
        ...

    def scope_of(self, container: Container) -> Scope:
        """Return the narrowest scope that decrypts this container.

        Raises:
            CiphertextError: The container is incomplete, or another network's.
            ConditionError: The conditions have no canonical form.
        """
        ...

    def check_conditions(self, conditions: Conditions) -> None:
        """Return nothing if the network can judge these conditions.

        Raises:
            ConditionError: It cannot; what were encrypted under them could never be decrypted.
        """
        ...

    def load_session(self, kind: str, contents: Mapping[str, Any]) -> Session:
        """Return the session that :meth:`Session.to_json` wrote.

        Raises:
            SessionError: It is incomplete, or of a kind that this network does not know.
        """
        ...

    def health(self, deadline: Deadline) -> Health:
        """Ask every server how it is.

        Raises:
            NetworkError: Too few answer, or they disagree.
        """
        ...

    def diagnose(self, deadline: Deadline) -> Iterator[Check]:
        """Check the network step by step; each result comes as soon as it is known. Raises nothing."""
        ...

    def open_session(
        self, signer: Signer, scope: Scope, options: SessionOptions, deadline: Deadline
    ) -> Session:
        """Have the wallet delegate to a session.

        Raises:
            SettingsError: A lifetime that the network does not accept.
            SessionError: A domain, statement or resource that cannot be signed.
            NetworkError: The network must be asked, and does not answer.
        """
        ...

    def encrypt(self, plaintext: bytes, conditions: Conditions, deadline: Deadline) -> dict[str, Any]:
        """Encrypt for wallets that meet the conditions.

        Returns:
            The fields of a container that this generation needs, such as ``ciphertext``; without the conditions.

        Raises:
            ConditionError: As :meth:`check_conditions`.
            NetworkError: The network must be asked, and does not answer.
        """
        ...

    def decrypt(
        self, container: Container, session: Session, deadline: Deadline, *, log_level: int = logging.INFO
    ) -> bytes:
        """Decrypt one container, and log at that level how the servers answered.

        Raises:
            CiphertextError: Malformed, altered, or another network's.
            ScopeError: The session does not cover it.
            SessionExpiredError: The session has ended.
            AccessDeniedError: The network refuses.
            NetworkError: Too few servers answer.
        """
        ...

    def decrypt_many(
        self,
        items: Iterable[Load],
        session: Callable[[Container], Session],
        *,
        timeout_s: float,
        at_once: int,
    ) -> Iterator[Decrypted]:
        """Decrypt many containers; one that fails costs the others nothing.

        Args:
            items: Fetched as they are needed.
            session: Returns the session to use for a container, renewed if need be.
            timeout_s: Seconds within which each item, or each request for several, ends.
            at_once: How many items are in work, or done and not yet taken.

        Returns:
            The outcomes in the items' order, as they are taken.

        Raises:
            NetworkError: The network cannot be used to begin with.
        """
        ...

    def close(self) -> None:
        """Close all connections. The network must not be used afterwards."""
        ...


class AttestedNetwork(Network, Protocol):
    """A network whose server can prove which software it runs; see :attr:`NetworkTraits.proves_build`."""

    @property
    def attestation(self) -> Attestation:
        """What this process knows. Asks nobody."""
        ...

    def attest(self, deadline: Deadline) -> Attestation:
        """Have the server prove it now, whatever the description demands.

        Returns:
            What it proved. Look at ``accepted``: a build that the description does not name is proven too.

        Raises:
            AttestationError: It did not; says which check failed.
            NetworkError: It, or the server of the collateral, does not answer.
            SettingsError: What verifies it is not installed.
        """
        ...

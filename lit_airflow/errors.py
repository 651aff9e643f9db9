"""All errors that this package raises.

    LitError                          .hint: what to do next      .retryable: bool
    ├── SettingsError (ValueError)    a connection field or a parameter is invalid; names the field
    ├── ConditionError (ValueError)   an access control condition is invalid; names the field
    ├── SecretError
    │   ├── VaultUnavailableError     unreachable or sealed; retryable
    │   ├── VaultDeniedError          still refused after a new login
    │   ├── SecretNotFoundError       names the path, never the value
    │   ├── WalletKeyError            not a valid private key, or the key of another wallet
    │   ├── CredentialsError          a network's secret in Vault does not have the required form
    │   ├── SignerUnavailableError    the remote signer does not answer; retryable
    │   ├── SignerDeniedError         the remote signer refuses, or does not hold the wallet
    │   └── SignatureError            the remote signer returned something other than the wallet's signature
    ├── SessionError
    │   ├── SessionExpiredError       expired_at, now
    │   ├── SessionNotFoundError      no session is published under the name; retryable
    │   ├── ScopeError                asked, granted
    │   ├── SiweError                 a sign-in message that cannot be written or parsed
    │   └── TicketError               altered, unknown version, other network, or cannot be opened
    ├── NetworkError
    │   ├── ChainUnavailableError     the chain that lists the nodes; retryable
    │   ├── NodesUnavailableError     needed, reached, failures: node -> cause; retryable
    │   ├── NodeError                 failure of one server: status, code; a cause in the errors above
    │   ├── AttestationError          a server did not prove its hardware or software: node, check
    │   ├── RateLimitedError          retry_after_s; retryable
    │   ├── PaymentError              the network requires payment
    │   ├── OutcomeUnknownError       a change was sent and its answer was lost: operation
    │   ├── ActionFailedError         an action ran and failed: cid, seconds, cents
    │   │   └── ActionLimitError      it reached a limit of the service: limit
    │   ├── BudgetError               it would cost more than the budget: estimate_cents, budget_cents
    │   ├── AccessDeniedError         the nodes refused the session
    │   │   └── ConditionsNotMetError the access control conditions are not met by this wallet at this time
    │   └── ProtocolError             a request or an answer violates the protocol
    ├── SomeFailedError               some items failed: failures: item -> cause; retryable if any of them is
    └── ThresholdError
        ├── CiphertextError           malformed, altered, or for another network
        ├── BadShareError             names the nodes
        └── NotEnoughSharesError      needed, good, bad

Foreign exceptions are wrapped where they appear, and the facts they carry become attributes. No message,
attribute or ``repr`` contains a secret, a signature or a body. ``retryable`` says whether the same call can
succeed later; operators turn ``False`` into Airflow's fail-without-retry. Every error pickles with all its
attributes, so that it can leave a process pool.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from os import PathLike
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime


class FailureKind(StrEnum):
    """Why a server gave nothing usable."""

    TIMEOUT = "timeout"
    UNREACHABLE = "unreachable"
    TLS = "tls"
    REFUSED = "refused"
    """It answered, and refused: the status and its own code say why."""
    BUSY = "busy"
    MALFORMED = "malformed"
    """It answered something that the protocol does not allow."""
    UNTRUSTED = "untrusted"
    """It was not asked, or not listened to: it failed a check of who it is."""
    WRONG = "wrong"
    """Its answer was proved wrong."""
    UNPROVEN = "unproven"
    """Some answer is wrong, perhaps this one: the answers do not show which."""


@dataclass(frozen=True, slots=True)
class Failure:
    """Why one server gave nothing usable; as text, the words.

    Attributes:
        kind: For programs.
        message: For people: a clause that follows the server's name.
    """

    kind: FailureKind
    message: str

    def __str__(self) -> str:
        return self.message


class LitError(Exception):
    """Base of all errors of this package.

    Attributes:
        message: What was wrong.
        hint: What to do next; may be empty.
        retryable: Whether the same call can succeed later without a change by the user.
    """

    retryable: bool = False

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".rstrip()

    def __reduce__(self) -> tuple[Any, ...]:
        # The default calls the class with the message alone, which fails for every keyword-only argument.
        return _without_init, (type(self), *self.args), dict(vars(self))


def _without_init(kind: type[LitError], *args: object) -> LitError:
    """Create an error whose attributes pickle will set."""
    return kind.__new__(kind, *args)


class _FieldError(LitError, ValueError):
    """A value that the caller gave is invalid.

    Attributes:
        field: The invalid field, as the caller spells it.
    """

    def __init__(self, message: str, *, field: str, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.field = field


class SettingsError(_FieldError):
    """A connection field, a parameter or a network description is invalid."""


class ConditionError(_FieldError):
    """An access control condition is invalid; ``field`` is its path, such as ``[0].comparator``."""


@contextmanager
def in_file(source: object) -> Iterator[None]:
    """Put a file's path before the message of an error about what is in it.

    Args:
        source: The path. Anything but a path leaves the message unchanged.
    """
    try:
        yield
    except (CiphertextError, ConditionError, ScopeError) as error:
        # In some releases ObjectStoragePath is not an os.PathLike.
        given = str(source) if isinstance(source, str | PathLike) or hasattr(source, "joinpath") else ""
        # The file's name may contain line breaks.
        path = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in given)
        if path and not error.message.startswith(f"{path}: "):
            error.message = f"{path}: {error.message}"
        raise


class SecretError(LitError):
    """The wallet key, or the service that holds it, cannot be used."""


class VaultUnavailableError(SecretError):
    """Vault is unreachable, sealed or overloaded."""

    retryable = True


class VaultDeniedError(SecretError):
    """Vault refuses the login or the path, even after a new login."""


class SecretNotFoundError(SecretError):
    """The path does not exist, or lacks the field. Names both, never a value."""


class WalletKeyError(SecretError):
    """The key is not a valid private key, or belongs to another wallet."""


class CredentialsError(SecretError):
    """A network's secret in Vault does not have the form that it needs. Names the field, never its value."""


class SignerUnavailableError(SecretError):
    """The remote signer is unreachable, too slow or overloaded."""

    retryable = True


class SignerDeniedError(SecretError):
    """The remote signer refuses, does not hold the wallet, or is of another kind than the connection says."""


class SignatureError(SecretError):
    """The remote signer returned something other than this wallet's signature of this text. It is discarded."""


class SessionError(LitError):
    """A session cannot be used, or not for this purpose."""


class SessionExpiredError(SessionError):
    """The session has expired.

    Attributes:
        expired_at: When it expired (aware, UTC).
        now: The time at which this was noticed (aware, UTC).
    """

    def __init__(self, message: str, *, expired_at: datetime, now: datetime, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.expired_at = expired_at
        self.now = now


class SessionNotFoundError(SessionError):
    """No session is published under the name, or the published one has expired. Its publisher may renew it.

    Attributes:
        name: The name.
    """

    retryable = True

    def __init__(self, message: str, *, name: str, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.name = name


class ScopeError(SessionError):
    """A resource or ability was requested that does not exist or was not granted.

    Attributes:
        asked: What was requested.
        granted: What was granted.
    """

    def __init__(self, message: str, *, asked: str = "", granted: str = "", hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.asked = asked
        self.granted = granted


class SiweError(SessionError):
    """A sign-in message does not conform to EIP-4361, or its capabilities do not conform to ERC-5573."""


class TicketError(SessionError):
    """A ticket was altered, has another version or network, or was sealed under another key."""


class NetworkError(LitError):
    """The network failed: the nodes, the chain, or the connection to them."""


class ChainUnavailableError(NetworkError):
    """The chain that lists the nodes did not answer, or its answer is unusable."""

    retryable = True


class NodesUnavailableError(NetworkError):
    """Too few nodes gave a usable answer.

    Attributes:
        needed: Number of answers that are needed.
        reached: Number of usable answers.
        failures: Server -> why it gave none.
    """

    retryable = True

    def __init__(
        self, message: str, *, needed: int, reached: int, failures: Mapping[str, Failure], hint: str = ""
    ) -> None:
        super().__init__(message, hint=hint)
        self.needed = needed
        self.reached = reached
        self.failures = dict(failures)


class NodeError(NetworkError):
    """One server (a node, or the RPC server of a chain) did not answer, refused, or gave an unusable answer.

    Attributes:
        kind: Why.
        status: The HTTP status, ``None`` if there was no answer.
        code: The server's own error code, empty if it gave none.
        retryable: Whether the same request may succeed a moment later.
        retry_after_s: Seconds the server asked us to wait, if it said.
        sent: Whether the request may have reached the server.
    """

    def __init__(  # noqa: PLR0913 - each is needed
        self,
        message: str,
        *,
        kind: FailureKind = FailureKind.MALFORMED,
        status: int | None = None,
        code: str = "",
        retryable: bool = False,
        retry_after_s: float | None = None,
        sent: bool = True,
    ) -> None:
        super().__init__(message)
        self.kind = kind
        self.status = status
        self.code = code
        self.retryable = retryable
        self.retry_after_s = retry_after_s
        self.sent = sent


class AttestationError(NetworkError):
    """A server did not prove which hardware or software it runs.

    Attributes:
        node: The server's URL; empty if the report was verified without one.
        check: Which check failed. Of a node: ``attestation``, ``challenge``, ``address``, ``data``, ``report``,
            ``policy``, ``chip``, ``certificate`` or ``signature``. Of an enclave: ``collateral``, ``quote``,
            ``tcb``, ``measurements``, ``event-log``, ``compose-hash``, ``images``, ``evidence``, ``machine`` or
            ``certificate``.
    """

    def __init__(self, message: str, *, check: str, node: str = "", hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.check = check
        self.node = node


class RateLimitedError(NetworkError):
    """The nodes limit the rate of requests.

    Attributes:
        retry_after_s: Seconds to wait, as the nodes asked; ``None`` if they did not.
    """

    retryable = True

    def __init__(self, message: str, *, retry_after_s: float | None = None, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.retry_after_s = retry_after_s


class PaymentError(NetworkError):
    """The network requires payment: capacity credits, or a delegation of them."""


class OutcomeUnknownError(NetworkError):
    """A change was sent and its answer was lost, so it may have been made or not. Look before doing it again.

    Attributes:
        operation: What was sent, by the server's name for it.
    """

    def __init__(self, message: str, *, operation: str, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.operation = operation


class ActionFailedError(NetworkError):
    """An action ran and failed: it threw an error, or reached a limit. The run is billed.

    Attributes:
        cid: The action's CID; empty where it must stay secret.
        seconds: How long it took to fail.
        cents: What that cost, estimated, in US cents.
    """

    def __init__(self, message: str, *, cid: str, seconds: float, cents: int, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.cid = cid
        self.seconds = seconds
        self.cents = cents


class ActionLimitError(ActionFailedError):
    """An action took more of something than the service allows.

    Attributes:
        limit: Which limit: ``time``, ``memory`` or ``code``.
    """

    def __init__(  # noqa: PLR0913 - those of its base, and one more
        self, message: str, *, limit: str, cid: str, seconds: float, cents: int, hint: str = ""
    ) -> None:
        super().__init__(message, cid=cid, seconds=seconds, cents=cents, hint=hint)
        self.limit = limit


class BudgetError(NetworkError):
    """What a task is about to do would cost more than its budget. Nothing was sent.

    Attributes:
        estimate_cents: What it would cost, in US cents.
        budget_cents: What it may cost.
    """

    def __init__(self, message: str, *, estimate_cents: int, budget_cents: int, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.estimate_cents = estimate_cents
        self.budget_cents = budget_cents


class AccessDeniedError(NetworkError):
    """The nodes refused the session.

    Attributes:
        code: The nodes' own error code; empty if they gave none.
    """

    def __init__(self, message: str, *, code: str = "", hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.code = code


class ConditionsNotMetError(AccessDeniedError):
    """The access control conditions are not met by the session's wallet at this time."""


class ProtocolError(NetworkError):
    """A request or an answer violates the protocol."""


class WorkerDiedError(LitError):
    """A process that decrypts for this one ended, as when the machine has too little memory, or did not start."""

    retryable = True


class SomeFailedError(LitError):
    """Some of many items failed; the others were processed.

    Attributes:
        failures: Item -> cause.
        retryable: Whether any of them can succeed later.
    """

    def __init__(
        self, message: str, *, failures: Mapping[str, str], retryable: bool = False, hint: str = ""
    ) -> None:
        super().__init__(message, hint=hint)
        self.failures = dict(failures)
        self.retryable = retryable


class ThresholdError(LitError):
    """The plaintext cannot be recovered from the shares and the ciphertext."""


class CiphertextError(ThresholdError):
    """A ciphertext, envelope or sealed plaintext is malformed, altered, truncated, or made for another key."""


class BadShareError(ThresholdError):
    """Shares are not on the curve, outside the subgroup, or not for this message.

    Attributes:
        nodes: The nodes that sent them.
    """

    def __init__(self, message: str, *, nodes: Sequence[str] = (), hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.nodes = tuple(nodes)


class NotEnoughSharesError(ThresholdError):
    """Too few valid shares.

    Attributes:
        needed: The threshold.
        good: Number of valid shares.
        bad: Number of invalid shares.
    """

    def __init__(self, message: str, *, needed: int, good: int, bad: int = 0, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.needed = needed
        self.good = good
        self.bad = bad

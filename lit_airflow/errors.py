"""Every error that leaves this package.

    LitError                          .hint: what to do next      .retryable: bool
    ├── SettingsError (ValueError)    the connection or a parameter is wrong; names the field
    ├── ConditionError (ValueError)   an access control condition does not validate; names the field
    ├── SecretError
    │   ├── VaultUnavailableError     unreachable or sealed; retryable
    │   ├── VaultDeniedError          after one new login
    │   ├── SecretNotFoundError       names the path, never the value
    │   ├── WalletKeyError            what was read is not a usable key, or not the expected wallet's
    │   ├── CredentialsError          a network's secret in Vault does not have the form that it needs
    │   ├── SignerUnavailableError    a remote signer does not answer; retryable
    │   ├── SignerDeniedError         a remote signer refuses, or does not hold the wallet
    │   └── SignatureError            what a remote signer returned is not the wallet's signature
    ├── SessionError
    │   ├── SessionExpiredError       expired_at, now
    │   ├── SessionNotFoundError      none is published under the name, or no longer; retryable
    │   ├── ScopeError                asked, granted
    │   ├── SiweError                 a sign-in message that cannot be written or read
    │   └── TicketError               altered, unknown version, other network, does not unseal
    ├── NetworkError
    │   ├── ChainUnavailableError     the chain that lists the nodes; retryable
    │   ├── NodesUnavailableError     needed, reached, failures: node -> cause; retryable
    │   ├── NodeError                 one server's failure: status, code; part of the others' causes
    │   ├── AttestationError          a node did not prove its hardware: node, check; part of the others' causes
    │   ├── RateLimitedError          retry_after_s; retryable
    │   ├── PaymentError              the network wants to be paid
    │   ├── OutcomeUnknownError       a change was sent and its answer was lost: operation
    │   ├── AccessDeniedError         the nodes refused: the session does not prove what it has to
    │   │   └── ConditionsNotMetError the access control conditions do not hold, for this wallet and now
    │   └── ProtocolError             somebody said what the protocol does not allow
    ├── SomeFailedError               of many items: failures: item -> cause; retryable if trying again helps one
    └── ThresholdError
        ├── CiphertextError           malformed, or for another network
        ├── BadShareError             names the nodes
        └── NotEnoughSharesError      needed, good, bad

Foreign exceptions are wrapped at the edge where they appear (``raise … from``) and facts are attributes.
No message, attribute or ``repr`` holds a secret, a signature or a body. Whether trying again can help is a
fact of the error: ``retryable``. Operators turn "not retryable" into Airflow's fail-without-retry.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime


class LitError(Exception):
    """Base of every error of this package.

    Attributes:
        hint: One sentence that says what to do next; may be empty.
        retryable: Whether the same call can succeed later with nothing changed by the user.
    """

    retryable: bool = False

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".rstrip()


class _FieldError(LitError, ValueError):
    """A value that the caller gave is wrong.

    Attributes:
        field: The offending field, in the caller's own spelling.
    """

    def __init__(self, message: str, *, field: str, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.field = field


class SettingsError(_FieldError):
    """A connection field, a parameter or a network description is wrong."""


class ConditionError(_FieldError):
    """An access control condition does not validate; ``field`` is its path, as in ``[0].comparator``."""


@contextmanager
def conditions_of(source: object) -> Iterator[None]:
    """Around the use of conditions: what is wrong with them, or not granted, is said with the path of their file.

    Args:
        source: The path. Anything but a text names no file.
    """
    try:
        yield
    except (ConditionError, ScopeError) as error:
        if isinstance(source, str):
            error.message = f"{source}: {error.message}"
        raise


class SecretError(LitError):
    """The wallet key, or the service that holds it, could not be used."""


class VaultUnavailableError(SecretError):
    """Vault is unreachable, sealed, or too busy."""

    retryable = True


class VaultDeniedError(SecretError):
    """Vault refused the login or the path, also after one new login."""


class SecretNotFoundError(SecretError):
    """There is nothing at the path, or it lacks the field. Names both, never a value."""


class WalletKeyError(SecretError):
    """The key is not 32 bytes of hex within the curve's order, or belongs to another wallet."""


class CredentialsError(SecretError):
    """A network's secret in Vault does not have the form that it needs. Names the field, never its value."""


class SignerUnavailableError(SecretError):
    """The remote signer is unreachable, too slow or too busy."""

    retryable = True


class SignerDeniedError(SecretError):
    """The remote signer refuses, does not hold the wallet, or is not what the connection says it is."""


class SignatureError(SecretError):
    """What the remote signer returned is not this wallet's signature of this text. It is never passed on."""


class SessionError(LitError):
    """A session cannot be used, or not for this."""


class SessionExpiredError(SessionError):
    """The session's time is over.

    Attributes:
        expired_at: When it ended (aware, UTC).
        now: The clock that found out.
    """

    def __init__(self, message: str, *, expired_at: datetime, now: datetime, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.expired_at = expired_at
        self.now = now


class SessionNotFoundError(SessionError):
    """No session is published under a name, or its time is over; whoever publishes it may do so again.

    Attributes:
        name: The name.
    """

    retryable = True

    def __init__(self, message: str, *, name: str, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.name = name


class ScopeError(SessionError):
    """A resource or ability was asked for that does not exist or was not granted.

    Attributes:
        asked: What was asked for.
        granted: What there is.
    """

    def __init__(self, message: str, *, asked: str = "", granted: str = "", hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.asked = asked
        self.granted = granted


class SiweError(SessionError):
    """A sign-in message that cannot be written under EIP-4361, or cannot be read."""


class TicketError(SessionError):
    """A ticket that is altered, of another version or network, or sealed under another key."""


class NetworkError(LitError):
    """Something between us and the nodes, or the nodes themselves."""


class ChainUnavailableError(NetworkError):
    """The chain that lists the nodes did not answer, or not sensibly."""

    retryable = True


class NodesUnavailableError(NetworkError):
    """Fewer nodes gave a usable answer than are needed.

    Attributes:
        needed: How many answers are needed.
        reached: How many were usable.
        failures: Node URL -> cause, for every node that gave none.
    """

    retryable = True

    def __init__(
        self, message: str, *, needed: int, reached: int, failures: Mapping[str, str], hint: str = ""
    ) -> None:
        super().__init__(message, hint=hint)
        self.needed = needed
        self.reached = reached
        self.failures = dict(failures)


class NodeError(NetworkError):
    """One server, a node or a chain's RPC, did not answer, refused, or answered nonsense.

    Attributes:
        status: The HTTP status, ``None`` if there was no answer.
        code: The server's own error code, empty if it gave none.
        retryable: Whether the same request may succeed a moment later.
        retry_after_s: Seconds the server asked us to wait, if it said.
        sent: Whether the request may have reached the server; false where no connection was made.
    """

    def __init__(  # noqa: PLR0913 - one argument per fact
        self,
        message: str,
        *,
        status: int | None = None,
        code: str = "",
        retryable: bool = False,
        retry_after_s: float | None = None,
        sent: bool = True,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.retryable = retryable
        self.retry_after_s = retry_after_s
        self.sent = sent


class AttestationError(NetworkError):
    """A node did not prove which hardware it runs on.

    Attributes:
        node: The node's URL; empty where a report is looked at apart from any node.
        check: Which check failed: ``attestation``, ``challenge``, ``address``, ``data``, ``report``, ``policy``,
            ``chip``, ``certificate`` or ``signature``.
    """

    def __init__(self, message: str, *, check: str, node: str = "", hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.check = check
        self.node = node


class RateLimitedError(NetworkError):
    """The nodes ask for fewer requests.

    Attributes:
        retry_after_s: Seconds the nodes asked us to wait, if they said.
    """

    retryable = True

    def __init__(self, message: str, *, retry_after_s: float | None = None, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.retry_after_s = retry_after_s


class PaymentError(NetworkError):
    """The network wants to be paid and nobody is."""


class OutcomeUnknownError(NetworkError):
    """A change was sent and its answer was lost, so it may have been made or not. Look before doing it again.

    Attributes:
        operation: What was sent, by the server's name for it.
    """

    def __init__(self, message: str, *, operation: str, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.operation = operation


class AccessDeniedError(NetworkError):
    """The nodes refused.

    Attributes:
        code: The nodes' own error code.
    """

    def __init__(self, message: str, *, code: str = "", hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.code = code


class ConditionsNotMetError(AccessDeniedError):
    """The access control conditions do not hold for the session's wallet at this time."""


class ProtocolError(NetworkError):
    """A node or a chain said what the protocol does not allow."""


class SomeFailedError(LitError):
    """Some of many items could not be worked on; the others were.

    Attributes:
        failures: Item -> cause.
        retryable: Whether any of them may succeed later.
    """

    def __init__(
        self, message: str, *, failures: Mapping[str, str], retryable: bool = False, hint: str = ""
    ) -> None:
        super().__init__(message, hint=hint)
        self.failures = dict(failures)
        self.retryable = retryable


class ThresholdError(LitError):
    """Shares or a ciphertext do not give a plaintext."""


class CiphertextError(ThresholdError):
    """A ciphertext, envelope or sealed plaintext that is malformed, altered, cut short, or for another key."""


class BadShareError(ThresholdError):
    """Shares that are off the curve, outside the subgroup, or for something else.

    Attributes:
        nodes: Who sent them.
    """

    def __init__(self, message: str, *, nodes: Sequence[str] = (), hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.nodes = tuple(nodes)


class NotEnoughSharesError(ThresholdError):
    """Too few good shares.

    Attributes:
        needed: The threshold.
        good: How many were good.
        bad: How many were not.
    """

    def __init__(self, message: str, *, needed: int, good: int, bad: int = 0, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.needed = needed
        self.good = good
        self.bad = bad

"""State shared by all server processes: chain, keys, credit, build and request log."""

from __future__ import annotations

import base64
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from eth_utils.crypto import keccak

from lit_airflow import clock as system_clock
from lit_airflow.devnet.chipotle import key_service
from lit_airflow.devnet.chipotle.chain import Chain
from lit_airflow.devnet.chipotle.key_service import KeyService
from lit_airflow.devnet.chipotle.ledger import Ledger
from lit_airflow.devnet.chipotle.profiles import Profile

Entropy = Callable[[int], bytes]
"""Returns random bytes, like ``secrets.token_bytes``."""

CHAIN_ID = 8453
_SECRET_BYTES = 32
_LOG_LENGTH = 100_000
_PAYERS = ("payer_1", "payer_2")
_ADMIN_PAYER = "admin_api_payer"


@dataclass(frozen=True, slots=True)
class LoggedRequest:
    """A processed request.

    Attributes:
        call: The endpoint's name, or the path if there is none.
        status: Status of the answer; ``None`` if there was none.
        request_id: The ``X-Request-Id``.
        key_hash: Hash of the API key; ``None`` without key.
        private: Whether ``X-Privacy-Mode`` was sent.
    """

    call: str
    status: int | None
    request_id: str
    key_hash: int | None
    private: bool


@dataclass(frozen=True, slots=True)
class Wallet:
    """A new wallet."""

    address: int
    path: int
    secret: bytes = field(repr=False)

    @property
    def as_key(self) -> str:
        """The wallet's secret as an API key."""
        return base64.b64encode(self.secret).decode()


class State:
    """State of the service.

    Args:
        profile: The build.
        clock: The clock. The service's own can be moved against it.
        entropy: Source of random bytes.
        root: Root of the enclave's keys, 32 bytes; random if omitted.

    Attributes:
        limits: Limits of actions.
        keys: Key service of the enclave.
        chain: The chain of the account contract.
        ledger: The ledger.
        compares_derivation: Whether the server compares a derived key's address with the registered one (source
            of July 2026 and later, not in v1.1.10).
        chain_down: Whether the RPC of the chain is down.
        request_log: Log of requests.
    """

    def __init__(
        self, profile: Profile, clock: system_clock.Clock, entropy: Entropy, root: bytes | None = None
    ) -> None:
        self.profile = profile
        self.limits = profile.limits
        self._clock = clock
        self.entropy = entropy
        self._offset = timedelta()
        self.keys = KeyService(root or entropy(_SECRET_BYTES))
        payers = [key_service.address(self.keys.payer_secret(name)) for name in _PAYERS]
        self.api_payers = tuple(payers)
        self.admin_payer = key_service.address(self.keys.payer_secret(_ADMIN_PAYER))
        self.chain = Chain(self.time, frozenset({*payers, self.admin_payer}))
        self.ledger = Ledger(self.time)
        self.compares_derivation = False
        self.chain_down = False
        self.request_log: deque[LoggedRequest] = deque(maxlen=_LOG_LENGTH)

    def time(self) -> datetime:
        """Return the time used by the chain and the caches."""
        return self._clock()

    def now(self) -> datetime:
        """Return the time on the service's clock."""
        return self._clock() + self._offset

    @property
    def clock_offset_s(self) -> float:
        """How far the service's clock is ahead."""
        return self._offset.total_seconds()

    @property
    def clock_is_moved(self) -> bool:
        """Whether the service's clock differs from the machine's."""
        return self._clock is not system_clock.now or bool(self._offset)

    def set_clock_offset(self, seconds: float) -> None:
        """Move the service's clock."""
        self._offset = timedelta(seconds=seconds)

    def new_wallet(self) -> Wallet:
        """Create a wallet with a random derivation path. It is not registered."""
        path = int.from_bytes(keccak(self.entropy(_SECRET_BYTES)))
        secret = self.keys.wallet_secret(path)
        return Wallet(key_service.address(secret), path, secret)

    def change_root(self, root: bytes | None = None) -> None:
        """Replace the root, and with it all keys."""
        self.keys = KeyService(root or self.entropy(_SECRET_BYTES))

"""What all calls and all server processes share: chain, keys, credit, the build, and what has happened."""

from __future__ import annotations

import base64
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from eth_utils.crypto import keccak

from lit_airflow import clock
from lit_airflow.devnet.chipotle import key_service
from lit_airflow.devnet.chipotle.chain import Chain
from lit_airflow.devnet.chipotle.key_service import KeyService
from lit_airflow.devnet.chipotle.ledger import Ledger
from lit_airflow.devnet.chipotle.profiles import Profile

Entropy = Callable[[int], bytes]
"""Makes so many random bytes, as ``secrets.token_bytes`` does."""

CHAIN_ID = 8453
_SECRET_BYTES = 32
_LOG_LENGTH = 100_000
_PAYERS = ("payer_1", "payer_2")
_ADMIN_PAYER = "admin_api_payer"


@dataclass(frozen=True, slots=True)
class Seen:
    """One request that was answered, or whose answer was lost.

    Attributes:
        call: The endpoint's name; the path of a request to none.
        status: What was answered; ``None`` when nothing was.
        request_id: ``X-Request-Id`` of the answer.
        key_hash: Whose key was sent, as the chain names it; ``None`` for none.
        private: Whether ``X-Privacy-Mode`` was sent.
    """

    call: str
    status: int | None
    request_id: str
    key_hash: int | None
    private: bool


@dataclass(frozen=True, slots=True)
class Wallet:
    """A wallet that the enclave has just made."""

    address: int
    path: int
    secret: bytes = field(repr=False)

    @property
    def as_key(self) -> str:
        """The API key that is this wallet's secret."""
        return base64.b64encode(self.secret).decode()


class State:
    """The service, apart from its endpoints.

    Args:
        profile: The build.
        tells_time: The clock, against which the service's own may be moved.
        entropy: Makes random bytes.
        root: What all keys of the enclave are derived from; drawn if left out.

    Attributes:
        limits: Limits of an action; the profile's.
        keys: The enclave's keys.
        chain: The chain of the account contract.
        ledger: The credit.
        compares_derivation: Whether the address of a derived key must be the one that is registered (source of
            July 2026 and later; not in v1.1.10).
        chain_down: Whether the chain's RPC is unreachable.
        seen: Every request.
    """

    def __init__(
        self, profile: Profile, tells_time: clock.Clock, entropy: Entropy, root: bytes | None = None
    ) -> None:
        self.profile = profile
        self.limits = profile.limits
        self._clock = tells_time
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
        self.seen: deque[Seen] = deque(maxlen=_LOG_LENGTH)

    def time(self) -> datetime:
        """The time, by which chain and caches go."""
        return self._clock()

    def now(self) -> datetime:
        """The service's clock, which may be wrong."""
        return self._clock() + self._offset

    @property
    def clock_offset_s(self) -> float:
        """How far the service's clock is ahead of the time."""
        return self._offset.total_seconds()

    @property
    def clock_is_moved(self) -> bool:
        """Whether the service's clock may differ from the machine's."""
        return self._clock is not clock.now or bool(self._offset)

    def set_clock_offset(self, seconds: float) -> None:
        """Move the service's clock against the time."""
        self._offset = timedelta(seconds=seconds)

    def new_wallet(self) -> Wallet:
        """Make a wallet under a random derivation path. Nothing is registered."""
        path = int.from_bytes(keccak(self.entropy(_SECRET_BYTES)))
        secret = self.keys.wallet_secret(path)
        return Wallet(key_service.address(secret), path, secret)

    def change_root(self, root: bytes | None = None) -> None:
        """Give the enclave another root: from now on every key is another one."""
        self.keys = KeyService(root or self.entropy(_SECRET_BYTES))

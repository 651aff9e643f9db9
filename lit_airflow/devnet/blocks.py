"""The network's own chain of blocks: hashes that say when they were mined, and that nobody else can make.

A hash is the block's number, 8 bytes, and 24 bytes of a keyed digest of it; so every block of the past is
known without remembering any.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Callable
from datetime import UTC, datetime

from lit_airflow.devnet.parsing import unhex

BLOCK_S = 12
_NUMBER_BYTES = 8
_HASH_BYTES = 32


class Blocks:
    """One block every 12 seconds of the network's clock.

    Args:
        clock: Tells the network's time.
    """

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._key = secrets.token_bytes(32)

    @property
    def latest(self) -> int:
        """Number of the latest block."""
        return int(self._clock().timestamp()) // BLOCK_S

    def latest_hash(self) -> str:
        """Hash of the latest block, ``0x`` and 64 hex; the same on all nodes."""
        return "0x" + self._hash(self.latest).hex()

    def time_of(self, hash_: str) -> datetime | None:
        """When the block of this hash was mined, in whole seconds; ``None`` if there is no such block."""
        try:
            raw = unhex(hash_.removeprefix("0x"), _HASH_BYTES)
        except ValueError:
            return None
        number = int.from_bytes(raw[:_NUMBER_BYTES])
        if number > self.latest or not hmac.compare_digest(raw, self._hash(number)):
            return None
        return datetime.fromtimestamp(number * BLOCK_S, UTC)

    def _hash(self, number: int) -> bytes:
        named = number.to_bytes(_NUMBER_BYTES)
        return named + hmac.digest(self._key, named, "sha256")[: _HASH_BYTES - _NUMBER_BYTES]

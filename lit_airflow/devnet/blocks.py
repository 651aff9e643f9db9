"""The network's own chain of blocks, whose hashes PKP sessions use as nonces.

A hash is the block's number in 8 bytes, followed by 24 bytes of a keyed digest of that number. So every past
block can be verified without storing any, and nobody else can make a valid hash.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Callable
from datetime import UTC, datetime

from lit_airflow.devnet.parsing import parse_hex

BLOCK_S = 12
_NUMBER_BYTES = 8
_HASH_BYTES = 32


class Blocks:
    """A chain with one block every 12 seconds.

    Args:
        clock: Returns the network's time.
    """

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._key = secrets.token_bytes(32)

    @property
    def latest(self) -> int:
        """The number of the latest block."""
        return int(self._clock().timestamp()) // BLOCK_S

    def latest_hash(self) -> str:
        """Return the hash of the latest block, ``0x`` and 64 hex digits; the same on all nodes."""
        return "0x" + self._hash(self.latest).hex()

    def mined_at(self, hash_: str) -> datetime | None:
        """Return when the block with this hash was mined, in whole seconds, or ``None`` if there is none."""
        try:
            raw = parse_hex(hash_.removeprefix("0x"), _HASH_BYTES)
        except ValueError:
            return None
        number = int.from_bytes(raw[:_NUMBER_BYTES])
        if number > self.latest or not hmac.compare_digest(raw, self._hash(number)):
            return None
        return datetime.fromtimestamp(number * BLOCK_S, UTC)

    def _hash(self, number: int) -> bytes:
        encoded = number.to_bytes(_NUMBER_BYTES)
        return encoded + hmac.digest(self._key, encoded, "sha256")[: _HASH_BYTES - _NUMBER_BYTES]

"""The network's PKPs (programmable key pairs) and the wallets that may use them.

Only public keys are kept: a PKP session is signed with the network's key, not with the PKP's own.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from eth_keys.datatypes import PrivateKey
from eth_utils.crypto import keccak

from lit_airflow.devnet.parsing import parse_address


@dataclass(frozen=True, slots=True)
class Pkp:
    """One PKP.

    Attributes:
        public_key: ``0x04`` and 128 hex digits.
        address: Its Ethereum address, checksummed.
        token_id: The number of its NFT, the keccak-256 of the public key: ``0x`` and hex.
        owner: The wallet that may use it, checksummed.
    """

    public_key: str
    address: str
    token_id: str
    owner: str

    def to_json(self) -> dict[str, str]:
        """Return what a client needs to know about the PKP."""
        return {"publicKey": self.public_key, "ethAddress": self.address, "tokenId": self.token_id}


class PkpRegistry:
    """All PKPs of one network."""

    def __init__(self) -> None:
        self._by_key: dict[str, Pkp] = {}

    def mint(self, owner: str) -> Pkp:
        """Create a PKP for a wallet.

        Args:
            owner: The wallet's address.

        Raises:
            ValueError: ``owner`` is not an address.
        """
        public_key = PrivateKey(secrets.token_bytes(32)).public_key
        raw = b"\x04" + public_key.to_bytes()
        token_id = "0x" + keccak(raw).hex()
        pkp = Pkp("0x" + raw.hex(), public_key.to_checksum_address(), token_id, parse_address(owner))
        self._by_key[pkp.public_key] = pkp
        return pkp

    def find(self, public_key: str) -> Pkp | None:
        """Return the PKP with this public key, hex with or without ``0x``, or ``None``."""
        return self._by_key.get("0x" + public_key.lower().removeprefix("0x"))

    def first_of(self, owner: str) -> Pkp | None:
        """Return the oldest PKP of a wallet, or ``None``."""
        return next((pkp for pkp in self._by_key.values() if pkp.owner == owner), None)

    def all(self) -> list[Pkp]:
        """Return every PKP, oldest first."""
        return list(self._by_key.values())

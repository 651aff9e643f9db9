"""The PKPs of the network: key pairs that belong to no single machine, and who may use them.

Nothing here signs with a PKP's own key: sessions are signed with the network's. So only the public half is
kept.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from eth_keys.datatypes import PrivateKey
from eth_utils.address import is_address, to_checksum_address
from eth_utils.crypto import keccak


@dataclass(frozen=True, slots=True)
class Pkp:
    """One PKP.

    Attributes:
        public_key: ``0x04`` and 128 hex.
        address: Its Ethereum address, checksummed.
        token_id: The number of its NFT: the keccak-256 of the public key, ``0x`` hex.
        owner: The wallet that may use it, checksummed.
    """

    public_key: str
    address: str
    token_id: str
    owner: str

    def facts(self) -> dict[str, str]:
        """What a client needs to know."""
        return {"publicKey": self.public_key, "ethAddress": self.address, "tokenId": self.token_id}


class Pkps:
    """All PKPs of one network."""

    def __init__(self) -> None:
        self._by_key: dict[str, Pkp] = {}

    def mint(self, owner: str) -> Pkp:
        """Make a PKP that the owner's wallet may use.

        Raises:
            ValueError: Not an address.
        """
        public = PrivateKey(secrets.token_bytes(32)).public_key
        raw = b"\x04" + public.to_bytes()
        pkp = Pkp(
            "0x" + raw.hex(), public.to_checksum_address(), "0x" + keccak(raw).hex(), checked_address(owner)
        )
        self._by_key[pkp.public_key] = pkp
        return pkp

    def find(self, public_key: str) -> Pkp | None:
        """The PKP of this public key; hex with or without ``0x``."""
        return self._by_key.get("0x" + public_key.lower().removeprefix("0x"))

    def first_of(self, owner: str) -> Pkp | None:
        """The PKP that was first minted for a wallet."""
        return next((pkp for pkp in self._by_key.values() if pkp.owner == owner), None)

    def all(self) -> list[Pkp]:
        """Every PKP, the oldest first."""
        return list(self._by_key.values())


def checked_address(text: str) -> str:
    """An address, checksummed.

    Raises:
        ValueError: Not an address.
    """
    if not is_address(text):
        raise ValueError(f"{text!r} is not an address")
    return to_checksum_address(text)

"""Capacity credits: which wallet owns them, which wallets may use them, and how often.

A request is paid for if the user owns an unexpired credit, if the session carries a delegation by a wallet that
owns one, or if such a wallet pays for the user in the payment delegation contract. Unlike the Datil node
software, which fails the whole request, the devnet skips a capability that does not verify.

Source: docs/protocol/capacity.md.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import cast

from lit_airflow.devnet.capability import verify_capability
from lit_airflow.devnet.errors import NodeError
from lit_airflow.devnet.parsing import Json, parse_address, shape_error
from lit_airflow.devnet.recap import parse_recap
from lit_airflow.devnet.siwe import SiweMessage

DELEGATION_URI = "lit:capability:delegation"
CREDIT_LIFETIME_S = 30 * 86400.0
_PREFIX = "lit-ratelimitincrease://"
_ABILITY = "Auth/Auth"
_RESTRICTION: Json = {"nft_id?": [str], "delegate_to?": [str], "uses?": str}


@dataclass(frozen=True, slots=True)
class Credit:
    """One capacity credit (a rate-limit NFT).

    Attributes:
        token_id: Its number, decimal.
        owner: The address of the wallet that owns it, checksummed.
        expires_at: The time from which it no longer pays.
    """

    token_id: str
    owner: str
    expires_at: datetime


class Credits:
    """All credits of one network, and which wallets pay for which users."""

    def __init__(self) -> None:
        self._credits: list[Credit] = []
        self._payers: dict[str, set[str]] = {}

    def mint(self, owner: str, now: datetime, lasts_s: float = CREDIT_LIFETIME_S) -> Credit:
        """Create a credit for a wallet.

        Args:
            owner: The wallet's address.
            now: The network's time.
            lasts_s: Seconds until it expires.

        Raises:
            ValueError: ``owner`` is not an address.
            OverflowError: The expiry is outside the calendar.
        """
        number = str(len(self._credits) + 1)
        credit = Credit(number, parse_address(owner), now + timedelta(seconds=lasts_s))
        self._credits.append(credit)
        return credit

    def pay_for(self, payer: str, user: str) -> None:
        """Let the credits of one wallet pay for the requests of another.

        Raises:
            ValueError: One of the two is not an address.
        """
        self._payers.setdefault(parse_address(user), set()).add(parse_address(payer))

    def valid_token_ids(self, owner: str, now: datetime) -> set[str]:
        """Return the token ids of a wallet's unexpired credits."""
        return {c.token_id for c in self._credits if c.owner == owner and now < c.expires_at}

    def can_pay(self, user: str, now: datetime) -> bool:
        """Return whether a user or one of the user's payers owns an unexpired credit."""
        return any(self.valid_token_ids(payer, now) for payer in {user, *self._payers.get(user, ())})

    def all(self) -> list[Credit]:
        """Return every credit, oldest first."""
        return list(self._credits)


class PaymentLedger:
    """Charges requests at one node, which counts the uses of delegations independently of the other nodes.

    Args:
        credits_: The network's credits.
    """

    def __init__(self, credits_: Credits) -> None:
        self._credits = credits_
        self._used: Counter[bytes] = Counter()

    def charge(
        self, user: str, capabilities: list[dict[str, str]], uri: str, now: datetime, network_key: bytes
    ) -> None:
        """Return if a request is paid for; count the use of a delegation that limits its uses.

        Args:
            user: The address of the wallet that asks, checksummed.
            capabilities: All capabilities of the session.
            uri: The session key's URI.
            now: The node's time.
            network_key: The network's BLS key, 48 bytes compressed.

        Raises:
            NodeError: ``rate_limit_exceeded``.
        """
        if self._credits.can_pay(user, now):
            return
        for capability in capabilities:
            try:
                message = verify_capability(capability, now, network_key)
            except ValueError:
                continue
            is_addressed = message.uri in (uri, DELEGATION_URI)
            if is_addressed and self._use_delegation(message, capability["sig"], user, now):
                return
        raise NodeError("rate_limit_exceeded")

    def _use_delegation(self, message: SiweMessage, signature: str, user: str, now: datetime) -> bool:
        """Return whether a message delegates a credit of its signer to the user; count the use."""
        counter_key = sha256(signature.encode()).digest()
        token_ids = self._credits.valid_token_ids(message.address, now)
        for restriction in _restrictions(message):
            uses = cast("str | None", restriction.get("uses"))
            if not _permits(restriction, user, token_ids):
                continue
            if uses is None:
                return True
            if uses.isascii() and uses.isdecimal() and self._used[counter_key] < int(uses):
                self._used[counter_key] += 1
                return True
        return False


def _restrictions(message: SiweMessage) -> list[Json]:
    """Return the restriction of every delegation in a message; the id in the resource key does not count."""
    found: list[Json] = []
    for urn in message.resources:
        try:
            recap = parse_recap(urn)
        except ValueError:
            continue
        if not message.statement.endswith(recap.statement):
            continue
        for resource, abilities in recap.attenuations.items():
            if resource.startswith(_PREFIX):
                found += abilities.get(_ABILITY, [])
    return [restriction for restriction in found if not shape_error(restriction, _RESTRICTION)]


def _permits(restriction: Json, user: str, token_ids: set[str]) -> bool:
    only_tokens = cast("list[str] | None", restriction.get("nft_id"))
    only_users = cast("list[str] | None", restriction.get("delegate_to"))
    usable = token_ids if only_tokens is None else token_ids.intersection(only_tokens)
    bare_user = user.lower().removeprefix("0x")
    return bool(usable) and (only_users is None or bare_user in {each.lower() for each in only_users})

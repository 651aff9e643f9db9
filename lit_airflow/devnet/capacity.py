"""Capacity credits: who owns which, who may use them, and how often.

A request is paid for when the user owns an unexpired credit, when the session carries a delegation by
somebody who does, or when somebody who does has put the user on their account. Source: the Datil node's
rate limiter, except that a capability which does not verify is passed over and not the end of the request.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import cast

from lit_airflow.devnet.capability import read_capability
from lit_airflow.devnet.errors import NodeError
from lit_airflow.devnet.parsing import Json, misfit
from lit_airflow.devnet.pkps import checked_address
from lit_airflow.devnet.recap import read_recap
from lit_airflow.devnet.siwe import SignIn

DELEGATION_URI = "lit:capability:delegation"
_PREFIX = "lit-ratelimitincrease://"
_ABILITY = "Auth/Auth"
_LIMITS: Json = {"nft_id?": [str], "delegate_to?": [str], "uses?": str}
_CREDIT_LASTS_S = 30 * 86400.0


@dataclass(frozen=True, slots=True)
class Credit:
    """One rate-limit NFT.

    Attributes:
        token_id: Its number, decimal.
        owner: Whose it is, checksummed.
        expires_at: Until when it pays.
    """

    token_id: str
    owner: str
    expires_at: datetime


class Credits:
    """All credits of one network, and who pays for whom."""

    def __init__(self) -> None:
        self._credits: list[Credit] = []
        self._payers: dict[str, set[str]] = {}

    def mint(self, owner: str, now: datetime, lasts_s: float = _CREDIT_LASTS_S) -> Credit:
        """Give a wallet a credit.

        Raises:
            ValueError: Not an address.
            OverflowError: It would outlast the calendar.
        """
        number = str(len(self._credits) + 1)
        credit = Credit(number, checked_address(owner), now + timedelta(seconds=lasts_s))
        self._credits.append(credit)
        return credit

    def pay_for(self, payer: str, user: str) -> None:
        """Put a user on a payer's account, as the payment delegation contract does.

        Raises:
            ValueError: Not an address.
        """
        self._payers.setdefault(checked_address(user), set()).add(checked_address(payer))

    def owned(self, owner: str, now: datetime) -> set[str]:
        """The token ids of a wallet's unexpired credits."""
        return {c.token_id for c in self._credits if c.owner == owner and now < c.expires_at}

    def pays_for_itself(self, user: str, now: datetime) -> bool:
        """Whether a user has a credit, or somebody who pays."""
        return any(self.owned(payer, now) for payer in {user, *self._payers.get(user, ())})

    def all(self) -> list[Credit]:
        """Every credit, the oldest first."""
        return list(self._credits)


class PaymentLedger:
    """Where one node takes payment; it counts the uses of delegations for itself.

    Args:
        credits_: The network's credits.
    """

    def __init__(self, credits_: Credits) -> None:
        self._credits = credits_
        self._used: Counter[bytes] = Counter()

    def charge(
        self, user: str, capabilities: list[dict[str, str]], uri: str, now: datetime, network_key: bytes
    ) -> None:
        """Let a request pass that is paid for, and count it where uses are limited.

        Args:
            user: Who asks, checksummed.
            capabilities: All of the session's.
            uri: The session key's URI.
            now: The node's clock.
            network_key: The network's BLS key, 48 bytes compressed.

        Raises:
            NodeError: ``rate_limit_exceeded``.
        """
        if self._credits.pays_for_itself(user, now):
            return
        for capability in capabilities:
            try:
                message = read_capability(capability, now, network_key)
            except ValueError:
                continue
            if message.uri in (uri, DELEGATION_URI) and self._lent(message, capability["sig"], user, now):
                return
        raise NodeError("rate_limit_exceeded")

    def _lent(self, message: SignIn, signature: str, user: str, now: datetime) -> bool:
        """Whether the signer of this message lends the user a credit; counts the use."""
        counted_as = sha256(signature.encode()).digest()
        owned = self._credits.owned(message.address, now)
        for limits in _delegations(message):
            uses = cast("str | None", limits.get("uses"))
            if not _allows(limits, user, owned):
                continue
            if uses is None:
                return True
            if uses.isascii() and uses.isdecimal() and self._used[counted_as] < int(uses):
                self._used[counted_as] += 1
                return True
        return False


def _delegations(message: SignIn) -> list[Json]:
    """The limits of every credit that a message lends; the id in a resource's name is not looked at."""
    found: list[Json] = []
    for urn in message.resources:
        try:
            recap = read_recap(urn)
        except ValueError:
            continue
        if not message.statement.endswith(recap.statement):
            continue
        for resource, abilities in recap.attenuations.items():
            if resource.startswith(_PREFIX):
                found += abilities.get(_ABILITY, [])
    return [limits for limits in found if not misfit(limits, _LIMITS)]


def _allows(limits: Json, user: str, owned: set[str]) -> bool:
    tokens = cast("list[str] | None", limits.get("nft_id"))
    users = cast("list[str] | None", limits.get("delegate_to"))
    usable = owned if tokens is None else owned.intersection(tokens)
    bare = user.lower().removeprefix("0x")
    return bool(usable) and (users is None or bare in {each.lower() for each in users})

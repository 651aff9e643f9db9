"""Capacity delegations: the owner of capacity credits permits others to use them in their sessions.

Source: docs/protocol/capacity.md; ``createCapacityDelegationAuthSig`` of the SDK 7.4.0.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from lit_airflow.clock import parse_iso
from lit_airflow.errors import LitError, SettingsError, SiweError
from lit_airflow.json_input import try_parse
from lit_airflow.keys.address import parse_address, same_address
from lit_airflow.keys.secret import Secret
from lit_airflow.keys.wallet import Signer, recover
from lit_airflow.protocol import auth_sig, siwe
from lit_airflow.protocol.auth_sig import AuthSig
from lit_airflow.protocol.eip4361 import DELEGATION_URI
from lit_airflow.protocol.recap import Recap
from lit_airflow.protocol.scope import RATE_LIMIT_AUTH, RATE_LIMIT_INCREASE, Resource, ResourceAbility
from lit_airflow.text import quoted

_UINT256_BOUND = 2**256
_MAX_DIGITS = 78


def capacity_delegation(  # noqa: PLR0913 - the SDK's parameters, all but three optional
    signer: Signer,
    *,
    nonce: str,
    now: datetime,
    token_id: int | str | None = None,
    uses: int | str | None = None,
    delegatees: Sequence[str] | None = None,
    domain: str = "localhost",
    statement: str = siwe.DEFAULT_STATEMENT,
    expiration: str | None = None,
) -> AuthSig:
    """Sign the owner's permission to use their rate-limit NFTs.

    Without ``token_id``, ``uses`` and ``delegatees``, everyone may use all of the owner's NFTs without limit.

    Args:
        signer: The owner's wallet.
        nonce: A recent block hash.
        now: The time of issue.
        token_id: The only NFT that may be used, decimal; by default all of them.
        uses: The number of requests; by default unlimited.
        delegatees: The addresses of the wallets that may use it; by default all. An empty list permits nobody.
        domain: The domain in the owner's sign-in message.
        statement: A sentence for people in that message.
        expiration: RFC 3339 text, used unchanged; by default seven days after ``now``.

    Raises:
        SiweError: A sign-in message cannot contain the domain, statement or token id.
        SettingsError: ``uses`` or ``token_id`` is not an unsigned 256-bit integer, a delegatee is not an address,
            or nobody could use the delegation: no uses, or already expired.
    """
    limits: dict[str, Any] = {}
    if token_id is not None and not isinstance(token_id, str):
        token_id = _decimal(token_id, "token_id")
    if token_id:
        limits["nft_id"] = [token_id]
    if delegatees is not None:
        limits["delegate_to"] = _delegatees(delegatees)
    if uses is not None:
        limits["uses"] = _decimal(uses, "uses")
        if int(limits["uses"]) == 0:
            raise SettingsError("With uses=0 a delegation permits no request.", field="uses")
    resource = Resource(RATE_LIMIT_INCREASE, "*" if token_id is None else token_id)
    message = siwe.sign_in(
        address=signer.address,
        nonce=nonce,
        now=now,
        requests=(ResourceAbility(resource, RATE_LIMIT_AUTH, limits),),
        domain=domain,
        statement=statement,
        uri=DELEGATION_URI,
        expiration=expiration,
    )
    text = siwe.write(message)
    if token_id:
        _decimal(token_id, "token_id")
    if message.expiration_time is not None and parse_iso(message.expiration_time) <= now:
        raise SettingsError(
            f"The delegation would end at {message.expiration_time}, which is over.", field="expiration"
        )
    return auth_sig.sign(signer, text)


@dataclass(frozen=True, slots=True)
class CapacityDelegation:
    """A capacity delegation that was signed earlier.

    Attributes:
        auth_sig: What sessions carry.
        lender: The owner of the credits.
        expires_at: When it ends; ``None`` for never.
        delegatees: The addresses of the wallets that may use it, 40 hex digits each; ``None`` for all.
    """

    auth_sig: AuthSig
    lender: str
    expires_at: datetime | None
    delegatees: tuple[str, ...] | None

    @classmethod
    def read(cls, source: Secret | Mapping[str, Any]) -> CapacityDelegation:
        """Read a capacity delegation.

        Args:
            source: The authSig; or a secret's fields, of which one may hold it as JSON.

        Raises:
            SettingsError: It is something else, or not signed by the wallet that it names.
        """
        delegation = _read(source)
        del source  # no frame of an error may hold it
        if delegation is None:
            raise SettingsError(
                "There is no capacity delegation.",
                field="capacity_path",
                hint="Store the authSig that createCapacityDelegationAuthSig or capacity_delegation returned: sig, "
                "derivedVia, signedMessage and address.",
            )
        return delegation

    def check(self, wallet: str, now: datetime) -> None:
        """Return nothing while a wallet may use it.

        Raises:
            SettingsError: It has ended, or is for other wallets.
        """
        if self.expires_at is not None and self.expires_at <= now:
            raise SettingsError(
                f"The capacity delegation of {self.lender} ended at {self.expires_at:%Y-%m-%d %H:%M:%S} UTC.",
                field="capacity_path",
                hint="Ask the owner of the credits for a new one.",
            )
        if self.delegatees is not None and not any(same_address(each, wallet) for each in self.delegatees):
            raise SettingsError(
                f"The capacity delegation of {self.lender} is for other wallets than {wallet}.",
                field="capacity_path",
                hint="Ask the owner of the credits for one that names this wallet.",
            )


def _read(source: Secret | Mapping[str, Any]) -> CapacityDelegation | None:
    """Return the delegation, or ``None``. Does not raise: its frame contains the signature."""
    fields = try_parse(source) if isinstance(source, Secret) else source
    if not isinstance(fields, Mapping):
        return None
    inner = (try_parse(value) if isinstance(value, str) else value for value in fields.values())
    for wire in (fields, *inner):
        try:
            found = AuthSig.from_json(wire)
            message = siwe.read(found.signed_message)
            signed_by = recover(found.signed_message, found.sig)
            ends = None if message.expiration_time is None else parse_iso(message.expiration_time)
        except (LitError, ValueError):
            continue
        if message.uri == DELEGATION_URI and same_address(signed_by, message.address):
            return CapacityDelegation(found, signed_by, ends, _named(message.resources))
    return None


def _named(resources: Sequence[str]) -> tuple[str, ...] | None:
    """Return the delegatees that a delegation's capabilities name; ``None`` for all wallets."""
    for urn in resources:
        try:
            attenuations = Recap.from_urn(urn).attenuations
        except SiweError:
            continue
        for abilities in attenuations.values():
            for limits in abilities.values():
                for limit in limits:
                    if isinstance(limit.get("delegate_to"), list):
                        return tuple(map(str, limit["delegate_to"]))
    return None


def _delegatees(addresses: Sequence[str]) -> list[str]:
    if isinstance(addresses, str):
        raise SettingsError("delegatees must be a list of addresses.", field="delegatees")
    digits = []
    for address in addresses:
        if parse_address(address) is None:
            raise SettingsError(
                f"The delegatee {quoted(str(address))} is not a wallet address.",
                field="delegatees",
                hint="Write it as 0x and 40 hex digits.",
            )
        digits.append(address.removeprefix("0x").removeprefix("0X"))
    return digits


def _decimal(number: int | str, field: str) -> str:
    text = str(number) if not isinstance(number, bool) else ""
    if not text.isascii() or not text.isdecimal() or len(text) > _MAX_DIGITS or int(text) >= _UINT256_BOUND:
        raise SettingsError(f"{field} must be an unsigned 256-bit integer, in decimal.", field=field)
    return text

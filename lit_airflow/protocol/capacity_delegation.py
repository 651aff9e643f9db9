"""Lending capacity credits: their owner's signed permission, carried inside the sessions of others.

Source: spec of the protocol, section 14; ``createCapacityDelegationAuthSig`` of the SDK 7.4.0.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from lit_airflow.keys.wallet import Signer
from lit_airflow.protocol import auth_sig, siwe
from lit_airflow.protocol.auth_sig import AuthSig
from lit_airflow.protocol.eip4361 import DELEGATION_URI
from lit_airflow.protocol.scope import RATE_LIMIT_AUTH, RATE_LIMIT_INCREASE, Resource, ResourceAbility


def capacity_delegation(  # noqa: PLR0913 - the SDK's parameters, all but three optional
    signer: Signer,
    *,
    nonce: str,
    now: datetime,
    token_id: str | None = None,
    uses: int | str | None = None,
    delegatees: Sequence[str] | None = None,
    domain: str = "localhost",
    statement: str = siwe.DEFAULT_STATEMENT,
    expiration: str | None = None,
) -> AuthSig:
    """The owner's permission to use a rate-limit NFT.

    Without any of the three limits, anybody may use all of the owner's NFTs.

    Args:
        signer: The owner.
        nonce: A recent block hash.
        now: The time of issue.
        token_id: The one NFT, decimal; all of them by default.
        uses: How many requests it is good for; any number by default.
        delegatees: Wallet addresses; anybody by default, nobody where the list is empty.
        domain: Who asks, as the owner's message shows it.
        statement: A sentence for people in that message.
        expiration: RFC 3339 text, used unchanged; seven days from ``now`` by default.

    Raises:
        SiweError: A domain, statement or token id that a sign-in message cannot carry.
    """
    limits: dict[str, Any] = {}
    if token_id:
        limits["nft_id"] = [token_id]
    if delegatees is not None:
        limits["delegate_to"] = [address.removeprefix("0x") for address in delegatees]
    if uses is not None:
        limits["uses"] = str(uses)
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
    return auth_sig.sign(signer, siwe.write(message))

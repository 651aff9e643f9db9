"""Capacity delegations: the owner of capacity credits permits others to use them in their sessions.

Source: docs/protocol/capacity.md; ``createCapacityDelegationAuthSig`` of the SDK 7.4.0.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from lit_airflow.errors import SettingsError
from lit_airflow.keys.wallet import Signer
from lit_airflow.protocol import auth_sig, siwe
from lit_airflow.protocol.auth_sig import AuthSig
from lit_airflow.protocol.eip4361 import DELEGATION_URI
from lit_airflow.protocol.scope import RATE_LIMIT_AUTH, RATE_LIMIT_INCREASE, Resource, ResourceAbility

_UINT256_BOUND = 2**256


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
        SettingsError: ``uses`` is negative or has more than 256 bits.
    """
    limits: dict[str, Any] = {}
    if token_id:
        limits["nft_id"] = [token_id]
    if delegatees is not None:
        limits["delegate_to"] = [address.removeprefix("0x") for address in delegatees]
    if uses is not None:
        limits["uses"] = _decimal(uses)
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


def _decimal(uses: int | str) -> str:
    if isinstance(uses, int) and not 0 <= uses < _UINT256_BOUND:
        raise SettingsError("uses must be an unsigned 256-bit integer.", field="uses")
    return str(uses)

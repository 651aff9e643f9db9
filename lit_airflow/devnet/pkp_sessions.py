"""What a node checks before the network signs a session for a PKP, and the message that it then signs.

As in ``checks``, these functions are pure. Lit Actions do not run on the devnet, so a request that needs one to
permit it is refused.

Source: docs/protocol/pkp-sessions.md.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import cast

from lit_airflow.devnet.auth_sig import MAX_LIFETIME_S, check_times, parse_auth_sig, verify_wallet_auth_sig
from lit_airflow.devnet.errors import NodeError
from lit_airflow.devnet.parsing import Json, parse_json
from lit_airflow.devnet.pkps import Pkp, PkpRegistry
from lit_airflow.devnet.recap import STATEMENT_START, Recap, encode_recap, parse_recap
from lit_airflow.devnet.signing_request import SigningRequest, parse_body
from lit_airflow.devnet.siwe import SiweMessage, parse_siwe, replace_fields

CONTEXT_PREFIX = "lit-resolvedauthcontext"
CURVE = "BLS"
WALLET_METHOD = 1
_BODY: Json = {
    "sessionKey": str,
    "authMethods": [{"authMethodType": int, "accessToken": str}],
    "pkpPublicKey?": str,
    "siweMessage": str,
    "curveType": str,
    "litActionIpfsId?": str,
    "code?": str,
}


@dataclass(frozen=True, slots=True)
class PkpContext:
    """What a node knows when it checks a request for a PKP session.

    Attributes:
        now: The node's time.
        pkps: All PKPs.
        mined_at: Returns when the block with a hash was mined, ``None`` if there is no such block.
    """

    now: datetime
    pkps: PkpRegistry
    mined_at: Callable[[str], datetime | None]


def check_session_request(body: object, context: PkpContext) -> SigningRequest:
    """Check a request for a session of a PKP.

    Args:
        body: The parsed JSON body.
        context: What the node knows.

    Returns:
        The sign-in message to sign, which differs from the requested one: its nonce is in lower case, its time of
        issue is the block's, and its ReCap and statement also name the authentication methods.

    Raises:
        NodeError: The first check that fails.
    """
    request, epoch = parse_body(body, _BODY)
    if request["curveType"] != CURVE:
        raise NodeError("NodeInvalidCurveType", f"not {request['curveType']!r}")
    text = cast("str", request["siweMessage"])
    message = _parse_message(text)
    wallets, failures = _verified_wallets(cast("list[Json]", request["authMethods"]), context.now)
    pkp = _find_pkp(request, wallets, context.pkps)
    if message.address != (pkp.address if pkp else None):
        raise NodeError("NodeSIWEMessageError", "the message is not of this PKP's address")
    _check_message(message, cast("str", request["sessionKey"]), context.now)
    if request.get("code") or request.get("litActionIpfsId"):
        raise NodeError("NodeLitActionsSessionSigAuthenticationFailed", "Lit Actions do not run here")
    mined_at = _block_time(message.nonce, context)
    recap = _requested_recap(message)
    if pkp is None or pkp.owner not in wallets:
        raise NodeError("NodePKPNotAuthorized", "; ".join(failures))
    return SigningRequest(_message_to_sign(text, message, mined_at, recap, wallets), epoch)


def _parse_message(text: str) -> SiweMessage:
    try:
        message = parse_siwe(text)
    except ValueError as error:
        raise NodeError("NodeSIWEMessageError", str(error)) from error
    if CONTEXT_PREFIX in message.statement:
        raise NodeError("NodeInvalidAuthContextResource", "in the statement")
    return message


def _verified_wallets(methods: list[Json], now: datetime) -> tuple[list[str], list[str]]:
    """Return the wallets whose authentication methods verify, and why each other method does not."""
    wallets, failures = [], []
    for method in methods:
        try:
            wallets.append(_verify_wallet(method, now))
        except (NodeError, ValueError) as error:
            failures.append(str(error))
    return wallets, failures


def _verify_wallet(method: Json, now: datetime) -> str:
    if method["authMethodType"] != WALLET_METHOD:
        raise ValueError(f"authentication methods of type {method['authMethodType']} are not known here")
    try:
        auth_sig = parse_json(cast("str", method["accessToken"]))
    except ValueError:
        raise ValueError("the access token is not JSON") from None
    return verify_wallet_auth_sig(parse_auth_sig(auth_sig), now).address


def _find_pkp(request: Json, wallets: list[str], pkps: PkpRegistry) -> Pkp | None:
    """Return the PKP that the request names; if it names none, the oldest one of the first wallet."""
    public_key = cast("str | None", request.get("pkpPublicKey"))
    if public_key is not None:
        return pkps.find(public_key)
    return pkps.first_of(wallets[0]) if wallets else None


def _check_message(message: SiweMessage, uri: str, now: datetime) -> None:
    if message.uri != uri:
        raise NodeError("NodeSIWEMessageError", "the message is for another session key")
    if message.expires_at is None:
        raise NodeError("NodeSIWEMessageError", "no expiration time")
    check_times(message.issued_at, message.expires_at, now)


def _block_time(nonce: str, context: PkpContext) -> datetime:
    mined_at = context.mined_at(nonce)
    if mined_at is None:
        raise NodeError("NodeInvalidBlockhash", "there is no such block")
    if mined_at < context.now - timedelta(seconds=MAX_LIFETIME_S):
        raise NodeError("NodeInvalidBlockhash", "the block is older than 30 days")
    return mined_at


def _requested_recap(message: SiweMessage) -> Recap:
    """Return the ReCap of the request: the message's last resource, which its statement must state."""
    try:
        recap = parse_recap(message.resources[-1] if message.resources else "")
    except ValueError as error:
        raise NodeError("NodeSIWECapabilityInvalid", str(error)) from error
    if not message.statement.endswith(recap.statement):
        detail = f"the statement does not end in {STATEMENT_START!r} and so on"
        raise NodeError("NodeSIWECapabilityInvalid", detail)
    if any(resource.startswith(CONTEXT_PREFIX) for resource in recap.attenuations):
        raise NodeError("NodeInvalidAuthContextResource", "in the capability")
    return recap


def _message_to_sign(
    text: str, message: SiweMessage, mined_at: datetime, recap: Recap, wallets: list[str]
) -> str:
    auth_context: Json = {
        "actionIpfsIdStack": [],
        "authMethodContexts": [
            {
                "appId": "lit",
                "authMethodType": WALLET_METHOD,
                "usedForSignSessionKeyRequest": True,
                "userId": wallet,
            }
            for wallet in wallets
        ],
        "authSigAddress": None,
        "customAuthResource": "",
        "resources": [],
    }
    urn = encode_recap(
        {**recap.attenuations, f"{CONTEXT_PREFIX}://*": {"Auth/Auth": [{"auth_context": auth_context}]}}
    )
    return replace_fields(
        text,
        statement=f"{message.statement} {parse_recap(urn).statement}",
        nonce=message.nonce.lower(),
        issued_at=mined_at,
        resource=urn,
    )

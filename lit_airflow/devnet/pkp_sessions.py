"""What a node checks before the network signs a session for a PKP, and the message that it then signs.

Pure, like ``checks``: the request, the clock and what the node knows come in, the text to sign or a refusal
comes out. Source: the Datil node's ``sign_session_key``. Lit Actions do not run here, so what they would
permit is refused.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import cast

from lit_airflow.devnet.checks import LONGEST_S, check_times, check_wallet, read_auth_sig
from lit_airflow.devnet.errors import NodeError
from lit_airflow.devnet.parsing import Json, misfit, parse_json
from lit_airflow.devnet.pkps import Pkp, Pkps
from lit_airflow.devnet.recap import SENTENCE, Recap, read_recap, write_recap
from lit_airflow.devnet.siwe import SignIn, read_sign_in, rewrite

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
    "epoch?": int,
}


@dataclass(frozen=True, slots=True)
class Registrar:
    """What a node knows when it is asked to sign for a PKP.

    Attributes:
        now: Its clock.
        pkps: All PKPs.
        block_time: When the block of a hash was mined, ``None`` if there is none.
    """

    now: datetime
    pkps: Pkps
    block_time: Callable[[str], datetime | None]


@dataclass(frozen=True, slots=True)
class Countersigned:
    """The text to sign, with the shares of which epoch (0 for the current one)."""

    text: str
    epoch: int


def countersign(body: object, registrar: Registrar) -> Countersigned:
    """Check one request for a session of a PKP.

    Args:
        body: The parsed JSON body.
        registrar: The node, its clock and what it knows.

    Raises:
        NodeError: The first check that fails.
    """
    if wrong := misfit(body, _BODY):
        raise NodeError("NodeBadInput", wrong)
    request = cast("Json", body)
    epoch = cast("int | None", request.get("epoch")) or 0
    if epoch < 0:
        raise NodeError("NodeBadInput", ".epoch: negative")
    if request["curveType"] != CURVE:
        raise NodeError("NodeInvalidCurveType", f"not {request['curveType']!r}")
    text = cast("str", request["siweMessage"])
    message = _read_message(text)
    wallets, failures = _wallets(cast("list[Json]", request["authMethods"]), registrar.now)
    pkp = _pkp(request, wallets, registrar.pkps)
    if message.address != (pkp.address if pkp else None):
        raise NodeError("NodeSIWEMessageError", "the message is not of this PKP's address")
    _check_message(message, cast("str", request["sessionKey"]), registrar.now)
    if request.get("code") or request.get("litActionIpfsId"):
        raise NodeError("NodeLitActionsSessionSigAuthenticationFailed", "Lit Actions do not run here")
    mined_at = _mined_at(message.nonce, registrar)
    asked = _asked(message)
    if pkp is None or pkp.owner not in wallets:
        raise NodeError("NodePKPNotAuthorized", "; ".join(failures))
    return Countersigned(_countersigned(text, message, mined_at, asked, wallets), epoch)


def _read_message(text: str) -> SignIn:
    try:
        message = read_sign_in(text)
    except ValueError as error:
        raise NodeError("NodeSIWEMessageError", str(error)) from error
    if CONTEXT_PREFIX in message.statement:
        raise NodeError("NodeInvalidAuthContextResource", "in the statement")
    return message


def _wallets(methods: list[Json], now: datetime) -> tuple[list[str], list[str]]:
    """The wallets that prove to be present, and why each other method proves nothing."""
    wallets, failures = [], []
    for method in methods:
        try:
            wallets.append(_wallet(method, now))
        except (NodeError, ValueError) as error:
            failures.append(str(error))
    return wallets, failures


def _wallet(method: Json, now: datetime) -> str:
    if method["authMethodType"] != WALLET_METHOD:
        raise ValueError(f"authentication methods of type {method['authMethodType']} are not known here")
    try:
        auth_sig = parse_json(cast("str", method["accessToken"]))
    except ValueError:
        raise ValueError("the access token is not JSON") from None
    return check_wallet(read_auth_sig(auth_sig), now).address


def _pkp(request: Json, wallets: list[str], pkps: Pkps) -> Pkp | None:
    """The PKP that is named; where none is, the first one of the first wallet."""
    named = cast("str | None", request.get("pkpPublicKey"))
    if named is not None:
        return pkps.find(named)
    return pkps.first_of(wallets[0]) if wallets else None


def _check_message(message: SignIn, uri: str, now: datetime) -> None:
    if message.uri != uri:
        raise NodeError("NodeSIWEMessageError", "the message is for another session key")
    if message.expires_at is None:
        raise NodeError("NodeSIWEMessageError", "no expiration time")
    check_times(message.issued_at, message.expires_at, now)


def _mined_at(nonce: str, registrar: Registrar) -> datetime:
    mined_at = registrar.block_time(nonce)
    if mined_at is None:
        raise NodeError("NodeInvalidBlockhash", "there is no such block")
    if mined_at < registrar.now - timedelta(seconds=LONGEST_S):
        raise NodeError("NodeInvalidBlockhash", "the block is older than 30 days")
    return mined_at


def _asked(message: SignIn) -> Recap:
    """The capabilities that are asked for: the last resource, and the statement says the same."""
    try:
        recap = read_recap(message.resources[-1] if message.resources else "")
    except ValueError as error:
        raise NodeError("NodeSIWECapabilityInvalid", str(error)) from error
    if not message.statement.endswith(recap.statement):
        raise NodeError("NodeSIWECapabilityInvalid", f"the statement does not end in {SENTENCE!r} and so on")
    if any(resource.startswith(CONTEXT_PREFIX) for resource in recap.attenuations):
        raise NodeError("NodeInvalidAuthContextResource", "in the capability")
    return recap


def _countersigned(text: str, message: SignIn, mined_at: datetime, asked: Recap, wallets: list[str]) -> str:
    context: Json = {
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
    urn = write_recap(
        {**asked.attenuations, f"{CONTEXT_PREFIX}://*": {"Auth/Auth": [{"auth_context": context}]}}
    )
    statement = f"{message.statement} {read_recap(urn).statement}"
    return rewrite(text, statement, message.nonce.lower(), mined_at, urn)

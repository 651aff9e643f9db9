"""The sign-in text (EIP-4361): write it, read it back.

Lit's own messages are of a plain form that :mod:`lit_airflow.protocol.eip4361` writes and reads. Of everything
else the ``siwe`` package decides whether it is a valid message. It is imported when it is needed: it brings a
second of imports, and its grammar takes a twentieth of a second for one message and minutes for a long one.

Source: EIP-4361; spec of the protocol, section 6.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from lit_airflow.clock import iso
from lit_airflow.errors import SiweError
from lit_airflow.protocol import eip4361
from lit_airflow.protocol.eip4361 import DEFAULT_URI, SignIn
from lit_airflow.protocol.recap import Recap
from lit_airflow.protocol.scope import ResourceAbility

if TYPE_CHECKING:
    from types import ModuleType

DEFAULT_STATEMENT = "This is a test statement.  You can put anything you want here."
DEFAULT_LIFETIME = timedelta(days=7)
# At this length the grammar's parser takes up to 60 MB and a second.
_LONGEST = 2048


def sign_in(  # noqa: PLR0913 - one argument per field of the message
    *,
    address: str,
    nonce: str,
    now: datetime,
    requests: Sequence[ResourceAbility] | None = None,
    domain: str = "localhost",
    statement: str = DEFAULT_STATEMENT,
    uri: str = DEFAULT_URI,
    chain_id: int = 1,
    expiration: str | None = None,
) -> SignIn:
    """The sign-in message of a session or a delegation.

    Args:
        address: Who signs, EIP-55 checksummed.
        nonce: At least eight letters and digits; Lit uses a recent block hash.
        now: The time of issue.
        requests: What is delegated; ``None`` for a message without capabilities, an empty list is refused.
        domain: Who asks.
        statement: A sentence for people. The ReCap's own statement follows it after one blank.
        uri: Who may act: the session key's URI.
        chain_id: Shown to the signer only.
        expiration: RFC 3339 text, used unchanged; seven days from ``now`` by default.

    Raises:
        SiweError: The list of requests is empty.
    """
    resources: tuple[str, ...] = ()
    if requests is not None:
        if not requests:
            raise SiweError("A sign-in message with capabilities needs at least one request.")
        recap = Recap.of(requests)
        statement = f"{statement} {recap.statement()}"
        resources = (recap.urn(),)
    return SignIn(
        domain=domain,
        address=address,
        statement=statement or None,
        uri=uri,
        chain_id=chain_id,
        nonce=nonce,
        issued_at=iso(now),
        expiration_time=expiration if expiration is not None else iso(now + DEFAULT_LIFETIME),
        resources=resources,
    )


def write(message: SignIn) -> str:
    """The text that the wallet signs, checked by reading it back.

    Raises:
        SiweError: A field that EIP-4361 does not allow, such as a line break or a non-ASCII character in the
            statement or a resource id, a nonce that is too short, or an address without checksum.
    """
    return eip4361.write(message) or _written_by_siwe(message)


def _written_by_siwe(message: SignIn) -> str:
    siwe = _siwe()
    try:
        text: str = siwe.SiweMessage(
            domain=message.domain,
            address=message.address,
            statement=message.statement,
            uri=message.uri,
            version="1",
            chain_id=message.chain_id,
            nonce=message.nonce,
            issued_at=message.issued_at,
            expiration_time=message.expiration_time,
            not_before=message.not_before,
            request_id=message.request_id,
            resources=list(message.resources) or None,
        ).prepare_message()
    except ValueError as error:
        raise SiweError(f"The sign-in message is not valid: {_reason(error)}.") from error
    if _read_by_siwe(text) != message:
        raise SiweError("The sign-in message reads back differently from what was written.")
    return text


def read(text: str) -> SignIn:
    """Read a sign-in message strictly, by EIP-4361's grammar.

    Raises:
        SiweError: It does not parse, or it is long and not of the plain form of Lit's own messages: the grammar's
            parser takes memory with the square of the length, and whoever wrote it need not be a friend.
    """
    plain = eip4361.read(text)
    if plain is None and len(text) > _LONGEST:
        raise SiweError(f"The sign-in message has {len(text)} characters; of its form, {_LONGEST} are read.")
    return plain or _read_by_siwe(text)


def _read_by_siwe(text: str) -> SignIn:
    siwe = _siwe()
    try:
        parsed = siwe.SiweMessage.from_message(text)
    except (ValueError, RecursionError) as error:
        raise SiweError(
            "The sign-in message does not parse.",
            hint="A statement is one line of letters, digits, blanks and -._~:/?#[]@!$&'()*+,;=",
        ) from error
    return SignIn(
        domain=str(parsed.domain),
        address=str(parsed.address),
        statement=parsed.statement,
        uri=str(parsed.uri),
        chain_id=int(parsed.chain_id),
        nonce=parsed.nonce,
        issued_at=str(parsed.issued_at),
        expiration_time=_text(parsed.expiration_time),
        not_before=_text(parsed.not_before),
        request_id=parsed.request_id,
        resources=tuple(str(resource) for resource in parsed.resources or ()),
    )


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _reason(error: ValueError) -> str:
    """What pydantic objects to, without the input it quotes."""
    try:
        details = error.errors()  # type: ignore[attr-defined]  # pydantic's own ValidationError has it
        return "; ".join(f"{'.'.join(map(str, d['loc'])) or 'message'}: {d['msg']}" for d in details)
    except AttributeError:
        return type(error).__name__


def _siwe() -> ModuleType:
    with warnings.catch_warnings():
        # abnf and web3, which siwe pulls in, warn on every import about things of their own.
        warnings.simplefilter("ignore")
        import siwe  # noqa: PLC0415 - a second of imports, see the module's docstring
    return siwe  # type: ignore[no-any-return]  # the package has no type information

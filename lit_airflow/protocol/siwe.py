"""Sign-in messages (EIP-4361): write them, and parse them.

:mod:`lit_airflow.protocol.eip4361` writes and parses the plain form of Lit's own messages. The ``siwe`` package
handles all other messages. It is imported only for those: the import takes a second, and its grammar takes 50
ms for a short message and minutes for a long one.

Source: EIP-4361; docs/protocol/siwe.md.
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
# For this length the parser of the grammar needs up to 60 MB and a second.
_MAX_CHARS = 2048


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
    """Return the sign-in message of a session or a delegation.

    Args:
        address: The address of the wallet that signs, EIP-55 checksummed.
        nonce: At least eight letters and digits; Lit uses a recent block hash.
        now: The time of issue.
        requests: What the wallet delegates; ``None`` for a message without capabilities. Must not be empty.
        domain: The domain that asks for the signature.
        statement: A sentence for people. The statement of the ReCap follows it after one space.
        uri: The URI that receives the delegation, such as that of a session key.
        chain_id: Shown to the signer; otherwise unused.
        expiration: RFC 3339 text, used unchanged; by default seven days after ``now``.

    Raises:
        SiweError: The list of requests is empty.
    """
    resources: tuple[str, ...] = ()
    if requests is not None:
        if not requests:
            raise SiweError("The list of requests for the sign-in message is empty.")
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
    """Return the text that the wallet signs. It is verified by parsing it again.

    Raises:
        SiweError: EIP-4361 does not allow the value of a field: a line break or a non-ASCII character in the
            statement or a resource id, a nonce that is too short, an address without checksum.
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
        raise SiweError(f"The sign-in message is not valid: {_reason(error)}.") from None
    if _read_by_siwe(text) != message:
        raise SiweError("The sign-in message is ambiguous: parsing its text gives other fields.")
    return text


def read(text: str) -> SignIn:
    """Parse a sign-in message strictly, by EIP-4361's grammar.

    Raises:
        SiweError: The text does not conform to the grammar, or is longer than 2048 characters and not in the
            plain form of Lit's own messages: the memory of the grammar's parser grows with the square of the
            length.
    """
    plain = eip4361.read(text)
    if plain is None and len(text) > _MAX_CHARS:
        raise SiweError(
            f"The sign-in message has {len(text)} characters; over {_MAX_CHARS} are accepted only in the plain "
            "form of Lit's own messages."
        )
    return plain or _read_by_siwe(text)


def _read_by_siwe(text: str) -> SignIn:
    siwe = _siwe()
    try:
        parsed = siwe.SiweMessage.from_message(text)
    except (ValueError, RecursionError):
        raise SiweError(
            "The text is not a valid sign-in message.",
            hint="A statement is one line of letters, digits, spaces and -._~:/?#[]@!$&'()*+,;=",
        ) from None
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
    """Return the messages of pydantic's error, without the input that they quote."""
    try:
        details = error.errors()  # type: ignore[attr-defined]  # pydantic's own ValidationError has it
        return "; ".join(f"{'.'.join(map(str, d['loc'])) or 'message'}: {d['msg']}" for d in details)
    except AttributeError:
        return type(error).__name__


def _siwe() -> ModuleType:
    with warnings.catch_warnings():
        # abnf and web3, which siwe imports, emit warnings of their own.
        warnings.simplefilter("ignore")
        import siwe  # noqa: PLC0415 - a second of imports, see the module's docstring
    return siwe  # type: ignore[no-any-return]  # the package has no types

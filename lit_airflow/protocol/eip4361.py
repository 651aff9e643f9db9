"""Sign-in messages in the plain form that Lit's own messages have; parsed without a grammar.

The plain form is a subset of EIP-4361, and a regular expression describes it: every plain message is valid for
the ``siwe`` package, which reads the same fields from it. Whether another text is valid,
:mod:`lit_airflow.protocol.siwe` decides (``docs/adr/0015``).

Source: EIP-4361; docs/protocol/siwe.md.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from lit_airflow.clock import parse_iso

DEFAULT_URI = "https://localhost/login"
DELEGATION_URI = "lit:capability:delegation"

# In the grammar, a host that begins like an IPv4 address must be exactly an IPv4 address.
_OCTET = r"(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
_HOST = rf"(?: {_OCTET}(?:\.{_OCTET}){{3}} | (?! [0-9]{{1,3}}(?:\.[0-9]{{1,3}}){{3}} ) [a-z0-9][a-z0-9.-]* )"
_TIME = r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{3})?Z"
_PLAIN = re.compile(
    rf"""
    (?P<domain> {_HOST} (?: :[0-9]{{1,5}} )? )
    \ wants\ you\ to\ sign\ in\ with\ your\ Ethereum\ account:\n
    (?P<address> 0x[0-9a-fA-F]{{40}} ) \n\n
    (?: (?P<statement> [A-Za-z0-9\ \-._~:/?\#\[\]@!$&'()*+,;=]+ ) \n )? \n
    URI:\ (?P<uri> lit:session:[0-9a-f]{{64}} | {re.escape(DELEGATION_URI)} | {re.escape(DEFAULT_URI)} ) \n
    Version:\ 1\n
    Chain\ ID:\ (?P<chain_id> [1-9][0-9]{{0,15}} ) \n
    Nonce:\ (?P<nonce> [A-Za-z0-9]{{8,}} ) \n
    Issued\ At:\ (?P<issued_at> {_TIME} )
    (?: \nExpiration\ Time:\ (?P<expiration_time> {_TIME} ) )?
    (?: \nResources: (?P<resources> (?: \n-\ urn:recap:[A-Za-z0-9_-]+ )+ ) )?
    """,
    re.VERBOSE,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SignIn:
    """The fields of a sign-in message. Times are RFC 3339 texts, unchanged."""

    domain: str = "localhost"
    address: str
    statement: str | None = None
    uri: str = DEFAULT_URI
    chain_id: int = 1
    nonce: str
    issued_at: str
    expiration_time: str | None = None
    not_before: str | None = None
    request_id: str | None = None
    resources: tuple[str, ...] = ()


def write(message: SignIn) -> str | None:
    """Return the text of a message; ``None`` if the message has no plain form."""
    lines = [
        f"{message.domain} wants you to sign in with your Ethereum account:",
        message.address,
        "",
        *((message.statement,) if message.statement else ()),
        "",
        f"URI: {message.uri}",
        "Version: 1",
        f"Chain ID: {message.chain_id}",
        f"Nonce: {message.nonce}",
        f"Issued At: {message.issued_at}",
        *((f"Expiration Time: {message.expiration_time}",) if message.expiration_time else ()),
        *(("Resources:", *(f"- {resource}" for resource in message.resources)) if message.resources else ()),
    ]
    text = "\n".join(lines)
    return text if read(text) == message else None


def read(text: str) -> SignIn | None:
    """Parse a text; return ``None`` if it is not in the plain form."""
    found = _PLAIN.fullmatch(text)
    if found is None or not _checksummed(found["address"]):
        return None
    times = (found["issued_at"], found["expiration_time"])
    if not all(time is None or _is_time(time) for time in times):
        return None
    return SignIn(
        domain=found["domain"],
        address=found["address"],
        statement=found["statement"],
        uri=found["uri"],
        chain_id=int(found["chain_id"]),
        nonce=found["nonce"],
        issued_at=found["issued_at"],
        expiration_time=found["expiration_time"],
        resources=tuple((found["resources"] or "").split("\n- ")[1:]),
    )


def _checksummed(address: str) -> bool:
    from eth_utils.address import is_checksum_address  # noqa: PLC0415 - heavy, and only wallets need it

    return is_checksum_address(address)


def _is_time(text: str) -> bool:
    try:
        parse_iso(text)
    except ValueError:
        return False
    return True

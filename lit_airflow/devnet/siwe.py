"""Read a sign-in message (EIP-4361) line by line, as the nodes do.

Written against the standard and the nodes' behaviour, on purpose without the client's reader: one
misunderstanding must not pass on both sides.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from eth_utils.address import is_checksum_address

from lit_airflow.devnet.parsing import rfc3339

if TYPE_CHECKING:
    from datetime import datetime

_GREETING = " wants you to sign in with your Ethereum account:"
_SHORTEST_NONCE = 8
_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:\S*")
# Where these stand in a message that has a statement.
_STATEMENT_LINE, _NONCE_LINE, _ISSUED_LINE = 3, 8, 9
_DIGITS = re.compile(r"[0-9]+")
_AUTHORITY = re.compile(r"[^\s/?#]+")


@dataclass(frozen=True, slots=True)
class SignIn:
    """The fields of one message; ``statement`` is empty when there is none."""

    domain: str
    address: str
    statement: str
    uri: str
    nonce: str
    issued_at: datetime
    expires_at: datetime | None
    not_before: datetime | None
    resources: tuple[str, ...]


class _Lines:
    """The lines of a message, taken from the top."""

    def __init__(self, text: str) -> None:
        self._left = text.split("\n")

    def take(self) -> str:
        if not self._left:
            raise ValueError("the message ends too early")
        return self._left.pop(0)

    def tagged(self, tag: str) -> str:
        line = self.take()
        if not line.startswith(tag):
            raise ValueError(f"a line {tag!r} is expected")
        return line.removeprefix(tag)

    def optional(self, tag: str) -> str | None:
        return self.tagged(tag) if self._left and self._left[0].startswith(tag) else None

    def blank(self) -> None:
        if self.take():
            raise ValueError("an empty line is expected")

    def done(self) -> bool:
        return not self._left


@lru_cache(maxsize=1024)
def read_sign_in(text: str) -> SignIn:
    """Take a message apart.

    Raises:
        ValueError: Not a message of EIP-4361; says which line.
    """
    lines = _Lines(text)
    greeting = lines.take()
    domain = greeting.removesuffix(_GREETING)
    if domain == greeting or not _AUTHORITY.fullmatch(domain):
        raise ValueError("the first line does not name a domain")
    address = lines.take()
    if not is_checksum_address(address):
        raise ValueError("the address is not checksummed")
    lines.blank()
    statement = lines.take()
    if statement:
        lines.blank()
    uri = _uri(lines.tagged("URI: "))
    if lines.tagged("Version: ") != "1":
        raise ValueError("the version is not 1")
    if not _DIGITS.fullmatch(lines.tagged("Chain ID: ")):
        raise ValueError("the chain id is not a number")
    if len(nonce := lines.tagged("Nonce: ")) < _SHORTEST_NONCE:
        raise ValueError(f"the nonce has fewer than {_SHORTEST_NONCE} characters")
    issued_at = rfc3339(lines.tagged("Issued At: "))
    expires_at = _moment(lines.optional("Expiration Time: "))
    not_before = _moment(lines.optional("Not Before: "))
    lines.optional("Request ID: ")
    resources = tuple(_resources(lines))
    return SignIn(domain, address, statement, uri, nonce, issued_at, expires_at, not_before, resources)


def rewrite(text: str, statement: str, nonce: str, issued_at: datetime, urn: str) -> str:
    """A message with another statement, nonce, time of issue (in seconds) and only resource; the rest stays.

    Args:
        text: A message that ``read_sign_in`` reads, with a statement and resources.
        statement: In place of its own.
        nonce: The same.
        issued_at: The same.
        urn: In place of all its resources.
    """
    lines = text.split("\n")
    lines[_STATEMENT_LINE] = statement
    lines[_NONCE_LINE] = f"Nonce: {nonce}"
    lines[_ISSUED_LINE] = f"Issued At: {issued_at:%Y-%m-%dT%H:%M:%SZ}"
    kept = lines[: lines.index("Resources:", _ISSUED_LINE)]
    return "\n".join([*kept, "Resources:", f"- {urn}"])


def _resources(lines: _Lines) -> list[str]:
    found: list[str] = []
    if not lines.done() and lines.tagged("Resources:"):
        raise ValueError("text after 'Resources:'")
    while not lines.done():
        found.append(_uri(lines.tagged("- ")))
    return found


def _uri(text: str) -> str:
    if not _URI.fullmatch(text):
        raise ValueError("not a URI")
    return text


def _moment(text: str | None) -> datetime | None:
    return None if text is None else rfc3339(text)

"""Parse sign-in messages (SIWE, EIP-4361) line by line, as the nodes do.

This deliberately does not use the client's parser, so that one misunderstanding cannot pass on both sides.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from eth_utils.address import is_checksum_address

from lit_airflow.devnet.parsing import parse_rfc3339

if TYPE_CHECKING:
    from datetime import datetime

_FIRST_LINE_END = " wants you to sign in with your Ethereum account:"
_MIN_NONCE_LENGTH = 8
_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:\S*")
# Line numbers in a message that has a statement.
_STATEMENT_LINE, _NONCE_LINE, _ISSUED_LINE = 3, 8, 9
_DIGITS = re.compile(r"[0-9]+")
_AUTHORITY = re.compile(r"[^\s/?#]+")


@dataclass(frozen=True, slots=True)
class SiweMessage:
    """The fields of a sign-in message; ``statement`` is empty if there is none."""

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
    """The lines of a message that are not parsed yet."""

    def __init__(self, text: str) -> None:
        self._left = text.split("\n")

    def take(self) -> str:
        if not self._left:
            raise ValueError("the message ends too early")
        return self._left.pop(0)

    def take_tagged(self, tag: str) -> str:
        line = self.take()
        if not line.startswith(tag):
            raise ValueError(f"a line {tag!r} is expected")
        return line.removeprefix(tag)

    def take_optional(self, tag: str) -> str | None:
        return self.take_tagged(tag) if self._left and self._left[0].startswith(tag) else None

    def take_empty(self) -> None:
        if self.take():
            raise ValueError("an empty line is expected")

    def are_done(self) -> bool:
        return not self._left


@lru_cache(maxsize=1024)
def parse_siwe(text: str) -> SiweMessage:
    """Parse a sign-in message.

    Raises:
        ValueError: The text does not follow EIP-4361; the message names the line.
    """
    lines = _Lines(text)
    first = lines.take()
    domain = first.removesuffix(_FIRST_LINE_END)
    if domain == first or not _AUTHORITY.fullmatch(domain):
        raise ValueError("the first line does not name a domain")
    address = lines.take()
    if not is_checksum_address(address):
        raise ValueError("the address is not checksummed")
    lines.take_empty()
    statement = lines.take()
    if statement:
        lines.take_empty()
    uri = _uri(lines.take_tagged("URI: "))
    if lines.take_tagged("Version: ") != "1":
        raise ValueError("the version is not 1")
    if not _DIGITS.fullmatch(lines.take_tagged("Chain ID: ")):
        raise ValueError("the chain id is not a number")
    if len(nonce := lines.take_tagged("Nonce: ")) < _MIN_NONCE_LENGTH:
        raise ValueError(f"the nonce has fewer than {_MIN_NONCE_LENGTH} characters")
    issued_at = parse_rfc3339(lines.take_tagged("Issued At: "))
    expires_at = _optional_time(lines.take_optional("Expiration Time: "))
    not_before = _optional_time(lines.take_optional("Not Before: "))
    lines.take_optional("Request ID: ")
    resources = tuple(_resources(lines))
    return SiweMessage(domain, address, statement, uri, nonce, issued_at, expires_at, not_before, resources)


def replace_fields(text: str, *, statement: str, nonce: str, issued_at: datetime, resource: str) -> str:
    """Return a message with another statement, nonce, time of issue and list of resources.

    Args:
        text: A message that ``parse_siwe`` accepts, with a statement and resources.
        statement: The new statement.
        nonce: The new nonce.
        issued_at: The new time of issue, written in whole seconds.
        resource: Replaces all resources.
    """
    lines = text.split("\n")
    lines[_STATEMENT_LINE] = statement
    lines[_NONCE_LINE] = f"Nonce: {nonce}"
    lines[_ISSUED_LINE] = f"Issued At: {issued_at:%Y-%m-%dT%H:%M:%SZ}"
    before_resources = lines[: lines.index("Resources:", _ISSUED_LINE)]
    return "\n".join([*before_resources, "Resources:", f"- {resource}"])


def _resources(lines: _Lines) -> list[str]:
    resources: list[str] = []
    if not lines.are_done() and lines.take_tagged("Resources:"):
        raise ValueError("text after 'Resources:'")
    while not lines.are_done():
        resources.append(_uri(lines.take_tagged("- ")))
    return resources


def _uri(text: str) -> str:
    if not _URI.fullmatch(text):
        raise ValueError("not a URI")
    return text


def _optional_time(text: str | None) -> datetime | None:
    return None if text is None else parse_rfc3339(text)

"""Answers of Vault's API: the fields that this package reads.

Source: HashiCorp's HTTP API for KV version 2, Transit and tokens.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lit_airflow.clock import parse_iso
from lit_airflow.keys.secret import Secret


class UnexpectedAnswerError(Exception):
    """An answer lacks a field that Vault's API has: it came from something else, such as a proxy."""


@dataclass(frozen=True, slots=True)
class Token:
    """The properties of a Vault token, without the token itself.

    Attributes:
        policies: The names of its policies.
        left_s: Seconds until it expires; 0 if it never does.
    """

    policies: tuple[str, ...]
    left_s: int


@dataclass(frozen=True, slots=True)
class Version:
    """One version of a secret in a KV engine of version 2.

    Attributes:
        number: Its number, from 1; as ``check-and-set`` takes it, 0 for a secret that does not exist.
        lasts_s: Seconds from its creation until Vault deletes it; ``None`` if it does not.
    """

    number: int
    lasts_s: float | None = None


def token_of(answer: object) -> Token:
    """Return the properties of a token.

    Raises:
        UnexpectedAnswerError: The answer lacks a field.
    """
    found = data_of(answer)
    policies, ttl_s = found.get("policies"), found.get("ttl")
    if not isinstance(policies, list) or not isinstance(ttl_s, int):
        raise UnexpectedAnswerError
    return Token(tuple(map(str, policies)), ttl_s)


def version_of(metadata: object) -> Version:
    """Return the version that the metadata of a secret describe.

    Raises:
        UnexpectedAnswerError: The metadata lack a field.
    """
    fields = metadata if isinstance(metadata, dict) else {}
    number, times = fields.get("version"), [fields.get(key) for key in ("created_time", "deletion_time")]
    try:
        created, deleted = (parse_iso(text) if text else None for text in times)
    except (TypeError, ValueError):
        raise UnexpectedAnswerError from None
    if not isinstance(number, int) or created is None:
        raise UnexpectedAnswerError
    return Version(number, None if deleted is None else (deleted - created).total_seconds())


def data_of(answer: object) -> dict[str, Any]:
    """Return the ``data`` of an answer, which may be JSON or a response without a body."""
    found = answer.get("data") if isinstance(answer, dict) else None
    return found if isinstance(found, dict) else {}


def text_of(answer: object, name: str) -> str:
    """Return a text field of the ``data`` of an answer.

    Raises:
        UnexpectedAnswerError: The answer lacks the field.
    """
    value = data_of(answer).get(name)
    if not isinstance(value, str):
        raise UnexpectedAnswerError
    return value


def secret_of(fields: Mapping[str, object], name: str) -> Secret | None:
    """Return a text field of a secret; ``None`` if it is missing, empty or not a text."""
    value = fields.get(name)
    return Secret(value.encode()) if isinstance(value, str) and value.strip() else None


def unbase64(text: str) -> Secret:
    """Decode base64.

    Raises:
        UnexpectedAnswerError: It is not base64.
    """
    try:
        return Secret(base64.b64decode(text, validate=True))
    except ValueError:
        raise UnexpectedAnswerError from None


def base64_of(raw: bytes) -> str:
    """Encode in base64."""
    return base64.b64encode(raw).decode()

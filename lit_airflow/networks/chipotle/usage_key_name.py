"""Names of the usage keys that this package mints.

A name is public on the chain for ever and must say nothing about who uses it. It carries what a sweep needs to
tell, from the list of keys alone, which ones are left over:

    la1.<deployment tag>.<Unix seconds after which it may go>.<random>

Source: docs/protocol/chipotle.md#names-of-keys.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime

from lit_airflow.clock import LAST_SECOND
from lit_airflow.errors import SettingsError

_TAG = re.compile(r"[a-z0-9]{4,32}")
_NAME = re.compile(r"la1\.([a-z0-9]{4,32})\.([0-9]{1,12})\.[0-9a-f]{32}")
_RANDOM_BYTES = 16


@dataclass(frozen=True, slots=True)
class UsageKeyName:
    """A name of ours.

    Attributes:
        tag: The deployment's; opaque.
        ends_at: After this a key that nobody uses is left over. The service does not enforce it.
    """

    tag: str
    ends_at: datetime

    @classmethod
    def parse(cls, text: str) -> UsageKeyName | None:
        """Read a name; ``None`` if it is not one of ours."""
        match = _NAME.fullmatch(text)
        if match is None or int(match[2]) > LAST_SECOND:
            return None
        return cls(match[1], datetime.fromtimestamp(int(match[2]), UTC))


def is_tag(text: object) -> bool:
    """Return whether a text can be a deployment's tag."""
    return isinstance(text, str) and _TAG.fullmatch(text) is not None


def group_name(tag: str) -> str:
    """Return the name of a deployment's group, and of the label of its gates."""
    return f"la1.{tag}"


def usage_key_name(tag: str, ends_at: datetime, random: bytes) -> str:
    """Return a name that no other key has.

    Args:
        tag: The deployment's; 4 to 32 lower-case letters and digits that tell nothing about it.
        ends_at: After this it is left over, unless it is in use.
        random: 16 random bytes.

    Raises:
        SettingsError: The tag has another form, or there are not 16 bytes.
    """
    if not is_tag(tag):
        raise SettingsError("A deployment's tag is 4 to 32 lower-case letters and digits.", field="tag")
    if len(random) != _RANDOM_BYTES:
        raise SettingsError(
            f"A key's name takes {_RANDOM_BYTES} random bytes, got {len(random)}.", field="random"
        )
    return f"la1.{tag}.{int(ends_at.timestamp())}.{random.hex()}"

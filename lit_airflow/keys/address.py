"""Ethereum addresses: recognise one, and write it with its checksum.

``eth_utils`` is imported on first use: a task that only decrypts has no wallet and should not pay for it.

Source: EIP-55.
"""

from __future__ import annotations

import functools
import re

from lit_airflow.errors import SettingsError
from lit_airflow.text import quoted

_ADDRESS = re.compile(r"(0[xX])?([0-9a-fA-F]{40})")


def is_address(value: object) -> bool:
    """Return whether the value is ``0x`` and 40 hex digits. Does not verify the checksum."""
    return isinstance(value, str) and value.startswith("0x") and _ADDRESS.fullmatch(value) is not None


def same_address(one: object, other: object) -> bool:
    """Return whether two values are the same address, in any case, with or without ``0x``."""
    digits = _digits(one)
    return digits is not None and digits == _digits(other)


def parse_address(value: object) -> str | None:
    """Return an address with its checksum; ``None`` if the value is not an address.

    Args:
        value: 40 hex digits in any case, with or without ``0x``.
    """
    digits = _digits(value)
    return None if digits is None else _with_checksum(digits)


def checksummed(address: str) -> str:
    """Return an address with its checksum.

    Args:
        address: 40 hex digits in any case, with or without ``0x``.

    Raises:
        SettingsError: It is not an address.
    """
    found = parse_address(address)
    if found is None:
        raise SettingsError(
            f"{quoted(address)} is not a wallet address.",
            field="wallet_address",
            hint="Write it as 0x and 40 hex digits.",
        )
    return found


@functools.lru_cache(maxsize=1024)
def _with_checksum(digits: str) -> str:
    from eth_utils.address import to_checksum_address  # noqa: PLC0415 - heavy, see the module's docstring

    return str(to_checksum_address("0x" + digits))


def _digits(value: object) -> str | None:
    """Return the 40 hex digits of an address, in lower case."""
    found = _ADDRESS.fullmatch(value) if isinstance(value, str) else None
    return None if found is None else found[2].lower()

"""Parse what arrives over the wire: JSON texts and their shapes, hex, times and addresses."""

from __future__ import annotations

import binascii
import re
from datetime import UTC, datetime

from eth_utils.address import is_address, to_checksum_address

from lit_airflow.devnet import strict_json

Json = dict[str, object]
"""A JSON object as it was received."""

MAX_JSON_BYTES = 16 * 2**20
_RFC_3339 = re.compile(r"(\d{4}-\d\d-\d\d)[Tt](\d\d:\d\d:\d\d)(?:\.(\d+))?([Zz]|[+-]\d\d:\d\d)")


def parse_json(raw: str | bytes) -> object:
    """Parse a JSON text of limited length as strictly as the nodes do; see ``strict_json``.

    Args:
        raw: At most ``MAX_JSON_BYTES`` bytes or characters.

    Raises:
        ValueError: It is not JSON, too long or nested too deeply.
    """
    if len(raw) > MAX_JSON_BYTES:
        raise ValueError(f"longer than {MAX_JSON_BYTES} bytes")
    return strict_json.parse(raw)


def shape_error(value: object, shape: object, path: str = "") -> str:
    """Compare a JSON value with a shape.

    Args:
        value: The parsed value.
        shape: A type; ``[shape]`` for an array; ``{key: shape}`` for an object, where a key that ends in ``?``
            may be absent or null and further keys are allowed; a tuple for alternatives.
        path: Where the value is, for the message.

    Returns:
        One line that names the first place where they differ; empty if the value has the shape.
    """
    if isinstance(shape, tuple):
        errors = [shape_error(value, each, path) for each in shape]
        return "" if "" in errors else errors[0]
    if isinstance(shape, list):
        if not isinstance(value, list):
            return f"{path or 'body'}: a list is expected"
        items = (shape_error(item, shape[0], f"{path}[{index}]") for index, item in enumerate(value))
        return next(filter(None, items), "")
    if isinstance(shape, dict):
        if not isinstance(value, dict):
            return f"{path or 'body'}: an object is expected"
        return next(filter(None, (_key_error(value, key, want, path) for key, want in shape.items())), "")
    return (
        ""
        if _has_type(value, shape)
        else f"{path or 'body'}: {getattr(shape, '__name__', shape)} is expected"
    )


def _key_error(value: Json, key: str, shape: object, path: str) -> str:
    name = key.removesuffix("?")
    if value.get(name) is None and name != key:
        return ""
    if name not in value:
        return f"{path}.{name}: missing"
    return shape_error(value[name], shape, f"{path}.{name}")


def _has_type(value: object, type_: object) -> bool:
    if not isinstance(type_, type) or not isinstance(value, type_):
        return False
    if isinstance(value, bool):
        return type_ is not int
    return not isinstance(value, str) or _is_unicode(value)


def _is_unicode(text: str) -> bool:
    """Whether a text has a UTF-8 form; one with an unpaired surrogate can be neither signed nor hashed."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def parse_hex(text: str, size: int) -> bytes:
    """Parse exactly ``size`` bytes of hex, upper or lower case, without a prefix or spaces.

    Raises:
        ValueError: The text is anything else.
    """
    try:
        raw = binascii.unhexlify(text)
    except binascii.Error as error:
        raise ValueError("not hex") from error
    if len(raw) != size:
        raise ValueError(f"{size} bytes are expected, not {len(raw)}")
    return raw


def parse_rfc3339(text: str) -> datetime:
    """Parse a time with a time zone; fractions of a microsecond are dropped.

    Raises:
        ValueError: The text is not in RFC 3339 form, or the date does not exist.
    """
    found = _RFC_3339.fullmatch(text)
    if not found:
        raise ValueError("not an RFC 3339 time with a zone")
    day, clock, fraction, zone = found.groups()
    fraction = (fraction or "0")[:6].ljust(6, "0")
    zone = "+00:00" if zone in "Zz" else zone
    return datetime.fromisoformat(f"{day}T{clock}.{fraction}{zone}").astimezone(UTC)


def parse_address(text: str) -> str:
    """Parse an Ethereum address in any case and return it checksummed (EIP-55).

    Raises:
        ValueError: The text is not an address.
    """
    if not is_address(text):
        raise ValueError(f"{text!r} is not an address")
    return to_checksum_address(text)

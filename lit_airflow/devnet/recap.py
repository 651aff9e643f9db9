"""Parse and encode ReCaps (ERC-5573), and look up whether one covers a request."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import cast

from lit_airflow.devnet.parsing import Json, parse_json, shape_error

Attenuations = dict[str, dict[str, list[Json]]]
"""Resource key -> ability -> restrictions."""

PREFIX = "urn:recap:"
STATEMENT_START = "I further authorize the stated URI to perform the following actions on my behalf:"
DECRYPTION = "Threshold/Decryption"
ANY_ABILITY = "*/*"
_SHAPE: Json = {"att": dict, "prf": [str]}
_ABILITY = re.compile(r"[a-zA-Z0-9.*_+-]+/[a-zA-Z0-9.*_+-]+")


@dataclass(frozen=True, slots=True)
class Recap:
    """What a wallet granted, and the sentence that states it.

    Attributes:
        attenuations: Resource key -> ability -> restrictions, as received; do not modify.
        statement: The sentence that a sign-in message must end its statement with.
    """

    attenuations: Attenuations
    statement: str

    def covers(self, prefix: str, resource: str, ability: str) -> bool:
        """Return whether ``ability`` is granted for ``prefix://resource``.

        An entry for ``prefix://*`` hides the exact entry even if it lacks the ability.
        """
        exact = self.attenuations.get(f"{prefix}://{resource}", {})
        granted = self.attenuations.get(f"{prefix}://*", exact)
        return ability in granted or ANY_ABILITY in granted


@lru_cache(maxsize=1024)
def parse_recap(urn: str) -> Recap:
    """Parse ``urn:recap:…`` with or without base64 padding.

    Raises:
        ValueError: It is not a ReCap, or the keys of an object are not sorted.
    """
    if not urn.startswith(PREFIX):
        raise ValueError("not a capability URN")
    try:
        encoded = urn.removeprefix(PREFIX).rstrip("=")
        raw = base64.b64decode(encoded + "=" * (-len(encoded) % 4), altchars=b"-_", validate=True)
    except binascii.Error as error:
        raise ValueError("not base64") from error
    content = parse_json(raw)
    if error_text := shape_error(content, _SHAPE):
        raise ValueError(error_text)
    found = cast("Json", content)["att"]
    if not _is_sorted(found):
        raise ValueError("an object is not sorted")
    if error_text := shape_error(list(cast("Json", found).values()), [dict], "att"):
        raise ValueError(error_text)
    attenuations = cast("Attenuations", found)
    for abilities in attenuations.values():
        _check_abilities(abilities)
    return Recap(attenuations, _statement(attenuations))


def encode_recap(attenuations: Attenuations) -> str:
    """Return the URN of a ReCap: sorted JSON in base64url without padding."""
    text = json.dumps(_sorted({"att": attenuations, "prf": []}), separators=(",", ":"), ensure_ascii=False)
    return PREFIX + base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _sorted(value: object) -> object:
    if isinstance(value, dict):
        return {key: _sorted(value[key]) for key in sorted(value, key=_code_units)}
    return [_sorted(each) for each in value] if isinstance(value, list) else value


def _code_units(text: str) -> bytes:
    return text.encode("utf-16-be", "surrogatepass")


def _is_sorted(value: object) -> bool:
    if isinstance(value, dict):
        keys = [_code_units(key) for key in value]
        return keys == sorted(keys) and all(map(_is_sorted, value.values()))
    return not isinstance(value, list) or all(map(_is_sorted, value))


def _check_abilities(abilities: Mapping[str, object]) -> None:
    for ability, restrictions in abilities.items():
        if not _ABILITY.fullmatch(ability):
            raise ValueError("an ability is not namespace/name")
        if error_text := shape_error(restrictions, [dict], "restrictions"):
            raise ValueError(error_text)


def _statement(attenuations: Attenuations) -> str:
    parts = [STATEMENT_START]
    for resource in sorted(attenuations, key=_code_units):
        names: dict[str, list[str]] = {}
        for ability in sorted(attenuations[resource], key=_code_units):
            namespace, name = ability.split("/")
            names.setdefault(namespace, []).append(f"'{name}'")
        for namespace in sorted(names, key=_code_units):
            listed = ", ".join(names[namespace])
            parts.append(f"({len(parts)}) '{namespace}': {listed} for '{resource}'.")
    return " ".join(parts)

"""Read a capability object (ERC-5573), ask whether it covers a request, write one."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import cast

from lit_airflow.devnet.parsing import Json, misfit, parse_json

Attenuations = dict[str, dict[str, list[Json]]]
"""Resource key -> ability -> restrictions."""

_SHAPE: Json = {"att": dict, "prf": [str]}
PREFIX = "urn:recap:"
SENTENCE = "I further authorize the stated URI to perform the following actions on my behalf:"
DECRYPTION = "Threshold/Decryption"
EVERYTHING = "*/*"
_ABILITY = re.compile(r"[a-zA-Z0-9.*_+-]+/[a-zA-Z0-9.*_+-]+")


@dataclass(frozen=True, slots=True)
class Recap:
    """What a wallet granted, and the sentence that says so.

    Attributes:
        attenuations: Resource key -> ability -> restrictions, as received: not to be changed.
        statement: The sentence.
    """

    attenuations: Attenuations
    statement: str

    def covers(self, prefix: str, resource: str, ability: str) -> bool:
        """Whether ``ability`` on ``prefix://resource`` is granted.

        A wildcard entry hides an exact one, also when it lacks the ability.
        """
        exact = self.attenuations.get(f"{prefix}://{resource}", {})
        granted = self.attenuations.get(f"{prefix}://*", exact)
        return ability in granted or EVERYTHING in granted


@lru_cache(maxsize=1024)
def read_recap(urn: str) -> Recap:
    """Decode ``urn:recap:…``; base64 padding may be there or not.

    Raises:
        ValueError: Not a capability object, or one whose objects are not sorted.
    """
    if not urn.startswith(PREFIX):
        raise ValueError("not a capability URN")
    try:
        packed = urn.removeprefix(PREFIX).rstrip("=")
        raw = base64.b64decode(packed + "=" * (-len(packed) % 4), altchars=b"-_", validate=True)
    except binascii.Error as error:
        raise ValueError("not base64") from error
    content = parse_json(raw)
    if wrong := misfit(content, _SHAPE):
        raise ValueError(wrong)
    found = cast("Json", content)["att"]
    if not _sorted(found):
        raise ValueError("an object is not sorted")
    if wrong := misfit(list(cast("Json", found).values()), [dict], "att"):
        raise ValueError(wrong)
    attenuations = cast("Attenuations", found)
    for entry in attenuations.values():
        _check_abilities(entry)
    return Recap(attenuations, _statement(attenuations))


def write_recap(attenuations: Attenuations) -> str:
    """The URN of a capability object: sorted JSON, base64url without padding."""
    text = json.dumps(_in_order({"att": attenuations, "prf": []}), separators=(",", ":"), ensure_ascii=False)
    return PREFIX + base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _in_order(value: object) -> object:
    if isinstance(value, dict):
        return {key: _in_order(value[key]) for key in sorted(value, key=_code_units)}
    return [_in_order(each) for each in value] if isinstance(value, list) else value


def _code_units(text: str) -> bytes:
    return text.encode("utf-16-be", "surrogatepass")


def _sorted(value: object) -> bool:
    if isinstance(value, dict):
        keys = [_code_units(key) for key in value]
        return keys == sorted(keys) and all(map(_sorted, value.values()))
    return not isinstance(value, list) or all(map(_sorted, value))


def _check_abilities(entry: Mapping[str, object]) -> None:
    for ability, restrictions in entry.items():
        if not _ABILITY.fullmatch(ability):
            raise ValueError("an ability is not namespace/name")
        if wrong := misfit(restrictions, [dict], "restrictions"):
            raise ValueError(wrong)


def _statement(grants: Attenuations) -> str:
    parts = [SENTENCE]
    for resource in sorted(grants, key=_code_units):
        names: dict[str, list[str]] = {}
        for ability in sorted(grants[resource], key=_code_units):
            namespace, name = ability.split("/")
            names.setdefault(namespace, []).append(f"'{name}'")
        for namespace in sorted(names, key=_code_units):
            listed = ", ".join(names[namespace])
            parts.append(f"({len(parts)}) '{namespace}': {listed} for '{resource}'.")
    return " ".join(parts)

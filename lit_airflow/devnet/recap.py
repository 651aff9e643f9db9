"""Read a capability object (ERC-5573) and ask whether it covers a request."""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import cast

from lit_airflow.devnet.reading import Json, misfit, parse_json

_SHAPE: Json = {"att": dict, "prf": [str]}
PREFIX = "urn:recap:"
SENTENCE = "I further authorize the stated URI to perform the following actions on my behalf:"
DECRYPTION = "Threshold/Decryption"
EVERYTHING = "*/*"
_ABILITY = re.compile(r"[a-zA-Z0-9.*_+-]+/[a-zA-Z0-9.*_+-]+")


@dataclass(frozen=True, slots=True)
class Recap:
    """What a wallet granted: resource key -> ability texts, and the sentence that says so."""

    grants: dict[str, tuple[str, ...]]
    statement: str

    def covers(self, prefix: str, resource: str, ability: str) -> bool:
        """Whether ``ability`` on ``prefix://resource`` is granted.

        A wildcard entry hides an exact one, also when it lacks the ability.
        """
        granted = self.grants.get(f"{prefix}://*", self.grants.get(f"{prefix}://{resource}", ()))
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
    attenuations = cast("dict[str, Json]", cast("Json", content)["att"])
    if not _sorted(attenuations):
        raise ValueError("an object is not sorted")
    if wrong := misfit(list(attenuations.values()), [dict], "att"):
        raise ValueError(wrong)
    grants = {resource: _abilities(entry) for resource, entry in attenuations.items()}
    return Recap(grants, _statement(grants))


def _code_units(text: str) -> bytes:
    return text.encode("utf-16-be", "surrogatepass")


def _sorted(value: object) -> bool:
    if isinstance(value, dict):
        keys = [_code_units(key) for key in value]
        return keys == sorted(keys) and all(map(_sorted, value.values()))
    return not isinstance(value, list) or all(map(_sorted, value))


def _abilities(entry: Json) -> tuple[str, ...]:
    for ability, restrictions in entry.items():
        if not _ABILITY.fullmatch(ability):
            raise ValueError("an ability is not namespace/name")
        if wrong := misfit(restrictions, [dict], "restrictions"):
            raise ValueError(wrong)
    return tuple(entry)


def _statement(grants: dict[str, tuple[str, ...]]) -> str:
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

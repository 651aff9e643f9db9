"""Reading vector files: which file is whose, and the few words that all of them share."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lit_airflow.protocol.scope import (
    ACCESS_CONTROL_CONDITION,
    LIT_ACTION,
    PKP,
    RATE_LIMIT_INCREASE,
    Resource,
    ResourceAbility,
)

HERE = Path(__file__).parent

KINDS = {"acc": ACCESS_CONTROL_CONDITION, "pkp": PKP, "rli": RATE_LIMIT_INCREASE, "la": LIT_ACTION}


@dataclass(frozen=True)
class Stranger:
    """A file that nobody here understands, and why."""

    name: str
    why: str


@dataclass(frozen=True)
class Folder:
    """The vector files of a folder."""

    files: Mapping[tuple[str, str], dict[str, Any]]
    strangers: Sequence[Stranger]

    @classmethod
    def read(cls, path: Path) -> Folder:
        """Read all ``*.json`` files.

        Raises:
            FileNotFoundError: No such folder, or no vector files in it.
        """
        paths = sorted(path.glob("*.json"))
        if not paths:
            raise FileNotFoundError(f"no vector files in {path}")
        files: dict[tuple[str, str], dict[str, Any]] = {}
        strangers = []
        for file in paths:
            try:
                content = json.loads(file.read_text("utf-8"))
                files[_generation(content), file.stem] = content
            except ValueError as error:
                strangers.append(Stranger(file.stem, f"{file.name}: {error}"))
        for generation, topic in files:
            if not (HERE / generation / f"test_{topic}.py").exists():
                strangers.append(Stranger(topic, f"{topic}.json ({generation}) is not understood"))
        return cls(files, strangers)

    def file(self, generation: str, topic: str) -> dict[str, Any] | None:
        """One file's content."""
        return self.files.get((generation, topic))

    def cases(self, generation: str, topic: str) -> list[tuple[str, Any]]:
        """One file's cases, each with a readable and unique name."""
        found = self.file(generation, topic)
        cases: Iterable[Any] = found["cases"] if found else []
        named: list[tuple[str, Any]] = []
        seen: Counter[str] = Counter()
        for case in cases:
            name = _name(case)
            seen[name] += 1
            named.append((name if seen[name] == 1 else f"{name}-{seen[name]}", case))
        return named


def _generation(content: object) -> str:
    """Files of the later generation say at the top when they were made; Datil's say it in each case."""
    if isinstance(content, dict) and "now" in content:
        return "naga"
    cases = content.get("cases") if isinstance(content, dict) else None
    if not isinstance(cases, list) or not all(isinstance(case, dict) for case in cases):
        raise ValueError("is no vector file: it has no list of cases")
    return "datil"


def _name(case: Mapping[str, Any]) -> str:
    words = [case.get(key) for key in ("op", "kind", "function", "network", "name")]
    words = [word for word in words if word is not None]
    if "name" not in case and "network" not in case:
        words += [
            next((str(case[key]) for key in ("input", "message", "identity_text", "urn") if key in case), "")
        ]
    return re.sub(r"[^A-Za-z0-9:*]+", "-", " ".join(map(str, words))).strip("-")[:60] or "case"


def resource(wire: Mapping[str, str]) -> Resource:
    """``{"resource_kind", "resource_id"}`` as our object."""
    return Resource(KINDS[wire["resource_kind"]], wire["resource_id"])


def requests(wires: Iterable[Mapping[str, Any]]) -> tuple[ResourceAbility, ...]:
    """A list of ``{"resource_kind", "resource_id", "ability", "data"?}`` as our objects."""
    return tuple(ResourceAbility(resource(wire), wire["ability"], wire.get("data")) for wire in wires)

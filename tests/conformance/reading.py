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
    """The vector files of some folders, each under every generation that has tests for it."""

    files: Mapping[tuple[str, str], dict[str, Any]]
    strangers: Sequence[Stranger]

    @classmethod
    def read(cls, *folders: Path) -> Folder:
        """Read all ``*.json`` files.

        Raises:
            FileNotFoundError: No such folder, or no vector files in it.
        """
        for folder in folders:
            if not any(folder.glob("*.json")):
                raise FileNotFoundError(f"no vector files in {folder}")
        paths = sorted(path for folder in folders for path in folder.glob("*.json"))
        files: dict[tuple[str, str], dict[str, Any]] = {}
        strangers = []
        for file in paths:
            try:
                content = json.loads(file.read_text("utf-8"))
                generations = _generations(content, file.stem)
            except ValueError as error:
                strangers.append(Stranger(file.stem, f"{file.name}: {error}"))
                continue
            files |= {(generation, file.stem): content for generation in generations}
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


def _generations(content: object, topic: str) -> list[str]:
    """Return the folders beside this file whose tests run a vector file.

    Naga's files share names with Datil's and say at the top when they were made; nothing here runs them.
    """
    cases = content.get("cases") if isinstance(content, dict) else None
    if not isinstance(cases, list) or not all(isinstance(case, dict) for case in cases):
        raise ValueError("not a vector file: it has no list of cases")
    found = sorted(path.parent.name for path in HERE.glob(f"*/test_{topic}.py"))
    if not found or (isinstance(content, dict) and "now" in content):
        raise ValueError("no test runs it")
    return found


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

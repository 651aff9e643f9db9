"""Read vector files: ``<generation>/test_<topic>.py`` is the module that reads ``<topic>.json``."""

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
class UnreadFile:
    """A file that no test module reads, and the reason."""

    name: str
    reason: str


@dataclass(frozen=True)
class Folder:
    """Vector files: those that a test module reads, and those that none reads.

    Attributes:
        files: (generation, topic) -> content.
        unread: Each makes one test fail.
    """

    files: Mapping[tuple[str, str], dict[str, Any]]
    unread: Sequence[UnreadFile]

    @classmethod
    def read(cls, path: Path) -> Folder:
        """Read the ``*.json`` files of one folder, any subset of any generation's.

        Raises:
            FileNotFoundError: There is no such folder, or no vector file in it.
        """
        if not path.is_dir():
            raise FileNotFoundError(f"there is no folder {path}")
        files: dict[tuple[str, str], dict[str, Any]] = {}
        unread = []
        for file in sorted(path.glob("*.json")):
            try:
                content = json.loads(file.read_text("utf-8"))
                if _holds_vectors(content):
                    files |= {(name, file.stem): content for name in _generations(file, content)}
            except ValueError as error:
                unread.append(UnreadFile(file.stem, f"{file.name}: {error}"))
        if not files and not unread:
            raise FileNotFoundError(f"there are no vector files in {path}")
        return cls(files, unread)

    @classmethod
    def read_all(cls, path: Path) -> Folder:
        """Read one folder for each generation that has tests and a folder of this name below ``path``."""
        names = sorted({*_topics(), "gate"})
        folders = [cls.read(path / name) for name in names if (path / name).is_dir()]
        files = {key: content for folder in folders for key, content in folder.files.items()}
        return cls(files, [file for folder in folders for file in folder.unread])

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


def _topics() -> dict[str, set[str]]:
    """Generation -> the topics that it has a test module for."""
    folders = sorted(folder for folder in HERE.iterdir() if folder.is_dir())
    topics = {
        folder.name: {file.stem.removeprefix("test_") for file in folder.glob("test_*.py")}
        for folder in folders
    }
    return {generation: names for generation, names in topics.items() if names}


def _holds_vectors(content: object) -> bool:
    """Other JSON may stand beside vectors, for example the OpenAPI document of a server."""
    return not isinstance(content, dict) or "cases" in content or "about" in content


def _generations(file: Path, content: object) -> list[str]:
    """Return the folders beside this file whose tests run a vector file; the gate's are run by several."""
    cases = content.get("cases") if isinstance(content, dict) else None
    if not isinstance(cases, list) or not all(isinstance(case, dict) for case in cases):
        raise ValueError("is not a vector file: it has no list of cases")
    # Some topics exist in two generations; files of Naga say at the top when they were made, and none of
    # these runs them.
    if isinstance(content, dict) and "now" in content:
        raise ValueError("no test module reads it")
    known = [name for name, topics in _topics().items() if file.stem in topics]
    if not known:
        raise ValueError("no test module reads it")
    own = file.parent.name
    return [own] if own in known and own == "datil" else known


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

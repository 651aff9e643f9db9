"""``docker-compose.yml`` as Compose reads it: YAML, then variables."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
FILE = ROOT / "docker-compose.yml"
VARIABLE = re.compile(r"\$(?:\$|\{(?P<name>\w+)(?::\?[^}]*|:-(?P<default>[^}]*))?\})")


def composition() -> dict[str, Any]:
    """The file, anchors and merges resolved, variables not."""
    read: dict[str, Any] = yaml.safe_load(FILE.read_text())
    return read


def environment_file(file: Path) -> dict[str, str]:
    lines = [line for line in file.read_text().splitlines() if line and not line.startswith("#")]
    return dict(line.split("=", 1) for line in lines)


def interpolated(value: Any, variables: Mapping[str, str]) -> Any:  # noqa: ANN401 - YAML
    """The value with ``${NAME}`` filled in; a name that is nowhere and has no default is a KeyError."""

    def filled_in(match: re.Match[str]) -> str:
        name, default = match["name"], match["default"]
        if not name:
            return "$"
        return variables[name] if default is None else variables.get(name) or default

    if isinstance(value, str):
        return VARIABLE.sub(filled_in, value)
    if isinstance(value, list):
        return [interpolated(each, variables) for each in value]
    if isinstance(value, dict):
        return {key: interpolated(each, variables) for key, each in value.items()}
    return value


def mounts(service: Mapping[str, Any]) -> dict[str, str]:
    """Path in the container -> volume or folder."""
    parts = [volume.split(":") for volume in service.get("volumes", ())]
    return {target: source for source, target, *_ in parts}

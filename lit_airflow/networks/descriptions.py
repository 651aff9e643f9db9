"""Which networks there are, the description behind what a user wrote, and the network that it opens.

Each file ``known/<generation>.json`` lists the public networks of one generation; the package or module of
that name beside this file implements it. Adding a generation adds these two and changes nothing else
(``docs/adr/0022``).
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from lit_airflow import clock as clocks
from lit_airflow import networks
from lit_airflow.clock import Clock
from lit_airflow.errors import SettingsError
from lit_airflow.json_input import JsonInputError, parse, parse_object
from lit_airflow.text import quoted

if TYPE_CHECKING:
    from lit_airflow.networks.contract import Network, NetworkDescription, OnReport

CUSTOM = "custom"
"""The name of a network that is described rather than known."""
DEFAULT_GENERATION = "datil"
DEFAULT_NETWORK = "chipotle"  # the one that is alive; see docs/networks.md


def generations() -> tuple[str, ...]:
    """Return the generations that this installation speaks."""
    return tuple(_rows(tuple(networks.__path__)))


def known_networks() -> tuple[str, ...]:
    """Return the names of the public networks."""
    return tuple(name for rows in _rows(tuple(networks.__path__)).values() for name in rows)


def describe(network: str | Path | Mapping[str, Any]) -> NetworkDescription:
    """Return the description behind what a user wrote.

    Args:
        network: A known name, the path of a JSON file, or that file's object. Its ``generation`` says which other
            keys it has; unknown keys are ignored. Keys of a known network override its own.

    Raises:
        SettingsError: An unknown name or generation, an unreadable file, or a value that cannot be right.
    """
    given = network if isinstance(network, Mapping) else fields_of(network)
    name = given.get("network") or CUSTOM
    row = _known(name) if isinstance(name, str) else None
    if row is None and name != CUSTOM:
        raise _unknown(name)
    generation = (row or given).get("generation") or DEFAULT_GENERATION
    description: NetworkDescription = implementation(generation).describe(given, row)
    return description


def described(network: str | Path | Mapping[str, Any] | NetworkDescription) -> NetworkDescription:
    """Return a network's description: the given one, or the one behind a name, a file or an object.

    Raises:
        SettingsError: As :func:`describe`.
    """
    return describe(network) if isinstance(network, str | Path | Mapping) else network


def open_network(
    network: str | Path | Mapping[str, Any] | NetworkDescription,
    *,
    clock: Clock = clocks.now,
    on_report: OnReport | None = None,
) -> Network:
    """Open a network by name, file or description. Sends nothing yet.

    Args:
        network: See :func:`describe`.
        clock: Tells the time.
        on_report: Called with each decryption's report.

    Raises:
        SettingsError: An unknown network or generation, or a description that cannot be right.
    """
    description = described(network)
    opened: Network = implementation(description.generation).open_network(
        description, clock=clock, on_report=on_report
    )
    return opened


def fields_of(network: str | Path) -> Mapping[str, Any]:
    """Return what a name or the path of a description stands for, as an object that can be added to.

    Raises:
        SettingsError: An unknown name, or an unreadable file.
    """
    if isinstance(network, str) and (network == CUSTOM or _known(network) is not None):
        return {"network": network}
    return _read(Path(network))


def implementation(generation: object) -> ModuleType:
    """Return the module that implements a generation: ``describe(given, known)`` and ``open_network(…)``.

    Raises:
        SettingsError: There is no such generation.
    """
    if generation not in generations():
        raise SettingsError(
            f"Unknown generation {quoted(str(generation))}.",
            field="generation",
            hint=f"Use one of {', '.join(generations())}.",
        )
    return import_module(f"{networks.__name__}.{generation}")


def _known(name: str) -> Mapping[str, Any] | None:
    return next((rows[name] for rows in _rows(tuple(networks.__path__)).values() if name in rows), None)


@functools.cache
def _rows(folders: tuple[str, ...]) -> dict[str, dict[str, Mapping[str, Any]]]:
    """Return generation -> network -> its row."""
    found: dict[str, dict[str, Mapping[str, Any]]] = {}
    for file in sorted(file for folder in folders for file in Path(folder, "known").glob("*.json")):
        rows = parse(file.read_bytes())
        found[file.stem] = {row["network"]: {**row, "generation": file.stem} for row in rows}
    return found


def _read(path: Path) -> Mapping[str, Any]:
    try:
        return parse_object(path.read_bytes())
    except FileNotFoundError:
        raise _unknown(str(path)) from None
    except OSError as error:
        raise SettingsError(f"{path} cannot be read ({error.strerror}).", field="network") from None
    except JsonInputError as error:
        raise SettingsError(f"{path} is not a network description: {error}", field="network") from None


def _unknown(name: object) -> SettingsError:
    return SettingsError(
        f"Unknown network {quoted(str(name))}, and no such file.",
        field="network",
        hint=f"Use one of {', '.join(known_networks())}, or the path of a network description.",
    )

"""Lit Protocol in Python and in Airflow: session signatures, decryption, and a local network to try them on.

    from lit_airflow import LitClient, Scope, Wallet

Importing this package loads neither Airflow nor any cryptography; the names below come on first use.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from lit_airflow import _moved

if TYPE_CHECKING:
    from lit_airflow.client import LitClient
    from lit_airflow.errors import LitError
    from lit_airflow.keys.wallet import Wallet
    from lit_airflow.protocol.conditions import Conditions
    from lit_airflow.protocol.scope import Scope
    from lit_airflow.protocol.session import Session

    __version__: str

__all__ = ["Conditions", "LitClient", "LitError", "Scope", "Session", "Wallet", "get_provider_info"]

_HOMES = {
    "Conditions": "lit_airflow.protocol.conditions",
    "LitClient": "lit_airflow.client",
    "LitError": "lit_airflow.errors",
    "Scope": "lit_airflow.protocol.scope",
    "Session": "lit_airflow.protocol.session",
    "Wallet": "lit_airflow.keys.wallet",
}

# What this module imports for itself, and dir() leaves out.
_IMPORTED = {"Any", "TYPE_CHECKING", "annotations", "import_module"}

_moved.install()

# Releases whose Test button refuses every connection that stores no port, and takes one with port 0.
# Source: apache/airflow pull request 73298.
_TEST_NEEDS_A_PORT = ("3.3.1", "3.3.2")


def __getattr__(name: str) -> Any:  # noqa: ANN401 - one of the classes above, or the version
    if name == "__version__":
        return _own_version()
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(home), name)


def get_provider_info() -> dict[str, Any]:
    """What Airflow asks of a provider: the contents of ``provider.yaml``, with this version."""
    from importlib.resources import files  # noqa: PLC0415 - Airflow calls this once

    import yaml  # noqa: PLC0415 - the same

    # Every process that loads Airflow calls this, up to twice; the reader in C takes a tenth of the time.
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    text = files(__name__).joinpath("provider.yaml").read_text("utf-8")
    info: dict[str, Any] = yaml.load(text, loader)  # noqa: S506 - a safe loader
    if _airflow_version() in _TEST_NEEDS_A_PORT:
        form = info["connection-types"][0]["ui-field-behaviour"]
        form["hidden-fields"].remove("port")
        form["relabeling"] = {"port": "Port, for Airflow's Test"}
        form["placeholders"] = {"port": "0"}
    return info | {"versions": [_own_version()]}


def _version(distribution: str, otherwise: str) -> str:
    from importlib.metadata import PackageNotFoundError, version  # noqa: PLC0415 - takes longer than this package

    try:
        return version(distribution)
    except PackageNotFoundError:
        return otherwise


def _own_version() -> str:
    return _version("lit-airflow", "0")  # in a bare source tree on the path


def _airflow_version() -> str:
    return _version("apache-airflow-core", "")  # for the client alone


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, "__version__"} - _IMPORTED)

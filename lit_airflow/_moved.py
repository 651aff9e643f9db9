"""Old module names keep working, with a deprecation warning, for one more minor version.

A finder at the beginning of ``sys.meta_path``: the usual ones would find some of the old names too, such as
``session.scope`` in the folder of ``protocol``, and load a second copy of the module.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Sequence
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType

# Below ``lit_airflow``: the name that version 0.1 documented -> the present one.
MOVED = {
    "characters": "text",
    "conditions": "protocol.conditions",
    "connection": "provider.settings",
    "facts": "provider.xcom_facts",
    "files": "provider.files",
    "held": "handoff.renewal",
    "humanize": "protocol.humanize",
    "links": "provider.links",
    "many": "networks.batch",
    "networks.known": "networks.descriptions",
    "plugin": "provider.plugin",
    "published": "handoff.ticket_store",
    "sealed_plaintext": "handoff.sealed_plaintext",
    "secret": "keys.secret",
    "session": "protocol",
    "session.authmethod": "protocol.auth_method",
    "session.authsig": "protocol.auth_sig",
    "session.delegation": "protocol.capacity_delegation",
    "session.lifetime": "protocol.lifetime",
    "session.recap": "protocol.recap",
    "session.scope": "protocol.scope",
    "session.session": "protocol.session",
    "session.siwe": "protocol.siwe",
    "session.storage": "protocol.session_storage",
    "signers": "keys.signers",
    "transfers": "provider.file_io",
    "vault": "keys.vault",
    "wallet": "keys.wallet",
}
# Below ``lit_airflow``: module -> functions that were in it -> the module that has them.
MOVED_FUNCTIONS = {
    "protocol.auth_sig": dict.fromkeys(
        ("check_delegation", "fits_request", "is_usable", "needs_new_signature", "network_digest"),
        "protocol.delegation",
    ),
}
_PACKAGE = "lit_airflow."


class _MovedModules(MetaPathFinder, Loader):
    """Finds the old names; loading one returns the module under its present name."""

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None = None,  # noqa: ARG002 - importlib's interface
        target: ModuleType | None = None,  # noqa: ARG002 - the same
    ) -> ModuleSpec | None:
        """Return a spec for a module that was moved, else ``None``."""
        present = _present(fullname) if fullname.startswith(_PACKAGE) else None
        if present is None or find_spec(_PACKAGE + present) is None:
            return None
        return ModuleSpec(fullname, self)

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """Import the module under its present name, and warn."""
        present = f"{_PACKAGE}{_present(spec.name)}"
        warnings.warn(
            f"{spec.name} has moved to {present}; the old name goes away in lit_airflow 0.3.",
            DeprecationWarning,
            stacklevel=2,
        )
        module = import_module(present)
        spec.loader_state = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        """Give the module back its own spec, which importlib has replaced. It is imported already."""
        if module.__spec__ is not None:
            module.__spec__ = module.__spec__.loader_state


def _present(fullname: str) -> str | None:
    """Return the present name of a module that was moved, by itself or with its package; both below the package."""
    old = fullname.removeprefix(_PACKAGE)
    package, _, inside = old.partition(".")
    if old in MOVED or not inside or package not in MOVED:
        return MOVED.get(old)
    return f"{MOVED[package]}.{inside}"


def function(module: str, name: str) -> object:
    """Return what was once in a module, for its ``__getattr__``, and warn.

    Raises:
        AttributeError: It never was.
    """
    present = MOVED_FUNCTIONS.get(module.removeprefix(_PACKAGE), {}).get(name)
    if present is None:
        raise AttributeError(f"module {module!r} has no attribute {name!r}")
    warnings.warn(
        f"{module}.{name} has moved to {_PACKAGE}{present}; the old name goes away in lit_airflow 0.3.",
        DeprecationWarning,
        stacklevel=3,
    )
    return getattr(import_module(f"{_PACKAGE}{present}"), name)


def install() -> None:
    """Let Python find the old names. Installing twice does nothing."""
    if not any(isinstance(finder, _MovedModules) for finder in sys.meta_path):
        sys.meta_path.insert(0, _MovedModules())

"""Old module names keep working, with a deprecation warning, for one more minor version.

A finder at the very end of ``sys.meta_path`` is asked only for modules that do not exist, so imports under the
present names pay nothing for it.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Sequence
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
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
    "many": "transport.batch",
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
        if fullname.startswith(_PACKAGE) and fullname.removeprefix(_PACKAGE) in MOVED:
            return ModuleSpec(fullname, self)
        return None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """Import the module under its present name, and warn."""
        present = _PACKAGE + MOVED[spec.name.removeprefix(_PACKAGE)]
        warnings.warn(
            f"{spec.name} has moved to {present}; the old name goes away in lit_airflow 0.3.",
            DeprecationWarning,
            stacklevel=2,
        )
        return import_module(present)

    def exec_module(self, module: ModuleType) -> None:
        """Nothing to do: :meth:`create_module` has imported it."""


def install() -> None:
    """Let Python find the old names. Installing twice does nothing."""
    if not any(isinstance(finder, _MovedModules) for finder in sys.meta_path):
        sys.meta_path.append(_MovedModules())

"""Importing this module loads what tasks need that open a session or decrypt; forks of the process then have it.

Each task is a process that is forked from a process of its executor. It inherits the modules that one has loaded.
The plugin imports this module in a scheduler whose LocalExecutor forks; a Celery worker and a fork server import it
if their settings name it: see docs/workers.md.

Only modules are loaded. Nothing is opened, started or held, so a process may fork at any time afterwards.
"""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec

from lit_airflow.networks.descriptions import generations, implementation

MODULES = (
    "airflow.providers.hashicorp.hooks.vault",
    "eth_account",
    "lit_airflow.client",
    "lit_airflow.decorators",
    "lit_airflow.handoff.broker",
    "lit_airflow.keys.vault",
    "lit_airflow.operators",
    "lit_airflow.protocol.humanize",
    "lit_airflow.provider.file_io",
    "lit_airflow.provider.settings",
    "lit_airflow.provider.wallets",
    "lit_airflow.sensors",
    "lit_airflow.transport.adapter",
    "lit_airflow.transport.cancellation",
    "lit_airflow.transport.http",
)
"""What tasks load on every network. ``tests/vault/test_preload.py`` finds what is missing."""

for _name in MODULES:
    import_module(_name)
for _generation in generations():
    _network = f"{implementation(_generation).__name__}.network"
    if find_spec(_network):
        import_module(_network)

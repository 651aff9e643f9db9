"""Published sessions and servers' builds as Airflow assets: what a DAG that runs on a change is scheduled on."""

from __future__ import annotations

from urllib.parse import SplitResult

from airflow.providers.common.compat.sdk import Asset, AssetAlias

from lit_airflow.errors import SettingsError
from lit_airflow.handoff.names import checked_name

_SESSIONS = "sessions"
_ENCLAVES = "enclaves"


def session_asset(name: str) -> Asset:
    """The asset of a session that ``LitSessionSigsOperator(name=…)`` publishes; its URI is ``lit://sessions/<name>``.

    Each successful run of that task is an event, also one that passes on a session that still lasts. The event's
    ``extra`` holds public facts only: ``network``, ``wallet``, ``expires_at`` and ``renewed``, which is false where
    the session of an earlier run was passed on.

    Raises:
        SettingsError: No session can have this name.
    """
    return Asset(uri=f"lit://{_SESSIONS}/{checked_name(name)}")


ENCLAVES = AssetAlias("lit-enclaves")
"""The outlet of tasks that verify servers' builds: they add an event only where one changed."""


def enclave_asset(lit_conn_id: str) -> Asset:
    """The asset of the build that a connection's server runs; its URI is ``lit://enclaves/<connection>``.

    ``LitVerifyEnclaveOperator`` adds an event when the build or the machine changes, and only then. Its ``extra``
    holds ``build``, ``machine``, ``accepted`` and ``previous_build``.

    Raises:
        SettingsError: The connection's id has other characters than letters, digits, ``_``, ``.`` and ``-``.
    """
    name = checked_name(lit_conn_id, "There is no asset for the build behind the connection")
    return Asset(uri=f"lit://{_ENCLAVES}/{name}")


def checked_uri(uri: SplitResult) -> SplitResult:
    """Return the URI of an asset if it is one of this provider's; Airflow calls this for the scheme ``lit``.

    Raises:
        SettingsError: It is neither ``lit://sessions/<name>`` nor ``lit://enclaves/<connection>``.
    """
    if uri.netloc not in (_SESSIONS, _ENCLAVES) or uri.query:
        raise SettingsError(
            "The URI of a published session is lit://sessions/<name>, that of a build lit://enclaves/<connection>.",
            field="uri",
            hint="Use session_asset or enclave_asset of lit_airflow.assets.",
        )
    checked_name(uri.path.removeprefix("/"))
    return uri

"""Published sessions as Airflow assets: what a DAG is scheduled on that wants to run when one was renewed."""

from __future__ import annotations

from airflow.providers.common.compat.sdk import Asset

from lit_airflow.handoff.names import checked_name


def session_asset(name: str) -> Asset:
    """The asset of a session that ``LitSessionSigsOperator(name=…)`` publishes; its URI is ``lit://sessions/<name>``.

    Each successful run of that task is an event. Its ``extra`` holds public facts only: ``network``, ``wallet``,
    ``expires_at`` and ``renewed``, which is false where the session of an earlier run was passed on.

    Raises:
        SettingsError: No session can have this name.
    """
    return Asset(uri=f"lit://sessions/{checked_name(name)}")

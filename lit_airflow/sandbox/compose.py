"""Commands of ``docker-compose.yml``: ``python -m lit_airflow.sandbox.compose vault|examples|chipotle|root``.

``vault`` sets up the new Vault server like that of the sandbox, with the same policies, and writes the connections
to files that the service ``airflow-init`` imports and deletes. ``examples`` encrypts the dataset of the example
DAG. Both can be repeated. ``chipotle`` serves a local Chipotle that has the same keys after each start. ``root``
creates a root token for the administrator.
"""

from __future__ import annotations

import json
import os
import secrets
import signal
import sys
import threading
from base64 import b64decode
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from lit_airflow.errors import LitError
from lit_airflow.keys.secret import Secret
from lit_airflow.sandbox.connections import connections
from lit_airflow.sandbox.examples import encrypt_for_wallet, example_dags
from lit_airflow.sandbox.networks import CHIPOTLE, gate_fields, gate_secret
from lit_airflow.sandbox.processes import SandboxError, write_private
from lit_airflow.sandbox.stop_signal import StopSignal
from lit_airflow.sandbox.vault_server import GATE_PATH, VaultSetup

if TYPE_CHECKING:
    import hvac

PUBLIC: Final = Path("/srv/public")
"""The folder that every service can read: network description, wallet address, encrypted dataset."""
HANDOVER: Final = Path("/srv/handover")
"""The folder from which ``airflow-init`` imports and deletes ``connections.json`` and ``variables.json``."""
RECOVERY: Final = Path("/srv/recovery/key")
WALLET_KEY: Final = Path("/run/secrets/wallet_key")
CHIPOTLE_FOLDER: Final = Path("/srv/chipotle")
"""The folder of the local Chipotle: the seed of its keys, and the secret of decrypting roles for ``vault``."""
CHIPOTLE_AT: Final = ("chipotle", 9000)
"""Where the local Chipotle listens: the service's name, which the description names too, and the port."""

_WALLET = "wallet"
_NETWORK = "network.json"
_SEED, _GATE = "seed", "gate.json"
_SEED_BYTES = 32


class ServiceVault(VaultSetup):
    """The Vault server of the compose file, which unseals itself.

    Args:
        address: Its URL.
    """

    def __init__(self, address: str) -> None:
        self.address = address

    def _initialize(self, client: hvac.Client) -> str:
        """Initialise the server, store its recovery key, and return the root token.

        A server that unseals itself has a recovery key instead of unseal keys.
        """
        started = client.sys.initialize(
            secret_shares=None, secret_threshold=None, recovery_shares=1, recovery_threshold=1
        )
        write_private(RECOVERY, started["recovery_keys_base64"][0])
        return str(started["root_token"])


def vault() -> None:
    """Set up the server at ``VAULT_ADDR`` if it is new.

    Raises:
        SandboxError: It cannot be set up, or an earlier attempt was interrupted.
    """
    from lit_airflow.keys.wallet import Wallet  # noqa: PLC0415 - the other commands do not need it

    server = ServiceVault(os.environ["VAULT_ADDR"])
    done = PUBLIC / _WALLET
    if done.is_file() and server.client().sys.is_initialized():
        return
    if RECOVERY.is_file():
        raise SandboxError(
            "An earlier set-up of the Vault server was interrupted.",
            hint="Start again: docker compose down --volumes, then docker compose up.",
        )
    key = Secret(bytes.fromhex(WALLET_KEY.read_text().strip().removeprefix("0x")))
    wallet = Wallet.from_key(key).address
    gate_file = CHIPOTLE_FOLDER / _GATE
    gate = json.loads(gate_file.read_text()) if gate_file.is_file() else {}
    roles = server.set_up(key, StopSignal(), gate)
    url = urlsplit(server.address)
    host_and_port = (str(url.hostname), int(url.port or 0))
    network = {"network": os.environ["LIT_NETWORK"]}
    created = connections(
        host_and_port, roles, network, wallet, {"api_key_path": GATE_PATH} if gate else None
    )
    by_id = {connection.pop("connection_id"): connection for connection in created}
    write_private(HANDOVER / "connections.json", json.dumps(by_id))
    write_private(HANDOVER / "variables.json", json.dumps({"lit_wallet": wallet}))
    done.write_text(wallet)


def examples() -> None:
    """Encrypt the dataset of the example DAG for the wallet, on the network that ``LIT_NETWORK`` names."""
    (dataset,) = (example_dags() / "data").glob("orders.csv")
    encrypt_for_wallet(dataset, PUBLIC, os.environ["LIT_NETWORK"], (PUBLIC / _WALLET).read_text())


class _Entropy:
    """Random bytes that follow from a seed until the network serves: its keys are the same after each start."""

    def __init__(self, seed: bytes) -> None:
        self._seed: bytes | None = seed
        self._drawn = 0

    def __call__(self, size: int) -> bytes:
        from cryptography.hazmat.primitives.hashes import SHA256  # noqa: PLC0415 - only this command needs it
        from cryptography.hazmat.primitives.kdf.hkdf import HKDF  # noqa: PLC0415 - the same

        if self._seed is None:
            return secrets.token_bytes(size)
        self._drawn += 1
        return HKDF(SHA256(), size, salt=None, info=b"draw %d" % self._drawn).derive(self._seed)

    def forget_seed(self) -> None:
        """Draw at random from now on."""
        self._seed = None


def chipotle(stop: threading.Event | None = None) -> None:
    """Serve a local Chipotle until SIGTERM, or until an event is set.

    Credit, and what was changed in the account, are lost when it ends; gate, lock and API key stay. So what was
    encrypted before can be decrypted after a restart.
    """
    from lit_airflow.devnet.chipotle import Settings, serve_chipotle  # noqa: PLC0415 - needs Deno

    if stop is None:
        stop = threading.Event()
        signal.signal(signal.SIGTERM, lambda *_: stop.set())
    seed_file = CHIPOTLE_FOLDER / _SEED
    if not seed_file.is_file() or not seed_file.stat().st_size:  # empty after an interrupted start
        write_private(seed_file, secrets.token_hex(_SEED_BYTES))
    entropy = _Entropy(bytes.fromhex(seed_file.read_text()))
    host, port = CHIPOTLE_AT

    def announce(described: dict[str, object]) -> None:
        entropy.forget_seed()
        write_private(CHIPOTLE_FOLDER / _GATE, json.dumps(gate_secret(described)))
        url = urlsplit(str(described["api_url"]))
        # By name: another start changes the address. The network of the services has no TLS.
        at = url._replace(netloc=f"{host}:{url.port}").geturl()
        network = {"network": "custom", "generation": CHIPOTLE, "plain_http": True}
        public = {**network, **gate_fields(described), "api_url": at}
        (PUBLIC / _NETWORK).write_text(json.dumps(public))

    serve_chipotle(host, port, announce, stop, settings=Settings(entropy=entropy, allow_net=(host,)))


def root() -> None:
    """Print a new root token of the server at ``VAULT_ADDR``, created with its recovery key.

    The server's listener must set ``disable_unauthed_generate_root_endpoints = false``. The program ``bao`` cannot
    do this, because its ``generate-root`` needs a token with permissions.

    Raises:
        SandboxError: The server does not permit it or does not answer, or the recovery key is missing or wrong.
    """
    from hvac.exceptions import VaultError  # noqa: PLC0415 - the other commands do not need it

    server = ServiceVault(os.environ["VAULT_ADDR"]).client().sys
    try:
        server.cancel_root_generation()
        started = server.start_root_token_generation()
        done = server.generate_root(RECOVERY.read_text(), started["nonce"])
    except OSError as error:  # also what requests raises
        raise SandboxError(
            f"No root token was created: the Vault server or {RECOVERY} cannot be reached "
            f"({type(error).__name__}).",
            hint="Start the server, and run this command in the service vault-setup.",
        ) from error
    except VaultError as error:
        raise SandboxError(
            f"The Vault server refused to create a root token ({type(error).__name__}).",
            hint="Set disable_unauthed_generate_root_endpoints = false in its listener and restart it; after a "
            "restart, wait until it is unsealed.",
        ) from error
    masked = b64decode(f"{done['encoded_root_token']}==")  # sent without padding
    token = bytes(a ^ b for a, b in zip(masked, started["otp"].encode(), strict=True))
    print(token.decode())  # noqa: T201 - the result of the command


if __name__ == "__main__":
    try:
        {"vault": vault, "examples": examples, "chipotle": chipotle, "root": root}[sys.argv[1]]()
    except LitError as error:
        sys.exit(str(error))

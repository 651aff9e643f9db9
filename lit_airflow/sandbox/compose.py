"""One-shots of ``docker-compose.yml``: ``python -m lit_airflow.sandbox.compose vault`` (``examples``, ``root``).

``vault`` makes the new Vault server ready: what the sandbox does with its own, and the same policies. It leaves the
connections for Airflow in files that Airflow's own one-shot reads and deletes. ``examples`` encrypts what the
example DAG decrypts. Both may run any number of times. ``root`` makes a root token, for the administrator.
"""

from __future__ import annotations

import json
import os
import sys
from base64 import b64decode
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from lit_airflow.errors import LitError
from lit_airflow.keys.secret import Secret
from lit_airflow.sandbox.assembly import connections, encrypt, example_dags
from lit_airflow.sandbox.processes import SandboxError, write_private
from lit_airflow.sandbox.stop_signal import StopSignal
from lit_airflow.sandbox.vault_server import NewVault

if TYPE_CHECKING:
    import hvac

PUBLIC: Final = Path("/srv/public")
"""What every service may read: the network's description, the wallet's address, what is encrypted for it."""
HANDOVER: Final = Path("/srv/handover")
"""What Airflow's one-shot imports and deletes: ``connections.json``, and ``variables.json``."""
RECOVERY: Final = Path("/srv/recovery/key")
WALLET_KEY: Final = Path("/run/secrets/wallet_key")

_WALLET = "wallet"


class ServiceVault(NewVault):
    """A server in a container of its own, which unseals itself.

    Args:
        address: Its URL.
    """

    def __init__(self, address: str) -> None:
        self.address = address

    def _initialize(self, client: hvac.Client) -> str:
        """With a seal of its own, the server has a key for recovery in place of keys that unseal."""
        started = client.sys.initialize(
            secret_shares=None, secret_threshold=None, recovery_shares=1, recovery_threshold=1
        )
        write_private(RECOVERY, started["recovery_keys_base64"][0])
        return str(started["root_token"])


def vault() -> None:
    """Make the server at ``VAULT_ADDR`` ready, if it is new.

    Raises:
        SandboxError: It cannot be set up, or a former attempt ended half-way.
    """
    from lit_airflow.keys.wallet import Wallet  # noqa: PLC0415 - not for the other one

    server = ServiceVault(os.environ["VAULT_ADDR"])
    done = PUBLIC / _WALLET
    if done.is_file() and server.client().sys.is_initialized():
        return
    if RECOVERY.is_file():
        raise SandboxError(
            "The Vault server was not set up to the end.",
            hint="Start afresh: docker compose down --volumes, then docker compose up.",
        )
    key = Secret(bytes.fromhex(WALLET_KEY.read_text().strip().removeprefix("0x")))
    wallet = Wallet.from_key(key).address
    roles = server.set_up(key, StopSignal())
    url = urlsplit(server.address)
    where = (str(url.hostname), int(url.port or 0))
    made = connections(where, roles, {"network": os.environ["LIT_NETWORK"]}, wallet)
    write_private(
        HANDOVER / "connections.json", json.dumps({each.pop("connection_id"): each for each in made})
    )
    write_private(HANDOVER / "variables.json", json.dumps({"lit_wallet": wallet}))
    done.write_text(wallet)


def examples() -> None:
    """Encrypt the example's data set for the wallet, on the network that ``LIT_NETWORK`` names."""
    (dataset,) = (example_dags() / "data").glob("orders.csv")
    encrypt(dataset, PUBLIC, os.environ["LIT_NETWORK"], (PUBLIC / _WALLET).read_text())


def root() -> None:
    """Print a new root token of the server at ``VAULT_ADDR``, made with the key for recovery.

    The server must allow it: ``disable_unauthed_generate_root_endpoints = false`` in its listener. The program
    ``bao`` cannot do it, as its ``generate-root`` needs a token that may already.

    Raises:
        SandboxError: It does not allow it or does not answer, or the key is missing or another server's.
    """
    from hvac.exceptions import VaultError  # noqa: PLC0415 - only this verb meets its errors

    server = ServiceVault(os.environ["VAULT_ADDR"]).client().sys
    try:
        server.cancel_root_generation()
        started = server.start_root_token_generation()
        done = server.generate_root(RECOVERY.read_text(), started["nonce"])
    except OSError as error:  # also what requests raises
        raise SandboxError(
            f"The Vault server made no root token: it or {RECOVERY} cannot be reached ({type(error).__name__}).",
            hint="Start the server, and run this where its set-up ran.",
        ) from error
    except VaultError as error:
        raise SandboxError(
            f"The Vault server made no root token ({type(error).__name__}).",
            hint="Write disable_unauthed_generate_root_endpoints = false into its listener, and start it again; "
            "if that is done, wait a moment for it.",
        ) from error
    masked = b64decode(f"{done['encoded_root_token']}==")  # it comes without padding
    token = bytes(a ^ b for a, b in zip(masked, started["otp"].encode(), strict=True))
    print(token.decode())  # noqa: T201 - to whoever asked


if __name__ == "__main__":
    try:
        {"vault": vault, "examples": examples, "root": root}[sys.argv[1]]()
    except LitError as error:
        sys.exit(str(error))

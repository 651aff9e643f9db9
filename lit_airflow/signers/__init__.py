"""3, where the key stays elsewhere: a connection -> a wallet that somebody else signs for.

Three kinds of signers, as they are met: an engine in Vault, Consensys Web3Signer, and whoever answers the JSON-RPC
call ``eth_sign``. They differ in who puts EIP-191's prefix before the text and who hashes it; each kind says so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lit_airflow.signers.engine import vault_engine
from lit_airflow.signers.server import SignerServer, eth_sign, web3signer
from lit_airflow.signers.wallet import RemoteWallet

if TYPE_CHECKING:
    from lit_airflow.connection import Settings
    from lit_airflow.vault import Vault

__all__ = ["RemoteWallet", "SignerServer", "eth_sign", "remote_wallet", "vault_engine", "web3signer"]


def remote_wallet(settings: Settings, vault: Vault) -> RemoteWallet:
    """The wallet of a connection whose ``signer`` is not ``key``.

    Args:
        settings: The connection.
        vault: The server where an engine would sign.

    Raises:
        SecretError: Vault or the signer cannot be used, or does not hold the wallet.
        SettingsError: The signer holds several wallets, and the connection does not say which.
    """
    if settings.signer == "vault":
        return vault_engine(
            vault,
            path=settings.vault_path,
            takes=settings.signer_takes,
            address=settings.wallet_address,
        )
    server = SignerServer(
        settings.signer_url, timeout_s=settings.timeout_s, certificate=settings.signer_certificate or None
    )
    kind = web3signer if settings.signer == "web3signer" else eth_sign
    return kind(server, settings.wallet_address)

"""The wallet of a Lit connection."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lit_airflow.keys.signers import RemoteWallet, SignerServer, eth_sign, vault_engine, web3signer

if TYPE_CHECKING:
    from lit_airflow.keys.vault import Vault
    from lit_airflow.provider.settings import Settings


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

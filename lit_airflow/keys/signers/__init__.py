"""3, where the key stays elsewhere: a connection -> a wallet that somebody else signs for.

Three kinds of signers, as they are met: an engine in Vault, Consensys Web3Signer, and whoever answers the JSON-RPC
call ``eth_sign``. They differ in who puts EIP-191's prefix before the text and who hashes it; each kind says so.
"""

from __future__ import annotations

from lit_airflow.keys.signers.engine import vault_engine
from lit_airflow.keys.signers.remote_wallet import RemoteWallet
from lit_airflow.keys.signers.server import SignerServer, eth_sign, web3signer

__all__ = ["RemoteWallet", "SignerServer", "eth_sign", "vault_engine", "web3signer"]

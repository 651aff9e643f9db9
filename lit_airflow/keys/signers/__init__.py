"""Wallets whose key stays elsewhere.

There are three kinds of signers: an engine in Vault, Consensys Web3Signer, and any server of the JSON-RPC method
``eth_sign``. They differ in who adds the prefix of EIP-191 and who hashes; the function of each kind says so.
"""

from __future__ import annotations

from lit_airflow.keys.signers.engine import vault_engine
from lit_airflow.keys.signers.remote_wallet import RemoteWallet
from lit_airflow.keys.signers.server import SignerServer, eth_sign, web3signer

__all__ = ["RemoteWallet", "SignerServer", "eth_sign", "vault_engine", "web3signer"]

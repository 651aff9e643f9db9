"""Secrets, and the keys that sign: Vault, wallets, remote signers."""

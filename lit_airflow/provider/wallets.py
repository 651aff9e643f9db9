"""The wallet of a Lit connection: its key read from Vault or elsewhere, or a signer that keeps it."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lit_airflow.errors import SecretNotFoundError, SettingsError, WalletKeyError
from lit_airflow.keys.secret import Secret
from lit_airflow.provider.settings import KEY_SIGNERS

if TYPE_CHECKING:
    from lit_airflow.keys.signers import RemoteWallet
    from lit_airflow.keys.vault import Vault
    from lit_airflow.keys.wallet import Signer, Wallet
    from lit_airflow.provider.airflow_compat import VaultHookLogin
    from lit_airflow.provider.settings import Settings

_TRIAL_TEXT = "lit_airflow tries whether this wallet can sign. This text permits nothing."


@dataclass(frozen=True, slots=True)
class Wallets:
    """Reads a connection's wallet afresh each time: a key stays in memory for one signature.

    Attributes:
        settings: The connection.
        conn_id: Its id, for messages.
        vault: Returns the Vault server, as this role sees it.
        login: Returns the login, which knows the KV engine's default mount.
        secret: Returns the key that the connection itself holds.
        on_key: Called with each key that is read, such as to mask it in logs.
    """

    settings: Settings
    conn_id: str
    vault: Callable[[], Vault]
    login: Callable[[], VaultHookLogin]
    secret: Callable[[], Secret]
    on_key: Callable[[Secret], None]

    def get(self) -> Signer:
        """Return the wallet.

        Raises:
            SettingsError: The connection has no wallet.
            SecretError: Vault or the signer cannot be used, or it is not the expected wallet.
        """
        if not self.settings.has_wallet:
            raise SettingsError(
                f"Connection {self.conn_id} has no wallet: vault_path is empty.",
                field="vault_path",
                hint="Use a connection of the renewer's role in tasks that open sessions.",
            )
        return self._from_key() if self.settings.signer in KEY_SIGNERS else self._remote()

    def tried(self) -> Signer:
        """Return the wallet after it has signed a text that permits nothing: only that proves that a signer works.

        Raises:
            LitError: As :meth:`get`, or the signer refuses.
        """
        wallet = self.get()
        wallet.sign(_TRIAL_TEXT)
        return wallet

    @property
    def place(self) -> str:
        """Where the key is, for messages."""
        settings = self.settings
        if settings.signer == "key":
            return f"{settings.vault_path}, field {settings.vault_field}"
        if settings.signer == "connection":
            return f"connection {self.conn_id}, field wallet_secret"
        return settings.key_file or f"environment variable {settings.key_env}"

    def _from_key(self) -> Wallet:
        from lit_airflow.keys.wallet import Wallet  # noqa: PLC0415 - a task that only decrypts has no wallet

        key, where = self._read_key()
        self.on_key(key)
        try:
            return Wallet.from_key(key).expect(self.settings.wallet_address)
        except WalletKeyError as error:
            raise WalletKeyError(f"{error.message} It was read from {where}.", hint=error.hint) from None

    def _read_key(self) -> tuple[Secret, str]:
        """Return the key and where it was read."""
        settings = self.settings
        if settings.signer == "connection":
            return self.secret(), self.place
        if settings.signer == "env":
            return _from_environment(settings.key_env), self.place
        if settings.signer == "file":
            return _from_file(settings.key_file), self.place
        login = self.login()
        mount = settings.vault_mount or login.default_mount
        key = self.vault().read_secret(
            mount=mount,
            path=settings.vault_path,
            field=settings.vault_field,
            kv_version=login.kv_version,
        )
        return key, f"{mount}/{settings.vault_path} in {login.where}, field {settings.vault_field}"

    def _remote(self) -> RemoteWallet:
        from lit_airflow.keys.signers import (  # noqa: PLC0415 - most connections have a key
            SignerServer,
            eth_sign,
            vault_engine,
            web3signer,
        )

        settings = self.settings
        if settings.signer == "vault":
            return vault_engine(
                self.vault(),
                path=settings.vault_path,
                takes=settings.signer_takes,
                address=settings.wallet_address,
            )
        server = SignerServer(
            settings.signer_url,
            timeout_s=settings.timeout_s,
            certificate=settings.signer_certificate or None,
        )
        kind = web3signer if settings.signer == "web3signer" else eth_sign
        return kind(server, settings.wallet_address)


def _from_environment(name: str) -> Secret:
    found = Secret(os.environb.get(os.fsencode(name), b""))
    if not len(found):
        raise SecretNotFoundError(
            f"The environment variable {name} is not set in this process.",
            hint="Set it for the workers that open sessions.",
        )
    return found


def _from_file(path: str) -> Secret:
    try:
        return Secret(Path(path).read_bytes())
    except OSError as error:
        raise SecretNotFoundError(
            f"The wallet's key cannot be read from {path} ({error.strerror}).",
            hint="key_file is a path on the workers that open sessions.",
        ) from None

"""The wallet of a Lit connection: its key read from Vault, or a signer elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lit_airflow.errors import SettingsError, WalletKeyError

if TYPE_CHECKING:
    from lit_airflow.keys.secret import Secret
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
        on_key: Called with each key that is read, such as to mask it in logs.
    """

    settings: Settings
    conn_id: str
    vault: Callable[[], Vault]
    login: Callable[[], VaultHookLogin]
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
        return self._from_key() if self.settings.signer == "key" else self._remote()

    def tried(self) -> Signer:
        """Return the wallet after it has signed a text that permits nothing: only that proves that a signer works.

        Raises:
            LitError: As :meth:`get`, or the signer refuses.
        """
        wallet = self.get()
        wallet.sign(_TRIAL_TEXT)
        return wallet

    def _from_key(self) -> Wallet:
        from lit_airflow.keys.wallet import Wallet  # noqa: PLC0415 - a task that only decrypts has no wallet

        settings, login = self.settings, self.login()
        mount = settings.vault_mount or login.default_mount
        key = self.vault().read_secret(
            mount=mount,
            path=settings.vault_path,
            field=settings.vault_field,
            kv_version=login.kv_version,
        )
        self.on_key(key)
        try:
            return Wallet.from_key(key).expect(settings.wallet_address)
        except WalletKeyError as error:
            where = f"{mount}/{settings.vault_path} in {login.where}, field {settings.vault_field}"
            raise WalletKeyError(f"{error.message} It was read from {where}.", hint=error.hint) from None

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

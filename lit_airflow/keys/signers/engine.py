"""A wallet at an engine in Vault that signs.

Source: the engines that ``docs/signers.md`` names.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lit_airflow.errors import SignerDeniedError
from lit_airflow.keys.signers.remote_wallet import RemoteWallet, prefixed
from lit_airflow.keys.wallet import ADDRESS, checksummed

if TYPE_CHECKING:
    from lit_airflow.keys.vault import Vault


def _digest(text: str) -> bytes:
    from eth_utils.crypto import keccak  # noqa: PLC0415 - heavy

    return keccak(prefixed(text))


def _hex(raw: bytes) -> str:
    return "0x" + raw.hex()


@dataclass(frozen=True, slots=True)
class Engine:
    """How an engine in Vault is asked to sign.

    Attributes:
        last: What follows the account's path.
        name: The request's field.
        encode: The text, as that field carries it.
    """

    last: str
    name: str
    encode: Callable[[str], str]


ENGINES = {
    "message": Engine("sign", "message", str),
    "data": Engine("sign", "data", lambda text: _hex(prefixed(text))),
    "digest": Engine("sign-digest", "hash", lambda text: _hex(_digest(text))),
}
"""What an engine in Vault signs -> how it is asked.

``message``: the text; the engine puts the prefix before it, and hashes. ``data``: prefix and text; the engine
hashes. ``digest``: the hash; the engine signs it as it is.
"""


def vault_engine(vault: Vault, *, path: str, takes: str = "message", address: str = "") -> RemoteWallet:
    """A wallet at an engine in Vault that signs.

    Args:
        vault: The server, as this role sees it.
        path: The account's path, from the engine's mount on.
        takes: What the engine signs, one of :data:`ENGINES`.
        address: The wallet; if empty, the account's path is read for it.

    Raises:
        SecretError: Vault cannot be used, or has no such account.
        SettingsError: ``address`` is none.
    """
    where = f"{path} in {vault.login.where}"
    engine = ENGINES[takes]

    def ask(text: str) -> object:
        entry = {engine.name: engine.encode(text)}
        return vault.tell(f"{path}/{engine.last}", entry).get("signature")

    if address:
        return RemoteWallet(checksummed(address), where, ask)
    told = vault.ask(path).get("address")
    if not isinstance(told, str) or not ADDRESS.fullmatch(told):
        raise SignerDeniedError(
            f"The account {where} does not tell its address.",
            hint="Check vault_path, or give the address as wallet_address, in the Lit connection.",
        )
    return RemoteWallet(checksummed(told), where, ask)

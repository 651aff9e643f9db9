"""A wallet whose key is held by a signing engine in Vault.

Source: the engines that ``docs/signers.md`` names.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lit_airflow.errors import SettingsError, SignerDeniedError
from lit_airflow.keys.address import checksummed, parse_address
from lit_airflow.keys.signers.remote_wallet import RemoteWallet, prefixed
from lit_airflow.text import quoted

if TYPE_CHECKING:
    from lit_airflow.keys.vault import Vault


def _digest(text: str) -> bytes:
    from eth_utils.crypto import keccak  # noqa: PLC0415 - heavy

    return keccak(prefixed(text))


def _hex(raw: bytes) -> str:
    return "0x" + raw.hex()


@dataclass(frozen=True, slots=True)
class Engine:
    """How to ask an engine in Vault for a signature.

    Attributes:
        endpoint: Appended to the account's path.
        field: The field of the request that carries the text.
        encode: Encodes the text for that field.
    """

    endpoint: str
    field: str
    encode: Callable[[str], str]


ENGINES = {
    "message": Engine("sign", "message", str),
    "data": Engine("sign", "data", lambda text: _hex(prefixed(text))),
    "digest": Engine("sign-digest", "hash", lambda text: _hex(_digest(text))),
}
"""What an engine in Vault signs -> how to ask it.

``message``: the text; the engine adds the prefix and hashes. ``data``: prefix and text; the engine hashes.
``digest``: the hash; the engine signs it unchanged.
"""


def vault_engine(vault: Vault, *, path: str, takes: str = "message", address: str = "") -> RemoteWallet:
    """Return a wallet whose key is held by an engine in Vault.

    Args:
        vault: The server, with the login of one role.
        path: The account's path, including the engine's mount.
        takes: What the engine signs, one of :data:`ENGINES`.
        address: The wallet's address; if empty, it is read from the account's path.

    Raises:
        SecretError: Vault cannot be used, or the account does not exist.
        SettingsError: ``address`` is not an address, or ``takes`` is unknown.
    """
    engine = ENGINES.get(takes)
    if engine is None:
        raise SettingsError(
            f"Unknown signer_takes {quoted(takes)}.",
            field="signer_takes",
            hint=f"Use one of {', '.join(ENGINES)}.",
        )
    where = f"{path} in {vault.login.where}"

    def ask(text: str) -> object:
        entry = {engine.field: engine.encode(text)}
        return vault.write(f"{path}/{engine.endpoint}", entry).get("signature")

    if address:
        return RemoteWallet(checksummed(address), where, ask)
    found = parse_address(vault.read(path).get("address"))
    if found is None:
        raise SignerDeniedError(
            f"The account {where} does not return its address.",
            hint="Check vault_path in the Lit connection, or set wallet_address there.",
        )
    return RemoteWallet(found, where, ask)

"""The ``Lit.Actions`` functions that use keys, with their checks.

Source: lit-actions ``ext/bindings.rs`` and lit-api-server ``actions/client/handle_ops.rs``, April 2026.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from lit_airflow.devnet.chipotle import cipher, key_service
from lit_airflow.devnet.chipotle.call import Call
from lit_airflow.devnet.chipotle.cipher import NONCE_BYTES, CipherError
from lit_airflow.devnet.chipotle.identifiers import hex_address, key_hash, parse_address
from lit_airflow.devnet.chipotle.key_service import KeyService
from lit_airflow.devnet.chipotle.process import ChainDownError
from lit_airflow.devnet.chipotle.reverts import RevertError
from lit_airflow.devnet.deno import CallError

Argument = Mapping[str, object]
_DENIED = "API key cannot use selected wallet in selected action"


@dataclass(slots=True)
class ActionHost:
    """Answers the ``Lit.Actions`` calls of one run.

    Attributes:
        call: The request that started the run.
        cid: The action's CID.
        keys: Key service of the enclave.
        key_reads: Number of keys read so far.
    """

    call: Call
    cid: str
    keys: KeyService
    key_reads: int = 0
    _may_use: dict[str, bool] = field(default_factory=dict)

    def calls(self) -> dict[str, Callable[[Argument], object]]:
        """Return the function for each name."""
        return {
            "Encrypt": self.encrypt,
            "Decrypt": self.decrypt,
            "getPrivateKey": self.get_private_key,
            "getLitActionPrivateKey": self.get_lit_action_private_key,
            "getLitActionPublicKey": self.get_lit_action_public_key,
            "getLitActionWalletAddress": self.get_lit_action_wallet_address,
        }

    def encrypt(self, argument: Argument) -> str:
        """Encrypt a text under a wallet's secret.

        Raises:
            CallError: Blank argument, or the API key may not use the wallet.
        """
        pkp_id, message = _not_blank(argument, "pkpId"), _not_blank(argument, "message")
        nonce = self.call.state.entropy(NONCE_BYTES)
        return cipher.encrypt(self._wallet_secret(pkp_id), message, nonce)

    def decrypt(self, argument: Argument) -> str:
        """Decrypt a ciphertext under a wallet's secret.

        Raises:
            CallError: Blank argument, the API key may not use the wallet, or the ciphertext does not open.
        """
        pkp_id, ciphertext = _not_blank(argument, "pkpId"), _text(argument, "ciphertext")
        if not ciphertext:
            raise CallError("ciphertext must not be empty", kind="RangeError")
        try:
            return cipher.decrypt(self._wallet_secret(pkp_id), ciphertext)
        except CipherError as error:
            raise CallError(str(error)) from error

    def get_private_key(self, argument: Argument) -> str:
        """Return a wallet's secret.

        Raises:
            CallError: Blank argument, or the API key may not use the wallet.
        """
        pkp_id = _not_blank(argument, "pkpId")
        self._count()
        return f"0x{self._wallet_secret(pkp_id).hex()}"

    def get_lit_action_private_key(self, _argument: Argument) -> str:
        """Return the action's own secret.

        Raises:
            CallError: Too many key reads.
        """
        self._count()
        return f"0x{self.keys.action_secret(self.cid).hex()}"

    def get_lit_action_public_key(self, argument: Argument) -> str:
        """Return the compressed public key of any action.

        Raises:
            CallError: Blank argument, or too many key reads.
        """
        return f"0x{key_service.public_key(self._other_secret(argument)).hex()}"

    def get_lit_action_wallet_address(self, argument: Argument) -> str:
        """Return the address of any action's key.

        Raises:
            CallError: Blank argument, or too many key reads.
        """
        return hex_address(key_service.address(self._other_secret(argument)))

    def _other_secret(self, argument: Argument) -> bytes:
        cid = _not_blank(argument, "ipfsId")
        self._count()
        return self.keys.action_secret(cid)

    def _count(self) -> None:
        self.key_reads += 1
        limits = self.call.state.limits
        if limits.enforces_key_reads and self.key_reads > limits.key_reads:
            raise CallError(f"You may not read more than {limits.key_reads} keys in one run.")

    def _wallet_secret(self, pkp_id: str) -> bytes:
        if not pkp_id.startswith(("0x", "0X")):
            raise CallError("Unable to parse H160 address: it must be prefixed with 0x")
        call = self.call
        try:
            wallet = parse_address(pkp_id)
            if pkp_id not in self._may_use:
                self._may_use[pkp_id] = call.process.can_use_wallet(call.hashed, key_hash(self.cid), wallet)
            if not self._may_use[pkp_id]:
                raise CallError(_DENIED)
            return call.process.wallet_secret(call.hashed, wallet, self.keys)
        except ValueError as error:
            raise CallError(f"Unable to parse wallet address: {error}") from error
        except (RevertError, ChainDownError, LookupError) as error:
            raise CallError(str(error)) from error


def well_formed(text: str) -> str:
    """Replace unpaired surrogates, as the runtime does with every text that leaves JavaScript."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _text(argument: Argument, name: str) -> str:
    value = argument.get(name)
    if not isinstance(value, str):
        raise CallError("expected string", kind="TypeError")
    return well_formed(value)


def _not_blank(argument: Argument, name: str) -> str:
    text = _text(argument, name)
    if not text.strip():
        raise CallError(f"{name} must not be blank", kind="RangeError")
    return text

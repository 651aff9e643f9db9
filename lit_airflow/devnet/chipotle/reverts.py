"""Errors of the account contract."""

from __future__ import annotations

from eth_abi.abi import encode
from eth_utils.abi import function_signature_to_4byte_selector

from lit_airflow.devnet.chipotle.identifiers import hex_address

ARITHMETIC, OUT_OF_BOUNDS = 0x11, 0x32

SIGNATURES: dict[str, tuple[str, ...]] = {
    "AccountDoesNotExist": ("uint256",),
    "AccountAlreadyExists": ("uint256",),
    "NoAccountAccess": ("uint256", "address"),
    "NotMasterAccount": ("uint256",),
    "GroupDoesNotExist": ("uint256", "uint256"),
    "PkpDoesNotExist": ("uint256", "uint256", "address"),
    "ActionDoesNotExist": ("uint256", "uint256", "uint256"),
    "UsageApiKeyDoesNotExist": ("uint256", "uint256"),
    "OnlyApiPayerOrOwner": ("address",),
    "NotAllowedToCreateGroup": ("uint256",),
    "NotAllowedToDeleteGroup": ("uint256",),
    "NotAllowedToCreatePkp": ("uint256",),
    "NotAllowedToAddPkpToGroup": ("uint256", "uint256"),
    "NotAllowedToRemovePkpFromGroup": ("uint256", "uint256"),
    "NotAllowedToManageIPFSIdsInGroup": ("uint256", "uint256"),
    "InvalidRequest": ("string",),
    "Panic": ("uint256",),
}
_PERMISSION = ("NotAllowedTo", "NotMasterAccount", "NoAccountAccess")


class RevertError(Exception):
    """The contract reverts a call. Nothing has changed.

    Attributes:
        name: One of ``SIGNATURES``.
        arguments: Its arguments; addresses as integers.
    """

    def __init__(self, name: str, arguments: tuple[int | str, ...]) -> None:
        self.name = name
        self.arguments = arguments
        super().__init__(f"{name}({self._joined()})")

    @property
    def about_permission(self) -> bool:
        """Whether it means a missing permission."""
        return self.name.startswith(_PERMISSION)

    def data(self) -> str:
        """Return the ABI-encoded revert data."""
        types = SIGNATURES[self.name]
        selector = function_signature_to_4byte_selector(f"{self.name}({','.join(types)})")
        return f"0x{selector.hex()}{encode(types, self._texts()).hex()}"

    def text(self, *, named: bool) -> str:
        """Return the error as text.

        Args:
            named: Include the error's name. The April build prints only the arguments.
        """
        return f"Contract error: {self if named else self._joined()}"

    def _texts(self) -> tuple[int | str, ...]:
        kinds = SIGNATURES[self.name]
        return tuple(
            hex_address(int(value)) if kind == "address" else value
            for kind, value in zip(kinds, self.arguments, strict=True)
        )

    def _joined(self) -> str:
        return ", ".join(map(str, self._texts()))


def invalid_request(message: str) -> RevertError:
    """Return an ``InvalidRequest`` error."""
    return RevertError("InvalidRequest", (message,))

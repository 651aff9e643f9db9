"""ABI of the account contract.

Source: ``AccountConfig.json`` of April 2026; owners of addresses and paths from July and September.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from eth_abi.abi import decode, encode
from eth_utils.abi import function_signature_to_4byte_selector
from eth_utils.crypto import keccak

from lit_airflow.devnet.chipotle.identifiers import hex_address, parse_address
from lit_airflow.devnet.chipotle.key_transactions import Scopes
from lit_airflow.devnet.chipotle.storage import Storage

REGISTERED_TOPIC = "0x" + keccak(text="WalletDerivationRegistered(uint256,address,uint256)").hex()
_SELECTOR_BYTES = 4
_SCOPES_AT = 6  # of setUsageApiKey: three flags, then four lists


@dataclass(frozen=True, slots=True)
class Function:
    """One function of the contract.

    Attributes:
        name: Its name in Solidity; transactions have the same name in snake case in ``chain.METHODS``.
        inputs: Types of its arguments.
        outputs: Types of what it returns.
        ask: Implements a view function: (storage, sender, *arguments) -> result; ``None`` for transactions.
    """

    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...] = ()
    ask: Callable[..., object] | None = None

    @property
    def selector(self) -> bytes:
        """The four-byte selector."""
        return function_signature_to_4byte_selector(f"{self.name}({','.join(self.inputs)})")

    @property
    def method(self) -> str:
        """The transaction's key in ``chain.METHODS``."""
        return "".join(f"_{each.lower()}" if each.isupper() else each for each in self.name)

    def arguments(self, data: bytes) -> tuple[object, ...]:
        """Decode call data. Addresses become integers.

        Raises:
            eth_abi.exceptions.DecodingError: The data does not fit the types.
        """
        values = decode(self.inputs, data[_SELECTOR_BYTES:])
        read = tuple(_read(kind, value) for kind, value in zip(self.inputs, values, strict=True))
        if self.name != "setUsageApiKey":
            return read
        create_groups, delete_groups, create_pkps, *groups = read[_SCOPES_AT:]
        scopes = Scopes(bool(create_groups), bool(delete_groups), bool(create_pkps), tuple(groups))  # type: ignore[arg-type]
        return (*read[:_SCOPES_AT], scopes)

    def returned(self, value: object) -> bytes:
        """Encode a result."""
        return encode(self.outputs, [value]) if self.outputs else b""


def _read(kind: str, value: object) -> object:
    if kind == "address":
        return parse_address(str(value))
    if kind == "address[]":
        return [parse_address(str(each)) for each in value]  # type: ignore[attr-defined]
    return list(value) if isinstance(value, tuple) else value


_U, _A, _T = "uint256", "address", "string"
_LIST = "uint256[]"


def _view(name: str, inputs: tuple[str, ...], output: str, ask: Callable[..., object]) -> Function:
    return Function(name, inputs, (output,), ask)


def _can_mutate(storage: Storage, sender: int, hashed: int) -> bool:
    return storage.exists_and_is_mutable(hashed, sender)


_FUNCTIONS = (
    Function("newChainSecuredAccount", (_T, _T)),
    Function("setUsageApiKey", (_U, _U, _U, _U, _T, _T, "bool", "bool", "bool", _LIST, _LIST, _LIST, _LIST)),
    Function("updateUsageApiKeyMetadata", (_U, _U, _T, _T)),
    Function("removeUsageApiKey", (_U, _U)),
    Function("addGroup", (_U, _T, _T, _LIST, "address[]"), (_U,)),
    Function("updateGroup", (_U, _U, _T, _T, _LIST, "address[]")),
    Function("removeGroup", (_U, _U)),
    Function("addAction", (_U, _T, _T, _U)),
    Function("removeAction", (_U, _U)),
    Function("addActionToGroup", (_U, _U, _U)),
    Function("removeActionFromGroup", (_U, _U, _U)),
    Function("addPkpToGroup", (_U, _U, _A)),
    Function("removePkpFromGroup", (_U, _U, _A)),
    Function("registerWalletDerivation", (_U, _A, _U, _T, _T)),
    _view("accountExistsAndIsMutable", (_U,), "bool", _can_mutate),
    _view("getAccountWalletAddress", (_U,), _A, lambda s, _, key: hex_address(s.account_of(key).admin)),
    _view("getWalletDerivation", (_U, _A), _U, lambda s, _, key, wallet: s.derivation(key, wallet)),
    _view("canExecuteAction", (_U, _U), "bool", lambda s, _, key, cid: s.can_execute(key, cid)),
    _view(
        "canUseWalletInAction",
        (_U, _U, _A),
        "bool",
        lambda s, _, key, cid, wallet: s.can_use_wallet(key, cid, wallet),
    ),
    _view("getPkpOwnerMaster", (_A,), _U, lambda s, _, wallet: s.pkp_owners.get(wallet, 0)),
    _view("getPathOwnerMaster", (_U,), _U, lambda s, _, path: s.path_owners.get(path, 0)),
)
_BY_SELECTOR = {function.selector: function for function in _FUNCTIONS}


def function_of(data: bytes) -> Function | None:
    """Return the function that call data selects."""
    return _BY_SELECTOR.get(data[:_SELECTOR_BYTES])

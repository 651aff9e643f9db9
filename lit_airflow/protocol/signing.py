"""What a key that a network holds may sign, what it is asked to sign, and whether it did.

Three kinds: a message (EIP-191), typed data (EIP-712), a transaction (EIP-1559). A policy names the one key, chain
and address; what it does not name is not signed. A signature is used after it was verified here, from the request
and not from what the network says that it signed.

``eth_account`` is imported on first use: few tasks sign.

Source: EIP-191, EIP-712, EIP-1559, EIP-2.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from lit_airflow.errors import SettingsError, SignatureError
from lit_airflow.keys.address import is_address, parse_address, same_address
from lit_airflow.keys.wallet import CURVE_ORDER
from lit_airflow.text import is_encodable, listed, quoted

MESSAGE, TYPED_DATA, TRANSACTION = "message", "typed_data", "transaction"

MAX_CHAIN_ID = 2**53 - 1
"""The largest whole number that JavaScript keeps exactly."""

_SIGNATURE = re.compile(r"0x([0-9a-f]{64})([0-9a-f]{64})(1b|1c)")
_RAW = re.compile(r"0x02(?:[0-9a-f]{2}){1,262144}")
_HEX_DATA = re.compile(r"0x(?:[0-9a-fA-F]{2})*")
_QUANTITY = re.compile(r"0x[0-9a-fA-F]{1,64}|0|[1-9][0-9]{0,77}")
_UINT_256 = 2**256
_UINT_64 = 2**64
_EXACT = MAX_CHAIN_ID + 1
# The transaction's fields: name -> the bound of its value. All are needed but value and data.
_QUANTITIES = {
    "nonce": _EXACT,
    "gas": _UINT_64,
    "maxFeePerGas": _UINT_256,
    "maxPriorityFeePerGas": _UINT_256,
    "value": _UINT_256,
}
_OPTIONAL = {"value": 0, "data": "0x", "type": 2}
_TYPED_DATA_KEYS = {"types", "primaryType", "domain", "message"}


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningPolicy:
    """What may be signed.

    Attributes:
        signer: The address of the key that signs, EIP-55 checksummed.
        chain_id: The only chain of typed data and transactions; 0 where neither is signed.
        address: The only contract or account that typed data may be for and that transactions may go to, EIP-55
            checksummed; empty where neither is signed.
    """

    signer: str
    chain_id: int = 0
    address: str = ""

    @classmethod
    def of(cls, signer: str, chain_id: int = 0, address: str = "") -> SigningPolicy:
        """Check and return a policy.

        Raises:
            SettingsError: An address that is none, or a chain without an address, or the other way round. Names the
                connection's field.
        """
        if not signer:
            raise SettingsError(
                "The connection does not say which key signs.",
                field="sign_pkp",
                hint="Set sign_pkp to the address of a PKP of the account.",
            )
        for name, value in (("sign_pkp", signer), ("sign_address", address)):
            if value and not is_address(value):
                raise SettingsError(f"{name} must be 0x and 40 hex digits, got {quoted(value)}.", field=name)
        if not 0 <= chain_id <= MAX_CHAIN_ID:
            raise SettingsError("sign_chain_id must be a chain's id, or 0 for none.", field="sign_chain_id")
        if bool(chain_id) != bool(address):
            missing = "sign_address" if chain_id else "sign_chain_id"
            raise SettingsError(
                f"{missing} is missing: typed data and transactions are signed for one chain and one address.",
                field=missing,
                hint="Set both; or neither, to sign messages only.",
            )
        return cls(
            signer=parse_address(signer) or "", chain_id=chain_id, address=parse_address(address) or ""
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Signed:
    """A verified signature.

    Attributes:
        kind: ``message``, ``typed_data`` or ``transaction``.
        signer: Who signed, EIP-55 checksummed.
        signature: ``0x`` and 130 hex digits, r, s, v with v 27 or 28; empty for a transaction.
        raw_transaction: The signed transaction, ready to be sent to a node, ``0x`` and hex; empty for the others.
        transaction_hash: Its hash, ``0x`` and 64 hex digits; empty for the others.
    """

    kind: str
    signer: str
    signature: str = ""
    raw_transaction: str = ""
    transaction_hash: str = ""

    def to_json(self) -> dict[str, str]:
        """Return it as a plain object, without what is empty."""
        names = ("kind", "signer", "signature", "raw_transaction", "transaction_hash")
        return {name: getattr(self, name) for name in names if getattr(self, name)}


@dataclass(frozen=True, slots=True)
class SigningRequest:
    """What is to be signed, checked and in one form: whole numbers are texts, since JSON numbers are not exact.

    Attributes:
        kind: ``message``, ``typed_data`` or ``transaction``.
        content: A text, a document with ``types``, ``primaryType``, ``domain``, ``message``, or the fields of a
            transaction.
    """

    kind: str
    content: Any = field(repr=False)

    @classmethod
    def of(
        cls,
        *,
        message: str | None = None,
        typed_data: Mapping[str, Any] | None = None,
        transaction: Mapping[str, Any] | None = None,
    ) -> SigningRequest:
        """Check and return a request; exactly one of the three.

        Args:
            message: Any text but the empty one.
            typed_data: ``types``, ``primaryType``, ``domain`` and ``message``, as wallets take them.
            transaction: ``to``, ``nonce``, ``gas``, ``maxFeePerGas``, ``maxPriorityFeePerGas``, ``chainId``; and
                ``value`` (wei) and ``data`` where they are not 0 and empty. Whole numbers, or texts of them.

        Raises:
            SettingsError: None of them or several, or one that cannot be signed. Names the field.
        """
        given = {MESSAGE: message, TYPED_DATA: typed_data, TRANSACTION: transaction}
        found = [(kind, value) for kind, value in given.items() if value is not None]
        if len(found) != 1:
            raise SettingsError("Give one of message, typed_data and transaction.", field=MESSAGE)
        ((kind, value),) = found
        if kind == MESSAGE:
            return cls(kind, _checked_message(value))
        if not isinstance(value, Mapping):
            raise SettingsError(f"{kind} must be an object.", field=kind)
        if kind == TRANSACTION:
            return cls(kind, _checked_transaction(value))
        return cls(kind, _checked_typed_data(value))

    def check(self, policy: SigningPolicy) -> None:
        """Return nothing if a policy permits this.

        Raises:
            SettingsError: It names another chain or address, or none.
        """
        if self.kind == MESSAGE:
            return
        if not policy.chain_id:
            raise SettingsError(
                "The connection permits messages only.",
                field=self.kind,
                hint="Set sign_chain_id and sign_address in the connection, for one chain and one address.",
            )
        if self.kind == TRANSACTION:
            chain, address = self.content["chainId"], self.content["to"]
        else:
            domain = self.content["domain"]
            chain, address = domain.get("chainId"), domain.get("verifyingContract")
        if chain != str(policy.chain_id):
            raise SettingsError(
                f"The connection permits chain {policy.chain_id} only, not {quoted(str(chain))}.",
                field=self.kind,
            )
        if not same_address(address, policy.address):
            raise SettingsError(
                f"The connection permits {policy.address} only, not {quoted(str(address))}.", field=self.kind
            )

    def verified(self, answer: str, policy: SigningPolicy) -> Signed:
        """Return a signature, if it is the policy's key's signature of this request.

        Args:
            answer: For a transaction the signed transaction, else the signature; ``0x`` and lower-case hex.
            policy: Who must have signed.

        Raises:
            SignatureError: It is not. Nothing of it is used.
        """
        signed = self._signed(answer)
        if signed is None or not same_address(signed.signer, policy.signer):
            raise SignatureError(
                f"What came back is not the signature of {policy.signer} for this {self.kind}. It was not used.",
                hint="Something other than the signing action answers, or the key is another's. Do not use this "
                "connection before you know which.",
            )
        return signed

    def _signed(self, answer: str) -> Signed | None:
        """Return the signature with its signer; ``None`` if it is malformed or names no signer."""
        try:
            return self._transaction(answer) if self.kind == TRANSACTION else self._signature(answer)
        except Exception:  # noqa: BLE001 - the libraries raise many kinds, all of them for malformed input
            return None

    def _signature(self, answer: str) -> Signed | None:
        from eth_account import Account  # noqa: PLC0415 - heavy
        from eth_account.messages import encode_defunct, encode_typed_data  # noqa: PLC0415 - heavy

        form = _SIGNATURE.fullmatch(answer)
        # EIP-2: of the two values of s that are valid, the lower one. Otherwise one text would have two signatures.
        if form is None or not 0 < int(form[2], 16) <= CURVE_ORDER // 2:
            return None
        if self.kind == MESSAGE:
            signable = encode_defunct(text=self.content)
        else:
            signable = encode_typed_data(full_message=self.content)
        signer = Account.recover_message(signable, signature=bytes.fromhex(answer[2:]))
        return Signed(kind=self.kind, signer=str(signer), signature=answer)

    def _transaction(self, answer: str) -> Signed | None:
        from eth_account import Account  # noqa: PLC0415 - heavy
        from eth_account.typed_transactions.typed_transaction import TypedTransaction  # noqa: PLC0415 - heavy
        from eth_utils.crypto import keccak  # noqa: PLC0415 - heavy
        from hexbytes import HexBytes  # noqa: PLC0415 - heavy

        if _RAW.fullmatch(answer) is None:
            return None
        raw = HexBytes(answer)
        transaction = TypedTransaction.from_bytes(raw)
        found = transaction.as_dict()
        _, _, s = transaction.vrs()
        if transaction.encode() != bytes(raw) or not 0 < s <= CURVE_ORDER // 2:
            return None
        if found.get("accessList") or _shown(found) != self.content:
            return None
        return Signed(
            kind=self.kind,
            signer=str(Account.recover_transaction(raw)),
            raw_transaction=answer,
            transaction_hash="0x" + keccak(bytes(raw)).hex(),
        )


def _shown(found: Mapping[str, Any]) -> dict[str, Any]:
    """Return a decoded transaction in the form of a request."""
    texts = {name: str(int(found[name])) for name in (*_QUANTITIES, "chainId")}
    to = found["to"]
    data = found["data"]
    return {
        "type": 2,
        **texts,
        "to": to.lower() if isinstance(to, str) else "0x" + bytes(to).hex(),
        "data": data.lower() if isinstance(data, str) else "0x" + bytes(data).hex(),
    }


def _checked_message(message: object) -> str:
    if not isinstance(message, str) or not message or not is_encodable(message):
        raise SettingsError("message must be a text that is not empty.", field=MESSAGE)
    return message


def _checked_transaction(given: Mapping[str, Any]) -> dict[str, Any]:
    known = {*_QUANTITIES, "to", "data", "chainId", "type"}
    strange = [str(name) for name in given if name not in known]
    if strange:
        raise SettingsError(
            f"A transaction has no {listed(strange)} here.",
            field=TRANSACTION,
            hint=f"It has {', '.join(sorted(known))}: EIP-1559, without an access list.",
        )
    whole = {**_OPTIONAL, **given}
    missing = sorted(known - set(whole))
    if missing:
        raise SettingsError(f"The transaction lacks {listed(missing)}.", field=TRANSACTION)
    if _quantity(whole["type"], "type", _UINT_64) != "2":
        raise SettingsError("Only transactions of type 2 (EIP-1559) are signed.", field=TRANSACTION)
    if not is_address(whole["to"]):
        raise SettingsError(
            "The transaction's to must be 0x and 40 hex digits; contracts are not created.", field=TRANSACTION
        )
    data = whole["data"]
    if isinstance(data, bytes | bytearray):
        data = "0x" + data.hex()
    if not isinstance(data, str) or not _HEX_DATA.fullmatch(data):
        raise SettingsError(
            "The transaction's data must be 0x and hex digits, two a byte.", field=TRANSACTION
        )
    return {
        "type": 2,
        "chainId": _quantity(whole["chainId"], "chainId", _EXACT),
        **{name: _quantity(whole[name], name, most) for name, most in _QUANTITIES.items()},
        "to": whole["to"].lower(),
        "data": data.lower(),
    }


def _quantity(value: object, name: str, bound: int) -> str:
    """Return a whole number as a decimal text."""
    number = -1
    if isinstance(value, int) and not isinstance(value, bool):
        number = value
    elif isinstance(value, str) and _QUANTITY.fullmatch(value):
        number = int(value, 16 if value.startswith("0x") else 10)
    if not 0 <= number < bound:
        raise SettingsError(f"The transaction's {name} must be a whole number from 0.", field=TRANSACTION)
    return str(number)


def _checked_typed_data(given: Mapping[str, Any]) -> dict[str, Any]:
    if set(given) != _TYPED_DATA_KEYS:
        raise SettingsError(
            f"Typed data has exactly {', '.join(sorted(_TYPED_DATA_KEYS))}.", field=TYPED_DATA
        )
    try:
        document: dict[str, Any] = {key: _exact(given[key]) for key in sorted(_TYPED_DATA_KEYS)}
    except RecursionError:
        raise SettingsError("The typed data is nested too deeply.", field=TYPED_DATA) from None
    types, primary = document["types"], document["primaryType"]
    if not isinstance(types, dict) or not isinstance(primary, str) or primary not in types:
        raise SettingsError("types must be an object that has the primaryType.", field=TYPED_DATA)
    if not all(isinstance(document[name], dict) for name in ("domain", "message")):
        raise SettingsError("domain and message must be objects.", field=TYPED_DATA)
    if is_address(contract := document["domain"].get("verifyingContract")):
        document["domain"]["verifyingContract"] = contract.lower()
    from eth_account.messages import encode_typed_data  # noqa: PLC0415 - heavy

    try:
        encode_typed_data(full_message=document)
        signable = True
    except Exception:  # noqa: BLE001 - the library raises many kinds, and repeats the data in them
        signable = False
    if not signable:
        raise SettingsError(
            "The typed data does not fit its own types.",
            field=TYPED_DATA,
            hint="types must name every field of message and domain, EIP712Domain too, with EIP-712's types.",
        )
    return document


def _exact(value: Any) -> Any:  # noqa: ANN401 - JSON
    """Return a value with its whole numbers as decimal texts.

    Raises:
        SettingsError: Something else than objects, lists, texts, whole numbers, true, false.
    """
    if isinstance(value, bool) or (isinstance(value, str) and is_encodable(value)):
        return value
    if isinstance(value, int) and abs(value) < _UINT_256:
        return str(value)
    if isinstance(value, Mapping) and all(isinstance(key, str) and is_encodable(key) for key in value):
        return {key: _exact(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_exact(each) for each in value]
    raise SettingsError(
        "Typed data consists of objects, lists, texts, whole numbers, true and false.", field=TYPED_DATA
    )

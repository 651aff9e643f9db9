"""Builds requests to a gate from nothing but keys and choices: containers, delegations, sessions.

Shares no code with the package, so that the gate is tested against the specification and not against our client.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from hashlib import sha256
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from eth_account import Account
from eth_account.messages import encode_defunct

from tests.gate.engine import NOW_MS, SUITE

Json = Any

ACTION_SECRET = "b6f4935722e5dae3430a589eab68a9d25a8e4f32178f0063b1f60be54c71943e"
GATE_KEY = "9c3c9f844681a2cf705e7b19d6a7cb2e2a7e1c567094285ba5ef398eda015156"
REPLY_SECRET = X25519PrivateKey.from_private_bytes(sha256(b"reply").digest())
WALLET = Account.from_key(sha256(b"wallet").digest())
STRANGER = Account.from_key(sha256(b"stranger").digest())
PLAINTEXT = b"attack at dawn"
PREFIX = "lit-accesscontrolcondition"
RECAP_SENTENCE = "I further authorize the stated URI to perform the following actions on my behalf:"


def compact(value: Json) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def canonical(value: Json) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False, sort_keys=True)


def instant(offset_ms: int = 0) -> str:
    """RFC 3339 of the tests' present time plus an offset."""
    moment = datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=NOW_MS + offset_ms)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03}Z"


def is_wallet(address: str = WALLET.address, **changes: Json) -> dict[str, Json]:
    """A basic condition that compares the user's address."""
    condition = {
        "contractAddress": "",
        "chain": "ethereum",
        "standardContractType": "",
        "method": "",
        "parameters": [":userAddress"],
        "returnValueTest": {"comparator": "=", "value": address},
    }
    return condition | changes


# ---- container


@dataclass(frozen=True)
class Container:
    """What was sealed, and under which conditions.

    Attributes:
        hashed: The canonical conditions where they differ from ``conditions``.
        label: First line of the info text.
        rpc_text: Its last line, where it is not the sorted JSON of ``rpc``.
    """

    conditions: Json = field(default_factory=lambda: [is_wallet()])
    field_name: str = "accessControlConditions"
    hashed: Json = None
    rpc: Json = None
    plaintext: bytes = PLAINTEXT
    label: str = "lit_airflow gate 1"
    rpc_text: str | None = None

    @property
    def data_hash(self) -> str:
        return sha256(self.plaintext).hexdigest()

    @property
    def id(self) -> str:
        listed = self.conditions if self.hashed is None else self.hashed
        return f"{sha256(compact(listed).encode()).hexdigest()}/{self.data_hash}"

    def body(self, gate_key: str = GATE_KEY) -> dict[str, Json]:
        """The request's part that names the container."""
        rpc_text = canonical(self.rpc or {}) if self.rpc_text is None else self.rpc_text
        info = f"{self.label}\n{PREFIX}://{self.id}\n{rpc_text}".encode()
        key = X25519PublicKey.from_public_bytes(bytes.fromhex(gate_key))
        body = {
            self.field_name: self.conditions,
            "chain": "ethereum",
            "dataToEncryptHash": self.data_hash,
            "ciphertext": base64.b64encode(SUITE.encrypt(self.plaintext, key, info)).decode(),
        }
        return body | ({} if self.rpc is None else {"rpc": self.rpc})


# ---- delegation


def recap_text(recap: Json) -> str:
    return base64.urlsafe_b64encode(canonical(recap).encode()).decode().rstrip("=")


def recap_statement(att: Mapping[str, Mapping[str, Json]]) -> str:
    parts = []
    for resource in sorted(att):
        spaces: dict[str, list[str]] = {}
        for ability in sorted(att[resource]):
            space, name = ability.split("/")
            spaces.setdefault(space, []).append(name)
        for space in sorted(spaces):
            names = ", ".join(f"'{name}'" for name in spaces[space])
            parts.append(f"({len(parts) + 1}) '{space}': {names} for '{resource}'.")
    return " ".join([RECAP_SENTENCE, *parts])


GRANT_ALL = {f"{PREFIX}://*": {"Threshold/Decryption": [{}]}}


_session_key = cache(Ed25519PrivateKey.from_private_bytes)


@cache
def _wallet_signature(key: bytes, text: str) -> str:
    """EIP-191, deterministic; signing takes milliseconds, and most requests carry the same delegation."""
    return "0x" + Account.sign_message(encode_defunct(text=text), key).signature.hex().removeprefix("0x")


@dataclass(frozen=True)
class Delegation:
    """A sign-in message by parts; ``None`` leaves a line out, ``text`` replaces the whole message."""

    att: Json = field(default_factory=lambda: GRANT_ALL)
    prf: Json = field(default_factory=list)
    wallet: Any = WALLET
    domain: str = "localhost"
    address: str | None = None
    statement: str | None = None
    uri: str | None = None
    version: str = "1"
    chain_id: str = "1"
    nonce: str = "0123456789abcdef"
    issued_at: str = instant()
    expiration: str | None = instant(24 * 3600 * 1000)
    not_before: str | None = None
    request_id: str | None = None
    resources: Sequence[str] = ()
    recap: str | None = None
    text: str | None = None
    signed: Mapping[str, Json] = field(default_factory=dict)

    def message(self, session_key: str) -> str:
        if self.text is not None:
            return self.text
        statement = self.statement
        if statement is None:
            statement = f"Shown to the user. {recap_statement(self.att)}"
        recap = self.recap if self.recap is not None else recap_text({"att": self.att, "prf": self.prf})
        lines = [
            f"{self.domain} wants you to sign in with your Ethereum account:",
            self.wallet.address if self.address is None else self.address,
            "",
            *([statement] if statement else []),
            "",
            f"URI: {f'lit:session:{session_key}' if self.uri is None else self.uri}",
            f"Version: {self.version}",
            f"Chain ID: {self.chain_id}",
            f"Nonce: {self.nonce}",
            f"Issued At: {self.issued_at}",
            *([] if self.expiration is None else [f"Expiration Time: {self.expiration}"]),
            *([] if self.not_before is None else [f"Not Before: {self.not_before}"]),
            *([] if self.request_id is None else [f"Request ID: {self.request_id}"]),
            "Resources:",
            *(f"- {resource}" for resource in self.resources),
            f"- urn:recap:{recap}",
        ]
        return "\n".join(lines)

    def sign(self, session_key: str) -> dict[str, Json]:
        text = self.message(session_key)
        auth_sig = {
            "sig": _wallet_signature(bytes(self.wallet.key), text),
            "derivedVia": "web3.eth.personal.sign",
            "signedMessage": text,
            "address": self.wallet.address,
        }
        return auth_sig | dict(self.signed)


# ---- session


def request_for(resource: str = "*", **changes: Json) -> dict[str, Json]:
    entry = {
        "resource": {"resource": resource, "resourcePrefix": PREFIX},
        "ability": "access-control-condition-decryption",
    }
    return entry | changes


@dataclass(frozen=True)
class Session:
    """A session signature by parts.

    Attributes:
        changes: Members of the signed JSON to replace; ``None`` leaves one out.
        signed: Members of the signature object to replace; ``None`` leaves one out.
        text: The signed text, if it is not the JSON of the parts.
    """

    delegations: Sequence[Delegation] = (Delegation(),)
    requests: Sequence[Json] = (request_for(),)
    seed: bytes = sha256(b"session").digest()
    issued_at: str = instant()
    expiration: str = instant(3600 * 1000)
    audience: str = f"lit:gate:{GATE_KEY}"
    reply_key: str = REPLY_SECRET.public_key().public_bytes_raw().hex()
    changes: Mapping[str, Json] = field(default_factory=dict)
    signed: Mapping[str, Json] = field(default_factory=dict)
    text: str | None = None

    @property
    def key(self) -> str:
        return _session_key(self.seed).public_key().public_bytes_raw().hex()

    def message(self) -> str:
        if self.text is not None:
            return self.text
        members = {
            "sessionKey": self.key,
            "resourceAbilityRequests": list(self.requests),
            "capabilities": [delegation.sign(self.key) for delegation in self.delegations],
            "issuedAt": self.issued_at,
            "expiration": self.expiration,
            "nodeAddress": self.audience,
            "replyKey": self.reply_key,
        } | dict(self.changes)
        return compact({name: value for name, value in members.items() if value is not None})

    def sign(self) -> dict[str, Json]:
        text = self.message()
        auth_sig = {
            "sig": _session_key(self.seed).sign(text.encode()).hex(),
            "derivedVia": "litSessionSignViaNacl",
            "signedMessage": text,
            "address": self.key,
            "algo": "ed25519",
        } | dict(self.signed)
        return {name: value for name, value in auth_sig.items() if value is not None}

    def with_delegation(self, **parts: Json) -> Session:
        return replace(self, delegations=(Delegation(**parts),))

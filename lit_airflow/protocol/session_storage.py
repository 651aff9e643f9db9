"""Storage for a session key and the wallets' signatures between calls, in any mapping from text to text.

The formats are those of the SDK, so that a store can be shared with it. The SDK has one slot for "the last
signature", and returns it for every wallet. Here each network and wallet has its own slot. Unreadable entries
count as absent.

Protect the store like the wallet's key: everyone who can read it can use the sessions.

Source: docs/protocol/storage.md.
"""

from __future__ import annotations

import json
from collections.abc import MutableMapping
from dataclasses import dataclass, field

from lit_airflow.errors import SessionError
from lit_airflow.json_input import parse_object
from lit_airflow.keys.secret import NotPicklable
from lit_airflow.protocol.auth_sig import AuthSig
from lit_airflow.protocol.session import SessionKey

SESSION_KEY = "lit-session-key"
WALLET_SIG = "lit-wallet-sig"


@dataclass(frozen=True, slots=True)
class SessionStorage(NotPicklable):
    """A store with typed entries.

    Attributes:
        store: A dict, a ``shelve``, or another mutable mapping.
    """

    store: MutableMapping[str, str] = field(repr=False)

    def session_key(self) -> SessionKey:
        """Return the stored key; if it is absent or unreadable, store a new one and return it."""
        try:
            return SessionKey.from_hex(parse_object(self.store[SESSION_KEY])["secretKey"])
        except (KeyError, ValueError, TypeError, AttributeError, SessionError):
            key = SessionKey.generate()
        self.store[SESSION_KEY] = _key_pair(key)
        return key

    def auth_sig(self, network: str, wallet: str) -> AuthSig | None:
        """Return the last signature of a wallet on a network; ``None`` if it is absent or unreadable."""
        try:
            return AuthSig.from_json(parse_object(self.store[_slot(network, wallet)]))
        except (KeyError, ValueError, TypeError, AttributeError, SessionError):
            return None

    def keep(self, network: str, wallet: str, auth_sig: AuthSig) -> None:
        """Store a signature, replacing the previous one of the wallet on the network."""
        self.store[_slot(network, wallet)] = json.dumps(auth_sig.to_json())

    def clear(self) -> None:
        """Delete the session key and all signatures, but no other entries of the store."""
        for name in [name for name in self.store if name == SESSION_KEY or name.startswith(WALLET_SIG)]:
            del self.store[name]


def _key_pair(key: SessionKey) -> str:
    pair = {"publicKey": key.public_key, "secretKey": key.seed.reveal().hex() + key.public_key}
    return json.dumps(pair)


def _slot(network: str, wallet: str) -> str:
    return f"{WALLET_SIG}/{network}/{wallet.lower()}"

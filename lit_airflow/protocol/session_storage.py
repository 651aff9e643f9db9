"""Keeping a session key and the wallet's signatures between calls, in any mapping from text to text.

The formats are the SDK's, so a store can be shared with it. Its single slot for "the last signature" is not:
there a call for another wallet is handed the first wallet's signature. Here each network and wallet has a slot
of its own, and what cannot be read counts as absent.

Whoever can read the store can use the sessions: keep it where you would keep the wallet's key.

Source: docs/protocol/storage.md.
"""

from __future__ import annotations

import json
from collections.abc import MutableMapping
from dataclasses import dataclass, field

from lit_airflow.errors import SessionError
from lit_airflow.protocol.auth_sig import AuthSig
from lit_airflow.protocol.session import SessionKey

SESSION_KEY = "lit-session-key"
WALLET_SIG = "lit-wallet-sig"


@dataclass(frozen=True, slots=True)
class SessionStorage:
    """A store as a client sees it.

    Attributes:
        store: A dict, a ``shelve``, or anything of that shape.
    """

    store: MutableMapping[str, str] = field(repr=False)

    def session_key(self) -> SessionKey:
        """The key held; a new one, which is then held, where there is none or it is unreadable."""
        try:
            return SessionKey.from_hex(json.loads(self.store[SESSION_KEY])["secretKey"])
        except (KeyError, ValueError, TypeError, SessionError):
            key = SessionKey.generate()
            pair = {"publicKey": key.public_key, "secretKey": key.seed.reveal().hex() + key.public_key}
            self.store[SESSION_KEY] = json.dumps(pair)
            return key

    def auth_sig(self, network: str, wallet: str) -> AuthSig | None:
        """The last signature of this wallet on this network, if there is a readable one."""
        try:
            return AuthSig.from_json(json.loads(self.store[_slot(network, wallet)]))
        except (KeyError, ValueError, TypeError, AttributeError, SessionError):
            return None

    def keep(self, network: str, wallet: str, auth_sig: AuthSig) -> None:
        """Hold a signature, in place of an earlier one."""
        self.store[_slot(network, wallet)] = json.dumps(auth_sig.to_json())

    def clear(self) -> None:
        """Forget the session key and every signature; other entries of the store stay."""
        for name in [name for name in self.store if name == SESSION_KEY or name.startswith(WALLET_SIG)]:
            del self.store[name]


def _slot(network: str, wallet: str) -> str:
    return f"{WALLET_SIG}/{network}/{wallet.lower()}"

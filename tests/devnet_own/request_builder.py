"""A valid request for a share, and the same request with one change in one of its layers.

From the inside out: the wallet's message, its capability, the session's text, the session signature, the body.
The layers around a change are made again from it, so that a request is wrong in one place only.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

from tests.devnet_own.wire_client import Json, WireClient, compact, iso

GONE = object()
"""Instead of a value: removes the key."""
PREFIX = "lit-accesscontrolcondition"


def changed(original: Json, changes: Json) -> Json:
    """Return a copy with other values; a function makes the new value from the old one."""
    made = {**original}
    for key, value in changes.items():
        made[key] = value(original.get(key)) if callable(value) else value
    return {key: value for key, value in made.items() if value is not GONE}


@dataclass(frozen=True)
class RequestBuilder:
    """Builds request bodies for one node at one time.

    Attributes:
        client: The wallet and the session key.
        url: The URL of the node.
        now: The time of the request.
        delegations: Capabilities before the wallet's own.
    """

    client: WireClient
    url: str
    now: datetime
    delegations: tuple[Json, ...] = ()

    @classmethod
    def at(cls, url: str, *delegations: Json) -> RequestBuilder:
        return cls(WireClient(), url, datetime.now(UTC), delegations)

    @property
    def data_hash(self) -> str:
        return sha256(b"data").hexdigest()

    @property
    def resource(self) -> str:
        """The id of the one item; no request contains a wildcard."""
        conditions = compact([self.client.condition()])
        return f"{sha256(conditions.encode()).hexdigest()}/{self.data_hash}"

    def later(self, **duration: float) -> datetime:
        return self.now + timedelta(**duration)

    def good(self) -> Json:
        return self.body()

    def sign_in(self, **changes: Any) -> Json:  # noqa: ANN401 - what ``WireClient.sign_in`` takes
        return self.client.sign_in(self.now, **{"resource": self.resource, **changes})

    def message(self, **changes: Any) -> Json:  # noqa: ANN401 - the same
        """Return a body with another sign-in message."""
        return self.session(capabilities=[*self.delegations, self.sign_in(**changes)])

    def capability(self, **changes: object) -> Json:
        """Return a body with a change to the wallet's authSig."""
        return self.session(capabilities=[*self.delegations, changed(self.sign_in(), changes)])

    def session(self, **changes: object) -> Json:
        """Return a body with another session text."""
        return self.auth_sig_of(changed(self._session(), changes))

    def auth_sig(self, **changes: object) -> Json:
        """Return a body with a change to the session's authSig."""
        return self.body(authSig=changed(self.client.sign_session(self._session()), changes))

    def auth_sig_of(self, session: Json) -> Json:
        return self.body(authSig=self.client.sign_session(session))

    def body(self, **changes: object) -> Json:
        """Return a body with a change."""
        body = {
            "accessControlConditions": [self.client.condition()],
            "dataToEncryptHash": self.data_hash,
            "chain": "ethereum",
            "epoch": 1,
        }
        if "authSig" not in changes:
            body["authSig"] = self.client.sign_session(self._session())
        return changed(body, changes)

    def _session(self) -> Json:
        return {
            "sessionKey": self.client.public,
            "resourceAbilityRequests": [
                {
                    "resource": {"resource": self.resource, "resourcePrefix": PREFIX},
                    "ability": "access-control-condition-decryption",
                }
            ],
            "capabilities": [*self.delegations, self.sign_in()],
            "issuedAt": iso(self.now),
            "expiration": iso(self.later(minutes=10)),
            "nodeAddress": self.url,
        }

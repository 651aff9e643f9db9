"""A request for a share that is served, and the same with something changed in one of its layers.

From the inside out: the wallet's message, the capability it makes, the session's text, the session signature,
the body. What lies outside a change is made anew and fits it: so a request is wrong in one place only.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

from tests.devnet_own.visitor import Json, Visitor, compact, iso

GONE = object()
"""In place of a value: leave the key out."""
PREFIX = "lit-accesscontrolcondition"


def changed(original: Json, changes: Json) -> Json:
    """A copy with other values; a function makes the new one of the old."""
    made = {**original}
    for key, value in changes.items():
        made[key] = value(original.get(key)) if callable(value) else value
    return {key: value for key, value in made.items() if value is not GONE}


@dataclass(frozen=True)
class Draft:
    """Who asks which node when, for what; every method makes a whole body.

    Attributes:
        visitor: The wallet and the session key.
        url: The node.
        now: When.
        lent: Capabilities that come before the wallet's own.
    """

    visitor: Visitor
    url: str
    now: datetime
    lent: tuple[Json, ...] = ()

    @classmethod
    def at(cls, url: str, *lent: Json) -> Draft:
        return cls(Visitor(), url, datetime.now(UTC), lent)

    @property
    def data_hash(self) -> str:
        return sha256(b"data").hexdigest()

    @property
    def resource(self) -> str:
        """The very item; nothing in here is a wildcard."""
        conditions = compact([self.visitor.condition()])
        return f"{sha256(conditions.encode()).hexdigest()}/{self.data_hash}"

    def later(self, **duration: float) -> datetime:
        return self.now + timedelta(**duration)

    def good(self) -> Json:
        return self.body()

    def sign_in(self, **changes: Any) -> Json:  # noqa: ANN401 - what ``Visitor.sign_in`` takes
        return self.visitor.sign_in(self.now, **{"resource": self.resource, **changes})

    def message(self, **changes: Any) -> Json:  # noqa: ANN401 - the same
        """The wallet signs another message."""
        return self.session(capabilities=[*self.lent, self.sign_in(**changes)])

    def capability(self, **changes: object) -> Json:
        """The wallet's signature is changed, or what stands beside it."""
        return self.session(capabilities=[*self.lent, changed(self.sign_in(), changes)])

    def session(self, **changes: object) -> Json:
        """The session key signs another text."""
        return self.auth_sig_of(changed(self._session(), changes))

    def auth_sig(self, **changes: object) -> Json:
        """The session's signature is changed, or what stands beside it."""
        return self.body(authSig=changed(self.visitor.sign_session(self._session()), changes))

    def auth_sig_of(self, session: Json) -> Json:
        return self.body(authSig=self.visitor.sign_session(session))

    def body(self, **changes: object) -> Json:
        """The body is changed."""
        body = {
            "accessControlConditions": [self.visitor.condition()],
            "dataToEncryptHash": self.data_hash,
            "chain": "ethereum",
            "epoch": 1,
        }
        if "authSig" not in changes:
            body["authSig"] = self.visitor.sign_session(self._session())
        return changed(body, changes)

    def _session(self) -> Json:
        return {
            "sessionKey": self.visitor.public,
            "resourceAbilityRequests": [
                {
                    "resource": {"resource": self.resource, "resourcePrefix": PREFIX},
                    "ability": "access-control-condition-decryption",
                }
            ],
            "capabilities": [*self.lent, self.sign_in()],
            "issuedAt": iso(self.now),
            "expiration": iso(self.later(minutes=10)),
            "nodeAddress": self.url,
        }

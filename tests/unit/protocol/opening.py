"""A session that nobody was asked for, for tests."""

from __future__ import annotations

from datetime import UTC, datetime

from lit_airflow.protocol.scope import Scope
from lit_airflow.protocol.session import Session, SessionKey, earliest_end
from lit_airflow.protocol.session_signature import session_signature

KEY = SessionKey.from_hex("07" * 32)
NODE = "http://127.0.0.1:7470"
SCOPE = Scope.to_decrypt("*")
TIMES = ("2025-01-15T12:00:00.000Z", "2025-01-15T13:00:00.000Z")
END = datetime(2025, 1, 15, 13, tzinfo=UTC)


def capability(expiration: str = "2025-01-15T13:00:00.000Z") -> dict[str, str]:
    return {
        "sig": "0x12",
        "derivedVia": "web3.eth.personal.sign",
        "signedMessage": f"localhost wants\n\nIssued At: x\nExpiration Time: {expiration}\nResources:",
        "address": "0x19E7E376E7C213B7E7e7e46cc70A5dD086DAff2A",
    }


def opened(expiration: str = "2025-01-15T13:00:00.000Z") -> Session:
    capabilities = (capability(expiration),)
    sigs = {NODE: session_signature(KEY, SCOPE, capabilities, TIMES, NODE)}
    return Session(
        network="custom",
        wallet=capabilities[0]["address"],
        public_key=KEY.public_key,
        scope=SCOPE,
        issued_at=TIMES[0],
        expiration=TIMES[1],
        expires_at=earliest_end(TIMES[1], capabilities),
        capabilities=capabilities,
        session_sigs=sigs,
        key=KEY,
    )

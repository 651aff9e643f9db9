"""The order of the checks: where two are violated, the earlier one's code is the answer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from tests.gate.building import PREFIX, STRANGER, Container, Delegation, Json, Session, instant, is_wallet
from tests.gate.rules.cases import (
    BAD_INPUT,
    CIPHERTEXT,
    NO_AUTH_SIG,
    NO_CAPABILITY,
    NOT_MET,
    NOT_THE_SESSION,
    Case,
    decrypt,
)

DAY_MS = 24 * 3600 * 1000
# How many later checks are tried with each.
REACH = 4


@dataclass(frozen=True)
class Violation:
    """One violated check: what is different about the session, its signature object, the container, the request."""

    code: str
    session: Mapping[str, Json] = field(default_factory=dict)
    signed: Mapping[str, Json] = field(default_factory=dict)
    container: Mapping[str, Json] = field(default_factory=dict)
    request: Mapping[str, Json] = field(default_factory=dict)


ELSEWHERE = Delegation(att={f"{PREFIX}://x": {"*/*": [{}]}})
IN_ORDER = [
    Violation(NO_AUTH_SIG, signed={"x": 1}),
    Violation("NodeCannotProvideAuthSigForEndpoint", signed={"algo": "x"}),
    Violation("NodeAuthSigAddressConversionError", signed={"address": "x"}),
    Violation("NodeAuthSigSignatureConversionError", signed={"sig": "x"}),
    Violation("NodeInvalidAuthSigSessionKeySignature", signed={"sig": "58" + "66" * 31 + "00" * 32}),
    Violation(NOT_THE_SESSION, session={"reply_key": "x"}),
    Violation("NodeParserError", session={"issued_at": "x"}),
    Violation("NodeIatOutsideGracePeriod", session={"issued_at": instant(61_000)}),
    Violation("NodeExpWrongOrTooLarge", session={"expiration": instant(-DAY_MS)}),
    Violation("NodeSIWEMessageError", session={"expiration": instant(31 * DAY_MS)}),
    Violation("NodeNotAuthorized", session={"audience": "x"}),
    Violation(NO_CAPABILITY, session={"delegations": ()}),
    Violation("NodeMissingAccessControlConditions", request={"accessControlConditions": ...}),
    Violation(BAD_INPUT, request={"dataToEncryptHash": "x"}),
    Violation("NodeResourceIdNotFound", session={"requests": ()}),
    Violation(NO_CAPABILITY, session={"delegations": (ELSEWHERE,)}),
    Violation(NOT_MET, container={"conditions": [is_wallet(STRANGER.address)]}),
    Violation(CIPHERTEXT, container={"label": "x"}),
    Violation("NodeSystemFault", session={"reply_key": "00" * 32}),
]


def cases() -> Iterator[Case]:
    for place, first in enumerate(IN_ORDER):
        yield _violating(first)
        for second in IN_ORDER[place + 1 : place + 1 + REACH]:
            if _can_be_joined(first, second):
                yield _violating(first, second)


def _can_be_joined(first: Violation, second: Violation) -> bool:
    parts = ("session", "signed", "container", "request")
    return not any(set(getattr(first, part)) & set(getattr(second, part)) for part in parts)


def _violating(first: Violation, second: Violation | None = None) -> Case:
    other = second or first
    session = Session(**{**first.session, **other.session}, signed={**first.signed, **other.signed})
    container = Container(**{**first.container, **other.container})
    name = f"{first.code} before {other.code} ({IN_ORDER.index(first)}, {IN_ORDER.index(other)})"
    return decrypt(
        name, first.code, container=container, session=session, **{**first.request, **other.request}
    )

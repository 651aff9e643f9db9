"""Times: how they are written, and the limits of a session."""

from __future__ import annotations

from collections.abc import Iterator

from tests.gate.building import GATE_KEY, Container, Session, instant
from tests.gate.rules.cases import DAY_MS, NO_CAPABILITY, OPENS, Case, case, decrypt

BAD_TIMES = (
    "",
    "now",
    "2026-11-27",
    "2026-11-27T12:00:00",
    "2026-11-27T12:00:00z",
    "2026-11-27t12:00:00Z",
    "2026-11-27 12:00:00Z",
    "2026-11-27T12:00Z",
    " 2026-11-27T12:00:00Z",
    "2026-11-27T12:00:00Z ",
    "2026-11-27T12:00:00Z\n",
    "x2026-11-27T12:00:00Z",
    "+002026-11-27T12:00:00Z",
    "2026-11-27T12:00:00.Z",
    "2026-11-27T12:00:00,5Z",
    "2026-11-27T12:00:00.1234567890Z",
    "2026-00-27T12:00:00Z",
    "2026-13-27T12:00:00Z",
    "2026-11-00T12:00:00Z",
    "2026-11-31T12:00:00Z",
    "2026-02-29T12:00:00Z",
    "2026-11-27T24:00:00Z",
    "2026-11-27T12:60:00Z",
    "2026-11-27T12:00:60Z",
    "2026-11-27T12:00:00+24:00",
    "2026-11-27T12:00:00+00:60",
    "2026-11-27T12:00:00+0000",
    "2026-11-27T12:00:00+00",
    "2026-1-27T12:00:00Z",
    "\uff12026-11-27T12:00:00Z",
)
# All are 2026-11-27T12:00:00.250Z or a little earlier.
GOOD_TIMES = (
    "2026-11-27T12:00:00Z",
    "2026-11-27T12:00:00.2Z",
    "2026-11-27T12:00:00.25Z",
    "2026-11-27T12:00:00.250Z",
    "2026-11-27T12:00:00.250999999Z",
    "2026-11-27T12:00:00+00:00",
    "2026-11-27T12:00:00-00:00",
    "2026-11-28T11:59:00+23:59",
    "2026-11-26T12:01:00-23:59",
    "2026-11-27T13:30:00+01:30",
    "2026-11-27T10:30:00-01:30",
)

# Whether a delegation until then is valid at 2026-11-27T12:00:00.250Z.
EXPIRATIONS = {
    "2026-11-27T12:00:00.3Z": True,
    "2026-11-27T12:00:00.25Z": True,
    "2026-11-27T12:00:00.250999999Z": True,
    "2026-11-27T12:00:00.2Z": False,
    "2026-11-27T12:00:00.249999999Z": False,
    "2026-11-27T12:00:00Z": False,
    "2026-11-27T13:30:00.250+01:30": True,
    "2026-11-27T13:30:00.249+01:30": False,
    "2026-11-27T10:30:00.250-01:30": True,
    "2026-11-27T10:30:00.249-01:30": False,
    "2026-11-28T11:59:00.250+23:59": True,
    "2026-11-28T11:59:00.249+23:59": False,
    "2026-11-26T12:01:00.250-23:59": True,
    "2026-11-26T12:01:00.249-23:59": False,
    "2026-11-27T23:59:59.999Z": True,
}


def cases() -> Iterator[Case]:
    parser = "NodeParserError"
    for time in BAD_TIMES:
        yield decrypt(f"issuedAt {time!r}", parser, session=Session(issued_at=time))
        if time != "2026-11-27T12:00:00Z\n":
            delegated = Session().with_delegation(issued_at=time)
            yield decrypt(f"delegation issued {time!r}", NO_CAPABILITY, session=delegated)
    for time in BAD_TIMES[:3]:
        yield decrypt(f"expiration {time!r}", parser, session=Session(expiration=time))
    for time, in_time in EXPIRATIONS.items():
        delegated = Session().with_delegation(issued_at="2026-11-26T23:59:59Z", expiration=time)
        yield decrypt(f"delegation until {time}", OPENS if in_time else NO_CAPABILITY, session=delegated)
    for time in GOOD_TIMES:
        yield decrypt(f"issued {time}", session=Session(issued_at=time).with_delegation(issued_at=time))
    leap = case("29 February", None, OPENS, now=1_709_208_000_000)
    session = Session(issued_at="2024-02-29T12:00:00Z", expiration="2024-02-29T13:00:00Z")
    session = session.with_delegation(issued_at="2024-02-29T00:00:00Z", expiration="2024-03-01T00:00:00Z")
    yield leap | {"params": {**Container().body(), "authSig": session.sign()}}
    yield decrypt(
        "issued in the year 99", "NodeSIWEMessageError", session=Session(issued_at="0099-11-27T12:00:00Z")
    )
    yield from _session_limits()


def _session_limits() -> Iterator[Case]:
    late, wrong, long = "NodeIatOutsideGracePeriod", "NodeExpWrongOrTooLarge", "NodeSIWEMessageError"
    # The present is at 250 ms of its second; only whole seconds count.
    for name, issued, expires, expected in (
        ("issued in 60.749 s", 60_749, 100_000, OPENS),
        ("issued in 60.750 s", 60_750, 100_000, late),
        ("expired 60.250 s ago", -90_000, -60_250, OPENS),
        ("expired 60.251 s ago", -90_000, -60_251, wrong),
        ("expires when issued", 0, 0, OPENS),
        ("expires in the second in which it is issued", 700, 0, OPENS),
        ("expires a second before it is issued", 1000, 0, wrong),
        ("lasts 30 days and 999 ms", -250, 30 * DAY_MS + 749, OPENS),
        ("lasts 30 days and 1 s", -250, 30 * DAY_MS + 750, long),
        ("began 30 days ago", -30 * DAY_MS, 0, OPENS),
    ):
        yield decrypt(name, expected, session=Session(issued_at=instant(issued), expiration=instant(expires)))
    for audience in (
        f"lit:gate:{GATE_KEY.upper()}",
        f" lit:gate:{GATE_KEY}",
        GATE_KEY,
        "",
        f"lit:gate:{'0' * 64}",
    ):
        yield decrypt(f"audience {audience[:12]!r}", "NodeNotAuthorized", session=Session(audience=audience))

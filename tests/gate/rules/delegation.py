"""The wallet's sign-in message, its signature, and which of several delegations counts."""

from __future__ import annotations

from collections.abc import Iterator

from tests.gate.building import (
    GRANT_ALL,
    PREFIX,
    RECAP_SENTENCE,
    STRANGER,
    Container,
    Delegation,
    Json,
    Session,
    instant,
    recap_statement,
)
from tests.gate.rules.cases import DAY_MS, NO_CAPABILITY, NOT_MET, OPENS, USER, Case, decrypt, stated


def cases() -> Iterator[Case]:
    good: list[tuple[str, dict[str, Json]]] = [
        ("domain with a port", {"domain": "[::1]:8443"}),
        ("statement with all characters", {"statement": stated("aZ09 -._~:/?#[]@!$&'()*+,;=")}),
        ("statement without a blank before the ReCap's", {"statement": "x" + recap_statement(GRANT_ALL)}),
        ("statement of the ReCap alone", {"statement": recap_statement(GRANT_ALL)}),
        ("chain id of many digits", {"chain_id": "0123456789"}),
        ("nonce of 8", {"nonce": "aZ09aZ09"}),
        ("not before a millisecond ago", {"not_before": instant(-1)}),
        ("request id", {"request_id": "any-thing/%?é".replace("é", "e")}),
        ("empty request id", {"request_id": ""}),
        ("not before and request id", {"not_before": instant(-1), "request_id": "1"}),
        ("other resources before the ReCap", {"resources": ["https://a.example/x", "AZz+.-9:", "b:@"]}),
        ("expires now", {"expiration": instant()}),
        ("issued in 60 s", {"issued_at": instant(60_000)}),
        ("lasts 30 days", {"issued_at": instant(), "expiration": instant(30 * DAY_MS)}),
        ("lasts 30 days, issued early", {"issued_at": instant(-DAY_MS), "expiration": instant(29 * DAY_MS)}),
        ("address in lower case", {"signed": {"address": USER.lower()}}),
    ]
    for name, parts in good:
        yield decrypt(f"delegation: {name}", session=Session().with_delegation(**parts))
    for name, parts in (*_bad_texts(), *_bad_fields()):
        yield decrypt(f"delegation: {name}", NO_CAPABILITY, session=Session().with_delegation(**parts))
    yield from _delegation_signatures()
    yield from _delegation_order()


def _bad_texts() -> Iterator[tuple[str, dict[str, Json]]]:
    session_key = Session().key
    text = Delegation().message(session_key)
    for domain in ("", "a b", "a/b", "a?b", "a#b", "a\nb"):
        yield f"domain {domain!r}", {"domain": domain}
    for old, new in (
        (" wants you to sign in", " wants you to sign  in"),
        ("account:\n", "account:\n\n"),
        ("\n\nShown", "\nShown"),
        ("\n\nURI", "\nURI"),
        ("\n\nURI", "\n\n\nURI"),
        ("\nVersion: 1", ""),
        ("\nVersion: 1", "\nVersion:1"),
        ("\nChain ID: 1", ""),
        ("\nNonce: 0123456789abcdef", ""),
        (f"\nIssued At: {instant()}", ""),
        (f"\nExpiration Time: {instant(DAY_MS)}", ""),
        ("\nVersion: 1\nChain ID: 1", "\nChain ID: 1\nVersion: 1"),
        ("\nResources:", ""),
        ("\nResources:", "\nResources: "),
        ("\n- urn", "\n-urn"),
        ("\n- urn", "\nurn"),
        ("Shown", "\x1fShown"),
        ("Shown", "\x7fShown"),
        ("Shown", "\u00e9"),
        ("localhost", "\u00e9"),
        ("localhost", "\tlocalhost"),
    ):
        assert old in text
        yield f"text with {new[:20]!r} for {old[:20]!r}", {"text": text.replace(old, new, 1)}
    yield "text begins with a line feed", {"text": "\n" + text}
    yield "text begins with a BOM", {"text": "\ufeff" + text}
    yield "text ends with a line feed", {"text": text + "\n"}
    yield "text ends with another line", {"text": text + "\n- https://a.example/"}
    yield "text twice", {"text": f"{text}\n{text}"}
    yield (
        "not before after request id",
        {"text": text.replace("Resources:", f"Request ID: 1\nNot Before: {instant(-1)}\nResources:")},
    )
    for statement in ('"', "\\", "%", "<", "{", "|", "^", "`"):
        yield f"statement with {statement}", {"statement": stated(statement)}


def _bad_fields() -> Iterator[tuple[str, dict[str, Json]]]:
    session_key = Session().key
    yield "no statement", {"statement": ""}
    yield "ReCap's statement in front", {"statement": recap_statement(GRANT_ALL) + " x"}
    yield "ReCap's statement cut", {"statement": recap_statement(GRANT_ALL)[1:]}
    yield "ReCap's sentence only", {"statement": RECAP_SENTENCE}
    for uri in (
        "",
        f"lit:session:{'0' * 64}",
        f"lit:session:{session_key} ",
        f"lit:session:{session_key.upper()}",
    ):
        yield f"URI {uri[:12]!r}…{uri[-2:]!r}", {"uri": uri}
    for version in ("", "2", "1 ", "11", "01"):
        yield f"version {version!r}", {"version": version}
    for chain_id in ("", "0x1", "1 ", "-1"):
        yield f"chain id {chain_id!r}", {"chain_id": chain_id}
    for nonce in ("", "1234567", "1234-5678", "12345678 "):
        yield f"nonce {nonce!r}", {"nonce": nonce}
    for request_id in ("a b", " "):
        yield f"request id {request_id!r}", {"request_id": request_id}
    for resource in ("", "x", ":x", "1a:x", "a_:x", "a:x y", "urn:recap:e30", " a:x", "a\u00e9:x"):
        yield f"resource {resource!r}", {"resources": [resource]}
    yield from {
        "issued in 60.001 s": {"issued_at": instant(60_001)},
        "expired a millisecond ago": {"issued_at": instant(-1000), "expiration": instant(-1)},
        "30 days and a millisecond": {"issued_at": instant(-1), "expiration": instant(30 * DAY_MS)},
        "not before now": {"not_before": instant()},
        "not before unreadable": {"not_before": "yesterday"},
        "empty not before": {"not_before": ""},
        "expiration unreadable": {"expiration": "tomorrow"},
    }.items()
    lower, upper = USER.lower(), "0x" + USER[2:].upper()
    for address in (
        lower,
        upper,
        USER[2:],
        USER + "0",
        USER[:-1],
        USER.replace("0x", "0X"),
        STRANGER.address,
        "",
    ):
        yield f"address {address[:8]} of {len(address)}", {"address": address}
    yield "address field another's", {"signed": {"address": STRANGER.address}}
    yield "address field without 0x", {"signed": {"address": USER[2:]}}


def _delegation_signatures() -> Iterator[Case]:
    sig = Delegation().sign(Session().key)["sig"]
    v = int(sig[-2:], 16)
    for name, value in {
        "without 0x": sig[2:],
        "in upper case": "0x" + sig[2:].upper(),
        "v of 0 or 1": sig[:-2] + f"{v - 27:02x}",
    }.items():
        yield decrypt(f"wallet signature {name}", session=Session().with_delegation(signed={"sig": value}))
    compact = int(sig[66:130], 16) | (v - 27) << 255
    for name, value in {
        "with 0X": "0X" + sig[2:],
        "cut": sig[:-2],
        "longer": sig + "00",
        "compact (EIP-2098)": sig[:66] + f"{compact:064x}",
        "v of 2": sig[:-2] + "02",
        "v of 1d": sig[:-2] + "1d",
        "v of 2f": sig[:-2] + f"{v + 20:02x}",
        "v of 37": sig[:-2] + "25",
        "with the other v": sig[:-2] + f"{55 - v:02x}",
        "altered": sig[:10] + ("0" if sig[10] != "0" else "1") + sig[11:],
        "not hex": "0x" + "g" * 130,
        "empty": "",
        "a PKP's": '{"ProofOfPossession":"00"}',
    }.items():
        yield decrypt(
            f"wallet signature {name}",
            NO_CAPABILITY,
            session=Session().with_delegation(signed={"sig": value}),
        )


def _delegation_order() -> Iterator[Case]:
    own = Delegation()
    stranger = Delegation(wallet=STRANGER)
    narrow = {f"{PREFIX}://{Container().id}": {"Threshold/Decryption": [{}]}}
    elsewhere = {f"{PREFIX}://x": {"Threshold/Decryption": [{}]}}
    for name, list_, expected in (
        ("own after a stranger's", (stranger, own), NOT_MET),
        ("own before a stranger's", (own, stranger), OPENS),
        ("own after an expired one", (Delegation(expiration=instant(-1)), own), OPENS),
        ("own after one for something else", (Delegation(wallet=STRANGER, att=elsewhere), own), OPENS),
        ("only one for something else", (Delegation(att=elsewhere),), NO_CAPABILITY),
        ("exact one", (Delegation(att=narrow),), OPENS),
        ("stranger's exact one first", (Delegation(wallet=STRANGER, att=narrow), own), NOT_MET),
        ("all expired", (Delegation(expiration=instant(-1)),) * 2, NO_CAPABILITY),
    ):
        yield decrypt(f"delegations: {name}", expected, session=Session(delegations=list_))

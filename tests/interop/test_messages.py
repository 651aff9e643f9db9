"""Sign-in messages: Lit's siwe and siwe-recap read and verify all of ours, and we read all of theirs."""

from __future__ import annotations

import string
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from lit_airflow import Wallet
from lit_airflow.clock import iso, now
from lit_airflow.errors import SiweError
from lit_airflow.keys.wallet import recover
from lit_airflow.protocol import siwe
from lit_airflow.protocol.recap import Recap
from lit_airflow.protocol.scope import PKP, RECAP_ABILITIES, Resource, ResourceAbility
from tests.interop import kinds
from tests.interop.sdk import RefusedError, Sdk

Json = dict[str, Any]
NONCE = "0x" + "5a" * 32
STATEMENT_SIGNS = "-._~:/?#[]@!$&'()*+,;="
# Each example asks the other process, so a failing one is shown as found: making it smaller takes minutes.
EVERY_EXAMPLE = settings(
    max_examples=30,
    deadline=None,
    derandomize=True,
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.too_slow],
)

statements = st.text(string.ascii_letters + string.digits + STATEMENT_SIGNS + " ", max_size=60)
ids = st.text(string.ascii_letters + string.digits + STATEMENT_SIGNS, max_size=40)
pkp_ids = st.one_of(st.just("*"), st.text(string.hexdigits, min_size=1, max_size=64).map("0x".__add__))
labels = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,10}[a-z0-9])?", fullmatch=True)
domains = st.one_of(
    st.sampled_from(
        ["localhost", "127.0.0.1:8080", "[::1]:8443", "xn--bcher-kva.example", "user@example.com"]
    ),
    st.tuples(labels, labels, st.one_of(st.just(""), st.integers(1, 65535).map(":{}".format))).map(
        lambda parts: f"{parts[0]}.{parts[1]}{parts[2]}"
    ),
)
uris = st.one_of(
    st.text("0123456789abcdef", min_size=64, max_size=64).map("lit:session:".__add__),
    st.sampled_from(
        ["lit:capability:delegation", "https://localhost/login", "https://example.com/a?b=c&d#e"]
    ),
)
# JavaScript moves keys that look like numbers to the front of an object, and siwe-recap then calls it unsorted.
names = st.text(st.characters(exclude_categories=["Cs"]), max_size=8).filter(lambda t: not t.isdecimal())
restrictions = st.dictionaries(
    names,
    st.recursive(
        st.one_of(st.none(), st.booleans(), st.integers(-(2**53) + 1, 2**53 - 1), names),
        lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(names, inner, max_size=3)),
        max_leaves=6,
    ),
    max_size=4,
)


@st.composite
def requests(draw: st.DrawFn) -> ResourceAbility:
    prefix, ability = draw(st.sampled_from(sorted(RECAP_ABILITIES)))
    resource_id = draw(pkp_ids if prefix == PKP else ids)
    data = draw(st.one_of(st.none(), restrictions))
    return ResourceAbility(Resource(prefix, resource_id), ability, data)


@st.composite
def terms(draw: st.DrawFn) -> Json:
    """What a caller chooses of a message, in our names."""
    return {
        "domain": draw(domains),
        "statement": draw(statements),
        "uri": draw(uris),
        "chain_id": draw(st.integers(1, 2**31)),
        "nonce": draw(st.from_regex(r"[A-Za-z0-9]{8,70}", fullmatch=True)),
        "expiration": iso(now() + timedelta(seconds=draw(st.integers(60, 10**9)))),
    }


def same(read_there: Json, read_here: siwe.SignIn) -> bool:
    """Whether both readers found the same."""
    return read_here == siwe.SignIn(
        domain=read_there["domain"],
        address=read_there["address"],
        statement=read_there.get("statement"),
        uri=read_there["uri"],
        chain_id=read_there["chainId"],
        nonce=read_there["nonce"],
        issued_at=read_there["issuedAt"],
        expiration_time=read_there.get("expirationTime"),
        not_before=read_there.get("notBefore"),
        request_id=read_there.get("requestId"),
        resources=tuple(read_there.get("resources") or ()),
    )


@EVERY_EXAMPLE
@given(chosen=terms(), asked=st.lists(requests(), min_size=1, max_size=5))
def test_they_read_and_verify_ours(
    sdk: Sdk, wallet: Wallet, chosen: Json, asked: list[ResourceAbility]
) -> None:
    written = siwe.sign_in(address=wallet.address, now=now(), requests=asked, **chosen)
    text = siwe.write(written)
    read = sdk.ask("readMessage", text=text, signature=wallet.sign(text))
    recap = Recap.of(asked)
    assert same(read, written)
    assert read["recap"] == {
        "attenuations": recap.attenuations,
        "proofs": [],
        "statement": recap.statement(),
        "urn": recap.urn(),
    }


@EVERY_EXAMPLE
@given(chosen=terms(), asked=st.lists(requests(), min_size=1, max_size=5))
def test_we_read_and_verify_theirs(
    sdk: Sdk, network: Json, chosen: Json, asked: list[ResourceAbility]
) -> None:
    chosen["chainId"] = chosen.pop("chain_id")
    theirs = sdk.ask(
        "writeMessage",
        network=network,
        privateKey=kinds.KEY,
        requests=[{"resource": r.resource.key, "ability": r.ability, "data": r.data} for r in asked],
        terms=chosen,
    )
    read_here = siwe.read(theirs["signedMessage"])
    read_there = sdk.ask("readMessage", text=theirs["signedMessage"], signature=theirs["sig"])
    recap = Recap.from_urn(read_here.resources[-1])
    assert same(read_there, read_here)
    assert recap.attenuations == read_there["recap"]["attenuations"]
    assert recap.statement() == read_there["recap"]["statement"]
    assert recap.urn() == read_here.resources[-1]
    assert recover(theirs["signedMessage"], theirs["sig"]) == theirs["address"] == kinds.ADDRESS
    # Given the same choices, we write the very same text.
    ours = siwe.sign_in(
        address=kinds.ADDRESS,
        now=datetime.fromisoformat(read_here.issued_at),
        requests=asked,
        chain_id=chosen.pop("chainId"),
        **chosen,
    )
    assert siwe.write(ours) == theirs["signedMessage"]


LATER = "2099-01-02T03:04:05.678Z"
FIELDS: dict[str, Json] = {
    "least": {},
    "statement": {"statement": "Hello, it's me: 100 times!"},
    "not before": {"notBefore": "2020-01-02T03:04:05.678Z", "expirationTime": LATER},
    "request id": {"requestId": "a1-b2"},
    "empty request id": {"requestId": ""},
    "all": {
        "statement": "Hi.",
        "expirationTime": LATER,
        "notBefore": "2020-01-02T00:00:00Z",
        "requestId": "7",
        "resources": [
            "https://example.com/a",
            "ipfs://bafybeiemxf5abjwjbikoz4mc3a3dla6ual3jsgpdr4cjr3oz3evfyavhwq",
        ],
    },
    "other zone": {"issuedAt": "2025-01-15T14:34:56+02:00", "expirationTime": "2099-03-02T00:00:00-11:30"},
    "no fractions": {"issuedAt": "2025-01-15T12:34:56Z"},
    "microseconds": {"issuedAt": "2025-01-15T12:34:56.123456Z"},
    "one resource": {"resources": ["urn:example:1"]},
}
_ATT = {"lit-accesscontrolcondition://*": {"Threshold/Decryption": [{}], "Threshold/Signing": [{}]}}
_PROOF = "bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi"
RECAPS: dict[str, Json] = {
    "two abilities": {"attenuations": _ATT},
    "everything": {"attenuations": {"lit-pkp://*": {"*/*": [{}]}}},
    "proof": {"attenuations": _ATT, "proofs": [_PROOF]},
    "no abilities": {"attenuations": {}},
    "several namespaces": {
        "attenuations": {
            "https://example.com/x": {"crud/read": [{"n": 1}], "crud/up-date": [{}], "a.b/c_d": []}
        }
    },
    "non-ASCII restriction": {
        "attenuations": {"lit-litaction://*": {"Threshold/Execution": [{"ä": "🌍 ∂"}]}}
    },
}


def fields(**more: object) -> Json:
    return {
        "domain": "localhost",
        "address": kinds.ADDRESS,
        "uri": "https://localhost/login",
        "version": "1",
        "chainId": 1,
        "nonce": NONCE,
        "issuedAt": "2025-01-15T12:34:56.789Z",
        **more,
    }


@pytest.mark.parametrize("more", FIELDS.values(), ids=FIELDS)
def test_every_field_both_ways(sdk: Sdk, wallet: Wallet, more: Json) -> None:
    text = sdk.ask("writeFields", fields=fields(**more))
    read_here = siwe.read(text)
    assert same(sdk.ask("readMessage", text=text, signature=wallet.sign(text)), read_here)
    assert siwe.write(read_here) == text


@pytest.mark.parametrize("recap", RECAPS.values(), ids=RECAPS)
def test_every_recap_both_ways(sdk: Sdk, wallet: Wallet, recap: Json) -> None:
    text = sdk.ask("writeFields", fields=fields(statement="Hi.", resources=["urn:example:1"]), **recap)
    read_here = siwe.read(text)
    read_there = sdk.ask("readMessage", text=text, signature=wallet.sign(text))
    ours = Recap.from_urn(read_here.resources[-1])
    assert same(read_there, read_here)
    assert ours.attenuations == read_there["recap"]["attenuations"] == recap["attenuations"]
    assert ours.statement() == read_there["recap"]["statement"]
    assert ours.urn() == read_there["recap"]["urn"] == read_here.resources[-1]
    assert len(ours.proofs) == len(recap.get("proofs", []))


UNREADABLE = {
    "quote": 'say "hi"',
    "backslash": "a\\b",
    "percent": "100%",
    "angle": "a<b>",
    "brace": "{a}",
    "bar": "a|b",
    "caret": "a^b",
    "backtick": "a`b",
    "line feed": "a\nb",
    "tab": "a\tb",
    "umlaut": "Grüße",
    "emoji": "hi 🌍",
}


@pytest.mark.parametrize("statement", UNREADABLE.values(), ids=UNREADABLE)
def test_what_they_cannot_read_we_do_not_write(
    sdk: Sdk, network: Json, wallet: Wallet, statement: str
) -> None:
    request = ResourceAbility(Resource("lit-pkp", "*"), "pkp-signing")
    written = sdk.ask(
        "writeMessage",
        network=network,
        privateKey=kinds.KEY,
        requests=[{"resource": "lit-pkp://*", "ability": "pkp-signing"}],
        terms={"statement": statement, "nonce": NONCE},
    )
    with pytest.raises(RefusedError):
        sdk.ask("readMessage", text=written["signedMessage"])
    with pytest.raises(SiweError):
        siwe.read(written["signedMessage"])
    message = siwe.sign_in(
        address=wallet.address, nonce=NONCE, now=now(), requests=[request], statement=statement
    )
    with pytest.raises(SiweError):
        siwe.write(message)


def _without_checksum(text: str) -> str:
    return text.replace(kinds.ADDRESS, kinds.ADDRESS.lower())


MANGLED = {
    "address without checksum": _without_checksum,
    "short nonce": lambda text: text.replace(NONCE, "1234567"),
    "sign in nonce": lambda text: text.replace(NONCE, "12345678-9"),
    "version 2": lambda text: text.replace("Version: 1", "Version: 2"),
    "no chain id": lambda text: text.replace("Chain ID: 1\n", ""),
    "no URI": lambda text: text.replace("URI: https://localhost/login\n", ""),
    "blank for URI": lambda text: text.replace("https://localhost/login", "not a uri"),
    "swapped lines": lambda text: text.replace("Version: 1\nChain ID: 1", "Chain ID: 1\nVersion: 1"),
    "month 13": lambda text: text.replace("2025-01-15", "2025-13-15"),
    "no time": lambda text: text.replace("T12:34:56.789Z", ""),
    "line feed at the end": lambda text: text + "\n",
    "carriage returns": lambda text: text.replace("\n", "\r\n"),
    "something before": lambda text: " " + text,
    "something after": lambda text: text + "\nand more",
}


@pytest.mark.parametrize("mangle", MANGLED.values(), ids=MANGLED)
def test_what_they_refuse_to_read_so_do_we(sdk: Sdk, mangle: Any) -> None:  # noqa: ANN401 - text to text
    text = sdk.ask("writeFields", fields=fields(statement="Hi."))
    assert siwe.read(text).nonce == NONCE
    with pytest.raises(RefusedError):
        sdk.ask("readMessage", text=mangle(text))
    with pytest.raises(SiweError):
        siwe.read(mangle(text))


def test_they_refuse_a_strangers_signature(sdk: Sdk, wallet: Wallet, stranger: Wallet) -> None:
    text = sdk.ask("writeFields", fields=fields())
    assert sdk.ask("readMessage", text=text, signature=wallet.sign(text))["address"] == wallet.address
    with pytest.raises(RefusedError):
        sdk.ask("readMessage", text=text, signature=stranger.sign(text))

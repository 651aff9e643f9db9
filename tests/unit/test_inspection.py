from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet
from hypothesis import given, settings
from hypothesis import strategies as st

from lit_airflow import Wallet, clock, envelope
from lit_airflow.cli import app
from lit_airflow.clock import iso, parse_iso
from lit_airflow.errors import LitError, SessionError
from lit_airflow.handoff.origin import Origin
from lit_airflow.handoff.seal import FernetSeal
from lit_airflow.handoff.ticket import make_ticket
from lit_airflow.inspection import Report, inspect
from lit_airflow.inspection.report import in_words
from lit_airflow.keys.secret import Secret
from lit_airflow.protocol import auth_sig, siwe
from lit_airflow.protocol.capacity_delegation import capacity_delegation
from lit_airflow.protocol.conditions import Conditions
from lit_airflow.protocol.scope import Scope
from lit_airflow.protocol.session import Session, SessionKey
from tests.invoking import CliRunner, Result

CASES = json.loads(Path("tests/vectors/datil/session_sigs.json").read_text("utf-8"))["cases"]
NOW = datetime(2025, 1, 15, 12, 34, 56, 789000, UTC)
END = NOW + timedelta(minutes=10)
SEED = "0707" * 16
NONCE = "0x" + "ab" * 32
NODES = [f"http://127.0.0.1:747{i}" for i in range(3)]
DECRYPT = "access-control-condition-decryption=lit-accesscontrolcondition://"
EXACT = f"{'1' * 64}/{'2' * 64}"
WALLET, OTHER_WALLET = Wallet.from_key("11" * 32), Wallet.from_key("22" * 32)
KEY, OTHER_KEY = SessionKey.from_hex(SEED), SessionKey.from_hex("0808" * 16)
CONDITIONS = Conditions.for_wallet(WALLET.address)


def scope(*ids: str) -> Scope:
    return Scope.parse([DECRYPT + each for each in ids or (EXACT,)])


def delegation(**changes: Any) -> dict[str, Any]:  # noqa: ANN401 - fields of a sign-in message
    """The wallet's delegation, with some fields of its message changed before it is signed."""
    message = siwe.sign_in(
        address=WALLET.address,
        nonce=NONCE,
        now=NOW,
        requests=changes.pop("scope", scope()).requests,
        statement="For the report.",
        uri=KEY.uri,
        expiration=iso(END),
    )
    return auth_sig.sign(WALLET, siwe.write(dataclasses.replace(message, **changes))).to_json()


DELEGATION = delegation()


def entry(node: str, *, key: SessionKey = KEY, **changes: object) -> dict[str, Any]:
    """One node's entry, with some fields of the signed text changed before it is signed."""
    signed = {
        "sessionKey": key.public_key,
        "resourceAbilityRequests": scope().to_json(),
        "capabilities": [DELEGATION],
        "issuedAt": iso(NOW),
        "expiration": iso(END),
        "nodeAddress": node,
        **changes,
    }
    text = json.dumps({name: value for name, value in signed.items() if value is not None})
    return {
        "sig": key.sign(text),
        "derivedVia": "litSessionSignViaNacl",
        "signedMessage": text,
        "address": key.public_key,
        "algo": "ed25519",
    }


def sigs(**changes: object) -> dict[str, Any]:
    """Session sigs with the same changes everywhere."""
    return {node: entry(node, **changes) for node in NODES}


def one_other(found: Mapping[str, Any]) -> dict[str, Any]:
    """Good session sigs, but for the last node's entry."""
    return {**sigs(), NODES[2]: dict(found)}


def look(document: object, now: datetime = NOW) -> Report:
    report = inspect(document, now=now)
    check_secrecy(document, report)
    return report


def wrong(report: Report) -> set[str]:
    return {problem.name for problem in report.problems if problem.wrong}


def warnings(report: Report) -> set[str]:
    return {problem.name for problem in report.problems if not problem.wrong}


def secrets_in(found: object, name: str = "") -> Iterator[str]:
    """Every text that stands under ``sig``, ``sealed`` or ``seed``, however deep and inside signed texts."""
    if isinstance(found, Mapping):
        for key, value in found.items():
            yield from secrets_in(value, key)
    elif isinstance(found, list):
        for value in found:
            yield from secrets_in(value, name)
    elif isinstance(found, str) and name in ("sig", "sealed", "seed"):
        yield found
    elif isinstance(found, str) and name == "signedMessage" and found.startswith("{"):
        yield from secrets_in(json.loads(found))


def check_secrecy(document: object, report: Report, *more: str) -> None:
    shown = [report.text(), json.dumps(report.to_json()), repr(report)]
    shown += [text.replace("\n", "").replace(" ", "") for text in shown]
    for secret in (*secrets_in(document), SEED, *more):
        bare = secret.removeprefix("0x")
        for start in range(0, max(1, len(bare) - 15), 8):
            piece = bare[start : start + 16]
            assert len(piece) < 8 or not any(piece in text for text in shown), "a piece of a secret is shown"
    assert report.text().isascii()
    assert max(map(len, report.text().splitlines())) <= 100


# Session sigs


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_the_sdks_own_session_sigs_are_good_in_their_time(case: dict[str, Any]) -> None:
    found = case["expected"]["session_sigs"]
    report = look(found, parse_iso(case["now"]))
    check_secrecy(found, report, case["wallet_private_key"], case["session_key"]["seed"])
    assert wrong(report) == set()
    assert report.good
    assert warnings(report) == {"wildcard"}
    assert report.session_public_key == case["session_key"]["publicKey"]
    assert [n.node for n in report.nodes] == case["nodes"]
    assert [p.ability for p in report.scope] == [r["ability"] for r in case["requests"]]
    assert report.text().endswith("\nNothing is wrong.")
    assert report.left_s is not None
    over = look(found, NOW + timedelta(days=30))
    assert {"expired", "capability-expired"} <= wrong(over)
    assert not any(n.good for n in over.nodes)


def test_good_session_sigs() -> None:
    report = look(sigs())
    assert report.problems == ()
    assert (report.kind, report.network, report.wallet) == ("session sigs", None, WALLET.address)
    assert (report.issued_at, report.expires_at, report.left_s) == (NOW, END, 600)
    assert [(n.node, n.expires_at, n.good) for n in report.nodes] == [(node, END, True) for node in NODES]
    text = report.text()
    for fact in (
        WALLET.address,
        KEY.public_key,
        "1" * 64,
        "2" * 64,
        "2025-01-15 12:44:56 UTC, in 10 min",
        *NODES,
    ):
        assert fact in text


SHORTER, LONGER = iso(END - timedelta(minutes=5)), iso(END + timedelta(minutes=5))
DIFFERENT_CAPABILITY = delegation(nonce="0x" + "cd" * 32)
EVERYWHERE: dict[str, tuple[str, dict[str, object]]] = {
    "no session key": ("signed-message", {"sessionKey": None}),
    "no node address": ("signed-message", {"nodeAddress": None}),
    "another session key in the text": ("session-key", {"sessionKey": OTHER_KEY.public_key}),
    "an end without a zone": ("unreadable-time", {"expiration": "2025-01-15T12:44:56"}),
    "an end that is no text": ("unreadable-time", {"expiration": 5}),
    "a start on no day": ("unreadable-time", {"issuedAt": "2025-02-30T12:34:56Z"}),
    "a start beyond the calendar": ("unreadable-time", {"issuedAt": "0001-01-01T00:00:00+23:59"}),
    "over": ("expired", {"expiration": iso(NOW), "issuedAt": iso(NOW - timedelta(minutes=1))}),
    "not yet": ("issued-later", {"issuedAt": iso(NOW + timedelta(seconds=61))}),
    "backwards": ("ends-before-start", {"issuedAt": iso(NOW + timedelta(minutes=20))}),
    "31 days": ("too-long", {"issuedAt": iso(END - timedelta(days=31))}),
    "longer than the wallet said": ("outlives-delegation", {"expiration": LONGER}),
    "no requests": ("scope", {"resourceAbilityRequests": []}),
    "requests of no shape": ("scope", {"resourceAbilityRequests": [5]}),
    "requests that are no list": ("scope", {"resourceAbilityRequests": {}}),
    "an unknown kind of resource": (
        "scope",
        {"resourceAbilityRequests": [{"resource": {"resource": "*", "resourcePrefix": "x"}, "ability": "y"}]},
    ),
    "more than the wallet allowed": ("delegation-scope", {"resourceAbilityRequests": scope("*").to_json()}),
    "no capabilities": ("no-capability", {"capabilities": []}),
    "capabilities that are no list": ("no-capability", {"capabilities": {}}),
    "a capability that is no object": ("capability-fields", {"capabilities": ["x"]}),
    "a capability without signature": ("capability-fields", {"capabilities": [{**DELEGATION, "sig": None}]}),
    "a capability with more": ("unknown-field", {"capabilities": [{**DELEGATION, "note": "x"}]}),
    "an unreadable message": (
        "capability-text",
        {"capabilities": [{**DELEGATION, "signedMessage": "hello"}]},
    ),
    "another address beside it": (
        "capability-address",
        {"capabilities": [{**DELEGATION, "address": OTHER_WALLET.address}]},
    ),
    "another wallet's signature": (
        "capability-signature",
        {"capabilities": [{**DELEGATION, "sig": OTHER_WALLET.sign(DELEGATION["signedMessage"])}]},
    ),
    "no signature at all": ("capability-signature", {"capabilities": [{**DELEGATION, "sig": "0x"}]}),
    "a changed message": (
        "capability-signature",
        {
            "capabilities": [
                {**DELEGATION, "signedMessage": DELEGATION["signedMessage"].replace("report", "party")}
            ]
        },
    ),
    "an unknown signature": ("capability-kind", {"capabilities": [{**DELEGATION, "algo": "rot13"}]}),
    "a delegation that ended": (
        "capability-expired",
        {"capabilities": [delegation(expiration_time=iso(NOW))]},
    ),
    "a delegation that ends sooner": (
        "outlives-delegation",
        {"capabilities": [delegation(expiration_time=SHORTER)]},
    ),
    "a delegation to another key": ("delegation-key", {"capabilities": [delegation(uri=OTHER_KEY.uri)]}),
    "a delegation of something else": (
        "delegation-scope",
        {"capabilities": [delegation(scope=scope("x/y"))]},
    ),
    "a delegation of nothing": ("delegation-scope", {"capabilities": [delegation(resources=())]}),
    "a statement about something else": (
        "delegation-statement",
        {"capabilities": [delegation(statement="Nothing to see here.")]},
    ),
    "a bad capability before the good one": (
        "capability-text",
        {"capabilities": [{**DELEGATION, "signedMessage": "hello"}, DELEGATION]},
    ),
}


@pytest.mark.parametrize(("name", "changes"), EVERYWHERE.values(), ids=EVERYWHERE.keys())
def test_what_is_wrong_everywhere_is_named(name: str, changes: dict[str, object]) -> None:
    names_everywhere(name, changes)


def test_a_delegation_of_tomorrow_is_named() -> None:
    """Apart from the others, for only siwe can write it, which takes too long for a module that is imported."""
    names_everywhere("capability-not-yet", {"capabilities": [delegation(not_before=LONGER)]})


def names_everywhere(name: str, changes: dict[str, object]) -> None:
    report = look(sigs(**changes))
    assert name in wrong(report)
    assert not report.good
    assert f"- {name}: " in report.text()
    assert name in [found["name"] for found in report.to_json()["wrong"]]


def altered(change: Callable[[dict[str, Any]], Mapping[str, object]]) -> dict[str, Any]:
    """An entry changed after it was signed."""
    good = entry(NODES[2])
    return {**good, **change(good)}


ONE: dict[str, tuple[str, object]] = {
    "no object": ("missing-field", "x"),
    "no signature": ("missing-field", {k: v for k, v in entry(NODES[2]).items() if k != "sig"}),
    "a field that is no text": ("missing-field", altered(lambda _: {"algo": None})),
    "one field more": ("unknown-field", altered(lambda _: {"note": "x"})),
    "a wallet's kind of signature": (
        "signature-kind",
        altered(lambda _: {"derivedVia": "web3.eth.personal.sign"}),
    ),
    "another algorithm": ("signature-kind", altered(lambda _: {"algo": "ed448"})),
    "a signature of another key": (
        "session-signature",
        altered(lambda e: {"sig": OTHER_KEY.sign(e["signedMessage"])}),
    ),
    "a signature with a bit turned": (
        "session-signature",
        altered(lambda e: {"sig": f"{int(e['sig'][:2], 16) ^ 1:02x}{e['sig'][2:]}"}),
    ),
    "half a signature": ("session-signature", altered(lambda e: {"sig": e["sig"][:64]})),
    "a text with a blank more": (
        "session-signature",
        altered(lambda e: {"signedMessage": e["signedMessage"] + " "}),
    ),
    "half a character": ("session-signature", altered(lambda _: {"signedMessage": "\ud800"})),
    "no key": ("session-signature", altered(lambda _: {"address": "zz" * 32})),
    "a key off the curve": ("session-signature", altered(lambda _: {"address": "02" + "00" * 31})),
    "no JSON": ("signed-message", altered(lambda _: {"signedMessage": "hello"})),
    "endless JSON": ("signed-message", altered(lambda _: {"signedMessage": "[" * 100_000})),
    "a list": ("signed-message", altered(lambda _: {"signedMessage": "[]"})),
    "another node's entry": ("node-address", entry(NODES[1])),
    "a trailing slash": ("node-address", entry(NODES[2], nodeAddress=NODES[2] + "/")),
    "no address": ("node-address", entry(NODES[2], nodeAddress=5)),
    "another session key": ("disagree-key", entry(NODES[2], key=OTHER_KEY)),
    "another scope": ("disagree-scope", entry(NODES[2], resourceAbilityRequests=scope("a/b").to_json())),
    "other capabilities": ("disagree-capabilities", entry(NODES[2], capabilities=[DIFFERENT_CAPABILITY])),
    "over": ("expired", entry(NODES[2], expiration=iso(NOW))),
}


@pytest.mark.parametrize(("name", "found"), ONE.values(), ids=ONE.keys())
def test_what_is_wrong_with_one_entry_is_named_with_its_node(name: str, found: object) -> None:
    report = look({**sigs(), NODES[2]: found})
    assert name in wrong(report)
    assert {f.nodes for f in report.problems if f.name == name} == {(NODES[2],)}
    assert [n.good for n in report.nodes] == [True, True, False]
    assert report.wallet == WALLET.address
    assert "  WRONG" in report.text()


def test_the_first_of_two_entries_counts_where_they_disagree() -> None:
    report = look({NODES[0]: entry(NODES[0]), NODES[1]: entry(NODES[1], key=OTHER_KEY)})
    assert report.session_public_key == KEY.public_key
    assert [n.good for n in report.nodes] == [True, False]


@pytest.mark.parametrize(
    "spelling", ["127.0.0.1:7472", "https://127.0.0.1:7472", "http://localhost:7472", f" {NODES[2]} "]
)
def test_a_spelling_that_nodes_accept_is_a_warning(spelling: str) -> None:
    report = look(one_other(entry(NODES[2], nodeAddress=spelling)))
    assert report.good
    assert warnings(report) == {"node-spelling"}


def test_what_nodes_ignore_is_a_warning() -> None:
    report = look(sigs(maxPrice="0"))
    assert report.good
    assert warnings(report) == {"ignored-field"}
    assert "(all nodes)" in report.text()


GATE = f"lit:gate:{'ab' * 32}"


def test_a_session_for_a_gate() -> None:
    report = look({GATE: entry(GATE, replyKey="cd" * 32)})
    assert (report.good, report.problems) == (True, ())


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({}, "reply-key"),
        ({"replyKey": "no key"}, "reply-key"),
        ({"replyKey": "cd" * 32, "nodeAddress": f" {GATE}"}, "node-address"),
        ({"replyKey": "cd" * 32, "nodeAddress": f"https://{GATE}"}, "node-address"),
    ],
)
def test_what_a_gate_refuses_and_nodes_do_not(changes: dict[str, Any], problem: str) -> None:
    assert wrong(look({GATE: entry(GATE, **changes)})) == {problem}


def test_each_node_may_end_at_its_own_time_and_the_first_end_counts() -> None:
    report = look(one_other(entry(NODES[2], expiration=SHORTER)))
    assert report.good
    assert [n.expires_at for n in report.nodes] == [END, END, parse_iso(SHORTER)]
    assert report.expires_at == parse_iso(SHORTER)


def test_a_delegation_that_ends_sooner_ends_the_session() -> None:
    report = look(sigs(capabilities=[delegation(expiration_time=SHORTER)]))
    assert report.expires_at == parse_iso(SHORTER)


def test_borrowed_credits_are_named() -> None:
    lent = capacity_delegation(OTHER_WALLET, nonce=NONCE, now=NOW, delegatees=[WALLET.address]).to_json()
    report = look(sigs(capabilities=[lent, DELEGATION]))
    assert report.good
    assert report.lenders == (OTHER_WALLET.address,)
    assert report.wallet == WALLET.address
    forged = {**lent, "sig": WALLET.sign(lent["signedMessage"])}
    assert wrong(look(sigs(capabilities=[forged, DELEGATION]))) == {"capability-signature"}


@pytest.mark.parametrize(
    "changes", [{"algo": "LIT_BLS", "derivedVia": "lit.bls"}, {"derivedVia": "EIP1271", "sig": "0x00"}]
)
def test_what_cannot_be_verified_here_is_said(changes: dict[str, str]) -> None:
    report = look(sigs(capabilities=[{**DELEGATION, **changes}]))
    assert report.good
    assert len(report.unchecked) == 1
    assert "Not checked" in report.text()


def test_every_kind_of_permission_has_words() -> None:
    asked = Scope.parse(
        [
            DECRYPT + "*",
            DECRYPT + "odd",
            "access-control-condition-signing=lit-accesscontrolcondition://" + EXACT,
            "pkp-signing=lit-pkp://12",
            "rate-limit-increase-auth=lit-ratelimitincrease://",
            "lit-action-execution=lit-litaction://Qm",
        ]
    )
    report = look(sigs(resourceAbilityRequests=asked.to_json(), capabilities=[delegation(scope=asked)]))
    assert [p.words for p in report.scope] == [
        "decrypt any data, with any conditions",
        "decrypt the resource odd",
        f"obtain signatures for the resource {EXACT}",
        f"sign with the PKP {'12'.rjust(64, '0')}",
        'use the capacity credit ""',
        "run the Lit Action Qm",
    ]


def test_conditions_are_said_and_compared() -> None:
    reached = scope(f"{CONDITIONS.hash}/{'2' * 64}")
    found = sigs(resourceAbilityRequests=reached.to_json(), capabilities=[delegation(scope=reached)])
    report = inspect(found, now=NOW, conditions=CONDITIONS)
    assert report.problems == ()
    assert report.conditions == f"The wallet is {WALLET.address}."
    assert "Conditions  The wallet is 0x" in report.text()
    assert warnings(inspect(sigs(), now=NOW, conditions=CONDITIONS)) == {"other-conditions"}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(codec=None), max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@given(
    st.dictionaries(st.sampled_from(list(entry("x"))), JSON, max_size=3),
    st.dictionaries(st.sampled_from(list(json.loads(entry("x")["signedMessage"]))), JSON, max_size=3),
    st.dictionaries(st.sampled_from([*DELEGATION, "algo"]), JSON, max_size=3),
    st.text(st.characters(codec=None)),
)
def test_anything_may_stand_anywhere(
    outside: dict[str, Any], signed: dict[str, Any], inside: dict[str, Any], node: str
) -> None:
    changes = {"capabilities": [{**DELEGATION, **inside}], **signed}
    found = {node: {**entry(node, **changes), **outside}, NODES[0]: entry(NODES[0])}
    report = inspect(found, now=NOW)
    assert report.text().isascii()
    assert max(map(len, report.text().splitlines())) <= 100
    assert json.loads(json.dumps(report.to_json()))["good"] == report.good


@settings(max_examples=25)
@given(st.integers(0, len(DELEGATION["signedMessage"]) - 1), st.characters(codec=None))
def test_a_delegation_with_a_character_changed_is_never_good(position: int, character: str) -> None:
    text = DELEGATION["signedMessage"]
    changed = text[:position] + character + text[position + 1 :]
    report = inspect(sigs(capabilities=[{**DELEGATION, "signedMessage": changed}]), now=NOW)
    assert report.good == (changed == text)


@pytest.mark.parametrize("conditions", [None, CONDITIONS])
def test_session_sigs_with_their_key(conditions: Conditions | None) -> None:
    """What ``lit-airflow session`` prints."""
    pair = {"publicKey": KEY.public_key, "secretKey": SEED + KEY.public_key}
    document = {"sessionSigs": sigs(), "sessionKey": pair}
    report = inspect(document, now=NOW, conditions=conditions)
    assert report.good
    assert "session-key-inside" in warnings(report)
    assert report.session_public_key == KEY.public_key
    assert SEED not in report.text() + json.dumps(report.to_json())


# Tickets

SEAL_KEY = Fernet.generate_key()


def ticket(asked: Scope | None = None) -> dict[str, Any]:
    granted = asked or scope()
    session = Session(
        network="custom",
        wallet=WALLET.address,
        public_key=KEY.public_key,
        scope=granted,
        issued_at=iso(NOW),
        expiration=iso(END),
        expires_at=END,
        capabilities=(DELEGATION,),
        session_sigs=sigs(),
        key=KEY,
    )
    return make_ticket(
        session, FernetSeal(Secret(SEAL_KEY)), network="custom", origin=Origin("a", "run", "b")
    )


TICKET = ticket()


def test_a_good_ticket() -> None:
    report = look(TICKET)
    assert report.problems == ()
    assert (report.kind, report.network, report.wallet) == ("ticket", "custom", WALLET.address)
    assert (report.session_public_key, report.seal) == (KEY.public_key, "Fernet")
    assert (report.issued_at, report.expires_at, report.left_s) == (NOW, END, 600)
    assert report.nodes == ()
    assert any("altered" in text for text in report.unchecked)
    check_secrecy(TICKET, report, SEAL_KEY.decode(), *secrets_in(sigs()))


def test_a_ticket_of_version_1() -> None:
    later = {"kind", "dag_id", "run_id"}
    assert later <= TICKET.keys()
    report = look({key: value for key, value in TICKET.items() if key not in later} | {"v": 1})
    assert report.problems == ()
    assert (report.kind, report.wallet, report.left_s) == ("ticket", WALLET.address, 600)


def test_a_ticket_that_is_published() -> None:
    published = {key: value for key, value in TICKET.items() if key != "run_id"}
    assert look({**published, "name": "reports"}).problems == ()


def test_a_ticket_sealed_by_vault() -> None:
    found = {
        **TICKET,
        "seal": "transit",
        "transit_mount": "lit",
        "transit_key": "tickets",
        "sealed": "vault:v1:AAAA",
    }
    report = look(found)
    assert report.good
    assert report.seal == 'Vault Transit, mount "lit", key "tickets"'
    assert wrong(look({**found, "transit_key": ""})) == {"missing-field"}


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("version", {"v": 3}),
        ("version", {"v": 0}),
        ("version", {"v": "2"}),
        ("version", {"v": [2]}),
        ("version", {"v": True}),
        ("missing-field", {"kind": ""}),
        ("missing-field", {"kind": None}),
        ("seal", {"seal": "wax"}),
        ("seal", {"seal": ["fernet"]}),
        ("missing-field", {"sealed": ""}),
        ("missing-field", {"network": None}),
        ("wallet", {"wallet": "alice.eth"}),
        ("session-key", {"session_public_key": SEED + SEED}),
        ("scope", {"scope": []}),
        ("scope", {"scope": "x"}),
        ("scope", {"scope": [{"resource": 5, "ability": []}]}),
        ("scope", {"scope": [{"resource": "lit-accesscontrolcondition://*", "ability": []}]}),
        ("unreadable-time", {"expires_at": "soon"}),
        ("unreadable-time", {"issued_at": 5}),
        ("expired", {"expires_at": iso(NOW)}),
        ("too-long", {"expires_at": iso(NOW + timedelta(days=31))}),
        ("issued-later", {"issued_at": iso(NOW + timedelta(seconds=61))}),
        ("ends-before-start", {"issued_at": iso(END + timedelta(seconds=1))}),
        ("unknown-field", {"seed": SEED}),
        ("unknown-field", {"transit_key": "tickets"}),
    ],
)
def test_what_is_wrong_with_a_ticket_is_named(name: str, changes: dict[str, object]) -> None:
    report = look({**TICKET, **changes})
    assert name in wrong(report)
    assert f"- {name}: " in report.text()


HUGE = 10**5000


@pytest.mark.parametrize("value", [HUGE, [HUGE], {"x": HUGE}, float("inf"), "\x1b[2J" * 9999], ids=range(5))
@pytest.mark.parametrize("name", [*TICKET, "transit_mount", "transit_key", "more"])
def test_no_value_of_a_ticket_is_too_much(name: str, value: object) -> None:
    report = inspect({**TICKET, "seal": "transit", name: value}, now=NOW)
    assert not report.good
    assert len(report.text()) < 20_000
    assert report.text().replace("\n", "").isprintable()


LARGE = 10**4000  # which json.dumps still writes


@pytest.mark.parametrize("value", [LARGE, [LARGE], {"x": [LARGE]}, "9999-12-31T23:59:59-14:00"], ids=range(4))
def test_no_value_of_a_session_is_too_much(value: object) -> None:
    found = [
        *(sigs(**{name: value}) for name in json.loads(entry("x")["signedMessage"])),
        *(one_other({**entry(NODES[2]), name: value}) for name in entry("x")),
        *(sigs(capabilities=[{**DELEGATION, name: value}]) for name in DELEGATION if name != "derivedVia"),
    ]
    for document in found:
        report = inspect(document, now=NOW)
        assert not report.good
        assert len(report.text()) < 20_000


def test_a_resource_id_cannot_pose_as_the_report() -> None:
    evil = scope("x\n  Scope       nothing", "y\x1b[2K; and nothing else")
    report = look(sigs(resourceAbilityRequests=evil.to_json()))
    assert [p.words for p in report.scope] == [
        'decrypt the resource "x\\n  Scope       nothing"',
        'decrypt the resource "y\\u001b[2K; and nothing else"',
    ]


def test_a_wildcard_ticket_is_a_warning() -> None:
    report = look(ticket(scope("*")))
    assert report.good
    assert warnings(report) == {"wildcard"}


@given(st.dictionaries(st.sampled_from(list(TICKET)), JSON))
def test_a_ticket_may_hold_anything(changes: dict[str, Any]) -> None:
    report = inspect({**TICKET, **changes}, now=NOW)
    assert report.text().isascii()
    assert max(map(len, report.text().splitlines())) <= 100
    assert json.dumps(report.to_json())


# What is neither, and the command


@pytest.mark.parametrize("found", [None, [], {}, 5, "x", {"a": 1}, {"a": {}}, {"seed": SEED, "sig": "x"}])
def test_neither_is_refused_without_quoting_it(found: object) -> None:
    with pytest.raises(SessionError, match="neither a ticket") as caught:
        inspect(found, now=NOW)
    assert SEED not in str(caught.value)


def run(*arguments: str, stdin: object = None) -> Result:
    return CliRunner().invoke(app, ["inspect", *arguments], input=json.dumps(stdin))


def live() -> dict[str, Any]:
    """Session sigs that are good by the real clock."""
    start, end = clock.now(), clock.now() + timedelta(hours=1)
    inside = delegation(issued_at=iso(start), expiration_time=iso(end))
    return sigs(issuedAt=iso(start), expiration=iso(end), capabilities=[inside])


def test_the_command_reads_a_file_or_stdin(tmp_path: Path) -> None:
    path = tmp_path / "sigs.json"
    path.write_text(json.dumps(live()))
    for done in (run(str(path)), run("-", stdin=live())):
        assert (done.exit_code, done.stderr) == (0, "")
        assert done.stdout.startswith("Session sigs\n")
        assert done.stdout.endswith("Nothing is wrong.\n")


def test_the_command_answers_machines(tmp_path: Path) -> None:
    path = tmp_path / "conditions.json"
    path.write_text(json.dumps(CONDITIONS.to_json()))
    done = run("-", "--json", "--conditions", str(path), stdin=live())
    answer = json.loads(done.stdout)
    assert done.exit_code == 0
    assert answer["good"]
    assert answer["conditions"] == f"The wallet is {WALLET.address}."
    assert [found["name"] for found in answer["warnings"]] == ["other-conditions"]


@pytest.mark.parametrize("found", [TICKET, sigs()], ids=["ticket", "session sigs"])
def test_the_command_fails_where_something_is_wrong(found: dict[str, Any]) -> None:
    for options in ([], ["--json"]):
        done = run("-", *options, stdin=found)
        assert (done.exit_code, done.stderr) == (1, "")
        assert "expired" in done.stdout
        for secret in (*secrets_in(found), SEED):
            assert secret.removeprefix("0x")[8:40] not in done.stdout


@pytest.mark.parametrize("found", [[], {"a": {"sig": SEED}}, SEED], ids=["list", "object", "text"])
def test_the_command_refuses_what_is_neither(found: object) -> None:
    done = run("-", stdin=found)
    assert isinstance(done.exception, LitError)
    assert done.stdout == ""
    assert SEED not in str(done.exception)


def test_the_command_says_so_on_stderr(tmp_path: Path) -> None:
    path = tmp_path / "broken.json"
    path.write_text("{")
    command = [sys.executable, "-m", "lit_airflow.cli", "inspect", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=900)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"SettingsError: {path} is not valid JSON (line 1, column 2).")


def test_a_missing_file_is_wrong_usage(tmp_path: Path) -> None:
    assert run(str(tmp_path / "none.json")).exit_code == 2


def test_a_long_scope_is_begun_in_words() -> None:
    ids = [f"{hash_:064x}/{data:064x}" for hash_, data in ((1, 2), (3, 4), (5, 6), (7, 8), (9, 10))]
    scope = Scope(tuple(request for each in ids for request in Scope.to_decrypt(each).requests))
    said = in_words(scope)
    assert said.count("decrypt the data") == 3
    assert said.endswith("; and 2 more")
    assert in_words(Scope.to_decrypt(ids[0])) == f"decrypt the data {2:064x} with the conditions {1:064x}"


def test_conditions_that_nobody_can_meet_are_warned_of() -> None:
    def warned(value: str, **other: str) -> list[str]:
        test = {"comparator": "=", "value": value}
        condition = {
            "contractAddress": "",
            "standardContractType": "",
            "chain": "ethereum",
            "method": "",
            "parameters": [":userAddress"],
            "returnValueTest": test | other,
        }
        conditions = Conditions.parse({"accessControlConditions": [condition], "chain": "ethereum"})
        report = inspect(CASES[0]["expected"]["session_sigs"], now=datetime.now(UTC), conditions=conditions)
        return [each.text for each in report.problems if each.name == "conditions" and not each.wrong]

    (text,) = warned("someone.eth")
    assert text.startswith("accessControlConditions[0].returnValueTest.value: ")
    (text,) = warned("someone.eth", comparator="==")
    assert "accessControlConditions[0].returnValueTest.comparator" in text
    assert warned("0x" + "11" * 20) == []


CONTAINER = {"ciphertext": "AAAA", "dataToEncryptHash": "0" * 64, "network": "custom", **CONDITIONS.to_json()}


@pytest.mark.parametrize("as_envelope", [False, True])
def test_a_recovery_copy_is_shown(tmp_path: Path, as_envelope: bool) -> None:  # noqa: FBT001 - pytest's
    container = {**CONTAINER, "recovery": {"key": "ab" * 32, "sealed": "AAAA"}}
    path = tmp_path / "file"
    prefix = envelope.MAGIC if as_envelope else b""
    path.write_bytes(prefix + json.dumps(container).encode() + b"\n" + (b"\x28" if as_envelope else b""))
    done = CliRunner().invoke(app, ["inspect", str(path)])
    assert done.exit_code == 0, done.output
    assert "recovery-copy" in done.output
    assert "ab" * 32 in done.output
    assert WALLET.address in done.output
    found = json.loads(CliRunner().invoke(app, ["inspect", "--json", str(path)]).output)
    assert (found["kind"], found["network"]) == ("container", "custom")
    assert [warning["name"] for warning in found["warnings"]] == ["recovery-copy"]


def test_a_container_without_one_has_no_warning() -> None:
    report = inspect(CONTAINER, now=NOW)
    assert (report.good, report.problems) == (True, ())


def test_gate_and_lock_and_the_servers_of_chains_are_shown() -> None:
    urls = ["https://one.example.org", "https://two.example.org"]
    sealed = {**CONTAINER, "gate": "ab" * 32, "lock": "cd" * 32, "rpc": {"base": urls}}
    report = inspect(sealed, now=NOW)
    assert report.good
    assert [problem.name for problem in report.problems] == ["chain-servers"]
    assert all(shown in report.text() for shown in ("ab" * 32, "cd" * 32, *urls))
    assert (report.to_json()["gate"], report.to_json()["lock"]) == ("ab" * 32, "cd" * 32)
    unlocked = inspect({**CONTAINER, "gate": "ab" * 32}, now=NOW)
    assert "Lock" in unlocked.text()
    assert unlocked.problems == ()
    assert "gate" not in inspect(CONTAINER, now=NOW).to_json()


@pytest.mark.parametrize("odd", [5, [], {"base": 5}, {"base": [5, None]}, {"\ud800": ["\x1b[31m"]}])
def test_odd_servers_of_chains(odd: object) -> None:
    text = inspect({**CONTAINER, "gate": 5, "lock": [], "rpc": odd}, now=NOW).text()
    assert text.isascii()
    assert "\x1b" not in text


@pytest.mark.parametrize("changes", [{"dataToEncryptHash": "0"}, {"dataToEncryptHash": None}, {"chain": 5}])
def test_a_broken_container(changes: dict[str, Any]) -> None:
    report = inspect({**CONTAINER, **changes}, now=NOW)
    assert [problem.name for problem in report.problems] == ["container"]
    assert report.text()

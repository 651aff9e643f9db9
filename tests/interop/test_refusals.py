"""A session signature that breaks a rule is refused to both sides with the same code, the good one served."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from lit_airflow import LitClient, Scope, Wallet
from lit_airflow.clock import iso, now
from lit_airflow.devnet import Devnet
from lit_airflow.errors import AccessDeniedError
from lit_airflow.protocol import auth_sig, siwe
from lit_airflow.protocol.session import Session, SessionKey
from tests.interop import kinds
from tests.interop.sdk import RefusedError, Sdk

Json = dict[str, Any]
CONDITIONS = kinds.SERVED["wallet"]
ANYTHING = Scope.parse(["access-control-condition-decryption=lit-accesscontrolcondition://*"])
KEY = SessionKey.from_hex("07" * 32)
OTHER = SessionKey.from_hex("08" * 32)
Change = Callable[[Json], Json]


def compact(value: object) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def signed(change: Change, key: SessionKey = KEY) -> Change:
    """Change what the session key signs, and sign it again."""

    def changed(signature: Json) -> Json:
        text = compact(change(json.loads(signature["signedMessage"])))
        return {**signature, "signedMessage": text, "sig": key.sign(text)}

    return changed


def replaced(**fields: object) -> Change:
    return lambda thing: {**thing, **fields}


def issued(begin_s: float, end_s: float) -> Change:
    """Issued and ending so many seconds from now."""
    moment = now()
    return signed(
        replaced(
            issuedAt=iso(moment + timedelta(seconds=begin_s)),
            expiration=iso(moment + timedelta(seconds=end_s)),
        )
    )


def delegated(
    wallet: Wallet = Wallet.from_key(kinds.KEY),  # noqa: B008 - immutable
    scope: Scope = ANYTHING,
    change: Change = lambda capability: capability,
    **terms: Any,  # noqa: ANN401 - what ``sign_in`` takes
) -> Change:
    """Have the wallet delegate anew, with some terms changed."""
    defaults = {
        "address": wallet.address,
        "nonce": "0x" + "5a" * 32,
        "now": now(),
        "requests": scope.requests,
        "uri": KEY.uri,
        "statement": "Hi.",
    }
    text = siwe.write(siwe.sign_in(**defaults | terms))
    return signed(replaced(capabilities=[change(auth_sig.sign(wallet, text).to_json())]))


def _misworded(capability: Json) -> Json:
    text = capability["signedMessage"].replace("(1) 'Threshold': 'Decryption'", "(1) 'Threshold': 'Signing'")
    return {**capability, "signedMessage": text, "sig": Wallet.from_key(kinds.KEY).sign(text)}


def _flipped(text: str, at: int) -> str:
    return text[:at] + ("0" if text[at] != "0" else "1") + text[at + 1 :]


def _elsewhere(url: str) -> str:
    return url[:-1] + ("0" if url[-1] != "0" else "1")


SIGN_ONLY = Scope.parse(["access-control-condition-signing=lit-accesscontrolcondition://*"])
OTHER_ITEM = Scope.to_decrypt("00" * 32 + "/" + "11" * 32)
STRANGER = Wallet.from_key("0x" + "22" * 32)
NO_CAPABILITY = "NodeSIWECapabilityInvalid"
BROKEN: dict[str, tuple[str, Callable[[], Change]]] = {
    "signature altered": (
        "NodeInvalidAuthSigSessionKeySignature",
        lambda: lambda s: {**s, "sig": _flipped(s["sig"], 5)},
    ),
    "message altered": (
        "NodeInvalidAuthSigSessionKeySignature",
        lambda: lambda s: {**s, "signedMessage": s["signedMessage"] + " "},
    ),
    "signed by another key": (
        "NodeInvalidAuthSigSessionKeySignature",
        lambda: signed(lambda message: message, OTHER),
    ),
    "signature too short": ("NodeAuthSigSignatureConversionError", lambda: replaced(sig="00" * 63)),
    "signature not hex": ("NodeAuthSigSignatureConversionError", lambda: replaced(sig="zz" * 64)),
    "key too short": ("NodeAuthSigAddressConversionError", lambda: replaced(address="00" * 31)),
    "key not hex": ("NodeAuthSigAddressConversionError", lambda: replaced(address="zz" * 32)),
    "message not JSON": (
        "NodeAuthSigSignedMessageConversionError",
        lambda: lambda s: {**s, "signedMessage": "hello", "sig": KEY.sign("hello")},
    ),
    "message without node": (
        "NodeAuthSigSignedMessageConversionError",
        lambda: signed(lambda m: {k: v for k, v in m.items() if k != "nodeAddress"}),
    ),
    "nothing requested": ("NodeResourceIdNotFound", lambda: signed(replaced(resourceAbilityRequests=[]))),
    "another item requested": (
        "NodeResourceIdNotFound",
        lambda: signed(replaced(resourceAbilityRequests=OTHER_ITEM.to_json())),
    ),
    "issued too far ahead": ("NodeIatOutsideGracePeriod", lambda: issued(90, 600)),
    "expired": ("NodeExpWrongOrTooLarge", lambda: issued(-600, -90)),
    "ends before it begins": ("NodeExpWrongOrTooLarge", lambda: issued(30, 0)),
    "lives too long": ("NodeSIWEMessageError", lambda: issued(0, 31 * 24 * 3600)),
    "time unreadable": ("NodeParserError", lambda: signed(replaced(issuedAt="yesterday"))),
    "time without zone": ("NodeParserError", lambda: signed(replaced(expiration="2099-01-01T00:00:00"))),
    "for another node": (
        "NodeNotAuthorized",
        lambda: signed(lambda m: {**m, "nodeAddress": _elsewhere(m["nodeAddress"])}),
    ),
    "slash after the node": (
        "NodeNotAuthorized",
        lambda: signed(lambda m: {**m, "nodeAddress": m["nodeAddress"] + "/"}),
    ),
    "no capability": (NO_CAPABILITY, lambda: signed(replaced(capabilities=[]))),
    "delegated to another key": (NO_CAPABILITY, lambda: delegated(uri=OTHER.uri)),
    "delegation over": (NO_CAPABILITY, lambda: delegated(expiration=iso(now() - timedelta(seconds=5)))),
    "signing delegated": (NO_CAPABILITY, lambda: delegated(scope=SIGN_ONLY)),
    "another item delegated": (NO_CAPABILITY, lambda: delegated(scope=OTHER_ITEM)),
    "nothing delegated": (NO_CAPABILITY, lambda: delegated(requests=None)),
    "says what it does not grant": (NO_CAPABILITY, lambda: delegated(change=_misworded)),
    "signed by a stranger": (
        NO_CAPABILITY,
        lambda: delegated(change=lambda c: {**c, "sig": STRANGER.sign(c["signedMessage"])}),
    ),
    "address swapped": (
        NO_CAPABILITY,
        lambda: delegated(wallet=STRANGER, change=replaced(address=kinds.ADDRESS)),
    ),
    "a stranger's own": (
        "NodeAccessControlConditionsReturnedNotAuthorized",
        lambda: delegated(wallet=STRANGER),
    ),
    "unknown key": ("NodeInvalidMultipleAuthSigs", lambda: replaced(extra="x")),
    "no algo": (
        "NodeAuthSigSignatureConversionError",
        lambda: lambda s: {k: v for k, v in s.items() if k != "algo"},
    ),
}


@pytest.fixture(scope="module")
def sealed(lit: LitClient) -> Json:
    return dict(lit.encrypt(b"guarded", CONDITIONS))


@pytest.fixture(scope="module")
def session(lit: LitClient, wallet: Wallet) -> Session:
    return lit.open_session(wallet, ANYTHING, session_key=KEY)


@pytest.mark.parametrize(("code", "change"), BROKEN.values(), ids=BROKEN)
def test_refused_alike(  # noqa: PLR0917 - fixtures and parameters
    sdk: Sdk,
    lit: LitClient,
    network: Json,
    sealed: Json,
    session: Session,
    code: str,
    change: Callable[[], Change],
) -> None:
    broken = {node: change()(signature) for node, signature in session.session_sigs.items()}
    # Only what is sent is broken: our client's own checks before sending pass.
    unsuspecting = dataclasses.replace(session, session_sigs=broken, key=None)
    assert sdk.decrypt(network, sealed, CONDITIONS, session.session_sigs) == b"guarded"
    with pytest.raises(RefusedError) as theirs:
        sdk.decrypt(network, sealed, CONDITIONS, broken)
    with pytest.raises(AccessDeniedError) as ours:
        lit.decrypt(sealed, CONDITIONS, unsuspecting)
    assert lit.decrypt(sealed, CONDITIONS, session) == b"guarded"
    assert (theirs.value.code, ours.value.code) == (code, code)


def test_one_broken_of_three_does_not_matter(
    sdk: Sdk, lit: LitClient, network: Json, sealed: Json, session: Session
) -> None:
    node, signature = next(iter(session.session_sigs.items()))
    broken = {**session.session_sigs, node: {**signature, "sig": _flipped(signature["sig"], 5)}}
    partly = dataclasses.replace(session, session_sigs=broken, key=None)
    assert sdk.decrypt(network, sealed, CONDITIONS, broken) == b"guarded"
    assert lit.decrypt(sealed, CONDITIONS, partly) == b"guarded"


@pytest.mark.parametrize("offset_s", [-3600.0, 3600.0 * 24 * 2], ids=["behind", "ahead"])
def test_a_clock_that_is_off_is_refused_alike(sdk: Sdk, wallet: Wallet, offset_s: float) -> None:
    with Devnet(nodes=2, threshold=2) as net:
        lit = LitClient(net.description)
        sealed = dict(lit.encrypt(b"in time", CONDITIONS))
        session = lit.open_session(wallet, ANYTHING)
        assert sdk.decrypt(net.description, sealed, CONDITIONS, session.session_sigs) == b"in time"
        net.set_clock_offset(offset_s)
        with pytest.raises(RefusedError) as theirs:
            sdk.decrypt(net.description, sealed, CONDITIONS, session.session_sigs)
        with pytest.raises(AccessDeniedError) as ours:
            lit.decrypt(sealed, CONDITIONS, session)
    expected = "NodeIatOutsideGracePeriod" if offset_s < 0 else "NodeExpWrongOrTooLarge"
    assert theirs.value.code == ours.value.code == expected

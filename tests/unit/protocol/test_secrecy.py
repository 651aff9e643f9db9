"""Secrets in sessions, authSigs and authentication methods: not in the frames of errors, and never pickled."""

from __future__ import annotations

import copy
import json
import pickle
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from lit_airflow import Wallet
from lit_airflow.errors import LitError
from lit_airflow.keys.secret import Secret
from lit_airflow.protocol.auth_method import AuthMethod, PkpAccess, eth_wallet_auth_method
from lit_airflow.protocol.auth_sig import AuthRequest, AuthSig
from lit_airflow.protocol.session import Session, SessionKey
from lit_airflow.protocol.session_storage import SESSION_KEY, SessionStorage
from tests.unit.frames import recorded
from tests.unit.protocol.opening import KEY, NODE, SCOPE, opened

CANARY = "c0ffee" * 10
SESSION = opened()
CONTENTS = SESSION.to_json()
SIGS = SESSION.session_sigs
AUTH_SIG = AuthSig(CANARY, "web3.eth.personal.sign", "text", "0x12")
PUBLIC_KEY = "04" + "ab" * 64


def planted(**changes: Any) -> dict[str, Any]:  # noqa: ANN401 - fields of a session
    """A session's contents with secrets, and with something wrong."""
    sigs = {NODE: {**SIGS[NODE], "sig": CANARY}}
    capabilities = [{**CONTENTS["capabilities"][0], "sig": CANARY}]
    return {**CONTENTS, "session_sigs": sigs, "capabilities": capabilities, **changes}


def signed(**changes: Any) -> dict[str, Any]:  # noqa: ANN401 - fields of a signed text
    """Session sigs with secrets, and with something wrong in the signed text."""
    text = json.loads(SIGS[NODE]["signedMessage"])
    text["capabilities"][0]["sig"] = CANARY
    return {NODE: {**SIGS[NODE], "sig": CANARY, "signedMessage": json.dumps({**text, **changes})}}


WRONG: dict[str, Callable[[], object]] = {
    "seed that is not hex": lambda: SessionKey.from_hex(CANARY + "zz"),
    "seed that is too short": lambda: SessionKey.from_hex(CANARY),
    "halves of two keys": lambda: SessionKey.from_hex(CANARY + "0000" + "00" * 32),
    "text without an encoding": lambda: KEY.sign(CANARY + "\ud800"),
    "session without a scope": lambda: Session.from_json(planted(scope=None)),
    "session of an unknown scope": lambda: Session.from_json(
        planted(scope=[{"resource": {}, "ability": "x"}])
    ),
    "session without a time": lambda: Session.from_json(planted(expiration="soon")),
    "session beyond the calendar": lambda: Session.from_json(planted(expiration="9999-12-31T23:59:59-14:00")),
    "session with a bad seed": lambda: Session.from_json(planted(seed=CANARY + "zz")),
    "session without an encoding": lambda: Session.from_json(planted(wallet="\ud800")),
    "session with a number": lambda: Session.from_json(planted(wallet=5)),
    "sealed session": lambda: Session.from_secret(Secret(json.dumps(planted(scope=[])).encode())),
    "sealed text": lambda: Session.from_secret(Secret(f'"{CANARY}"'.encode())),
    "sealed nonsense": lambda: Session.from_secret(Secret(CANARY.encode())),
    "sigs without a scope": lambda: Session.from_session_sigs(signed(resourceAbilityRequests=[])),
    "sigs without a time": lambda: Session.from_session_sigs(signed(expiration="soon")),
    "sigs without a capability": lambda: Session.from_session_sigs({**signed(), "x": {"sig": CANARY}}),
    "sigs that are a list": lambda: Session.from_session_sigs([CANARY]),  # type: ignore[arg-type]
    "document with a bad key": lambda: Session.from_document(
        {"sessionSigs": SIGS, "sessionKey": {"secretKey": CANARY + "zz"}}
    ),
    "document with another key": lambda: Session.from_document(
        {"sessionSigs": SIGS, "sessionKey": {"secretKey": CANARY + "0000"}}
    ),
    "document without a scope": lambda: Session.from_document(
        {"sessionSigs": signed(resourceAbilityRequests=[]), "sessionKey": {"secretKey": CANARY + "0000"}}
    ),
    "authSig without address": lambda: AuthSig.from_json({"sig": CANARY, "signedMessage": CANARY}),
    "authSig that is a list": lambda: AuthSig.from_json([CANARY]),  # type: ignore[arg-type]
    "token without UTF-8": lambda: AuthMethod(1, CANARY + "\ud800"),
    "method without type": lambda: AuthMethod.of({"accessToken": CANARY}),
    "method of another type": lambda: AuthMethod.of({"authMethodType": "1", "accessToken": CANARY}),
    "PKP without a key": lambda: PkpAccess.of("04", [{"authMethodType": 1, "accessToken": CANARY}]),
    "PKP with a bad method": lambda: PkpAccess.of(
        PUBLIC_KEY, [{"authMethodType": 1, "accessToken": CANARY}, {"accessToken": CANARY}]
    ),
    "PKP with a bad token": lambda: PkpAccess.of(
        PUBLIC_KEY, [{"authMethodType": 1, "accessToken": CANARY + "\ud800"}]
    ),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_no_frame_contains_a_secret(wrong: str) -> None:
    with pytest.raises(LitError) as caught:
        WRONG[wrong]()
    assert CANARY[:12] not in recorded(caught.value)
    assert KEY.seed.reveal().hex() not in recorded(caught.value)


class FullStore(dict[str, str]):
    """A store that cannot be written."""

    def __setitem__(self, key: str, value: str) -> None:
        del value
        raise OSError(28, "No space left on device")


def test_no_frame_contains_the_key_of_a_full_store() -> None:
    storage = SessionStorage(FullStore())
    for action in (storage.session_key, lambda: storage.keep("custom", "0x12", AUTH_SIG)):
        with pytest.raises(OSError, match="No space") as caught:
            action()
        assert CANARY[:12] not in recorded(caught.value)
        assert "secretKey" not in recorded(caught.value)


HOLDERS: list[object] = [
    KEY,
    SESSION,
    replace(SESSION, key=None),
    AUTH_SIG,
    AuthMethod(1, CANARY),
    PkpAccess.of(PUBLIC_KEY, [AuthMethod(1, CANARY)]),
    SessionStorage({SESSION_KEY: CANARY}),
    AuthRequest(
        chain="ethereum",
        expiration="2025-01-15T13:00:00.000Z",
        uri=KEY.uri,
        session_key=KEY,
        nonce="ab" * 16,
        scope=SCOPE,
        now=datetime(2025, 1, 15, tzinfo=UTC),
    ),
]


@pytest.mark.parametrize("copying", [pickle.dumps, copy.deepcopy])
@pytest.mark.parametrize("holder", HOLDERS, ids=lambda holder: type(holder).__name__)
def test_what_holds_a_secret_does_not_pickle(holder: object, copying: Callable[[object], object]) -> None:
    assert CANARY[:12] not in repr(holder)
    with pytest.raises(TypeError, match="contains a secret and cannot be pickled"):
        copying(holder)


@pytest.mark.parametrize("ttl_s", [1e20, float("nan"), float("inf"), -1e20])
def test_a_lifetime_beyond_the_calendar(ttl_s: float) -> None:
    with pytest.raises(LitError, match="ttl_s") as caught:
        eth_wallet_auth_method(
            Wallet.from_key("11" * 32), "ab" * 16, datetime(2025, 1, 15, tzinfo=UTC), ttl_s=ttl_s
        )
    assert getattr(caught.value, "field", "") == "ttl_s"

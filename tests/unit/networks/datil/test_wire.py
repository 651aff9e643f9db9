from __future__ import annotations

import base64
import json
import re
from typing import Any

import pytest

from lit_airflow.errors import (
    AccessDeniedError,
    AttestationError,
    BadShareError,
    CiphertextError,
    Failure,
    FailureKind,
    NodeError,
    PaymentError,
    ProtocolError,
    RateLimitedError,
)
from lit_airflow.networks.datil import wire
from lit_airflow.transport.http import Response

KEY, HASH = "ab" * 48, "0x" + "cd" * 32
# A real sealed "hello", so that only what a case changes is wrong with it.
SEALED = (
    "pLift41OtGf28lGX7U+2kgO5p3KmjGNCqLRHzKtV2jVbsclgLG0wPfxDL4geIDKxLUAMjslE8Rnrcud7ADupXRthiYSSEj6f"
    "idLFQ6RBkZsgFpJyeBUxMocU1xHyerNgoNQWaVpD2qp/PwCBAI409HUC"
)
RAW = base64.b64decode(SEALED)
DATA_HASH = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"


def encoded(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


@pytest.mark.parametrize(
    "sealed",
    [
        {},
        {"ciphertext": SEALED},
        {"dataToEncryptHash": DATA_HASH},
        {"ciphertext": RAW, "dataToEncryptHash": DATA_HASH},
        {"ciphertext": SEALED, "dataToEncryptHash": None},
        *(
            {"ciphertext": text, "dataToEncryptHash": DATA_HASH}
            for text in (
                "",
                "!" + SEALED[1:],
                SEALED[:-5],
                "ä" + SEALED[1:],
                encoded(RAW[:-1]),
                encoded(RAW[:47]),
                encoded(RAW[:80]),
                encoded(b"\0" * 114),
                encoded(b"\xc0" + bytes(47) + RAW[48:]),
                encoded(RAW[:80] + b"\xff\xff\xff\xff\x7f" + RAW[81:]),
                encoded(RAW[:80] + b"\xff" * 9 + RAW[81:]),
                encoded(RAW[:-1] + b"\1"),
            )
        ),
    ],
)
def test_what_is_nothing_to_decrypt(sealed: dict[str, Any]) -> None:
    with pytest.raises(CiphertextError):
        wire.read_sealed(sealed)


def test_what_is_something_to_decrypt() -> None:
    lines = SEALED[:76] + "\r\n" + SEALED[76:]
    for text in (
        SEALED,
        SEALED + "\n ",
        lines,
        SEALED.rstrip("="),
        SEALED.translate(str.maketrans("+/", "-_")),
    ):
        sealed = {"ciphertext": text, "dataToEncryptHash": DATA_HASH, "chain": "ethereum"}
        assert wire.read_sealed(sealed) == (RAW, DATA_HASH)


@pytest.mark.parametrize(
    "answer",
    [
        None,
        [],
        "text",
        {},
        {"subnetPublicKey": KEY},
        {"latestBlockhash": HASH},
        {"subnetPublicKey": "ERR", "latestBlockhash": HASH},
        {"subnetPublicKey": KEY[:-1], "latestBlockhash": HASH},
        {"subnetPublicKey": KEY.upper(), "latestBlockhash": HASH},
        {"subnetPublicKey": KEY, "latestBlockhash": HASH[2:]},
        {"subnetPublicKey": KEY, "latestBlockhash": 5},
        {"subnetPublicKey": KEY, "latestBlockhash": HASH + "\nURI: evil:uri"},
    ],
)
def test_handshakes_that_are_none(answer: object) -> None:
    with pytest.raises(NodeError):
        wire.read_handshake(answer)


def test_a_handshake_may_hold_more() -> None:
    answer = {"subnetPublicKey": KEY, "latestBlockhash": HASH, "new": {"field": 1}}
    assert wire.read_handshake(answer).nonce == HASH


@pytest.mark.parametrize(
    "share",
    [None, "text", {}, {"ProofOfPossession": None}, {"ProofOfPossession": "zz"}, {"ProofOfPossession": "1"}],
)
def test_answers_without_a_share(share: object) -> None:
    with pytest.raises(NodeError):
        wire.read_share({"result": "success", "signatureShare": share})


@pytest.mark.parametrize("share", ["", "00" * 97, "01" + "ff" * 96, "01" + "c0" + "00" * 95])
def test_shares_that_are_no_points(share: str) -> None:
    with pytest.raises(BadShareError):
        wire.read_share({"signatureShare": {"ProofOfPossession": share}})


@pytest.mark.parametrize(
    ("threshold", "count"),
    [(0, 3), (4, 3), (1, 0), (2**255, 3)],
    ids=["none", "too-few", "no-nodes", "absurd"],
)
def test_lists_of_nodes_that_cannot_work(threshold: int, count: int) -> None:
    struct = (2130706433, 0, 7470, "0x", 0, 0, 0)
    with pytest.raises(ProtocolError):
        wire.validators(((600, 1, 0, 0, 0), threshold, [struct] * count), default_scheme="http")


def test_headers() -> None:
    first, second = wire.headers(), wire.headers()
    assert re.fullmatch(r"lit_[0-9a-f]{13}", first["X-Request-Id"])
    assert first["X-Request-Id"] != second["X-Request-Id"]
    assert first["X-Lit-SDK-Version"] == "7.4.0"


@pytest.mark.parametrize(
    ("status", "code", "denied", "busy", "unpaid"),
    [
        (401, "NodeAccessControlConditionsReturnedNotAuthorized", True, False, False),
        (403, "NodeExpWrongOrTooLarge", True, False, False),
        (404, "NodeResourceIdNotFound", True, False, False),
        (422, "NodeBadInput", True, False, False),
        (429, "NodeConcurrencyOverload", False, True, False),
        (402, "rate_limit_exceeded", False, False, True),
        (500, "NodeSystemFault", False, False, False),
        (502, "NodeRpcError", False, False, False),
        (None, "", False, False, False),
    ],
)
def test_what_refusals_mean(status: int | None, code: str, denied: bool, busy: bool, unpaid: bool) -> None:  # noqa: FBT001
    error = NodeError("refused", status=status, code=code, retry_after_s=3)
    assert isinstance(wire.denial(error), AccessDeniedError) is denied
    assert isinstance(wire.overload(error), RateLimitedError) is busy
    assert isinstance(wire.bill(error), PaymentError) is unpaid


def test_who_sells_what_pays() -> None:
    error = NodeError("refused", status=402, code="rate_limit_exceeded")
    named, unnamed = wire.bill(error, "0x" + "11" * 20), wire.bill(error)
    assert named is not None
    assert unnamed is not None
    assert "a rate-limit NFT of the contract 0x" + "11" * 20 in named.hint
    assert "0x" not in unnamed.hint


def test_other_errors_are_no_refusals() -> None:
    for error in (BadShareError("bad"), RuntimeError("foreign")):
        assert (wire.denial(error), wire.overload(error), wire.bill(error)) == (None, None, None)


def answered(status: int, content: object, **headers: str) -> Response:
    """A node's answer; bytes are sent as they are, anything else as JSON."""
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    return Response(status, {"Content-Type": "application/json", **headers}, body, 0.1)


class TestAnswers:
    @pytest.mark.parametrize("content", [{}, {"ok": True}, [], "text", 0, False])
    def test_json_is_returned(self, content: object) -> None:
        assert wire.read_answer(answered(200, content)) == content

    @pytest.mark.parametrize("body", [b"", b"{nonsense", b"<html>", b"[" * 100_000, b"NaN", b"null"])
    def test_what_is_not_json(self, body: bytes) -> None:
        with pytest.raises(NodeError, match="not JSON") as caught:
            wire.read_answer(answered(200, body))
        assert (caught.value.kind, caught.value.status) == (FailureKind.MALFORMED, 200)
        assert not caught.value.retryable
        with pytest.raises(NodeError, match="not JSON"):
            wire.read_answer(Response(200, {"Content-Type": "text/plain"}, b"{}", 0.1))

    @pytest.mark.parametrize("status", [301, 307, 400, 401, 402, 403, 404, 410, 422])
    def test_refusals(self, status: int) -> None:
        with pytest.raises(NodeError) as caught:
            wire.read_answer(answered(status, {"errorCode": "NodeNotAuthorized", "message": "sig=SECRET"}))
        error = caught.value
        assert (error.kind, error.status, error.code) == (FailureKind.REFUSED, status, "NodeNotAuthorized")
        assert (str(error), error.retryable) == (f"HTTP {status} NodeNotAuthorized", False)
        assert "SECRET" not in repr(vars(error))

    @pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
    def test_what_may_pass(self, status: int) -> None:
        with pytest.raises(NodeError) as caught:
            wire.read_answer(
                answered(status, {"errorCode": "NodeConcurrencyOverload"}, **{"Retry-After": "7"})
            )
        error = caught.value
        assert (error.kind, error.retryable, error.retry_after_s) == (FailureKind.BUSY, True, 7)

    @pytest.mark.parametrize(
        "content",
        [
            b"<html>Bad Gateway</html>",
            {"errorCode": "<script>SECRET</script>"},
            {"errorCode": "x" * 81},
            {"errorCode": "two words"},
            {"errorCode": ["NodeNotAuthorized"]},
            {"errorCode": ""},
            ["NodeNotAuthorized"],
            None,
        ],
    )
    def test_only_a_code_is_repeated(self, content: object) -> None:
        with pytest.raises(NodeError) as caught:
            wire.read_answer(answered(400, content))
        assert (str(caught.value), caught.value.code) == ("HTTP 400", "")


@pytest.mark.parametrize(
    ("error", "kind", "message"),
    [
        *(
            (NodeError("it broke", kind=kind), kind, "it broke")
            for kind in FailureKind
            if kind not in (FailureKind.WRONG, FailureKind.UNPROVEN)
        ),
        (
            NodeError("its handshake has no network key"),
            FailureKind.MALFORMED,
            "its handshake has no network key",
        ),
        (BadShareError("its share is wrong"), FailureKind.WRONG, "its share is wrong"),
        (
            AttestationError("The node sent no attestation.", check="attestation"),
            FailureKind.UNTRUSTED,
            "The node sent no attestation",
        ),
        (CiphertextError("a sentence."), FailureKind.MALFORMED, "a sentence"),
        (None, FailureKind.MALFORMED, "no answer"),
    ],
)
def test_why_a_node_gave_nothing_usable(error: Exception | None, kind: FailureKind, message: str) -> None:
    """By the error's type and facts, whatever its words say."""
    found = wire.failure(error)
    assert (found, str(found)) == (Failure(kind, message), message)

"""Runs a gate's text in Deno as the server does, with recorded JSON-RPC answers, and reads what it answers."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

from lit_airflow.devnet.deno import CallError, DenoRunner, FetchReply, FetchRequest, Host

ROOT = Path(__file__).parents[2]
# Another text and another folder of vectors of the same shapes can be tested with the same suite.
TEXT_PATH = Path(os.environ.get("GATE_TEXT") or ROOT / "lit_airflow/networks/chipotle/gates/1.js")
VECTORS = Path(os.environ.get("GATE_VECTORS") or ROOT / "tests/vectors/gate")
NOW_MS = 1_795_780_800_250
# Vector files of requests.
REQUESTS = ("decrypt", "batch", "chain")

SUITE = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)
REPLY_INFO = b"lit_airflow gate 1 reply"

Recorded = Mapping[str, list[dict[str, Any]]]


def gate_text() -> str:
    return TEXT_PATH.read_bytes().decode("ascii")


def cases(name: str) -> list[dict[str, Any]]:
    path = VECTORS / f"{name}.json"
    return json.loads(path.read_bytes())["cases"] if path.is_file() else []


def params_json(case: Mapping[str, Any]) -> str:
    return case["params_text"] if "params_text" in case else json.dumps(case["params"])


@dataclass
class Rpc:
    """JSON-RPC servers that answer as recorded; unlisted calls get an error, unlisted URLs none at all.

    Attributes:
        requests: What was asked, in order.
    """

    recorded: Recorded
    requests: list[FetchRequest] = field(default_factory=list)

    def __call__(self, request: FetchRequest) -> FetchReply:
        self.requests.append(request)
        if request.url not in self.recorded:
            raise CallError("unreachable")
        asked = json.loads(request.body)
        if request.method != "POST" or request.headers.get("content-type") != "application/json":
            return FetchReply(405, b"")
        if asked["jsonrpc"] != "2.0" or "id" not in asked:
            return FetchReply(200, b'{"error":{"code":-32600,"message":"not a request"}}')
        wanted = _key(asked["method"], asked["params"])
        found = [row for row in self.recorded[request.url] if _key(row["method"], row["params"]) == wanted]
        row = found[0] if found else {"error": {"code": -32601, "message": "not recorded"}}
        if row.get("redirect") and request.redirect == "error":
            raise CallError("redirected")
        answer = {name: row[name] for name in ("result", "error") if name in row}
        body = row["text"] if "text" in row else json.dumps({"jsonrpc": "2.0", "id": asked["id"], **answer})
        return FetchReply(row.get("status", 200), body.encode(errors="surrogatepass"))


def _key(method: str, params: object) -> str:
    return json.dumps([method, params]).lower()


class Gate:
    """A gate's text in a warm Deno."""

    def __init__(self, runner: DenoRunner, text: str) -> None:
        self._runner = runner
        self.text = text

    def answer(
        self,
        secret: str,
        params: str,
        *,
        now_ms: int = NOW_MS,
        fetch: Callable[[FetchRequest], FetchReply] | None = None,
    ) -> dict[str, Any]:
        """What the gate answers; fails where it throws, logs, or answers with anything but an object."""
        host = Host(
            calls={"getLitActionPrivateKey": lambda _: f"0x{secret}"}, fetch=fetch or Rpc({}), now_ms=now_ms
        )
        run = self._runner.run(self.text, params, host)
        assert run.failure is None, run.failure
        assert run.logs == ""
        answer = json.loads(run.response)
        assert isinstance(answer, dict)
        return answer

    def run_case(self, case: Mapping[str, Any]) -> dict[str, Any]:
        fetch = Rpc(case.get("rpc", {}))
        return self.answer(case["secret"], params_json(case), now_ms=case["now"], fetch=fetch)

    def evaluate(self, code: str, params: object = None) -> Any:  # noqa: ANN401 (JSON)
        """What the body of a function returns that stands behind the gate's text."""
        run = self._runner.run(f"{self.text}\nasync function main(params) {{ {code} }}", json.dumps(params))
        assert run.failure is None, run.failure
        return json.loads(run.response)


def opened(outcome: dict[str, Any], reply_secret: str) -> dict[str, Any]:
    """An outcome with ``plaintext`` in place of ``sealed``; a refusal is looked at and loses its message."""
    if outcome["ok"]:
        assert sorted(outcome) == ["ok", "sealed"]
        secret = X25519PrivateKey.from_private_bytes(bytes.fromhex(reply_secret))
        plaintext = SUITE.decrypt(base64.b64decode(outcome["sealed"], validate=True), secret, REPLY_INFO)
        return {"ok": True, "plaintext": base64.b64encode(plaintext).decode()}
    assert sorted(outcome) == ["code", "message", "ok"]
    assert len(outcome["message"]) <= 200
    assert len(json.dumps(outcome, separators=(",", ":"))) < 300
    return {"ok": False, "code": outcome["code"]}


def disagreements(answer: dict[str, Any], case: Mapping[str, Any]) -> list[str]:
    """What of the answer is not as expected; names the items of a batch."""
    expected = case["expected"]
    secret = case["reply_secret"]
    if "items" not in expected or "items" not in answer:
        outcomes, wanted = [answer], [expected]
    else:
        assert sorted(answer) == ["items", "ok"]
        assert answer["ok"] is True
        outcomes, wanted = answer["items"], expected["items"]
    assert len(outcomes) == len(wanted)
    names = case.get("names", [])
    if len(names) != len(wanted):
        names = [f"item {number}" for number in range(len(wanted))]
    return [
        f"{name}: {outcome.get('code', 'opened')} for {want}"
        for name, outcome, want in zip(names, outcomes, wanted, strict=True)
        if not _matches(opened(outcome, secret), want)
    ]


def _matches(outcome: Mapping[str, Any], expected: Mapping[str, Any]) -> bool:
    if "items" in expected:
        return False
    if outcome["ok"]:
        return outcome["plaintext"] in (expected.get("plaintext"), expected.get("or_plaintext"))
    return not expected["ok"] and outcome["code"] in (expected["code"], *expected.get("or", ()))

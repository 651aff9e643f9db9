"""Both halves of each exchange: what the gate answers, how the client asks, and what it reads in the answer."""

from __future__ import annotations

from typing import Any

from lit_airflow.keys.secret import Secret
from lit_airflow.networks.chipotle.gate_answers import read_outcomes
from lit_airflow.networks.chipotle.gate_requests import decrypt_params
from tests.conformance.chipotle.derivation import container_of
from tests.conformance.chipotle.exchange import (
    check_item,
    check_opening,
    check_refusal,
    check_signed_text,
    reply_secret_of,
    sealed_answer,
)
from tests.gate.engine import Gate, disagreements


def test_case(case: dict[str, Any], gate: Gate) -> None:
    assert disagreements(gate.run_case(case), case) == []
    expected = case["expected"]
    if not expected["ok"]:
        (outcome,) = read_outcomes(sealed_answer(expected, Secret(b"\x11" * 32)), 1)
        check_refusal(outcome, expected["code"], Secret(b"\x11" * 32))
        return
    params = case["params"]
    container = container_of(params, case["secret"])
    (outcome,) = read_outcomes(sealed_answer(expected, reply_secret_of(case)), 1)
    check_opening(outcome, container, expected["plaintext"], case)
    check_item(container, params)
    check_signed_text(params["authSig"], case)
    assert decrypt_params([container], params["authSig"]) == {
        **container.request_item(),
        "authSig": params["authSig"],
    }

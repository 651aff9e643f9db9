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
    expected, items = case["expected"], case["params"]["items"]
    if not expected["ok"]:
        outcomes = read_outcomes(sealed_answer(expected, Secret(b"\x11" * 32)), len(items) or 1)
        assert len(outcomes) == (len(items) or 1)
        for outcome in outcomes:
            check_refusal(outcome, expected["code"], Secret(b"\x11" * 32))
        return
    check_items(case)
    check_signed_text(case["params"]["authSig"], case)


def check_items(case: dict[str, Any]) -> None:
    items, expected = case["params"]["items"], case["expected"]["items"]
    answers = [sealed_answer(item, reply_secret_of(case)) for item in expected]
    answer = {"ok": True, "items": answers} if len(items) > 1 else answers[0]
    outcomes = read_outcomes(answer, len(items))
    opened = []
    for item, outcome, wanted in zip(items, outcomes, expected, strict=True):
        if not wanted["ok"]:
            check_refusal(outcome, wanted["code"], reply_secret_of(case))
            continue
        container = container_of(item, case["secret"])
        check_item(container, item)
        check_opening(outcome, container, wanted["plaintext"], case)
        opened.append(container)
    ours = decrypt_params([*opened, *opened], case["params"]["authSig"])
    assert ours["items"] == [container.request_item() for container in [*opened, *opened]]

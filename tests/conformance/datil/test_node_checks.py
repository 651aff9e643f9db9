"""The local network's own checks; its tests look at each of them more closely."""

from __future__ import annotations

from typing import Any

from lit_airflow.clock import parse_iso
from lit_airflow.devnet.checks import NodeContext, check_decryption_request
from lit_airflow.devnet.errors import NodeError


def answer(case: dict[str, Any], node_address: str) -> dict[str, Any]:
    context = NodeContext(address=node_address, now=parse_iso(case["now"]))
    try:
        signing = check_decryption_request(case["request"], context)
    except NodeError as refused:
        return {"ok": False, "errorCode": refused.code, "status": refused.status}
    assert signing.text.endswith("/" + case["request"]["dataToEncryptHash"])
    return {"ok": True}


def test_case(case: dict[str, Any], whole_file: dict[str, Any]) -> None:
    assert answer(case, whole_file["node_address"]) == case["expected"]

"""The local network's own checks; its tests look at each of them more closely."""

from __future__ import annotations

from typing import Any

from lit_airflow.clock import parse_iso
from lit_airflow.devnet.checks import Place, admit
from lit_airflow.devnet.errors import NodeError


def answer(case: dict[str, Any], node_address: str) -> dict[str, Any]:
    place = Place(address=node_address, now=parse_iso(case["now"]))
    try:
        admission = admit(case["request"], place)
    except NodeError as refused:
        return {"ok": False, "errorCode": refused.code, "status": refused.status}
    assert admission.identity.decode().endswith("/" + case["request"]["dataToEncryptHash"])
    return {"ok": True}


def test_case(case: dict[str, Any], whole_file: dict[str, Any]) -> None:
    assert answer(case, whole_file["node_address"]) == case["expected"]

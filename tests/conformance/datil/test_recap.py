from __future__ import annotations

from typing import Any

import pytest

from lit_airflow.errors import ScopeError, SiweError
from lit_airflow.protocol.recap import Recap, canonical_json
from tests.conformance.reading import requests, resource


def granted(wires: list[dict[str, Any]]) -> Recap:
    recap = Recap()
    for request in requests(wires):
        recap.add(request.resource, request.recap_ability, request.data)
    return recap


def build(case: dict[str, Any]) -> dict[str, Any]:
    recap = granted(case["requests"])
    return {
        "attenuations": recap.attenuations,
        "statement": recap.statement(),
        "urn": recap.urn(),
        "canonical_json": canonical_json({"att": recap.attenuations, "prf": recap.proofs}),
        "decoded": Recap.from_urn(recap.urn()).attenuations,
    }


def verify(case: dict[str, Any]) -> dict[str, Any]:
    recap = granted(case["grant"])
    for wire in case["grant_all_abilities"]:
        recap.add(resource(wire), "*/*")
    verified = recap.covers(resource(case["ask"]), case["ask"]["ability"])
    assert Recap.from_urn(recap.urn()).covers(resource(case["ask"]), case["ask"]["ability"]) == verified
    return {"granted": recap.attenuations, "urn": recap.urn(), "verified": verified}


def decode(case: dict[str, Any]) -> dict[str, Any]:
    recap = Recap.from_urn(case["urn"])
    return {"attenuations": recap.attenuations, "statement": recap.statement(), "proofs": recap.proofs}


OPS = {"build_one_object": build, "verify": verify, "decode": decode}


def test_case(case: dict[str, Any]) -> None:
    run = OPS[case["op"]]
    if "expected_error" in case:
        with pytest.raises((ScopeError, SiweError)):
            run(case)
    else:
        assert run(case) == case["expected"]

from __future__ import annotations

from typing import Any

import pytest

from lit_airflow.clock import parse_iso
from lit_airflow.errors import SessionError
from lit_airflow.protocol.auth_sig import AuthSig
from lit_airflow.protocol.delegation import needs_new_signature
from lit_airflow.protocol.scope import Scope
from tests.conformance.reading import requests


def decide(case: dict[str, Any]) -> bool:
    return needs_new_signature(
        AuthSig.from_json(case["auth_sig"]),
        session_uri=case["session_key_uri"],
        scope=Scope(requests(case["requests"])),
        now=parse_iso(case["now"]),
        network_public_key=case.get("network_public_key"),
    )


def test_case(case: dict[str, Any]) -> None:
    if "expected_error" in case:
        with pytest.raises(SessionError):
            decide(case)
    else:
        assert decide(case) is case["expected"]

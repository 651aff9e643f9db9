from __future__ import annotations

import json
from typing import Any

import pytest

from lit_airflow.networks.datil.consensus import most_common


def test_case(case: dict[str, Any]) -> None:
    if not case["input"]:
        # The SDK's rule yields nothing for an empty list; the client never asks it without an answer.
        assert case.get("expected") is None
        with pytest.raises(ValueError, match="empty"):
            most_common(case["input"])
    elif case["op"] == "most_common":
        assert most_common(case["input"]) == case["expected"]
    else:
        # Whole answers are compared as JSON text.
        assert case["op"] == "most_common_response"
        assert json.loads(most_common([json.dumps(answer) for answer in case["input"]])) == case["expected"]

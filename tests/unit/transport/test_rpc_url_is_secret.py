"""Providers of a chain's RPC put the customer's key in its URL."""

from __future__ import annotations

import traceback

import pytest

from lit_airflow import LitClient
from lit_airflow.errors import LitError

CANARY = "k3y-0f-the-cust0mer"


@pytest.mark.parametrize(
    "rpc_url",
    [
        f"http://127.0.0.1:9/v3/{CANARY}",
        f"http://127.0.0.1:9/?apikey={CANARY}",
        f"http://user:{CANARY}@127.0.0.1:9/",
        f"ftp://127.0.0.1:9/{CANARY}",
    ],
)
def test_no_error_shows_the_key_in_it(rpc_url: str) -> None:
    network = {"network": "custom", "rpc_url": rpc_url, "staking_address": "0x" + "11" * 20}
    with pytest.raises(LitError) as caught:
        LitClient(network, timeout_s=60).sdk.survey()
    assert CANARY not in "".join(traceback.format_exception(caught.value))
    assert "127.0.0.1:9" in str(caught.value) or "rpc_url" in str(caught.value)

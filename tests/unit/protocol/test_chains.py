"""Names of chains and their ids, as Lit's own package has them."""

from __future__ import annotations

import json
from pathlib import Path

from lit_airflow.protocol.chains import chain_id

CHAINS = json.loads(Path("tests/vectors/datil/constants.json").read_text("utf-8"))["chains"]["evm"]


def test_each_chain_has_the_id_that_the_sdk_knows() -> None:
    assert {name: chain_id(name) for name in CHAINS} == CHAINS
    assert (chain_id("base"), chain_id("sepolia")) == (8453, 11155111)


def test_an_unknown_name_has_none() -> None:
    assert chain_id("constructor") is None
    assert chain_id("") is None

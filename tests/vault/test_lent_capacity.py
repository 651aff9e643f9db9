"""Sessions of a connection that carry capacity credits of another wallet, on a network that requires them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from lit_airflow import LitClient, Wallet
from lit_airflow.devnet import Devnet
from lit_airflow.errors import PaymentError, SettingsError
from lit_airflow.hooks import LitHook
from lit_airflow.networks.contract import Verdict
from lit_airflow.protocol.capacity_delegation import capacity_delegation
from lit_airflow.provider import doctor
from lit_airflow.sandbox.vault_server import KV_MOUNT, KV_PATH, POLICIES
from tests.vault.parts import Bao, Connections, conditions_for

OWNER = Wallet.from_key("55" * 32)
PATH = "lit/capacity"


@pytest.fixture(scope="module")
def paying() -> Iterator[Devnet]:
    with Devnet(2, 2, pays=True) as net:
        net.mint_credit(OWNER.address)
        yield net


@pytest.fixture
def lent(bao: Bao, connections: Connections, paying: Devnet) -> Iterator[dict[str, Any]]:
    """A delegation to the connection's wallet; its role may read where it lies."""
    policy = f'path "{KV_MOUNT}/data/{PATH}" {{ capabilities = ["read"] }}'
    role = bao.role("lit-borrower", "\n".join((POLICIES["lit-renewer"], policy)))
    connections.vault("vault_borrower", bao.port, role)
    wire = capacity_delegation(
        OWNER, nonce="0x" + "ab" * 32, now=datetime.now(UTC), delegatees=[bao.wallet.address]
    ).to_json()
    bao.write(PATH, {"capacity_delegation": json.dumps(wire)})
    return wire


def tried(hook: LitHook, bao: Bao, net: Devnet) -> bytes:
    conditions = conditions_for(bao.wallet.address)
    container = {**LitClient(net.description).encrypt(b"paid", conditions), **conditions}
    return hook.decrypt(container, hook.open_session(hook.scope_of(container)))


def test_a_session_carries_what_the_connection_names(
    bao: Bao, connections: Connections, paying: Devnet, lent: dict[str, Any]
) -> None:
    network = {key: paying.description[key] for key in ("rpc_url", "staking_address")}
    connections.lit("unpaid", "vault_borrower", vault_path=KV_PATH, **network)
    with pytest.raises(PaymentError, match="capacity_path"):
        tried(LitHook("unpaid"), bao, paying)
    connections.lit("paid", "vault_borrower", vault_path=KV_PATH, capacity_path=PATH, **network)
    assert tried(LitHook("paid"), bao, paying) == b"paid"
    for given in (PATH, lent):
        assert tried(LitHook("unpaid", capacity_delegation=given), bao, paying) == b"paid"
    checks = {check.name: check for check in doctor.examine(LitHook("paid"))}
    found = checks["capacity delegation"]
    assert (found.verdict, OWNER.address in found.found) == (Verdict.GOOD, True)


def test_what_lies_there_is_no_delegation(
    connections: Connections, paying: Devnet, lent: dict[str, Any]
) -> None:
    network = {key: paying.description[key] for key in ("rpc_url", "staking_address")}
    connections.lit("wrong", "vault_borrower", vault_path=KV_PATH, capacity_path=KV_PATH, **network)
    with pytest.raises(SettingsError, match="no capacity delegation"):
        LitHook("wrong").lent_capacity()

"""A ticket goes through XCom whole: its size, for as many nodes as there may ever be."""

from __future__ import annotations

import json

import pytest
from cryptography.fernet import Fernet

from lit_airflow import clock
from lit_airflow.clock import Deadline
from lit_airflow.handoff.seal import FernetSeal
from lit_airflow.handoff.ticket import Origin, make_ticket, open_ticket
from lit_airflow.keys.secret import Secret
from lit_airflow.keys.wallet import Wallet
from lit_airflow.networks.contract import SessionOptions
from lit_airflow.protocol.capacity_delegation import capacity_delegation
from lit_airflow.protocol.scope import Scope
from lit_airflow.protocol.session import Session
from tests.surveying import surveyed

NODES = tuple(f"https://15.235.83.{number}:7470" for number in range(100))
# XCom is a column of the metadata database; MySQL's smallest text type holds 64 kB.
MOST_BYTES = 48_000
NETWORK = surveyed(NODES, 67, nonce="0x" + "ab" * 32)
ORIGIN = Origin("reports", "scheduled__2026-01-15T00:00:00+00:00", "session")


def opened(scope: Scope) -> Session:
    """A session for a hundred nodes, with a capacity delegation inside; nobody is asked."""
    wallet = Wallet.from_key("11" * 32)
    lent = capacity_delegation(wallet, nonce="ab" * 32, now=clock.now(), delegatees=[wallet.address])
    options = SessionOptions(ttl_s=600, capabilities=[lent])
    return NETWORK.open_session(wallet, scope, options, Deadline.after(5))


@pytest.mark.parametrize("items", [1, 20])
def test_a_ticket_for_a_hundred_nodes(items: int) -> None:
    scope = Scope.parse(
        f"access-control-condition-decryption=lit-accesscontrolcondition://{i:064x}/{i:064x}"
        for i in range(items)
    )
    session, seal = opened(scope), FernetSeal(Secret(Fernet.generate_key()))
    assert len(session.session_sigs) == 100
    assert len(json.dumps(session.to_json())) > 4 * MOST_BYTES
    ticket = make_ticket(session, seal, network="custom", origin=ORIGIN)
    assert len(json.dumps(ticket)) < MOST_BYTES
    load = NETWORK.load_session
    again = open_ticket(ticket, seal, load, network="custom", now=clock.now(), origin=ORIGIN)
    assert again.session_sigs == session.session_sigs

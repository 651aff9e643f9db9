"""Tickets sealed by a role that may seal but has no wallet: neither opened, nor passed on, nor renewed."""

import dataclasses
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from lit_airflow import LitClient, Scope, Wallet
from lit_airflow.devnet import Devnet
from lit_airflow.errors import SessionExpiredError, TicketError
from lit_airflow.handoff.ticket import Ticket
from lit_airflow.hooks import LitHook
from lit_airflow.protocol.session import Session, SessionKey
from lit_airflow.sandbox.vault_server import KV_PATH
from tests.vault.parts import KEY_READ, Bao, Connections, running

pytestmark = pytest.mark.usefixtures("connections")

SCOPE = Scope.to_decrypt("0" * 64 + "/" + "1" * 64)
ALL = Scope.parse(["access-control-condition-decryption=lit-accesscontrolcondition://*"])
SEALER = """
    path "transit/encrypt/lit-sessions" { capabilities = ["update"] }
    path "transit/decrypt/lit-sessions" { capabilities = ["update"] }
    path "secret/data/lit/sessions/*" { capabilities = ["create", "update", "read"] }
    path "secret/metadata/lit/sessions/*" { capabilities = ["create", "update", "read"] }
"""
MALLORY = Wallet.from_key("22" * 32)
Forge = Callable[[Session, Session], Session]
"""Makes a session of a good one that its forger has seen and one of its own wallet."""


def with_message(session: Session, old: str, new: str) -> Session:
    """The session, its delegation's text altered and its signature kept."""
    delegation = dict(session.capabilities[-1])
    assert old in delegation["signedMessage"]
    delegation["signedMessage"] = delegation["signedMessage"].replace(old, new)
    return dataclasses.replace(session, capabilities=(delegation,))


def with_key(session: Session, key: SessionKey) -> Session:
    return dataclasses.replace(session, key=key, public_key=key.public_key)


def claiming(session: Session, wallet: str) -> Session:
    """The session, whose delegation is said to be of that wallet."""
    delegation = {**session.capabilities[-1], "address": wallet}
    return dataclasses.replace(session, wallet=wallet, capabilities=(delegation,))


FORGED: dict[str, Forge] = {
    "another wallet's": lambda _, own: own,
    "another wallet's, said to be the team's": lambda good, own: claiming(own, good.wallet),
    "another wallet's, the team's written into its text": lambda good, own: claiming(
        with_message(own, own.wallet, good.wallet), good.wallet
    ),
    "the delegation of another session key": lambda good, own: dataclasses.replace(
        good, public_key=own.public_key, key=own.key
    ),
    "a wider scope than was delegated": lambda good, _: dataclasses.replace(good, scope=ALL),
    "a longer life written into the delegation": lambda good, _: with_message(
        good, "Expiration Time: 2", "Expiration Time: 3"
    ),
    "no delegation": lambda good, _: dataclasses.replace(good, capabilities=()),
}


@pytest.fixture
def sealer(bao: Bao, connections: Connections) -> None:
    """A role that may seal, open and publish, and not read the key."""
    connections.vault("vault_sealer", bao.port, bao.role("sealer", SEALER))
    connections.lit("lit_sealer", "vault_sealer")


@pytest.fixture(params=["named", "read from Vault"])
def wallet(request: pytest.FixtureRequest, bao: Bao, connections: Connections) -> str:
    """Whether the renewer's connection names its wallet."""
    if request.param != "named":
        connections.lit("lit_renewer", vault_path=KV_PATH)
    return str(request.param)


@pytest.fixture(params=FORGED)
def forged(request: pytest.FixtureRequest, bao: Bao, net: Devnet, sealer: None) -> Ticket:
    """Sealed by that role, in the same run as the task that gets it."""
    client = LitClient(net.description)
    good, own = (client.open_session(wallet, SCOPE, ttl_s=600) for wallet in (bao.wallet, MALLORY))
    with running("session"):
        return LitHook("lit_sealer").make_ticket(FORGED[request.param](good, own))


def test_it_is_not_passed_on(wallet: str, forged: Ticket) -> None:
    with running("session"):
        ticket, renewed, why = LitHook("lit_renewer").sessions.reuse_or_open(forged, SCOPE, lead_s=1)
    assert (renewed, ticket["wallet"] == MALLORY.address) == (True, False)
    assert ticket["session_public_key"] != forged["session_public_key"]
    assert why


def test_it_is_not_renewed(
    wallet: str, forged: Ticket, bao: Bao, net: Devnet, monkeypatch: pytest.MonkeyPatch
) -> None:
    hook = LitHook("lit_renewer")
    with running("decrypt"):
        if wallet == "named":
            with pytest.raises(TicketError, match="is not one of the wallet"):
                hook.hold(forged)
            return
        held = hook.hold(forged)
    later = datetime.now(UTC) + timedelta(seconds=590)
    monkeypatch.setattr("lit_airflow.clock.now", lambda: later)
    with bao.watched() as paths:
        assert held.current(hook.sessions, lambda: SCOPE) is held.session
    later += timedelta(days=400_000)
    with bao.watched() as late_paths, pytest.raises(SessionExpiredError):
        held.current(hook.sessions, lambda: SCOPE)
    # The key was read, to know the wallet, and signed nothing.
    assert (paths, late_paths) == ([KEY_READ], [KEY_READ])


def test_one_of_another_wallet_opens_where_any_is_expected_and_not_where_one_is(
    bao: Bao, net: Devnet, connections: Connections, sealer: None
) -> None:
    with running("session"):
        session = LitClient(net.description).open_session(MALLORY, SCOPE)
        ticket = LitHook("lit_sealer").make_ticket(session)
        named = LitHook("lit_sealer").sessions.make_ticket(session, name="theirs")
        LitHook("lit_sealer").sessions.store().publish("theirs", named, datetime.now(UTC))
    with running("decrypt"):
        for handed_on in (ticket, "theirs"):
            assert LitHook("lit_consumer").hold(handed_on).session == session
        connections.lit("lit_consumer", "vault_consumer", wallet_address=bao.wallet.address)
        for handed_on in (ticket, "theirs"):
            with pytest.raises(TicketError) as caught:
                LitHook("lit_consumer").hold(handed_on)
            told = str(caught.value).replace('"', "")
            assert f"signed by {MALLORY.address}, not by {bao.wallet.address}" in told
        with pytest.raises(TicketError):
            LitHook("lit_consumer").open_ticket(ticket)


def test_the_delegations_are_good_where_nothing_is_forged(
    wallet: str, bao: Bao, net: Devnet, sealer: None
) -> None:
    """The refusals above are for the forger's sake: a role that may seal hands on what the wallet delegated."""
    session = LitClient(net.description).open_session(bao.wallet, SCOPE, ttl_s=600)
    with running("session"):
        ticket = LitHook("lit_sealer").make_ticket(session)
        assert LitHook("lit_renewer").sessions.reuse_or_open(ticket, SCOPE, lead_s=1)[1] is False

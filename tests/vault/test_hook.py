"""A Lit connection at work: in which order things happen, when a ticket is passed on, what Test answers."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from lit_airflow import Scope, Wallet
from lit_airflow.devnet import Devnet
from lit_airflow.errors import (
    ChainUnavailableError,
    LitError,
    NodesUnavailableError,
    SettingsError,
    TicketError,
    WalletKeyError,
)
from lit_airflow.hooks import LitHook
from lit_airflow.sandbox.processes import free_port
from lit_airflow.sandbox.vault_server import KV_PATH, POLICIES
from tests.vault.parts import KEY_READ, LOGIN, OPENED, SEALED, TOKEN, Bao, Connections, running

SCOPE = Scope.to_decrypt("0" * 64 + "/" + "1" * 64)
ANOTHER = Scope.to_decrypt("0" * 64 + "/" + "2" * 64)
ALL = Scope.parse(["access-control-condition-decryption=lit-accesscontrolcondition://*"])


Ticket = dict[str, Any]


@pytest.fixture
def ticket(connections: Connections) -> Ticket:
    """A good one for ``SCOPE``, as an earlier run left it."""
    return made(SCOPE)


def made(
    scope: Scope, conn_id: str = "lit_renewer", *, ttl_s: float = 3600, run_id: str = "sunday"
) -> Ticket:
    with running("session", run_id=run_id):
        hook = LitHook(conn_id)
        return hook.make_ticket(hook.open_session(scope, ttl_s=ttl_s))


def why_opened(held: object, scope: Scope = SCOPE, **options: float) -> str:
    """Why the session task of this run opens a session in place of that one; empty if it passes it on."""
    with running("session"):
        ticket, renewed, why = LitHook("lit_renewer").sessions.reuse_or_open(held, scope, **options)
        session = LitHook("lit_renewer").open_ticket(ticket)  # it is good in this run
    assert (renewed, session.public_key == held_key(held)) in {(True, False), (False, True)}
    assert renewed == bool(why)
    return str(why)


def held_key(held: object) -> object:
    return held.get("session_public_key") if isinstance(held, dict) else None


@pytest.mark.parametrize("ttl_s", [0, -1, 0.5, float("nan"), 30 * 24 * 3600 + 1, 10**12])
def test_an_impossible_lifetime_is_refused_before_anything_is_sent(
    bao: Bao, net: Devnet, connections: Connections, ttl_s: float
) -> None:
    before = len(net.requests)
    with bao.watched() as paths, pytest.raises(SettingsError) as caught:
        LitHook("lit_renewer").open_session(SCOPE, ttl_s=ttl_s)
    assert caught.value.field == "ttl_s"
    assert paths == []
    assert len(net.requests) == before


def test_the_key_stays_in_vault_while_the_chain_is_unreachable(bao: Bao, connections: Connections) -> None:
    connections.lit("lit_renewer", vault_path=KV_PATH, rpc_url=f"http://127.0.0.1:{free_port()}", timeout_s=2)
    with bao.watched() as paths, pytest.raises(ChainUnavailableError) as caught:
        LitHook("lit_renewer").open_session(SCOPE)
    assert caught.value.retryable
    assert paths == []


def test_the_key_stays_in_vault_while_too_few_nodes_answer(
    bao: Bao, net: Devnet, connections: Connections
) -> None:
    net.stop_node(0)
    net.stop_node(1)
    with bao.watched() as paths, pytest.raises(NodesUnavailableError) as caught:
        LitHook("lit_renewer").open_session(SCOPE)
    nodes = net.description["nodes"]
    assert isinstance(nodes, list)
    assert set(caught.value.failures) == set(nodes[:2])
    assert paths == []


def test_a_wildcard_is_logged_as_a_warning(
    connections: Connections, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    def logged() -> str:
        return "".join(capsys.readouterr()) + caplog.text  # where to depends on who set up Airflow's logging

    LitHook("lit_renewer").open_session(SCOPE)
    assert "narrow it" not in logged()
    LitHook("lit_renewer").open_session(ALL)
    lines = [line for line in logged().splitlines() if "narrow it" in line]
    assert len(lines) == 1
    assert "lit-accesscontrolcondition://*" in lines[0]
    assert "warning" in lines[0].lower()


def test_lifetime_and_domain_reach_the_wallets_message(connections: Connections) -> None:
    connections.lit(
        "lit_renewer",
        vault_path=KV_PATH,
        siwe_domain="airflow.example.org",
        session_ttl_s=120,
        renewal_lead_s=30,
    )
    session = LitHook("lit_renewer").open_session(SCOPE)
    message = session.capabilities[-1]["signedMessage"]
    assert message.startswith("airflow.example.org wants you to sign in with your Ethereum account:\n")
    assert timedelta(seconds=110) < session.expires_at - datetime.now(UTC) <= timedelta(seconds=120)


def test_a_good_ticket_is_passed_on_and_bound_to_this_run(ticket: Ticket) -> None:
    with running("session"):
        passed_on, renewed, _ = LitHook("lit_renewer").sessions.reuse_or_open(ticket, SCOPE)
        assert LitHook("lit_consumer").open_ticket(passed_on).public_key == ticket["session_public_key"]
        with pytest.raises(TicketError, match="not to this DAG run"):
            LitHook("lit_consumer").open_ticket(ticket)
    assert not renewed
    assert (ticket["run_id"], passed_on["run_id"]) == ("sunday", "monday")
    assert passed_on["expires_at"] == ticket["expires_at"]  # and it lasts no longer than it did


def test_passing_on_reads_no_key_where_the_wallet_is_named(bao: Bao, ticket: Ticket) -> None:
    with bao.watched() as paths, running("session"):
        LitHook("lit_renewer").sessions.reuse_or_open(ticket, SCOPE)
    assert paths == [LOGIN, OPENED, SEALED]


def test_passing_on_reads_the_key_once_where_it_is_not(
    bao: Bao, connections: Connections, ticket: Ticket
) -> None:
    connections.lit("lit_renewer", vault_path=KV_PATH)
    with bao.watched() as paths, running("session"):
        LitHook("lit_renewer").sessions.reuse_or_open(ticket, SCOPE)
    assert paths == [LOGIN, OPENED, KEY_READ, SEALED]


@pytest.mark.parametrize("write", [str, str.lower, lambda address: address.removeprefix("0x")])
def test_the_expected_wallet_may_be_written_in_any_way(
    bao: Bao, connections: Connections, ticket: Ticket, write: Callable[[str], str]
) -> None:
    for conn_id in ("lit_renewer", "lit_consumer"):
        connections.lit(conn_id, vault_path=KV_PATH, wallet_address=write(bao.wallet.address))
    assert LitHook("lit_renewer").get_wallet().address == bao.wallet.address
    assert why_opened(ticket) == ""
    with running("decrypt", run_id="sunday"):
        assert LitHook("lit_consumer").open_ticket(ticket).wallet == bao.wallet.address


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"network": "datil-dev"}, "datil-dev"),
        ({"v": 3}, "version 3"),
        ({"kind": "another/1"}, "altered"),
        ({"scope": [{"resource": "x", "ability": "y"}]}, "altered"),
        ({"transit_key": "another"}, "under another key"),
        ({"seal": "fernet"}, "sealed with fernet"),
        ({"expires_at": "2026-01-01T00:00:00.000Z"}, "ended at 2026-01-01"),
        ({"expires_at": "2126-01-01T00:00:00.000Z"}, "altered"),
        ({"expires_at": "whenever"}, "not a time"),
        ({"sealed": None}, "incomplete"),
        ({"dag_id": "another"}, "the DAG another, not to this DAG run"),
        ({"run_id": "another"}, "altered"),
        ({"name": "reports"}, "altered"),
    ],
)
def test_another_ticket_is_not(ticket: Ticket, change: dict[str, object], why: str) -> None:
    assert why in why_opened(ticket | change).replace('"', "")


@pytest.mark.parametrize("held", [None, [], "x", {}, {"v": 10**4400}])
def test_what_is_no_ticket_is_not(connections: Connections, held: object) -> None:
    assert why_opened(held)


def test_not_for_another_scope(ticket: Ticket) -> None:
    assert "does not cover" in why_opened(ticket, ANOTHER)
    assert "does not cover" in why_opened(ticket, ALL)
    assert why_opened(made(ALL), SCOPE) == ""


def test_not_of_another_dag(connections: Connections) -> None:
    with running("session", dag_id="payroll", run_id="sunday"):
        hook = LitHook("lit_renewer")
        ticket = hook.make_ticket(hook.open_session(SCOPE))
    assert "DAG payroll" in why_opened(ticket).replace('"', "")


def test_not_of_another_wallet(bao: Bao, connections: Connections, ticket: Ticket) -> None:
    """The wallet of the connection changed since; whether the connection names it or not."""
    bao.write("lit/changed", {"private_key": "11" * 32})
    wallet = Wallet.from_key("11" * 32).address
    policy = POLICIES["lit-renewer"].replace(KV_PATH, "lit/changed")
    connections.vault("vault_renewer", bao.port, bao.role("changed", policy))
    for named in ("", wallet):
        connections.lit("lit_renewer", vault_path="lit/changed", wallet_address=named)
        assert f"signed by {bao.wallet.address}, not by {wallet}" in why_opened(ticket).replace('"', "")


def test_not_where_the_role_may_not_open_it(bao: Bao, connections: Connections, ticket: Ticket) -> None:
    """A role that may only seal opens a session in each run."""
    policy = POLICIES["lit-renewer"].replace("transit/decrypt/", "transit/nothing/")
    connections.vault("vault_renewer", bao.port, bao.role("seals-only", policy))
    with running("session"):
        _, renewed, why = LitHook("lit_renewer").sessions.reuse_or_open(ticket, SCOPE)
    assert renewed
    assert "does not allow this role to use transit/decrypt/lit-sessions" in why


def test_not_within_the_lead(bao: Bao, connections: Connections) -> None:
    connections.lit("lit_renewer", vault_path=KV_PATH, wallet_address=bao.wallet.address, renewal_lead_s=1000)
    ticket = made(SCOPE, ttl_s=1060)
    assert why_opened(ticket) == ""
    assert "s left" in why_opened(ticket, lead_s=1060)
    assert "s left" in why_opened(made(SCOPE, ttl_s=1000))
    assert why_opened(made(SCOPE, ttl_s=500), lead_s=10) == ""


def test_the_test_button_of_the_renewer(bao: Bao, connections: Connections) -> None:
    good, text = LitHook("lit_renewer").test_connection()
    assert good, text
    assert bao.wallet.address in text
    assert "3 of 3 servers" in text


def test_the_test_button_of_the_consumer(connections: Connections) -> None:
    good, text = LitHook("lit_consumer").test_connection()
    assert good, text
    assert "No wallet" in text
    assert "3 of 3 servers" in text


def test_the_clock_is_shown_where_a_session_is_made_and_by_the_test_button(
    net: Devnet, connections: Connections, caplog: pytest.LogCaptureFixture
) -> None:
    _, text = LitHook("lit_consumer").test_connection()
    assert "This machine's clock agrees with theirs to " in text
    net.set_clock_offset(90)
    try:
        hook = LitHook("lit_renewer")
        _, text = hook.test_connection()
        assert re.search(r"This machine's clock is (89|90|91) s behind the servers'", text)
        with caplog.at_level("INFO"):
            hook.open_session(SCOPE)
    finally:
        net.set_clock_offset(0)
    assert "s behind the servers'" in caplog.text


def test_the_test_button_with_one_node_down(net: Devnet, connections: Connections) -> None:
    net.stop_node(2)
    good, text = LitHook("lit_renewer").test_connection()
    assert good, text
    assert "2 of 3 servers" in text


@pytest.mark.parametrize(
    ("extra", "told_of"),
    [
        ({"network": "mars"}, "mars"),
        ({"rpc_url": "http://127.0.0.1:9", "timeout_s": 1}, "127.0.0.1:9"),
        ({"staking_address": "0x12"}, "staking contract"),
        ({"vault_path": "lit/nothing"}, "vault_renewer"),
        ({"vault_field": "nothing"}, '"nothing"'),
        ({"wallet_address": "0x" + "12" * 20}, "belongs to the wallet"),
        ({"network_public_key": "ab" * 48}, "key"),
        ({"session_ttl_s": 5}, "from 60 to 2592000"),
        ({"timeout_s": "soon"}, "timeout_s"),
    ],
)
def test_the_test_button_says_what_is_wrong(
    bao: Bao, connections: Connections, extra: dict[str, object], told_of: str
) -> None:
    connections.lit("lit_renewer", **{"vault_path": KV_PATH, **extra})
    good, text = LitHook("lit_renewer").test_connection()
    assert not good
    assert told_of in text
    assert bao.key.reveal().hex() not in text
    assert not TOKEN.search(text.encode())


def test_an_error_of_an_hook_is_one_of_ours(connections: Connections) -> None:
    connections.lit("lit_renewer", vault_path=KV_PATH, seal="wax")
    with pytest.raises(LitError, match="wax"):
        _ = LitHook("lit_renewer").settings


def test_a_connection_of_another_type_is_refused(bao: Bao, connections: Connections) -> None:
    with pytest.raises(SettingsError, match="has type vault, not lit") as caught:
        LitHook("vault_renewer").settings  # noqa: B018 - reading it is the act
    assert caught.value.field == "lit_conn_id"


def test_a_connection_that_is_missing_is_named_and_where_to_look(connections: Connections) -> None:
    with pytest.raises(SettingsError, match="Connection 'lit_renewed' not found") as caught:
        LitHook("lit_renewed").settings  # noqa: B018 - reading it is the act
    assert caught.value.field == "lit_conn_id"
    assert "`airflow connections list`" in caught.value.hint


def test_a_key_of_another_wallet_is_refused_and_its_place_named(bao: Bao, connections: Connections) -> None:
    connections.lit("lit_renewer", vault_path=KV_PATH, wallet_address="0x" + "11" * 20)
    with pytest.raises(WalletKeyError) as caught:
        LitHook("lit_renewer").get_wallet()
    assert f"secret/{KV_PATH} in connection vault_renewer, field private_key" in str(caught.value)
    assert bao.wallet.address in str(caught.value)

"""A Lit connection at work: in which order things happen, when a ticket is passed on, what Test answers."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from lit_airflow import Scope
from lit_airflow.clock import iso
from lit_airflow.devnet import Devnet
from lit_airflow.errors import (
    ChainUnavailableError,
    LitError,
    NodesUnavailableError,
    SettingsError,
    WalletKeyError,
)
from lit_airflow.hooks import LitHook
from lit_airflow.sandbox.processes import free_port
from lit_airflow.sandbox.vault_server import KV_PATH
from tests.vault.parts import TOKEN, Bao, Connections

SCOPE = Scope.to_decrypt("0" * 64 + "/" + "1" * 64)
ANOTHER = Scope.to_decrypt("0" * 64 + "/" + "2" * 64)
ALL = Scope.parse(["access-control-condition-decryption=lit-accesscontrolcondition://*"])


@pytest.fixture
def ticket(bao: Bao) -> dict[str, Any]:
    """The public facts of a good ticket; whether it is passed on depends on no more."""
    return {
        "v": 1,
        "network": "custom",
        "wallet": bao.wallet.address,
        "session_public_key": "00" * 32,
        "scope": [{"resource": r.resource.key, "ability": r.ability} for r in SCOPE.requests],
        "issued_at": iso(datetime.now(UTC)),
        "expires_at": iso(datetime.now(UTC) + timedelta(hours=1)),
        "seal": "transit",
        "transit_mount": "transit",
        "transit_key": "lit-sessions",
        "sealed": "",
    }


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


def test_a_good_ticket_is_passed_on(bao: Bao, connections: Connections, ticket: dict[str, Any]) -> None:
    with bao.watched() as paths:
        assert LitHook("lit_renewer").why_renew(ticket, SCOPE) == ""
    assert paths == []


@pytest.mark.parametrize("write", [str, str.lower, lambda address: address.removeprefix("0x")])
def test_the_expected_wallet_may_be_written_in_any_way(
    bao: Bao, connections: Connections, ticket: dict[str, Any], write: Callable[[str], str]
) -> None:
    connections.lit("lit_renewer", vault_path=KV_PATH, wallet_address=write(bao.wallet.address))
    assert LitHook("lit_renewer").get_wallet().address == bao.wallet.address
    assert LitHook("lit_renewer").why_renew(ticket, SCOPE) == ""


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"network": "datil-dev"}, "datil-dev"),
        ({"v": 2}, "version 2"),
        ({"scope": [{"resource": "x", "ability": "y"}]}, "resource key"),
        ({"scope": "all"}, "unreadable"),
        ({"transit_key": "another"}, "sealed in another way"),
        ({"seal": "fernet"}, "sealed in another way"),
        ({"expires_at": "2026-01-01T00:00:00.000Z"}, "0 s left"),
        ({"expires_at": "whenever"}, "times"),
        ({"sealed": None}, "incomplete"),
    ],
)
def test_another_ticket_is_not(
    connections: Connections, ticket: dict[str, Any], change: dict[str, object], why: str
) -> None:
    assert why in LitHook("lit_renewer").why_renew(ticket | change, SCOPE)


@pytest.mark.parametrize("held", [None, [], "x", {}])
def test_what_is_no_ticket_is_not(connections: Connections, held: object) -> None:
    assert LitHook("lit_renewer").why_renew(held, SCOPE)


def test_not_for_another_wallet_or_scope(connections: Connections, ticket: dict[str, Any]) -> None:
    assert "does not cover" in LitHook("lit_renewer").why_renew(ticket, ANOTHER)
    assert "does not cover" in LitHook("lit_renewer").why_renew(ticket, ALL)
    wide = ticket | {"scope": [{"resource": r.resource.key, "ability": r.ability} for r in ALL.requests]}
    assert LitHook("lit_renewer").why_renew(wide, SCOPE) == ""
    connections.lit("lit_renewer", vault_path=KV_PATH, wallet_address="0x" + "12" * 20)
    assert str(ticket["wallet"]) in LitHook("lit_renewer").why_renew(ticket, SCOPE)


def test_not_within_the_lead(connections: Connections, ticket: dict[str, Any]) -> None:
    connections.lit("lit_renewer", vault_path=KV_PATH, renewal_lead_s=100)
    hook = LitHook("lit_renewer")
    for left_s, good in ((101.5, True), (100, False), (1, False)):
        held = ticket | {"expires_at": iso(datetime.now(UTC) + timedelta(seconds=left_s))}
        assert (hook.why_renew(held, SCOPE) == "") == good
    held = ticket | {"expires_at": iso(datetime.now(UTC) + timedelta(seconds=50))}
    assert hook.why_renew(held, SCOPE, lead_s=10) == ""


def test_the_test_button_of_the_renewer(bao: Bao, connections: Connections) -> None:
    good, text = LitHook("lit_renewer").test_connection()
    assert good, text
    assert bao.wallet.address in text
    assert "3 of 3 nodes" in text


def test_the_test_button_of_the_consumer(connections: Connections) -> None:
    good, text = LitHook("lit_consumer").test_connection()
    assert good, text
    assert "No wallet" in text
    assert "3 of 3 nodes" in text


def test_the_clock_is_shown_where_a_session_is_made_and_by_the_test_button(
    net: Devnet, connections: Connections, caplog: pytest.LogCaptureFixture
) -> None:
    _, text = LitHook("lit_consumer").test_connection()
    assert "This machine's clock agrees with theirs to " in text
    net.set_clock_offset(90)
    try:
        hook = LitHook("lit_renewer")
        _, text = hook.test_connection()
        assert re.search(r"This machine's clock is (89|90|91) s behind the nodes'", text)
        with caplog.at_level("INFO"):
            hook.open_session(SCOPE)
    finally:
        net.set_clock_offset(0)
    assert "s behind the nodes'" in caplog.text


def test_the_test_button_with_one_node_down(net: Devnet, connections: Connections) -> None:
    net.stop_node(2)
    good, text = LitHook("lit_renewer").test_connection()
    assert good, text
    assert "2 of 3 nodes" in text


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
        ({"session_ttl_s": 5}, "lifetime"),
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
    with pytest.raises(SettingsError, match="of type vault, not lit") as caught:
        LitHook("vault_renewer").settings  # noqa: B018 - reading it is the act
    assert caught.value.field == "lit_conn_id"


def test_a_connection_that_is_missing_is_named_and_where_to_look(connections: Connections) -> None:
    with pytest.raises(SettingsError, match="no connection 'lit_renewed'") as caught:
        LitHook("lit_renewed").settings  # noqa: B018 - reading it is the act
    assert caught.value.field == "lit_conn_id"
    assert "`airflow connections list`" in caught.value.hint


def test_a_key_of_another_wallet_is_refused_and_its_place_named(bao: Bao, connections: Connections) -> None:
    connections.lit("lit_renewer", vault_path=KV_PATH, wallet_address="0x" + "11" * 20)
    with pytest.raises(WalletKeyError) as caught:
        LitHook("lit_renewer").get_wallet()
    assert f"secret/{KV_PATH} in connection vault_renewer, field private_key" in str(caught.value)
    assert bao.wallet.address in str(caught.value)

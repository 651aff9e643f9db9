"""Managing an account at a local Chipotle, in both profiles, and what is left when answers are lost."""

from __future__ import annotations

from datetime import timedelta

import pytest

from lit_airflow.errors import AccessDeniedError, LitError, OutcomeUnknownError, PaymentError, ProtocolError
from lit_airflow.keys.secret import Secret
from lit_airflow.networks.chipotle import api_calls
from lit_airflow.networks.chipotle.account_answers import UsageKey
from lit_airflow.networks.chipotle.identifiers import key_hash
from tests.client.chipotle.local import TAG, Local

MINT, REMOVE, ADD_GROUP = "add_usage_api_key", "remove_usage_api_key", "add_group"
GROUP = 1
DONE_AND_LOST = [
    "lost-after",
    "bad-gateway-after",
    "gateway-timeout-after",
    "html",
    "empty",
    "not-json",
    "deep",
]
NOT_DONE = ["lost-before", "bad-gateway", "gateway-timeout", "broken", "split"]


def hash_of(key: Secret) -> str:
    return key_hash(key.reveal().decode())


def test_a_minted_key_may_run_one_group_and_nothing_else(local: Local) -> None:
    minted = local.account.mint(local.new_name, GROUP)
    found = {key.key_hash: key for key in local.account.usage_keys()}[hash_of(minted.key)]
    assert found == UsageKey(minted.name, hash_of(minted.key), (GROUP,), only_runs=True)
    assert found.may_only_run(GROUP)
    assert local.sent(MINT) == 1


@pytest.mark.parametrize("fault", DONE_AND_LOST)
def test_a_mint_whose_answer_is_lost_leaves_one_key_that_is_known(local: Local, fault: str) -> None:
    local.net.set_fault(fault, call=MINT, times=1)
    minted = local.account.mint(local.new_name, GROUP)
    assert local.keys_left() == {local.prepared_key, hash_of(minted.key)}
    assert local.sent(MINT) == 2


@pytest.mark.parametrize("fault", NOT_DONE)
def test_a_mint_that_was_not_made_is_made_under_another_name(local: Local, fault: str) -> None:
    local.net.set_fault(fault, call=MINT, times=1)
    minted = local.account.mint(local.new_name, GROUP)
    assert local.keys_left() == {local.prepared_key, hash_of(minted.key)}
    assert sum(local.clock.waited_s) == 14


@pytest.mark.parametrize("fault", ["other-shape", "missing-fields", "wrong-types"])
def test_a_key_that_was_not_shown_is_revoked(local: Local, fault: str) -> None:
    local.net.set_fault(fault, call=MINT, times=1)
    with pytest.raises(ProtocolError):
        local.account.mint(local.new_name, GROUP)
    assert local.keys_left() == {local.prepared_key}


def test_a_mint_that_is_lost_twice_is_left_for_the_sweep(local: Local) -> None:
    local.net.set_fault("lost-after", call=MINT, times=2)
    with pytest.raises(OutcomeUnknownError) as caught:
        local.account.mint(local.new_name, GROUP)
    assert caught.value.operation == MINT
    assert len(local.keys_left()) == 2
    local.clock.now += timedelta(hours=2)
    swept = local.account.sweep(TAG, GROUP, in_use={local.prepared_key}, now=local.clock.now)
    assert len(swept.removed) == 1
    assert local.keys_left() == {local.prepared_key}


def test_a_name_given_twice_is_two_keys_and_both_go(local: Local) -> None:
    for _ in range(2):
        local.account.mint(lambda: "the same", GROUP)
    assert local.account.revoke_named("the same") == 2
    assert local.account.revoke_named("the same") == 0
    assert local.keys_left() == {local.prepared_key}


@pytest.mark.parametrize("fault", [None, *DONE_AND_LOST, "missing-fields"])
def test_revoking(local: Local, fault: str | None) -> None:
    minted = local.account.mint(local.new_name, GROUP)
    if fault:
        local.net.set_fault(fault, call=REMOVE, times=1)
    local.account.revoke(hash_of(minted.key))
    assert local.keys_left() == {local.prepared_key}
    assert local.sent(REMOVE) == 1


def test_revoking_what_is_not_there(local: Local) -> None:
    local.account.revoke("0x" + "11" * 32)
    assert local.keys_left() == {local.prepared_key}


@pytest.mark.parametrize("fault", NOT_DONE[:-1])
def test_a_removal_that_was_not_made_is_not_called_one(local: Local, fault: str) -> None:
    minted = local.account.mint(local.new_name, GROUP)
    local.net.set_fault(fault, call=REMOVE, times=1)
    with pytest.raises(OutcomeUnknownError):
        local.account.revoke(hash_of(minted.key))
    assert hash_of(minted.key) in local.keys_left()
    assert local.sent(REMOVE) == 1


def test_a_removal_that_is_seen_late(local: Local) -> None:
    minted = local.account.mint(local.new_name, GROUP)
    local.net.set_chain_delay(5)
    local.net.set_fault("lost-after", call=REMOVE, times=1)
    local.account.revoke(hash_of(minted.key))
    assert local.clock.waited_s == [2, 4]


def test_a_change_that_never_answers_ends_with_the_deadline(local: Local) -> None:
    local.answer_within_s = 0.3
    local.net.set_fault("silent-after", call=REMOVE, times=1)
    minted = local.account.mint(local.new_name, GROUP)
    local.account.revoke(hash_of(minted.key))
    assert local.keys_left() == {local.prepared_key}


def test_groups_are_made_once(local: Local) -> None:
    made = local.account.create_group("one", "0x" + "11" * 32)
    assert {group.number: group.name for group in local.account.groups()}[made] == "one"


@pytest.mark.parametrize("fault", DONE_AND_LOST)
def test_a_group_whose_answer_is_lost_is_found_by_its_name(local: Local, fault: str) -> None:
    local.net.set_fault(fault, call=ADD_GROUP, times=1)
    local.net.set_chain_delay(3)
    made = local.account.create_group("one", "0x" + "11" * 32)
    assert [group.number for group in local.account.groups() if group.name == "one"] == [made]
    assert local.sent(ADD_GROUP) == 1


def test_a_group_that_was_not_made_is_not_made_again(local: Local) -> None:
    local.net.set_fault("lost-before", call=ADD_GROUP, times=1)
    with pytest.raises(OutcomeUnknownError):
        local.account.create_group("one", "0x" + "11" * 32)
    assert local.sent(ADD_GROUP) == 1


def test_a_sweep_takes_what_is_over_and_ours_and_not_in_use(local: Local) -> None:
    account = local.account
    over = account.mint(lambda: local.new_name(ends_in_s=60), GROUP)
    used = account.mint(lambda: local.new_name(ends_in_s=60), GROUP)
    young = account.mint(lambda: local.new_name(ends_in_s=600), GROUP)
    foreign = account.mint(lambda: f"la1.another1.1.{'0' * 32}", GROUP)
    wide = account.mint(lambda: local.new_name(ends_in_s=600), 2)
    local.clock.now += timedelta(seconds=61)
    swept = account.sweep(TAG, GROUP, in_use={hash_of(used.key)}, now=local.clock.now)
    assert swept.removed == [over.name]
    assert foreign.name in swept.strangers
    assert len(swept.strangers) == 2
    assert swept.too_wide == [wide.name]
    assert swept.unsure == []
    left = {hash_of(each.key) for each in (used, young, foreign, wide)}
    assert local.keys_left() == {local.prepared_key, *left}


def test_a_sweep_goes_on_when_it_is_not_sure_of_one(local: Local) -> None:
    names = [local.account.mint(lambda: local.new_name(ends_in_s=-1), GROUP).name for _ in range(3)]
    local.net.set_fault("lost-before", call=REMOVE, times=1)
    swept = local.account.sweep(TAG, GROUP, in_use=(), now=local.clock.now)
    assert len(swept.unsure) == 1
    assert sorted(swept.unsure + swept.removed) == sorted(names)


def test_a_sweep_sees_keys_on_every_page_though_removing_moves_them(local: Local) -> None:
    local.net.set_credit(1_000)
    for _ in range(api_calls.PAGE_SIZE + 5):
        local.account.mint(lambda: local.new_name(ends_in_s=-1), GROUP)
    swept = local.account.sweep(TAG, GROUP, in_use=(), now=local.clock.now)
    assert len(swept.removed) == api_calls.PAGE_SIZE + 5
    assert local.keys_left() == {local.prepared_key}


def test_what_it_costs(local: Local) -> None:
    before = local.account.credit_cents()
    minted = local.account.mint(local.new_name, GROUP)
    local.account.revoke(hash_of(minted.key))
    local.account.usage_keys()
    assert before - local.account.credit_cents() == 2 * api_calls.WRITE_CENTS


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ("unauthorized", AccessDeniedError),
        ("payment-required", PaymentError),
        ("forbidden", AccessDeniedError),
        ("unprocessable", ProtocolError),
    ],
)
def test_refusals(local: Local, fault: str, kind: type[LitError]) -> None:
    local.net.set_fault(fault, call="*", times=1)
    with pytest.raises(kind) as caught:
        local.account.mint(local.new_name, GROUP)
    assert local.account_key.reveal().decode() not in str(caught.value)
    assert local.keys_left() == {local.prepared_key}


@pytest.mark.parametrize(
    "fault", ["lost-after", "bad-gateway", "broken", "reset", "overloaded", "unavailable"]
)
def test_reads_are_repeated(local: Local, fault: str) -> None:
    local.net.set_fault(fault, call="reads", times=2)
    assert local.account.usage_keys()


def test_every_request_asks_for_privacy(local: Local) -> None:
    minted = local.account.mint(local.new_name, GROUP)
    local.account.revoke(hash_of(minted.key))
    local.account.credit_cents()
    assert all(request["private"] for request in local.net.requests)

"""What a set-up does with an account: a key that is waited for, and that runs the gate and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from lit_airflow.clock import Deadline
from lit_airflow.errors import SettingsError
from lit_airflow.keys.secret import Secret
from lit_airflow.networks.chipotle import api_calls, gate_requests, readiness, setup_checks
from lit_airflow.networks.chipotle.account_answers import all_rows
from lit_airflow.networks.chipotle.api_calls import ApiCall
from lit_airflow.networks.chipotle.api_errors import ApiFailureKind
from lit_airflow.networks.chipotle.cid import cid_v0
from lit_airflow.networks.chipotle.credentials import Credentials
from lit_airflow.networks.chipotle.identifiers import key_hash
from tests.client.chipotle.local import Local

GROUP, WITHIN_S = 1, 60.0
OTHER = setup_checks.other_action(b"\x01")


def gate_text(local: Local) -> Secret:
    credentials = Credentials.parse(local.description, where="the description")
    return credentials.gate(credentials.newest_gate()).text()


def run(text: Secret) -> ApiCall:
    return api_calls.run(text, gate_requests.ASK_KEY, timeout_s=WITHIN_S)


def test_a_new_key_is_waited_for_and_runs_the_gate_alone(local: Local) -> None:
    local.net.set_chain_delay(6)
    minted = local.account.mint(local.new_name, GROUP)
    local.net.set_chain_delay(0)

    def probe() -> object:
        return local.api.probe(run(gate_text(local)), minted.key, Deadline.after(WITHIN_S), new_key=True)

    assert readiness.wait_until_ready(probe, local.clock.wait) is None  # type: ignore[arg-type]
    assert local.clock.waited_s
    refused = local.api.probe(run(OTHER), minted.key, Deadline.after(WITHIN_S))
    setup_checks.check_runs_nothing_else(refused)


def test_a_key_that_runs_anything_is_found_out(local: Local) -> None:
    local.account.send(api_calls.add_action_to_group(GROUP, cid_v0(OTHER.reveal().decode())))
    key = Secret(local.description["api_key"].encode())
    failure = local.api.probe(run(OTHER), key, Deadline.after(WITHIN_S))
    assert failure is None
    with pytest.raises(SettingsError, match="other actions"):
        setup_checks.check_runs_nothing_else(failure)


def test_a_key_of_an_unknown_account_proves_nothing(local: Local) -> None:
    failure = local.api.probe(run(OTHER), Secret(b"unknown"), Deadline.after(WITHIN_S))
    assert failure is not None
    assert failure.kind is not ApiFailureKind.PERMISSION
    with pytest.raises(SettingsError, match="could not be checked"):
        setup_checks.check_runs_nothing_else(failure)


def rows(local: Local, name: str) -> list[Mapping[str, Any]]:
    def page(number: int) -> object:
        return local.account.send(api_calls.listing(name, number, group_id=str(GROUP)))

    return list(all_rows(page))


def check_group(local: Local) -> None:
    cid = cid_v0(gate_text(local).reveal().decode())
    setup_checks.check_group(rows(local, "list_actions"), rows(local, "list_wallets_in_group"), key_hash(cid))


def test_a_group_of_the_gate_alone(local: Local) -> None:
    served = local.api.send(api_calls.action_cid(gate_text(local)), None, Deadline.after(WITHIN_S))
    setup_checks.check_cid(cid_v0(gate_text(local).reveal().decode()), served)
    check_group(local)


@pytest.mark.parametrize("labelled", [True, False])
def test_a_group_with_another_action_is_found_out(local: Local, labelled: bool) -> None:  # noqa: FBT001 - a case
    cid = cid_v0(OTHER.reveal().decode())
    if labelled:
        local.account.send(api_calls.add_action(cid, "another", ""))
    local.account.send(api_calls.add_action_to_group(GROUP, cid))
    with pytest.raises(SettingsError, match="2 actions"):
        check_group(local)
    local.account.send(api_calls.remove_action_from_group(GROUP, key_hash(cid)))
    check_group(local)

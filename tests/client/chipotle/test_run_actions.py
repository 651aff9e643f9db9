"""Actions of the user's own on the local Chipotle: what comes back, what is refused, what is sent twice."""

from __future__ import annotations

import dataclasses
import threading
from typing import Any

import pytest

from lit_airflow import LitClient
from lit_airflow.devnet.chipotle import Chipotle, Settings
from lit_airflow.devnet.chipotle.profiles import PROFILES
from lit_airflow.errors import (
    AccessDeniedError,
    ActionFailedError,
    ActionLimitError,
    LitError,
    OutcomeUnknownError,
    PaymentError,
    RateLimitedError,
    SecretNotFoundError,
    SettingsError,
)
from lit_airflow.networks.chipotle.cid import cid_v0
from tests.client.chipotle.frames import shown_by
from tests.client.chipotle.local import Local
from tests.devnet_chipotle.warm_engine import WarmEngine

ECHO = """async function main(params) {
  console.log("running", params);
  return params;
}
"""
THROWS = 'async function main(params) { throw new TypeError("the text " + params.secret); }\n'
ENDLESS = "async function main() { for (;;); }\n"


def client_for(net: Chipotle, *codes: str) -> LitClient:
    return LitClient({**net.description, "api_key": net.permit(*codes)}, timeout_s=300)


def test_an_object_arrives_as_it_was(local: Local) -> None:
    lit = client_for(local.net, ECHO)
    run = lit.run_action(ECHO, {"number": 1.5, "text": "12", "list": [None, True]})
    assert run.response == {"number": 1.5, "text": "12", "list": [None, True]}
    assert run.note == ""
    assert run.logs.startswith("running {")
    assert run.cid == cid_v0(ECHO)
    assert run.cost.cents == max(1, int(run.cost.seconds))
    bill = [b["cents"] for b in local.net.bills if b["what"] == "lit_action"]
    assert sum(map(int, map(str, bill))) >= 1


@pytest.mark.parametrize(
    ("returned", "arrives", "noted"),
    [
        ("12", 12, "a number"),
        ("true", True, "true or false"),
        ("null", None, "null"),
        ("[1]", [1], "an array"),
        ('"quoted"', "quoted", ""),
        ('"12"', "12", "quotes off"),
        ("plain", "plain", ""),
        ("", "", "nothing"),
        (None, None, "null"),
    ],
)
def test_a_text_that_is_json_changes_its_type_and_that_is_said(
    june: LitClient, returned: str | None, arrives: object, noted: str
) -> None:
    run = june.run_action(ECHO, returned)
    assert run.response == arrives
    assert type(run.response) is type(arrives)
    assert noted in run.note
    assert bool(run.note) is bool(noted)


@pytest.fixture(scope="module")
def june_net(warm: WarmEngine) -> Any:  # noqa: ANN401 - a generator
    with Chipotle("june") as net:
        yield warm.serve(net)


@pytest.fixture(scope="module")
def june(june_net: Chipotle) -> LitClient:
    return client_for(june_net, ECHO, THROWS)


def test_another_text_than_expected_is_not_sent(june: LitClient, june_net: Chipotle) -> None:
    before = len(june_net.requests)
    for code in (ECHO + "\n", ECHO.replace("\n", "\r\n"), ECHO[:-1]):
        with pytest.raises(SettingsError, match="not sent") as caught:
            june.run_action(code, expected_cid=cid_v0(ECHO))
        assert caught.value.field == "expected_cid"
    assert len(june_net.requests) == before
    assert june.run_action(ECHO, {"a": 1}, expected_cid=cid_v0(ECHO)).response == {"a": 1}


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({}, "code"),
        ({"code": ECHO, "gate": "00" * 32}, "code"),
        ({"code": " \n"}, "code"),
        ({"code": "\ud800"}, "code"),
        ({"code": ECHO, "params": {1, 2}}, "js_params"),
        ({"code": ECHO, "params": float("nan")}, "js_params"),
        ({"code": ECHO, "params": "\ud800"}, "js_params"),
        ({"code": ECHO, "params": "x" * (10 * 1024 * 1024)}, "js_params"),
        ({"gate": "00" * 32, "expected_cid": "Qm"}, "expected_cid"),
    ],
)
def test_what_cannot_be_right_is_not_sent(
    june: LitClient, june_net: Chipotle, arguments: dict[str, Any], field: str
) -> None:
    before = len(june_net.requests)
    with pytest.raises(SettingsError) as caught:
        june.run_action(**arguments)
    assert caught.value.field == field
    assert len(june_net.requests) == before


def test_an_action_outside_of_the_keys_group(local: Local) -> None:
    lit = client_for(local.net, THROWS)
    with pytest.raises(AccessDeniedError, match=cid_v0(ECHO)) as caught:
        lit.run_action(ECHO)
    assert caught.value.code == "permission"


def test_an_unknown_key(local: Local) -> None:
    lit = LitClient({**local.description, "api_key": "A" * 43 + "="}, timeout_s=300)
    with pytest.raises(AccessDeniedError) as caught:
        lit.run_action(ECHO)
    assert caught.value.code == "authentication"


def test_no_credit(local: Local) -> None:
    lit = client_for(local.net, ECHO)
    local.net.set_credit(0)
    with pytest.raises(PaymentError):
        lit.run_action(ECHO)
    assert lit.credit_cents() == 0


def test_what_an_action_throws_is_named_and_not_shown(local: Local) -> None:
    lit = client_for(local.net, THROWS)
    with pytest.raises(ActionFailedError, match="threw TypeError") as caught:
        lit.run_action(THROWS, {"secret": "hunter2"})
    assert not isinstance(caught.value, ActionLimitError)
    assert "the text" not in str(caught.value)
    assert caught.value.cid == cid_v0(THROWS)
    assert caught.value.cents == lit.price_cents(caught.value.seconds)


@pytest.mark.parametrize("profile", ["april", "june"])
def test_an_action_that_takes_too_long(profile: str) -> None:
    limits = dataclasses.replace(PROFILES[profile].limits, time_s=0.5, code_bytes=1000)
    with Chipotle(profile, settings=Settings(limits=limits)) as net:
        long = ECHO + "//" + "x" * 1000
        lit = client_for(net, ENDLESS, long)
        with pytest.raises(ActionLimitError) as caught:
            lit.run_action(ENDLESS)
        assert caught.value.limit == "time"
        with pytest.raises(ActionLimitError) as caught:
            lit.run_action(long)
        assert caught.value.limit == "code"


def test_a_run_whose_answer_was_lost_is_not_repeated(local: Local) -> None:
    lit = client_for(local.net, ECHO)
    for fault in ("lost-after", "reset", "html", "bad-gateway-after"):
        before = local.sent("lit_action")
        local.net.set_fault(fault, call="lit_action", times=1)
        with pytest.raises(OutcomeUnknownError) as caught:
            lit.run_action(ECHO)
        assert not caught.value.retryable
        assert local.sent("lit_action") == before + 1
        local.net.clear_faults()


def test_a_run_that_may_be_repeated_is(local: Local) -> None:
    lit = client_for(local.net, ECHO)
    local.net.set_fault("lost-after", call="lit_action", times=1)
    assert lit.run_action(ECHO, {"a": 1}, repeatable=True).response == {"a": 1}
    assert local.sent("lit_action") == 2


def test_a_run_that_was_refused_before_it_began_is_tried_again(local: Local) -> None:
    lit = client_for(local.net, ECHO)
    local.net.set_fault("overloaded", call="lit_action", times=1)
    assert lit.run_action(ECHO, {"a": 1}).response == {"a": 1}
    local.net.set_fault("overloaded", call="lit_action")
    with pytest.raises(RateLimitedError):
        lit.run_action(ECHO)


def test_a_gate_by_its_key_and_without_its_cid(june_net: Chipotle) -> None:
    lit = LitClient(june_net.description, timeout_s=300)
    gate = str(june_net.description["gate_key"])
    run = lit.run_action(gate=gate, params={"ask": "key"})
    assert run.response["publicKey"] == gate
    assert run.cid == ""
    with pytest.raises(SecretNotFoundError):
        lit.run_action(gate="00" * 32)


def test_a_failed_run_carries_no_key_and_no_gates_text(local: Local) -> None:
    description = local.description
    (entry,) = description["gates"].values()
    local.net.set_fault("lost-after", call="lit_action", times=1)
    with pytest.raises(LitError) as caught:
        LitClient(description, timeout_s=300).run_action(gate=description["gate_key"], params={"ask": "key"})
    told = "\n".join(shown_by(caught.value))
    assert entry["salt"] not in told
    assert description["api_key"] not in told


def test_a_secret_that_the_action_opens_itself(june_net: Chipotle) -> None:
    """As docs/actions.md has it: what travels is a ciphertext of a PKP that this action may use."""
    pkp = june_net.new_pkp()
    seal = (
        "async function main(p) {\n"
        f'  return {{ sealed: await Lit.Actions.Encrypt({{ pkpId: "{pkp}", message: p }}) }};\n}}\n'
    )
    use = (
        "async function main(p) {\n"
        f'  const token = await Lit.Actions.Decrypt({{ pkpId: "{pkp}", ciphertext: p.sealed_token }});\n'
        "  return { length: token.length };\n}\n"
    )
    lit = LitClient(
        {**june_net.description, "api_key": june_net.permit(seal, use, pkps=[pkp])}, timeout_s=300
    )
    sealed = lit.run_action(seal, "hunter2!").response["sealed"]
    assert "hunter2" not in bytes.fromhex(sealed).decode("latin-1")
    assert lit.run_action(use, {"sealed_token": sealed}).response == {"length": 8}


def test_a_network_without_actions_says_so() -> None:
    lit = LitClient("datil-dev")
    for use in (lambda: lit.run_action(ECHO), lit.credit_cents, lambda: lit.price_cents(1)):
        with pytest.raises(SettingsError, match="runs no actions"):
            use()


def test_runs_at_once_do_not_mix(june: LitClient) -> None:
    found: dict[int, Any] = {}

    def run(number: int) -> None:
        found[number] = june.run_action(ECHO, {"n": number}).response

    threads = [threading.Thread(target=run, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {number: {"n": number} for number in range(4)}


@pytest.mark.parametrize(("seconds", "cents"), [(0, 1), (0.99, 1), (1, 1), (1.99, 1), (2, 2), (61.5, 61)])
def test_a_completed_second_costs_a_cent_and_at_least_one(seconds: float, cents: int) -> None:
    assert LitClient("chipotle").price_cents(seconds) == cents

"""Prices, credit and payments."""

from __future__ import annotations

from itertools import chain, repeat

import pytest

from lit_airflow.devnet.chipotle import Chipotle, Settings
from lit_airflow.devnet.chipotle.ledger import CreditError
from lit_airflow.devnet.chipotle.meter import Meter
from tests.devnet_chipotle.client import Client, owner, payer

BLANK = " "
FAILED = "Internal server error.: Actions failed with : "


def billed(client: Client) -> list[tuple[object, object]]:
    return [(bill["what"], bill["cents"]) for bill in client.net.bills]


class TestMeter:
    @pytest.mark.parametrize(
        ("ticks", "charged"),
        [
            ([], [1]),
            ([0.9], [1]),
            ([1.0], [1]),
            ([1.99], [1]),
            ([4.9], [4]),
            ([5.0], [5]),
            ([5.4], [5]),
            ([3.0, 5.5, 6.2], [5, 1]),
            ([12.0], [12]),
            ([4.0, 9.0, 9.9], [9]),
            ([1.0, 6.0, 11.5], [6, 5]),
        ],
    )
    def test_completed_seconds_in_steps_of_five(self, ticks: list[float], charged: list[int]) -> None:
        found: list[int] = []
        times = iter(ticks)
        meter = Meter(lambda: next(times), found.append)
        for _ in ticks:
            meter.tick()
        meter.settle()
        assert found == charged

    def test_an_uncovered_step_is_not_charged_again(self) -> None:
        def refuse(cents: int) -> None:
            raise CreditError(0, cents)

        meter = Meter(lambda: 7.0, refuse)
        with pytest.raises(CreditError, match=r"needs \$0.07 but your balance is \$0.00"):
            meter.tick()
        assert meter.settle() == 0


class TestPrices:
    def test_reads_are_free(self, either: Client) -> None:
        for name in ("list_api_keys", "list_groups", "list_wallets", "list_actions"):
            either.listed(name)
        either.get("account_exists")
        either.get("billing/balance")
        either.post("get_lit_action_ipfs_id", body="code")
        assert either.net.bills == []

    def test_writes_cost_a_cent(self, either: Client) -> None:
        either.group()
        either.mint()
        either.wallet()
        assert billed(either) == [("add_group", 1), ("add_usage_api_key", 1), ("create_wallet", 1)]

    def test_usage_keys_spend_the_accounts_credit(self, either: Client) -> None:
        key = either.mint(can_create_groups=True)
        before = either.credit_cents()
        key.group()
        assert before - either.credit_cents() == 1
        assert key.credit_cents() == either.credit_cents()

    def test_a_run_costs_at_least_a_cent(self, either: Client) -> None:
        key = either.mint(execute_in_groups=[either.group(BLANK)])
        assert key.run(BLANK).status_code == 200
        [paid] = [cents for what, cents in billed(either) if what == "lit_action"]
        assert paid >= 1  # more if the machine is busy

    def test_a_run_that_fails_pays_too(self) -> None:
        with Chipotle("june", settings=Settings(stopwatch=lambda: 100.0)) as net:
            key = owner(net).mint(execute_in_groups=[0])
            assert key.run("throw new Error();").status_code == 500
            assert billed(owner(net))[-1] == ("lit_action", 1)

    def test_a_run_that_is_refused_does_not(self, either: Client) -> None:
        assert payer(either.net).run("not permitted").status_code == 403
        assert either.net.bills == []

    def test_a_run_costs_a_cent_for_each_completed_second(self) -> None:
        times = chain([100.0], repeat(103.9))
        with Chipotle("june", settings=Settings(stopwatch=lambda: next(times))) as net:
            assert owner(net).mint(execute_in_groups=[0]).run("const main = () => 1;").status_code == 200
            assert billed(owner(net))[-1] == ("lit_action", 3)

    def test_a_run_ends_when_the_credit_does(self) -> None:
        times = chain([0.0], repeat(1000.0))
        with Chipotle("june", settings=Settings(stopwatch=lambda: next(times))) as net:
            runner = owner(net).mint(execute_in_groups=[0])
            net.set_credit(200)
            answer = runner.run("const main = () => new Promise(() => setInterval(() => {}, 1000));")
            assert (answer.status_code, answer.json()) == (
                500,
                FAILED + "Your function ran out of funds to continue execution and was terminated.",
            )
            assert owner(net).credit_cents() == 200


class TestCredit:
    def test_the_sign_of_the_balance(self, either: Client) -> None:
        either.net.set_credit(105)
        assert either.get("billing/balance").json() == {
            "balance_cents": -105,
            "balance_display": "$1.05 credit",
        }

    def test_the_last_cent(self, either: Client) -> None:
        key = payer(either.net)
        either.net.set_credit(1)
        assert key.run("not permitted").status_code == 403, "there is credit"
        either.group()
        assert key.run("not permitted").status_code == 402
        assert either.post("remove_group", group_id="1").status_code == 402

    def test_when_the_payment_service_is_down(self, either: Client) -> None:
        april = either.net.snapshot["profile"] == "april"
        either.net._call(lambda network: setattr(network.state.ledger, "down", True))
        assert payer(either.net).run(BLANK).status_code == (402 if april else 503)
        assert either.post("add_group").status_code == (402 if april else 503)
        assert either.get("billing/balance").status_code == (500 if april else 503)

    def test_paying(self, either: Client) -> None:
        before = either.credit_cents()
        assert either.post("billing/create_payment_intent", amount_cents=499).status_code == 500
        made = either.done("billing/create_payment_intent", amount_cents=500)
        assert set(made) == {"client_secret", "payment_intent_id"}
        payment = made["payment_intent_id"]
        assert either.post("billing/confirm_payment", payment_intent_id=payment).status_code == 500, (
            "not paid"
        )
        either.net._call(lambda network: network.state.ledger.mark_paid(payment))
        stranger = either.new_account()
        assert stranger.post("billing/confirm_payment", payment_intent_id=payment).status_code == 500
        assert either.done("billing/confirm_payment", payment_intent_id=payment) == {"success": True}
        assert either.post("billing/confirm_payment", payment_intent_id=payment).status_code == 500, "twice"
        assert either.credit_cents() == before + 500
        assert either.post("billing/confirm_payment", payment_intent_id="pi_unknown").status_code == 500

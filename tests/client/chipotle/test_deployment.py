"""Set-up and rotation of a deployment at a local Chipotle, and what lost answers and crashes leave behind."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from datetime import timedelta

import pytest

from lit_airflow import Conditions, LitClient, Scope, Wallet
from lit_airflow.clock import Deadline
from lit_airflow.devnet.chipotle import Chipotle, Settings
from lit_airflow.errors import (
    AccessDeniedError,
    CredentialsError,
    LitError,
    OutcomeUnknownError,
    PaymentError,
    ProtocolError,
    SettingsError,
    VaultUnavailableError,
)
from lit_airflow.keys.secret import Secret
from lit_airflow.networks.chipotle import api_calls
from lit_airflow.networks.chipotle.cid import cid_v0
from lit_airflow.networks.chipotle.identifiers import key_hash
from lit_airflow.networks.chipotle.managing import NEW_KEY_S
from lit_airflow.networks.chipotle.status import status
from lit_airflow.networks.contract import Check, Verdict
from lit_airflow.transport.chain import Chain
from tests.client.chipotle.deploying import CrashError, Deploying
from tests.client.chipotle.frames import shown_by
from tests.client.chipotle.local import Local, MovedClock
from tests.client.chipotle.quick_engine import use_quick_engine
from tests.client.chipotle.test_setup import OTHER
from tests.devnet_chipotle.client import owner

MINT, REMOVE = "add_usage_api_key", "remove_usage_api_key"
LOST = ["lost-before", "lost-after", "html", "missing-fields"]
# Where the profile makes no difference. test_lost_answers.py loses the changes of set-up and rotation with both.
once = pytest.mark.parametrize("shared", ["june"], indirect=True)


@pytest.fixture(params=["april", "june"])
def shared(request: pytest.FixtureRequest) -> Iterator[Local]:
    """A network whose gates run without JavaScript.

    Each test has its own, which starts in milliseconds: the lists of an account of many deployments take longer.
    """
    clock = MovedClock()
    with Chipotle(request.param, settings=Settings(clock=clock, processes=2)) as net:
        use_quick_engine(net)
        net.set_credit(1_000_000)
        yield Local(net, clock)


@pytest.fixture
def deploying(shared: Local) -> Iterator[Deploying]:
    shared.net.set_chain_delay(0)
    yield Deploying(shared)
    shared.net.clear_faults()
    shared.net.set_chain_delay(0)
    shared.net.set_credit(1_000_000)


@pytest.fixture
def ready(deploying: Deploying) -> Deploying:
    """A deployment that is set up."""
    deploying.set_up()
    return deploying


def refused(local: Local, key: str) -> bool:
    """Whether the service no longer knows a key."""
    return local.api.send(api_calls.account_exists(), Secret(key.encode()), Deadline.after(10)) is False


def test_with_the_gate_in_deno(local: Local) -> None:
    """All else here runs without JavaScript."""
    deploying = Deploying(local)
    deploying.set_up()
    old = deploying.api_key_hash
    deploying.rotation.rotate(drain_s=0)
    deploying.rotation.sweep()
    assert deploying.is_whole()
    assert deploying.api_key_hash != old


@once
@pytest.mark.parametrize("fault", ["broken", "other-shape"])
@pytest.mark.parametrize("call", ["billing/balance", "list_api_keys", "add_group", MINT, "lit_action"])
def test_no_error_shows_a_secret(deploying: Deploying, call: str, fault: str) -> None:
    net, store = deploying.local.net, deploying.store
    net.set_fault(fault, call=call)
    with pytest.raises(LitError) as first:
        deploying.set_up()
    net.clear_faults()
    deploying.set_up()
    errors = [first.value]
    if call != "add_group":
        net.set_fault(fault, call=call)
        with pytest.raises(LitError) as second:
            deploying.rotation.rotate(drain_s=0)
        errors.append(second.value)
    secrets = [deploying.local.description["account_key"], store.fields["api_key"]]
    secrets += [row["salt"] for row in store.table("gates").values()] + [*store.table("locks").values()]
    secrets += [key.reveal().decode() for key in deploying.told]
    shown = "".join(text for error in errors for text in shown_by(error))
    assert not [secret for secret in secrets if secret in shown]


class TestSetUp:
    def test_all_is_there_afterwards(self, deploying: Deploying) -> None:
        local, bills = deploying.local, len(deploying.local.net.bills)
        sent = len(local.net.requests)
        plan = deploying.setup.look()
        finished = deploying.setup.run(deploying.said.append)
        assert deploying.is_whole()
        assert deploying.keys()[0].may_only_run(finished.group)
        assert [*deploying.store.table("gates")] == [finished.gate_key]
        assert [*deploying.store.table("locks")] == [finished.lock_key]
        assert deploying.store.table("rotation") == {
            "tag": finished.tag,
            "group": finished.group,
            "draining": {},
        }
        assert "pending_gate" not in deploying.store.fields
        assert deploying.told == [Secret(deploying.store.fields["api_key"].encode())]
        # One cent each, where the machine is quick enough for runs of one second.
        assert len(local.net.bills) - bills == sum(step.cents for step in plan.steps()) == 5
        assert all(request["private"] for request in local.net.requests[sent:])

    def test_nothing_public_names_the_gate_or_tells_a_secret(self, ready: Deploying) -> None:
        local, store = ready.local, ready.store
        (gate,) = store.table("gates").values()
        (lock,) = store.table("locks").values()
        shown = "".join(ready.said) + json.dumps(local.net.requests) + json.dumps(local.net.snapshot)
        shown += json.dumps([str(row) for row in local.account.actions()])
        assert not [secret for secret in (gate["salt"], lock, store.fields["api_key"]) if secret in shown]

    def test_again_changes_nothing(self, ready: Deploying) -> None:
        before, bills = dict(ready.store.fields), len(ready.local.net.bills)
        first = ready.setup.run(ready.said.append)
        plan = ready.setup.look()
        assert ready.store.fields == before
        assert ready.store.number == 2
        assert first.gate_key in before["gates"]
        assert ready.is_whole()
        assert len(ready.local.net.bills) - bills == sum(step.cents for step in plan.steps()) == 2

    def test_looking_changes_nothing(self, deploying: Deploying) -> None:
        bills = len(deploying.local.net.bills)
        steps = deploying.setup.look().steps()
        assert [step.cents for step in steps] == [0, 1, 1, 1, 1, 0, 0, 1]
        assert deploying.store.fields == {}
        assert len(deploying.local.net.bills) == bills

    def test_on_a_slow_chain(self, deploying: Deploying) -> None:
        deploying.local.net.set_chain_delay(6)
        deploying.set_up()
        deploying.local.clock.wait(6)
        assert deploying.is_whole()

    @once
    @pytest.mark.parametrize("fault", LOST)
    @pytest.mark.parametrize("call", ["add_action", "add_group", MINT])
    def test_a_lost_answer(self, deploying: Deploying, call: str, fault: str) -> None:
        deploying.local.net.set_fault(fault, call=call, times=1)
        try:
            deploying.set_up()
        except LitError:
            deploying.set_up()
        assert deploying.is_whole()

    @once
    @pytest.mark.parametrize("call", [MINT, "lit_action"])
    def test_an_answer_that_is_lost_as_long_as_it_takes(self, deploying: Deploying, call: str) -> None:
        deploying.local.net.set_fault("lost-after", call=call)
        for _ in range(2):
            with pytest.raises(LitError):
                deploying.set_up()
        deploying.local.net.clear_faults()
        deploying.set_up()
        assert deploying.is_whole()

    @once
    @pytest.mark.parametrize("faults", [["before"], ["after"], ["", "before"], ["", "after"], ["", "blind"]])
    def test_vault_does_not_answer(self, deploying: Deploying, faults: list[str]) -> None:
        deploying.store.faults = faults
        try:
            deploying.set_up()
        except VaultUnavailableError:
            deploying.store.blind = False
            deploying.set_up()
        assert deploying.is_whole()

    def test_two_at_the_same_time(self, deploying: Deploying) -> None:
        """The second one finds another version of the secret."""
        state = deploying.setup.look()
        deploying.set_up()
        with pytest.raises(VaultUnavailableError, match="Somebody else"):
            deploying.setup._drawn(state, deploying.said.append)
        assert deploying.is_whole()

    def test_groups_that_were_made_twice(self, ready: Deploying) -> None:
        (name,) = {group.name for group in ready.local.account.groups() if ready.tag in group.name}
        ready.local.account.create_group(name, "0x" + "11" * 32)
        assert "remove group" in str(ready.setup.look().steps())
        ready.set_up()
        assert ready.is_whole()

    def test_a_key_that_was_revoked_by_hand(self, ready: Deploying) -> None:
        old, gates = ready.api_key_hash, ready.store.fields["gates"]
        ready.local.account.revoke(old)
        ready.set_up()
        assert ready.api_key_hash != old
        assert ready.store.fields["gates"] == gates
        assert ready.is_whole()

    def test_a_group_that_was_removed_by_hand(self, ready: Deploying) -> None:
        old = ready.api_key_hash
        ready.local.account.remove_group(ready.store.table("rotation")["group"])
        plan, bills = ready.setup.look().steps(), len(ready.local.net.bills)
        ready.set_up()
        assert ready.api_key_hash != old
        assert ready.is_whole()
        assert len(ready.local.net.bills) - bills == sum(step.cents for step in plan)

    def test_a_key_that_may_do_more_is_replaced_and_revoked(self, ready: Deploying) -> None:
        group = ready.store.table("rotation")["group"]
        wide = owner(ready.local.net).mint(name="wide", execute_in_groups=[group, 0]).key
        ready.local.account.revoke(ready.api_key_hash)
        ready.store.fields["api_key"] = wide
        ready.set_up()
        assert refused(ready.local, wide)
        assert ready.is_whole()

    def test_a_secret_that_was_written_by_hand(self, ready: Deploying) -> None:
        """As before there was this command: no tag, no group, tables as they are."""
        before = {name: ready.store.fields[name] for name in ("api_key", "gates", "locks")}
        ready.store.fields = {**before, "note": "ours"}
        ready.set_up()
        assert ready.store.fields | before == ready.store.fields
        assert ready.store.fields["note"] == "ours"
        assert ready.store.table("rotation")["group"]
        ready.rotation.rotate(drain_s=0)

    def test_without_credit_nothing_is_begun(self, deploying: Deploying) -> None:
        deploying.local.net.set_credit(4)
        with pytest.raises(PaymentError, match=r"\$0\.04"):
            deploying.set_up()
        assert deploying.store.fields == {}

    def test_an_unknown_account(self, deploying: Deploying) -> None:
        deploying.local.net.set_fault("unauthorized")
        with pytest.raises(AccessDeniedError):
            deploying.set_up()
        assert deploying.store.fields == {}

    @once
    @pytest.mark.parametrize("fault", ["other-enclave", "another-gate-key"])
    def test_a_gate_with_another_key_than_before(self, ready: Deploying, fault: str) -> None:
        before = dict(ready.store.fields)
        ready.local.net.set_fault(fault, call="lit_action", times=1)
        with pytest.raises(ProtocolError, match="Do not encrypt"):
            ready.set_up()
        assert ready.store.fields == before

    def test_a_group_that_runs_another_action(self, ready: Deploying) -> None:
        cid = cid_v0(OTHER.reveal().decode())
        group = ready.store.table("rotation")["group"]
        ready.local.account.send(api_calls.add_action_to_group(group, cid))
        with pytest.raises(SettingsError, match="2 actions"):
            ready.set_up()
        with pytest.raises(SettingsError, match="2 actions"):
            ready.rotation.rotate(drain_s=0)
        assert len(ready.keys()) == 1

    @once
    @pytest.mark.parametrize(
        "rotation",
        ["5", "{", '{"tag": "A b"}', '{"group": -1}', '{"group": "1"}', '{"draining": {"x": "y"}}'],
    )
    def test_a_malformed_secret_is_named_and_not_shown(self, ready: Deploying, rotation: str) -> None:
        ready.store.fields["rotation"] = rotation
        with pytest.raises(CredentialsError, match="rotation") as caught:
            ready.set_up()
        assert ready.store.fields["api_key"] not in str(caught.value)


class TestNewGate:
    """A further gate for a deployment whose containers stay readable."""

    def test_new_data_goes_to_the_new_gate_and_old_containers_open(self, ready: Deploying) -> None:
        local, wallet = ready.local, Wallet.from_key("11" * 32)
        conditions, (old,) = Conditions.for_wallet(wallet.address), [*ready.store.table("gates")]

        def client(gate: str) -> LitClient:
            secret = {"api_key": ready.store.fields["api_key"], "gates": ready.store.table("gates")}
            return LitClient(
                {
                    "generation": "chipotle",
                    "api_url": local.description["api_url"],
                    "gate_key": gate,
                    **secret,
                }
            )

        container = client(old).make_container(b"older", conditions)
        plan, bills = ready.further.look().steps(), len(local.net.bills)
        finished = ready.further.run(ready.said.append)
        assert len(local.net.bills) - bills == sum(step.cents for step in plan) == 5
        assert [*ready.store.table("gates")] == [old, finished.gate_key]
        assert "pending_gate" not in ready.store.fields
        assert ready.left() == (1, 1, 2)
        lit = client(finished.gate_key)
        newer = lit.make_container(b"newer", conditions)
        assert newer["gate"] == finished.gate_key
        session = lit.open_session(wallet, Scope.to_decrypt("*"))
        assert [lit.decrypt(each, each, session) for each in (container, newer)] == [b"older", b"newer"]
        ready.rotation.rotate(drain_s=0)
        assert ready.setup.run(ready.said.append).gate_key == finished.gate_key

    @once
    @pytest.mark.parametrize("when", ["before", "after"])
    @pytest.mark.parametrize(
        ("call", "count"),
        [("vault", 1), ("add_action", 1), ("add_action_to_group", 1), ("lit_action", 2), ("vault", 2)],
    )
    def test_a_process_that_ends(self, ready: Deploying, call: str, count: int, when: str) -> None:
        ready.crashes.seen.clear()
        ready.crashes.at = (call, when, count)
        with pytest.raises(CrashError):
            ready.further.run(ready.said.append)
        if "pending_gate" in ready.store.fields:
            with pytest.raises(SettingsError, match="new gate"):
                ready.rotation.rotate(drain_s=0)
        plan, bills = ready.setup.look().steps(), len(ready.local.net.bills)
        finished = ready.setup.run(ready.said.append)
        assert len(ready.local.net.bills) - bills == sum(step.cents for step in plan)
        assert ready.crashes.hit
        gates = [*ready.store.table("gates")]
        assert len(gates) == (1 if (call, when) == ("vault", "before") and count == 1 else 2)
        assert finished.gate_key == gates[-1]
        assert ready.left() == (1, 1, len(gates))

    @once
    @pytest.mark.parametrize("fault", LOST)
    @pytest.mark.parametrize("call", ["add_action_to_group", "lit_action"])
    def test_a_lost_answer(self, ready: Deploying, call: str, fault: str) -> None:
        ready.local.net.set_fault(fault, call=call, times=1)
        try:
            ready.further.run(ready.said.append)
        except LitError:
            ready.local.net.clear_faults()
            ready.set_up()
        assert len(ready.store.table("gates")) == 2
        assert ready.left() == (1, 1, 2)

    def test_after_the_group_was_lost(self, ready: Deploying) -> None:
        ready.local.account.remove_group(ready.store.table("rotation")["group"])
        ready.further.run(ready.said.append)
        assert len(ready.store.table("gates")) == 2
        assert ready.left() == (1, 1, 2)


@once
class TestRegistrations:
    """What strangers have registered with the account contract; looked at where there is a server to ask."""

    def test_none(self, deploying: Deploying) -> None:
        deploying.asks_base = True
        deploying.set_up()
        assert [line for line in deploying.said if "none of them of a gate" in line]

    def test_a_gate_whose_path_is_taken_is_not_encrypted_to(self, ready: Deploying) -> None:
        ready.asks_base = True
        (gate,) = [*ready.store.table("gates")]
        ready.register_path_of(gate)
        before = dict(ready.store.fields)
        with pytest.raises(SettingsError, match="somebody has registered") as caught:
            ready.set_up()
        assert "--new-gate" in caught.value.hint
        assert ready.store.fields == before
        assert ready.further.run(ready.said.append).gate_key != gate

    def test_a_new_gate_whose_path_is_taken_is_not_registered(self, deploying: Deploying) -> None:
        deploying.asks_base = True
        deploying.crashes.at = ("add_action", "before", 1)
        with pytest.raises(CrashError):
            deploying.set_up()
        deploying.register_path_of("")
        with pytest.raises(SettingsError, match="cannot be used") as caught:
            deploying.set_up()
        assert "pending_gate" in caught.value.hint
        assert "api_key" not in deploying.store.fields
        assert not deploying.keys()  # the key that was minted meanwhile is revoked

    def test_a_server_of_another_chain_is_not_a_reason_for_another_gate(
        self, ready: Deploying, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(Chain, "number", lambda *_: 1)
        ready.asks_base = True
        with pytest.raises(SettingsError, match="serves chain 1") as caught:
            ready.set_up()
        assert caught.value.hint == "Correct base in the connection's rpc."

    def test_a_server_that_does_not_answer_is_said(self, ready: Deploying) -> None:
        ready.base_url = "http://127.0.0.1:9/"
        ready.asks_base = True
        ready.set_up()
        assert [line for line in ready.said if "could not be read" in line]


class TestRotation:
    def test_the_key_is_replaced_and_the_old_one_drains(self, ready: Deploying) -> None:
        old, group = ready.store.fields["api_key"], ready.store.table("rotation")["group"]
        gates, locks = ready.store.fields["gates"], ready.store.fields["locks"]
        rotated = ready.rotation.rotate(drain_s=600)
        assert ready.store.fields["api_key"] != old
        assert (ready.store.fields["gates"], ready.store.fields["locks"]) == (gates, locks)
        assert rotated.drained_at == ready.local.clock.now + timedelta(seconds=600)
        assert ready.rotation.sweep().removed == []
        assert len(ready.keys()) == 2
        assert not refused(ready.local, old)
        ready.local.clock.wait(600)
        assert len(ready.rotation.sweep().removed) == 1
        assert refused(ready.local, old)
        assert ready.is_whole()
        assert ready.keys()[0].may_only_run(group)
        assert ready.keys()[0].name == rotated.name

    def test_its_costs(self, ready: Deploying) -> None:
        bills = len(ready.local.net.bills)
        ready.rotation.rotate(drain_s=0)
        assert len(ready.local.net.bills) - bills == 2
        ready.rotation.sweep()
        assert len(ready.local.net.bills) - bills == 3

    def test_a_drain_that_nobody_ended_is_ended_by_the_next_rotation(self, ready: Deploying) -> None:
        for _ in range(3):
            ready.rotation.rotate(drain_s=600)
            ready.local.clock.wait(601)
        ready.rotation.sweep()
        assert ready.is_whole()
        ready.rotation.rotate(drain_s=0)
        assert [*ready.store.table("rotation")["draining"]] != []

    def test_a_key_that_was_put_there_by_hand_is_revoked_too(self, ready: Deploying) -> None:
        group = ready.store.table("rotation")["group"]
        by_hand = ready.local.account.mint(lambda: "by hand", group)
        ready.store.fields["api_key"] = by_hand.key.reveal().decode()
        ready.rotation.rotate(drain_s=0)
        ready.rotation.sweep()
        assert refused(ready.local, by_hand.key.reveal().decode())

    def test_on_a_slow_chain(self, ready: Deploying) -> None:
        ready.local.net.set_chain_delay(6)
        ready.rotation.rotate(drain_s=0)
        ready.rotation.sweep()
        ready.local.clock.wait(6)
        assert ready.is_whole()

    def test_a_removal_that_is_seen_late(self, ready: Deploying) -> None:
        """Swept twice before the list shows it: the second removal is refused, which is no failure."""
        ready.rotation.rotate(drain_s=0)
        ready.local.net.set_chain_delay(9)
        assert len(ready.rotation.sweep().removed) == 1
        again = ready.rotation.sweep()
        assert (len(again.removed), again.unsure) == (1, [])
        assert ready.is_whole()

    @pytest.mark.parametrize("fault", [*LOST, "split"])
    def test_a_lost_answer_to_the_mint(self, ready: Deploying, fault: str) -> None:
        self.rotated_in_spite_of(ready, MINT, fault)

    @once
    @pytest.mark.parametrize("fault", LOST)
    def test_a_lost_answer_to_the_removal(self, ready: Deploying, fault: str) -> None:
        self.rotated_in_spite_of(ready, REMOVE, fault)

    @once
    @pytest.mark.parametrize("fault", LOST)
    def test_a_lost_answer_to_the_first_run(self, ready: Deploying, fault: str) -> None:
        self.rotated_in_spite_of(ready, "lit_action", fault)

    @staticmethod
    def rotated_in_spite_of(ready: Deploying, call: str, fault: str) -> None:
        old = ready.api_key_hash
        ready.local.net.set_fault(fault, call=call, times=1)
        try:
            ready.rotation.rotate(drain_s=0)
        except LitError:
            assert ready.api_key_hash == old
            ready.local.clock.wait(NEW_KEY_S + 1)
            ready.rotation.rotate(drain_s=0)
        ready.rotation.sweep()
        ready.rotation.sweep()
        assert ready.api_key_hash != old
        assert ready.is_whole()

    def test_a_mint_that_is_lost_twice(self, ready: Deploying) -> None:
        ready.local.net.set_fault("lost-after", call=MINT, times=2)
        with pytest.raises(OutcomeUnknownError):
            ready.rotation.rotate(drain_s=0)
        ready.local.clock.wait(NEW_KEY_S + 1)
        assert len(ready.rotation.sweep().removed) == 1
        assert ready.is_whole()

    @once
    @pytest.mark.parametrize("fault", ["before", "after", "blind"])
    def test_vault_does_not_answer(self, ready: Deploying, fault: str) -> None:
        """Never is the key that is in the secret revoked."""
        ready.store.faults = [fault]
        try:
            ready.rotation.rotate(drain_s=0)
        except VaultUnavailableError:
            assert fault != "after"
            ready.store.blind = False
        assert not refused(ready.local, ready.store.fields["api_key"])
        ready.local.clock.wait(NEW_KEY_S + 1)
        ready.rotation.sweep()
        assert ready.is_whole()

    def test_another_rotation_was_faster(self, ready: Deploying) -> None:
        manager = ready.rotation.manager
        deployment, _ = manager.load()
        minted, _ = manager.new_key(deployment, deployment.group)
        ready.rotation.rotate(drain_s=0)
        with pytest.raises(SettingsError, match="was replaced"):
            manager.publish(minted, lambda now: now, deployment.api_key)
        assert refused(ready.local, minted.key.reveal().decode())
        ready.rotation.sweep()
        assert ready.is_whole()

    def test_a_change_of_others_meanwhile_is_kept(self, ready: Deploying) -> None:
        store = ready.store
        store.meanwhile = {"note": "ours"}
        ready.rotation.rotate(drain_s=0)
        assert store.fields["note"] == "ours"
        alive = ready.keys()
        assert ready.api_key_hash in {key.key_hash for key in alive}

    def test_without_set_up(self, deploying: Deploying) -> None:
        for act in (deploying.rotation.sweep, lambda: deploying.rotation.rotate(drain_s=0)):
            with pytest.raises(SettingsError, match="set up"):
                act()

    def test_a_key_that_may_do_more_is_reported(self, ready: Deploying) -> None:
        name = ready.local.new_name().replace(".d3adb33f.", f".{ready.tag}.")
        ready.local.account.mint(lambda: name, 1)
        assert ready.rotation.sweep().too_wide == [name]

    def test_strangers_stay(self, ready: Deploying) -> None:
        stranger = ready.local.account.mint(lambda: ready.local.new_name(ends_in_s=-1), 1)
        ready.rotation.rotate(drain_s=0)
        ready.rotation.sweep()
        assert not refused(ready.local, stranger.key.reveal().decode())
        assert key_hash(ready.local.description["api_key"]) in ready.local.keys_left()

    def test_negative_drain(self, ready: Deploying) -> None:
        with pytest.raises(SettingsError, match="drain_s"):
            ready.rotation.rotate(drain_s=-1)


# What goes wrong with a deployment -> which checks of `chipotle status` and of doctor say so.
Break = Callable[[Deploying], object]
GATE = "gate"


def mint_wide(**scopes: object) -> Break:
    """The API key is one that may do more."""

    def act(ready: Deploying) -> None:
        group = ready.store.table("rotation")["group"]
        given = {"execute_in_groups": [group], **scopes}
        ready.store.fields["api_key"] = owner(ready.local.net).mint(**given).key

    return act


def add_action(ready: Deploying) -> None:
    cid = cid_v0(OTHER.reveal().decode())
    ready.local.account.send(api_calls.add_action_to_group(ready.store.table("rotation")["group"], cid))


def draw_another_salt(ready: Deploying) -> None:
    gates = ready.store.table("gates")
    for row in gates.values():
        row["salt"] = "ab" * 32
    ready.store.fields["gates"] = json.dumps(gates)


def fault(name: str, call: str) -> Break:
    return lambda ready: ready.local.net.set_fault(name, call=call)


def remove_group(ready: Deploying) -> None:
    ready.local.account.remove_group(ready.store.table("rotation")["group"])


BROKEN: list[tuple[str, Break, set[str], set[str]]] = [
    ("no credit", lambda ready: ready.local.net.set_credit(0), {"credit"}, {"credit", "decryption"}),
    ("no version", fault("missing-fields", "version"), {"service"}, {"service"}),
    (
        "revoked",
        lambda ready: ready.local.account.revoke(ready.api_key_hash),
        {"API key"},
        {"API key scopes"},
    ),
    ("runs anything", mint_wide(execute_in_groups=[0]), {"API key scopes"}, {"API key scopes"}),
    ("manages 0", mint_wide(manage_ipfs_ids_in_groups=[0]), {"API key scopes"}, {"API key scopes"}),
    ("adds to 0", mint_wide(add_pkp_to_groups=[0]), {"API key scopes"}, {"API key scopes"}),
    ("removes from 0", mint_wide(remove_pkp_from_groups=[0]), {"API key scopes"}, {"API key scopes"}),
    ("makes groups", mint_wide(can_create_groups=True), {"API key scopes"}, {"API key scopes"}),
    ("another group", mint_wide(execute_in_groups=[1]), {"API key"}, {"API key's group", GATE}),
    ("more actions", add_action, {"group"}, {"API key's group"}),
    ("no group", remove_group, {"API key", "group"}, {"API key's group", GATE}),
    ("another salt", draw_another_salt, {"group"}, {"API key's group", GATE, "decryption"}),
    ("another key", fault("another-gate-key", "lit_action"), set(), {GATE}),
    ("another enclave", fault("other-enclave", "lit_action"), set(), {GATE, "decryption"}),
    ("another CID", fault("other-shape", "get_lit_action_ipfs_id"), set(), {GATE}),
    (
        "half set up",
        lambda ready: ready.store.fields.update(pending_gate=PENDING),
        {"deployment", "group"},
        set(),
    ),
]
PENDING = json.dumps({"version": 1, "salt": "cd" * 32})


@once
class TestDiagnosis:
    """What status and doctor say of a deployment that was broken on purpose."""

    @staticmethod
    def bad(checks: Iterable[Check]) -> set[str]:
        return {
            GATE if check.name.startswith("gate ") else check.name
            for check in checks
            if check.verdict is Verdict.BAD
        }

    @staticmethod
    def doctor(ready: Deploying, **given: object) -> list[Check]:
        (gate,), secret = [*ready.store.table("gates")], json.loads(json.dumps(ready.store.fields))
        described = {
            "generation": "chipotle",
            "api_url": ready.local.description["api_url"],
            "gate_key": gate,
            "lock_key": next(iter(ready.store.table("locks"))),
            **{name: secret[name] for name in ("api_key", "gates", "locks")},
            **given,
        }
        return [check for check in LitClient(described).diagnose() if check.name != "clock"]

    def test_nothing_is_wrong(self, ready: Deploying) -> None:
        assert not self.bad(status(ready.setup))
        assert not self.bad(self.doctor(ready))

    @pytest.mark.parametrize(
        ("act", "by_status", "by_doctor"), [row[1:] for row in BROKEN], ids=[row[0] for row in BROKEN]
    )
    def test_what_is_wrong_is_said(
        self, ready: Deploying, act: Break, by_status: set[str], by_doctor: set[str]
    ) -> None:
        act(ready)
        assert self.bad(status(ready.setup)) == by_status
        assert by_doctor <= self.bad(self.doctor(ready))
        assert bool(by_doctor) == bool(self.bad(self.doctor(ready)))

    def test_a_deployment_that_is_not_there(self, deploying: Deploying) -> None:
        assert self.bad(status(deploying.setup)) == {"deployment"}

    def test_a_stranger_who_has_registered_the_address(self, ready: Deploying) -> None:
        rpc = {"base": [ready.local.description["rpc_url"]]}
        assert "registrations" not in self.bad(self.doctor(ready, rpc=rpc))
        (gate,) = [*ready.store.table("gates")]
        ready.register_path_of(gate)
        assert "registrations" in self.bad(self.doctor(ready, rpc=rpc))

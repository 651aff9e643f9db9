"""Set-up and rotation of a deployment at a local Chipotle, and what lost answers and crashes leave behind."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta

import pytest

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
from tests.client.chipotle.deploying import CrashError, Deploying
from tests.client.chipotle.frames import shown_by
from tests.client.chipotle.local import Local, MovedClock
from tests.client.chipotle.quick_engine import use_quick_engine
from tests.client.chipotle.test_setup import OTHER
from tests.devnet_chipotle.client import owner

MINT, REMOVE = "add_usage_api_key", "remove_usage_api_key"
LOST = ["lost-before", "lost-after", "html", "missing-fields"]
# Where the profile makes no difference.
once = pytest.mark.parametrize("shared", ["june"], indirect=True)


@pytest.fixture(scope="module", params=["april", "june"])
def shared(request: pytest.FixtureRequest) -> Iterator[Local]:
    """One network for many deployments, whose gates run without JavaScript."""
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
        assert all(request["private"] for request in local.net.requests)

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

    @pytest.mark.parametrize("fault", LOST)
    @pytest.mark.parametrize("call", ["add_action", "add_group", MINT])
    def test_a_lost_answer(self, deploying: Deploying, call: str, fault: str) -> None:
        deploying.local.net.set_fault(fault, call=call, times=1)
        try:
            deploying.set_up()
        except LitError:
            deploying.set_up()
        assert deploying.is_whole()

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
    @pytest.mark.parametrize("when", ["before", "after"])
    @pytest.mark.parametrize(
        ("call", "count"),
        [
            ("vault", 1),
            ("get_lit_action_ipfs_id", 1),
            ("add_action", 1),
            ("add_group", 1),
            (MINT, 1),
            ("lit_action", 1),
            ("lit_action", 2),
            ("vault", 2),
            ("lit_action", 3),
        ],
    )
    def test_a_process_that_ends(self, deploying: Deploying, call: str, count: int, when: str) -> None:
        deploying.crashes.at = (call, when, count)
        with pytest.raises(CrashError):
            deploying.set_up()
        deploying.set_up()
        assert deploying.crashes.hit
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

    @pytest.mark.parametrize(
        "rotation",
        ["5", "{", '{"tag": "A b"}', '{"group": -1}', '{"group": "1"}', '{"draining": {"x": "y"}}'],
    )
    def test_a_malformed_secret_is_named_and_not_shown(self, ready: Deploying, rotation: str) -> None:
        ready.store.fields["rotation"] = rotation
        with pytest.raises(CredentialsError, match="rotation") as caught:
            ready.set_up()
        assert ready.store.fields["api_key"] not in str(caught.value)


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

    @pytest.mark.parametrize("fault", LOST)
    def test_a_lost_answer_to_the_removal(self, ready: Deploying, fault: str) -> None:
        self.rotated_in_spite_of(ready, REMOVE, fault)

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
    @pytest.mark.parametrize("when", ["before", "after"])
    @pytest.mark.parametrize(
        ("call", "count"), [(MINT, 1), ("lit_action", 1), ("lit_action", 2), ("vault", 1), (REMOVE, 1)]
    )
    def test_a_process_that_ends(self, ready: Deploying, call: str, count: int, when: str) -> None:
        crashes = ready.crashes
        crashes.seen.clear()
        crashes.at = (call, when, count)

        def run() -> None:
            ready.rotation.rotate(drain_s=0)
            ready.rotation.sweep()

        with pytest.raises(CrashError):
            run()
        assert crashes.hit
        ready.local.clock.wait(NEW_KEY_S + 1)
        ready.rotation.rotate(drain_s=0)
        ready.rotation.sweep()
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

"""Chain delay, caches and several server processes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from lit_airflow.devnet.chipotle import Chipotle, Settings
from lit_airflow.devnet.chipotle.identifiers import hex_number, key_hash
from tests.devnet_chipotle.client import NO_SCOPES, Client, Json, cid_hash, owner
from tests.devnet_chipotle.conftest import HandClock

BLANK = " "  # an action that runs nothing, so needs no engine
WRONG_KEY = {"april": 402, "june": 401}


def profile(client: Client) -> str:
    return str(client.net.snapshot["profile"])


def hashed(client: Client) -> str:
    return hex_number(key_hash(client.key))


@pytest.fixture(params=["april", "june"])
def pair(request: pytest.FixtureRequest, hand_clock: HandClock) -> Iterator[Client]:
    """Two processes that take turns."""
    settings = Settings(clock=hand_clock, processes=2)
    with Chipotle(request.param, settings=settings) as net:
        yield owner(net)


class TestTheChain:
    def test_a_new_key_works_late(self, still: Client, hand_clock: HandClock) -> None:
        group = still.group(BLANK)
        still.net.set_chain_delay(5)
        key = still.mint(execute_in_groups=[group])
        assert key.run(BLANK).status_code == WRONG_KEY[profile(still)]
        assert key.get("account_exists").json() is False
        hand_clock.move(4.9)
        assert key.run(BLANK).status_code == WRONG_KEY[profile(still)]
        hand_clock.move(0.1)
        assert key.run(BLANK).status_code == 200

    def test_a_new_group_is_refused_to_the_next_write(self, still: Client, hand_clock: HandClock) -> None:
        still.net.set_chain_delay(5)
        group = still.group()
        added = still.post("add_action_to_group", group_id=group, action_ipfs_cid="Qm")
        assert added.status_code == 500
        assert len(still.listed("list_groups")) == 1
        hand_clock.move(5)
        assert still.done("add_action_to_group", group_id=group, action_ipfs_cid="Qm") == {"success": True}

    def test_two_groups_made_at_once_get_the_same_number(self, still: Client, hand_clock: HandClock) -> None:
        """The number comes from a trial on what is seen, as in the real server."""
        still.net.set_chain_delay(5)
        assert still.group() == still.group()
        hand_clock.move(5)
        assert len(still.listed("list_groups")) == 3

    def test_a_removal_is_seen_late(self, still: Client, hand_clock: HandClock) -> None:
        key = still.mint(execute_in_groups=[still.group(BLANK)])
        still.net.set_chain_delay(5)
        still.done("remove_usage_api_key", usage_api_key=key.key)
        assert hashed(key) in [each["api_key_hash"] for each in still.listed("list_api_keys")]
        assert key.run(BLANK).status_code == 200
        hand_clock.move(5)
        assert hashed(key) not in [each["api_key_hash"] for each in still.listed("list_api_keys")]

    def test_removed_twice_before_it_is_seen(self, still: Client) -> None:
        key = still.mint()
        still.net.set_chain_delay(5)
        assert still.post("remove_usage_api_key", usage_api_key=key.key).status_code == 200
        assert still.post("remove_usage_api_key", usage_api_key=key.key).status_code == 500

    def test_changes_are_seen_in_their_order(self, still: Client, hand_clock: HandClock) -> None:
        still.net.set_chain_delay(60)
        still.group()
        still.net.set_chain_delay(0)
        still.group()
        assert len(still.listed("list_groups")) == 1, "the second waits for the first"
        hand_clock.move(60)
        assert len(still.listed("list_groups")) == 3

    def test_all_can_be_shown_at_once(self, still: Client) -> None:
        still.net.set_chain_delay(3600)
        still.group()
        still.net._call(lambda network: network.state.chain.settle())
        assert len(still.listed("list_groups")) == 2

    def test_a_chain_that_is_down(self, either: Client) -> None:
        key = either.mint(execute_in_groups=[either.group(BLANK)])
        assert key.run(BLANK).status_code == 200
        either.net._call(lambda network: setattr(network.state, "chain_down", True))
        assert either.get("list_groups", page_number=0, page_size=1).status_code == 500
        assert either.post("remove_group", group_id="1").status_code == 500
        assert key.run(BLANK).status_code == 200, "remembered"
        stranger = either.as_key("unknown").run(BLANK)
        assert stranger.status_code == {"april": 402, "june": 503}[profile(either)]


class TestCaches:
    def test_denials_are_cached_until_the_account_changes(self, still: Client) -> None:
        group = still.group()
        key = still.mint(execute_in_groups=[group])
        assert key.run(BLANK).status_code == 403
        still.net._call(_add_to_group_behind_its_back(still, group))
        assert key.run(BLANK).status_code == 403, "the answer is remembered"
        still.group()
        assert key.run(BLANK).status_code == 200, "any write of the account clears it"

    def test_an_answer_is_remembered_for_an_hour(self, still: Client, hand_clock: HandClock) -> None:
        group = still.group()
        key = still.mint(execute_in_groups=[group])
        assert key.run(BLANK).status_code == 403
        still.net._call(_add_to_group_behind_its_back(still, group))
        hand_clock.move(3600)
        assert key.run(BLANK).status_code == 403
        hand_clock.move(1)
        assert key.run(BLANK).status_code == 200

    def test_a_removed_key(self, still: Client) -> None:
        key = still.mint(execute_in_groups=[still.group(BLANK)])
        assert key.run(BLANK).status_code == 200
        still.done("remove_usage_api_key", usage_api_key=key.key)
        assert key.run(BLANK).status_code == WRONG_KEY[profile(still)]

    def test_a_key_removed_by_its_hash_is_a_failure_for_an_hour_after_its_last_use(
        self, still: Client, hand_clock: HandClock
    ) -> None:
        key = still.mint(execute_in_groups=[still.group(BLANK)])
        assert key.run(BLANK).status_code == 200
        still.done("remove_usage_api_key", usage_api_key=hashed(key))
        for _ in range(3):
            hand_clock.move(3000)
            assert key.run(BLANK).status_code == 500, "each use keeps it in memory"
        assert key.get("account_exists").json() is False
        hand_clock.move(3601)
        assert key.run(BLANK).status_code == WRONG_KEY[profile(still)]

    def test_a_key_past_its_expiry_still_works(self, still: Client, hand_clock: HandClock) -> None:
        key = still.mint(execute_in_groups=[still.group(BLANK)])
        hand_clock.move(11 * 365 * 86400)
        assert key.run(BLANK).status_code == 200


class TestSeveralProcesses:
    def test_another_process_serves_what_was_removed(self, pair: Client, hand_clock: HandClock) -> None:
        group = pair.group(BLANK)
        key = pair.mint(execute_in_groups=[group])
        assert _statuses(key) == {200}
        pair.done("remove_action_from_group", group_id=group, hashed_cid=cid_hash(BLANK))
        assert _statuses(key) == {200, 403}, "only the process that wrote knows"
        hand_clock.move(10.1)
        june = profile(pair) == "june"
        assert _statuses(key) == ({403} if june else {200, 403})
        hand_clock.move(3600)
        assert _statuses(key) == {403}

    def test_code_is_remembered_by_the_process_that_ran_it(self, pair: Client) -> None:
        key = pair.mint(execute_in_groups=[pair.group(BLANK)])
        from lit_airflow.devnet.chipotle.cid import action_cid

        assert key.run(BLANK).status_code == 200
        answers = [key.post("lit_action", ipfs_id=action_cid(BLANK)).status_code for _ in range(2)]
        assert sorted(answers) == [200, 400]


def _statuses(key: Client) -> set[int]:
    return {key.run(BLANK).status_code for _ in range(2)}


def _add_to_group_behind_its_back(client: Client, group: int) -> object:
    """Change the contract as nobody's process."""
    account = key_hash(client.key)

    def change(network: object) -> Json:
        state = network.state  # type: ignore[attr-defined]
        state.chain.send(state.admin_payer, "add_action_to_group", account, group, int(cid_hash(BLANK), 16))
        return NO_SCOPES

    return change

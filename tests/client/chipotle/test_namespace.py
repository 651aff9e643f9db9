"""The probe of the key namespace, against a service that compares addresses and one that does not."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from eth_utils.crypto import keccak

from lit_airflow import Wallet
from lit_airflow.cli import app
from lit_airflow.clock import Deadline
from lit_airflow.devnet.chipotle import Chipotle, Settings
from lit_airflow.devnet.deno import CallError
from lit_airflow.errors import FailureKind, NodeError, PaymentError, ProtocolError, SettingsError
from lit_airflow.keys.secret import Secret
from lit_airflow.networks.chipotle import namespace, open_namespace_probe, owner
from lit_airflow.networks.chipotle.description import describe
from lit_airflow.networks.chipotle.identifiers import key_hash, wallet_account_hash
from lit_airflow.networks.chipotle.namespace import ACTION, NamespaceProbe
from lit_airflow.networks.contract import Check, Verdict
from lit_airflow.transport.chain import Function
from lit_airflow.transport.http import Http, Response
from tests.client.chipotle.local import Local, MovedClock
from tests.devnet_chipotle.warm_engine import WarmEngine
from tests.invoking import CliRunner, Result

SENT = ["set_usage_api_key", "register_wallet_derivation", "remove_usage_api_key"]
june = pytest.mark.parametrize("shared", ["june"], indirect=True)


@pytest.fixture(scope="module", params=["april", "june"])
def shared(request: pytest.FixtureRequest, warm: WarmEngine) -> Iterator[Local]:
    """One network for many owners."""
    clock = MovedClock()
    # On a stopwatch that stands still, each run costs one cent.
    with Chipotle(request.param, settings=Settings(clock=clock, stopwatch=lambda: 0.0)) as net:
        yield Local(warm.serve(net), clock)


@dataclass
class Wire:
    """Sends requests to the chain, and loses some.

    Attributes:
        lost: Numbers of the sent transactions, from 1, whose answer is lost.
        stopped: Numbers of those that do not arrive.
        answers: Method -> what is answered in the chain's place.
        raw: The transactions that were sent.
    """

    lost: tuple[int, ...] = ()
    stopped: tuple[int, ...] = ()
    answers: dict[str, object] = field(default_factory=dict)
    raw: list[str] = field(default_factory=list)
    http: Http = field(default_factory=Http)

    def post(self, url: str, body: str, **options: Any) -> Response:  # noqa: ANN401 - as Http's
        asked = json.loads(body)
        if asked["method"] in self.answers:
            answer = {"jsonrpc": "2.0", "id": 1, "result": self.answers[asked["method"]]}
            return Response(200, {}, json.dumps(answer).encode(), 0.0)
        if asked["method"] != "eth_sendRawTransaction":
            return self.http.post(url, body, **options)
        self.raw.append(asked["params"][0])
        broken = NodeError("the connection broke", kind=FailureKind.UNREACHABLE, retryable=True)
        if len(self.raw) in self.stopped:
            raise broken
        answered = self.http.post(url, body, **options)
        if len(self.raw) in self.lost:
            raise broken
        return answered


@dataclass
class Owning:
    """A wallet that owns an account."""

    local: Local
    wallet: Wallet
    key: str = field(repr=False)
    wire: Wire = field(default_factory=Wire)
    said: list[str] = field(default_factory=list)

    @property
    def account(self) -> str:
        return wallet_account_hash(self.wallet.address)

    @property
    def description(self) -> dict[str, Any]:
        given = self.local.description
        return {
            "network": "custom",
            "generation": "chipotle",
            "api_url": given["api_url"],
            "rpc": {"base": [given["rpc_url"]]},
        }

    @property
    def probe(self) -> NamespaceProbe:
        clock = self.local.clock
        opened = open_namespace_probe(
            describe(self.description, None), self.wallet, clock=clock, wait=clock.wait
        )
        return replace(opened, http=self.wire)  # type: ignore[arg-type]

    def run(self) -> Check:
        probe = self.probe
        return probe.run(probe.plan(), self.said.append)

    def create(self, cents: int = 5) -> None:
        address = int(self.wallet.address, 16)

        def make(network: Any) -> dict[str, object]:  # noqa: ANN401 - LocalChipotle
            network.state.chain.send(address, "new_chain_secured_account", "probe", "")
            network.set_credit(cents, self.account)
            return {}

        self.local.net._call(make)

    def spend_all(self) -> None:
        self.local.net._call(lambda network: network.set_credit(0, self.account))

    def state(self) -> dict[str, Any]:
        accounts: Any = self.local.net.snapshot["accounts"]
        return next(each for each in accounts if each["account_hash"] == self.account)

    def sent(self) -> list[Any]:
        """The transactions that were executed, without the one that made the account."""
        address = int(self.wallet.address, 16)
        made = self.local.net.network.state.chain.transactions
        return [each for each in made if each.sender == address][1:]

    def methods(self) -> list[str]:
        return [each.method for each in self.sent()]


@pytest.fixture
def owning(shared: Local, request: pytest.FixtureRequest) -> Iterator[Owning]:
    key = keccak(text=request.node.name).hex()
    found = Owning(shared, Wallet.from_key(Secret(key.encode())), key)
    found.create()
    yield found
    shared.net.clear_faults()
    shared.net.set_chain_delay(0)
    shared.net.set_rule("compares_derivation", holds=False)


@pytest.mark.parametrize(
    ("compares", "verdict", "words"),
    [(True, Verdict.GOOD, "compared: "), (False, Verdict.BAD, "not compared: ")],
)
def test_what_the_service_does_is_seen(
    owning: Owning,
    compares: bool,  # noqa: FBT001 - a case
    verdict: Verdict,
    words: str,
) -> None:
    owning.local.net.set_rule("compares_derivation", holds=compares)
    found = owning.run()
    assert (found.verdict, found.found[: len(words)]) == (verdict, words)
    assert owning.methods() == SENT
    left = owning.state()
    assert (left["keys_left"], left["wallets"], left["credit_cents"]) == ([], 1, 4)


@june
def test_the_key_of_the_address_leaves_the_enclave_in_no_answer(owning: Owning) -> None:
    """And neither the owner's key nor the API key of the probe is shown."""
    answers: list[str] = []
    probe = owning.probe

    class Listening(Http):
        def post(self, url: str, body: str, **options: Any) -> Response:  # noqa: ANN401 - as Http's
            answered = super().post(url, body, **options)
            answers.append(answered.body.decode())
            return answered

    drawn = [bytes([number]) * 32 for number in range(1, 9)]
    numbers = iter(drawn)
    probe = replace(
        probe, api=replace(probe.api, http=Listening()), random=lambda length: next(numbers)[:length]
    )
    plan = probe.plan()
    found = probe.run(plan, owning.said.append)
    assert found.verdict is Verdict.BAD
    path = owning.sent()[1].arguments[2]
    api_key = drawn[3].hex()
    assert owning.sent()[0].arguments[1] == int(key_hash(f"lk_{api_key}"), 16)
    taken = owning.local.net.network.state.keys.wallet_secret(path).hex()
    assert any('"key"' in answer for answer in answers)
    assert taken not in "".join(answers)
    shown = "".join([*owning.said, *plan.lines(), found.found, found.advice, repr(probe), repr(plan)])
    assert not [secret for secret in (taken, owning.key, api_key) if secret in shown]


def test_without_credit_it_cannot_be_seen(owning: Owning) -> None:
    owning.spend_all()
    found = owning.run()
    assert (found.verdict, "no credit" in found.found) == (Verdict.NOTE, True)
    assert owning.methods() == [SENT[0], SENT[2]]
    assert owning.state()["keys_left"] == []


def test_the_service_is_waited_for(owning: Owning) -> None:
    owning.local.net.set_rule("compares_derivation", holds=True)
    owning.local.net.set_chain_delay(6)
    assert owning.run().verdict is Verdict.GOOD


@june
def test_a_service_that_never_sees_the_chain_shows_nothing(owning: Owning) -> None:
    owning.local.net.set_chain_delay(3600)
    found = owning.run()
    assert (found.verdict, found.found[:18]) == (Verdict.NOTE, "could not be seen:")
    owning.local.net.network.state.chain.settle()
    assert owning.state()["keys_left"] == []


@june
@pytest.mark.parametrize("fault", ["broken", "other-shape"])
@pytest.mark.parametrize("call", ["lit_action", "list_wallets", "billing/balance"])
def test_a_service_that_answers_nonsense_shows_nothing(owning: Owning, call: str, fault: str) -> None:
    owning.local.net.set_rule("compares_derivation", holds=True)
    owning.local.net.set_fault(fault, call=call)
    found = owning.run()
    assert found.verdict is Verdict.NOTE
    assert owning.methods()[-1] == SENT[2]
    assert owning.state()["keys_left"] == []


@june
def test_a_key_service_that_fails_is_no_comparison(owning: Owning, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_arguments: object) -> bytes:
        raise CallError("no key service")

    monkeypatch.setattr(owning.local.net.network.state.keys, "action_secret", fail)
    monkeypatch.setattr(owning.local.net.network.state.keys, "wallet_secret", fail)
    found = owning.run()
    assert (found.verdict, "the action failed" in found.found) == (Verdict.NOTE, True)


@june
def test_a_key_that_may_not_use_the_address_is_no_comparison(owning: Owning) -> None:
    key = owning.local.net._call(lambda net: {"key": net.account.permit(net.state, [ACTION], [])})["key"]
    probe = owning.probe
    found = probe._asked("0x" + "11" * 20, Secret(str(key).encode()), Deadline.after(60))
    assert found.verdict is Verdict.NOTE
    assert "did not let" in found.found


@pytest.mark.parametrize("response", [None, {}, "true", {"key": True}, {"key": 1, "denied": 0, "more": 1}])
def test_another_answer_than_the_actions_shows_nothing(response: object) -> None:
    assert namespace._verdict({"response": response}).verdict is Verdict.NOTE


@june
@pytest.mark.parametrize("lost", [1, 2, 3])
def test_a_transaction_whose_answer_was_lost_is_looked_for_and_not_repeated(
    owning: Owning, lost: int
) -> None:
    owning.wire.lost = (lost,)
    assert owning.run().verdict is Verdict.BAD
    assert owning.methods() == SENT
    assert len(owning.wire.raw) == len(set(owning.wire.raw)) == 3


@june
def test_a_transaction_that_never_arrives_ends_the_probe(owning: Owning) -> None:
    owning.wire.stopped = (1,)
    found = owning.run()
    assert found.verdict is Verdict.NOTE
    assert "0x" + keccak(hexstr=owning.wire.raw[0]).hex() in found.found
    assert (len(owning.wire.raw), owning.methods()) == (1, [])


@june
def test_a_key_that_could_not_be_revoked_is_named(owning: Owning) -> None:
    owning.wire.stopped = (3,)
    found = owning.run()
    (left,) = owning.state()["keys_left"]
    assert found.verdict is Verdict.BAD
    assert left in found.advice


class TestPlan:
    pytestmark = june

    def test_nothing_is_sent_and_the_price_is_said(self, owning: Owning) -> None:
        plan = owning.probe.plan()
        assert owning.wire.raw == []
        text = "\n".join(plan.lines())
        assert all(word in text for word in (owning.wallet.address, "0.0000015 ETH", "$0.01", "8453"))

    def test_a_wallet_without_an_account(self, owning: Owning) -> None:
        stranger = Wallet.from_key(Secret(b"\x07" * 32))
        with pytest.raises(SettingsError, match="owns no account"):
            replace(owning.probe, wallet=stranger).plan()

    def test_a_wallet_without_funds(self, owning: Owning) -> None:
        owning.wire.answers["eth_getBalance"] = "0x5"
        with pytest.raises(PaymentError, match="needed"):
            owning.probe.plan()

    @pytest.mark.parametrize("method", ["eth_gasPrice", "eth_maxPriorityFeePerGas", "eth_estimateGas"])
    def test_impossible_numbers(self, owning: Owning, method: str) -> None:
        owning.wire.answers[method] = hex(2**200)
        with pytest.raises(ProtocolError, match="impossible"):
            owning.probe.plan()

    @pytest.mark.parametrize("answer", [hex(2**70), "5", None])
    def test_an_impossible_nonce_is_not_signed(self, owning: Owning, answer: object) -> None:
        owning.wire.answers["eth_getTransactionCount"] = answer
        assert (owning.run().verdict, owning.wire.raw) == (Verdict.NOTE, [])

    def test_another_chain(self, owning: Owning) -> None:
        owning.wire.answers["eth_chainId"] = "0x1"
        with pytest.raises(SettingsError, match="serves chain 1"):
            owning.probe.plan()

    def test_no_server_of_the_chain(self, owning: Owning) -> None:
        description = describe({**owning.description, "rpc": {}}, None)
        with pytest.raises(SettingsError, match="no server"):
            open_namespace_probe(
                description, owning.wallet, clock=owning.local.clock, wait=owning.local.clock.wait
            )


@pytest.mark.parametrize("function", [owner.ACCOUNT_WALLET, owner.REGISTER, owner.SET_KEY, owner.REMOVE_KEY])
def test_a_selector_is_the_hash_of_its_signature(function: Function) -> None:
    assert function.selector == keccak(text=f"{function.name}({','.join(function.inputs)})")[:4].hex()


class TestCommand:
    pytestmark = june

    def _run(self, owning: Owning, folder: Path, *options: str, **given: Any) -> Result:  # noqa: ANN401 - CliRunner's
        description = folder / "network.json"
        description.write_text(json.dumps(owning.description))
        command = ["chipotle", "probe-namespace", "--network", str(description), *options]
        return CliRunner().invoke(app, command, env={"OWNER": owning.key, "COLUMNS": "200"}, **given)

    def test_it_asks_first(self, owning: Owning, tmp_path: Path) -> None:
        done = self._run(owning, tmp_path, "--owner-key-env", "OWNER", input="n\n")
        assert (done.exit_code, owning.methods()) == (1, [])
        assert "registerWalletDerivation" in done.output

    @pytest.mark.parametrize(("compares", "code"), [(True, 0), (False, 1)])
    def test_the_exit_code_tells(
        self,
        owning: Owning,
        tmp_path: Path,
        compares: bool,  # noqa: FBT001 - a case
        code: int,
    ) -> None:
        owning.local.net.set_rule("compares_derivation", holds=compares)
        done = self._run(owning, tmp_path, "--owner-key-env", "OWNER", "--yes")
        assert (done.exit_code, owning.methods()) == (code, SENT), done.output
        assert owning.key not in done.output

    def test_what_could_not_be_seen_is_no_success(self, owning: Owning, tmp_path: Path) -> None:
        owning.spend_all()
        done = self._run(owning, tmp_path, "--owner-key-env", "OWNER", "--yes")
        assert (done.exit_code, "could not be seen" in done.stdout) == (1, True)

    def test_the_key_must_be_there(self, owning: Owning, tmp_path: Path) -> None:
        done = self._run(owning, tmp_path, "--owner-key-env", "NOTHING", "--yes")
        assert isinstance(done.exception, SettingsError)
        assert "NOTHING" in str(done.exception)

"""Whether the service gives out a key that does not belong to the registered address.

In an account of one's own a random address is registered with a random path, and an action asks for its key. A
service that compares gives none. The key that another service gives stays in the action, which answers yes or no.

Source: docs/protocol/gate.md#the-services-key-namespace.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

from lit_airflow.clock import Clock, Deadline
from lit_airflow.errors import LitError
from lit_airflow.keys.address import checksummed
from lit_airflow.keys.secret import Secret
from lit_airflow.keys.wallet import Wallet
from lit_airflow.networks.chipotle import api_calls
from lit_airflow.networks.chipotle.account_answers import all_rows, read_credit_cents
from lit_airflow.networks.chipotle.api import Api, CallFailedError
from lit_airflow.networks.chipotle.api_errors import TOP_UP, ApiFailure, ApiFailureKind
from lit_airflow.networks.chipotle.gate_runs import settled
from lit_airflow.networks.chipotle.identifiers import key_hash
from lit_airflow.networks.chipotle.owner import REGISTER, REMOVE_KEY, SET_KEY, GasPrice, Owner, ether
from lit_airflow.networks.chipotle.readiness import wait_until_ready
from lit_airflow.networks.chipotle.registrations import read_contract
from lit_airflow.networks.contract import Check, Verdict
from lit_airflow.transport.chain import Chain, Function
from lit_airflow.transport.http import Http

Say = Callable[[str], None]
"""Shows a line of progress."""

NAME = "namespace"
# The action's own key is asked for first: where none can be had, the run fails and says nothing.
ACTION = """async function main({ address }) {
  await Lit.Actions.getLitActionPrivateKey();
  try {
    const key = await Lit.Actions.getPrivateKey({ pkpId: address });
    return { key: Boolean(key), denied: false };
  } catch (error) {
    return { key: false, denied: String(error).includes("cannot use selected wallet") };
  }
}
"""
_LABEL = "la-probe"
_EVERYTHING = 0
_STORED_BALANCE = 10_000_000  # what the service itself stores with each key
_KEY_LIFETIME = timedelta(hours=1)
_LOOK_S, _PROBE_S, _RUN_S = 60.0, 300.0, 60.0
_NOT_COMPARED = (
    "Another account may obtain the secret of any action whose text it knows, so the gate's key is only as safe as "
    "its salt. Encrypt with a lock, keep the salt secret, and make another gate once the service compares."
)


@dataclass(frozen=True, slots=True)
class Plan:
    """What a probe is going to do.

    Attributes:
        owner: The account's owner.
        set_gas: The most gas for setting a key, and for removing it.
        register_gas: The most gas for registering an address.
        price: What gas may cost.
    """

    owner: Owner
    set_gas: int
    register_gas: int
    price: GasPrice

    @property
    def most_wei(self) -> int:
        """The most that all transactions cost, in wei, without what a chain adds for their data."""
        return (2 * self.set_gas + self.register_gas) * self.price.most

    def lines(self) -> Sequence[str]:
        """Return what is done, and what it costs, for people."""
        owner = self.owner
        return (
            f"As {owner.wallet.address}, in the contract {owner.contract} on chain {owner.chain.chain_id}:",
            f"  {SET_KEY.name}: a new API key that may run everything in this account, known to this process only",
            f"  {REGISTER.name}: a random address with a random path; the entry stays in the account",
            f"  {REMOVE_KEY.name}: revokes that key",
            f"Gas: at most {ether(self.most_wei)}, and what the chain adds for data. Credit: $0.01 for a run.",
        )


@dataclass(frozen=True, slots=True)
class NamespaceProbe:
    """The probe, at one service, in the account of one wallet.

    Attributes:
        api: The service.
        http: How to ask the chain.
        rpc_url: A server of the account contract's chain.
        wallet: The account's owner.
        clock: Tells the time.
        wait: Waits so many seconds.
        random: Returns so many random bytes.
    """

    api: Api
    http: Http
    rpc_url: str = field(repr=False)
    wallet: Wallet
    clock: Clock
    wait: Callable[[float], None]
    random: Callable[[int], bytes] = secrets.token_bytes

    def plan(self) -> Plan:
        """Look whether the probe is possible, and at what price. Sends no transaction and costs nothing.

        Raises:
            SettingsError: The wallet owns no account, or the server is one of another chain.
            PaymentError: The wallet cannot pay for the gas.
            LitError: The service or the chain refuses or does not answer.
        """
        deadline = Deadline.after(_LOOK_S)
        contract, number = read_contract(self.api.send(api_calls.chain_config(), None, deadline))
        owner = Owner(Chain(self.http, self.rpc_url, number), contract, self.wallet, self.wait)
        owner.check_chain(deadline)
        owner.check_account(deadline)
        plan = Plan(
            owner,
            set_gas=owner.gas(SET_KEY, self._key_fields(owner, key_hash(self.random(32).hex())), deadline),
            register_gas=owner.gas(REGISTER, self._registration(owner)[1], deadline),
            price=owner.gas_price(deadline),
        )
        owner.check_funds(plan.most_wei, deadline)
        return plan

    def run(self, plan: Plan, say: Say) -> Check:
        """Send the transactions, run the action, revoke the key; return what was seen.

        Good: the service compares. Bad: it does not. A note: it could not be seen, and why.

        Args:
            plan: What :meth:`plan` returned.
            say: Shows progress.
        """
        key = Secret(b"lk_" + self.random(32).hex().encode())
        hashed = key_hash(key.reveal().decode())
        sending = _Sending(plan)
        say("Setting an API key.")
        try:
            sending.send(SET_KEY, self._key_fields(plan.owner, hashed), plan.set_gas)
        except LitError as error:
            return unseen(error)
        left = ""
        try:
            found = self._look(sending, key, say)
        except LitError as error:
            found = unseen(error)
        finally:
            say("Revoking the API key.")
            try:
                sending.send(REMOVE_KEY, (plan.owner.account, int(hashed, 16)), plan.set_gas)
            except LitError as error:
                left = f"The API key {hashed} may still be in the account: remove it. {error.message}"
        return replace(found, advice=f"{found.advice} {left}".strip())

    def _look(self, sending: _Sending, key: Secret, say: Say) -> Check:
        """Probe with a key that is set on the chain."""
        deadline = Deadline.after(_PROBE_S)
        say("Waiting until the service knows it.")
        if not self._credit_cents(key, deadline):
            return _unseen("the account has no credit, and a run costs $0.01", TOP_UP)
        say("Registering a random address.")
        address, fields = self._registration(sending.plan.owner)
        sending.send(REGISTER, fields, sending.plan.register_gas)
        say("Waiting until the service lists it.")
        if self._ready(lambda: self._listed(address, key, deadline)) is not None:
            return _unseen("the service does not list the address that was registered", "Try again later.")
        say("Asking for its key.")
        return self._asked(address, key, deadline)

    def _credit_cents(self, key: Secret, deadline: Deadline) -> int:
        """Return the account's credit, as soon as the service knows a key that is set.

        Raises:
            LitError: It does not know it in time.
        """
        found: list[int] = []
        call = api_calls.balance()

        def ask() -> ApiFailure | None:
            try:
                found.append(read_credit_cents(self.api.ask_once(call, key, deadline, new_key=True).content))
            except CallFailedError as error:
                return replace(
                    error.failure, retryable=True
                )  # a key that is not known yet is refused in many ways
            return None

        if (failure := self._ready(ask)) is not None:
            raise self.api.error(call, failure)
        return found[-1]

    def _listed(self, address: str, key: Secret, deadline: Deadline) -> ApiFailure | None:
        rows = all_rows(lambda page: self.api.send(api_calls.listing("list_wallets", page), key, deadline))
        if any(str(row.get("wallet_address")).lower() == address.lower() for row in rows):
            return None
        return ApiFailure(ApiFailureKind.NOT_YET, "not listed", retryable=True)

    def _asked(self, address: str, key: Secret, deadline: Deadline) -> Check:
        """Run the action, and return what its answer means."""
        call = api_calls.run(Secret(ACTION.encode()), {"address": address}, timeout_s=_RUN_S)
        answers: list[Any] = []

        def ask() -> ApiFailure | None:
            try:
                answers.append(self.api.ask_once(call, key, deadline, new_key=True).content)
            except CallFailedError as error:
                return error.failure
            return None

        if (failure := self._ready(ask)) is not None:
            if failure.kind is ApiFailureKind.ACTION:
                return _unseen(f"the action failed ({failure.cause})", "Try again later.")
            raise self.api.error(call, settled(self.api, failure, key, deadline))
        return _verdict(answers[-1])

    def _ready(self, ask: Callable[[], ApiFailure | None]) -> ApiFailure | None:
        return wait_until_ready(ask, self.wait)

    def _key_fields(self, owner: Owner, hashed: str) -> tuple[Any, ...]:
        """Return the arguments that set a key which may run all actions with all wallets of the account."""
        until = int((self.clock() + _KEY_LIFETIME).timestamp())
        flags, groups = (False, False, False), ((), (), (), (_EVERYTHING,))
        return (owner.account, int(hashed, 16), until, _STORED_BALANCE, _LABEL, "", *flags, *groups)

    def _registration(self, owner: Owner) -> tuple[str, tuple[Any, ...]]:
        """Return a random address, and the arguments that register it with a random path."""
        address = checksummed(self.random(20).hex())
        return address, (owner.account, address, int.from_bytes(self.random(32)), _LABEL, "")


@dataclass(slots=True)
class _Sending:
    """Sends the transactions of a plan one after another.

    Attributes:
        plan: The plan.
        nonce: The least that the next one's can be.
    """

    plan: Plan
    nonce: int = 0

    def send(self, function: Function, arguments: Sequence[Any], gas: int) -> None:
        """Send one, and wait until it was executed.

        Raises:
            LitError: As :meth:`lit_airflow.networks.chipotle.owner.Owner.send`.
        """
        self.nonce = self.plan.owner.send(function, arguments, gas, self.plan.price, self.nonce)


def unseen(error: LitError) -> Check:
    """Return the verdict of a probe that ended in an error."""
    return _unseen(error.message, error.hint)


def _unseen(why: str, advice: str) -> Check:
    return Check(NAME, Verdict.NOTE, f"could not be seen: {why}", advice)


def _verdict(answer: object) -> Check:
    response = answer.get("response") if isinstance(answer, dict) else None
    del answer
    if response == {"key": True, "denied": False}:
        found = "not compared: the service gave a key for a random address with a random path"
        return Check.bad(NAME, found, _NOT_COMPARED)
    if response == {"key": False, "denied": False}:
        return Check.good(NAME, "compared: the service gave no key for a random address with a random path")
    if response == {"key": False, "denied": True}:
        return _unseen("the service did not let the API key use the address", "Try again later.")
    return _unseen("the service answered something else than the action does", "Try again later.")

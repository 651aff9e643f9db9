"""Random fault schedules for a local Chipotle, and what must come of them whatever they are.

A schedule is a function of its seed: a service of one of the two builds, and a few steps, in each of which things
go wrong at random moments while the client works. What a container must open to, and for whom, is known
beforehand. That comes, or an error that fits what went wrong; never another plaintext, and within the time-out.

Replay one, step by step: ``python -m tests.faults.service_simulator SEED``
"""

from __future__ import annotations

import random
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from lit_airflow import Conditions, LitClient, Scope, Session, Wallet
from lit_airflow.devnet.chipotle.faults import FAULTS, ActiveFault
from lit_airflow.errors import (
    AccessDeniedError,
    CiphertextError,
    ConditionsNotMetError,
    LitError,
    NodesUnavailableError,
    PaymentError,
    ProtocolError,
    RateLimitedError,
    SessionExpiredError,
)
from lit_airflow.transport.http import MAX_BYTES
from tests.faults.gate_model import gate_keys, opened
from tests.faults.service_in_memory import NOW, TIMEOUT_S, ServiceEnvironment, gate_secret
from tests.faults.simulator import NodeStats, Violation, outcomes, replay

RUN, ANY, READS = "lit_action", "*", "reads"
OURS, THEIRS = Wallet.from_key("11" * 32), Wallet.from_key("22" * 32)
# More of the processor's time than this for one step is a hang, whatever the environment's clock says.
_LONGEST_S = 20.0
_MOST_BYTES = MAX_BYTES + 2**17
# A byte that is waited for when the time is up may still come.
_PATIENCE_S = 0.5
_SECONDS = {"slow": (0.01, 1, 60), "drip": (0.0001, 0.01, 1, 15)}
_LONG_S, _SHORT_S = 24 * 3600, 90
_LATEST_S = 600
_LOCKED_S = 120
# Clocks are compared with a grace of a minute, and time passes during a step.
_VAGUE_S = 60 + 2 * TIMEOUT_S

Expected = bytes | type[LitError]

_REFUSED = {
    "unauthorized": AccessDeniedError,
    "forbidden": AccessDeniedError,
    "other-enclave": AccessDeniedError,
    "payment-required": PaymentError,
    "overloaded": RateLimitedError,
    "not-found": ProtocolError,
    "too-large": ProtocolError,
    "unprocessable": ProtocolError,
    "other-shape": ProtocolError,
    "wrong-types": ProtocolError,
}
"""Fault -> what it must come to where it does not pass; all others are an absence of an answer."""
HARMLESS = {"extra-fields", "missing-fields", "split", "another-gate-key"}
"""With these, a request is answered as it should be."""
PASSING = {
    "bad-gateway",
    "bad-gateway-after",
    "broken",
    "empty",
    "empty-error",
    "gateway-timeout",
    "gateway-timeout-after",
    "html",
    "lost-after",
    "lost-before",
    "not-json",
    "reset",
}
"""What befalls one request is made good by another attempt."""
_ACCOUNT: Mapping[str, frozenset[type[LitError]]] = {
    "no credit": frozenset({PaymentError}),
    "billing down": frozenset({PaymentError, NodesUnavailableError}),
    "chain down": frozenset({PaymentError, NodesUnavailableError, AccessDeniedError}),
    "key revoked": frozenset({AccessDeniedError, PaymentError, NodesUnavailableError}),
    "key rotated": frozenset(),
    "key rotated, seen late": frozenset({AccessDeniedError, PaymentError, NodesUnavailableError}),
    "clock off": frozenset({AccessDeniedError}),
}
"""What goes wrong with the account and the service as a whole -> what may come of it."""


@dataclass(frozen=True)
class Item:
    """A container.

    Attributes:
        sealed: As the client made it.
        plaintext: What is in it.
        reader: Who may open it.
        opens_at: When it may be opened.
        altered: Whether somebody has changed it since.
    """

    sealed: dict[str, Any]
    plaintext: bytes
    reader: str = OURS.address
    opens_at: datetime = NOW
    altered: bool = False

    def expected(self, session: Held, now: datetime) -> Expected:
        """What must come of opening it at this time, if nothing goes wrong."""
        if now >= session.ends_at:
            return SessionExpiredError
        if session.wallet != self.reader or now < self.opens_at:
            return ConditionsNotMetError
        return CiphertextError if self.altered else self.plaintext


@dataclass(frozen=True)
class Held:
    """A session, whose it is, and when it ends."""

    session: Session
    wallet: str
    ends_at: datetime


@cache
def items() -> list[Item]:
    """Made once; the first is the one that must open most of the time."""
    lit = ServiceEnvironment(0).client()
    ours = Conditions.for_wallet(OURS.address)
    plain = [Item(lit.make_container(b"item %d" % n, ours), b"item %d" % n) for n in range(4)]
    theirs = Item(
        lit.make_container(b"theirs", Conditions.for_wallet(THEIRS.address)), b"theirs", THEIRS.address
    )
    opens_at = NOW + timedelta(seconds=_LOCKED_S)
    lock = {
        "contractAddress": "",
        "chain": "ethereum",
        "standardContractType": "timestamp",
        "method": "eth_getBlockByNumber",
        "parameters": ["latest"],
        "returnValueTest": {"comparator": ">=", "value": str(int(opens_at.timestamp()))},
    }
    listed = ours.to_json()
    later = {
        **listed,
        "accessControlConditions": [*listed["accessControlConditions"], {"operator": "and"}, lock],
    }
    locked = Item(lit.make_container(b"later", later), b"later", opens_at=opens_at)
    altered = Item({**plain[0].sealed, "ciphertext": plain[1].sealed["ciphertext"]}, b"", altered=True)
    return [*plain, theirs, locked, altered]


@cache
def sessions() -> list[Held]:
    """Made once: a long one, a short one, and a stranger's."""
    lit = ServiceEnvironment(0).client()
    scope = Scope.to_decrypt("*")
    return [
        Held(lit.open_session(wallet, scope, ttl_s=ttl_s), wallet.address, NOW + timedelta(seconds=ttl_s))
        for wallet, ttl_s in ((OURS, _LONG_S), (OURS, _SHORT_S), (THEIRS, _LONG_S))
    ]


@dataclass(frozen=True, slots=True)
class Wrong:
    """A fault of the service's answers.

    Attributes:
        fault: Its name.
        call: Which calls it affects.
        seconds: Its seconds, if it has some.
        times: How many requests it affects; ``None`` for all.
        after: How many requests the client has sent in this step by then.
    """

    fault: str
    call: str
    seconds: float | None
    times: int | None
    after: int

    def __str__(self) -> str:
        seconds = "" if self.seconds is None else f":{self.seconds:g}"
        times = "" if self.times is None else f" x{self.times}"
        return f"{self.call}={self.fault}{seconds}{times}@{self.after}"

    def set_in(self, environment: ServiceEnvironment) -> None:
        """Let it begin."""
        environment.faults.add(ActiveFault.of(self.fault, self.call, self.seconds, self.times))

    def may_come_to(self) -> frozenset[type[LitError]]:
        """What errors fit it; none where it must be made good."""
        if self.fault in HARMLESS or (self.fault in PASSING and self.times == 1):
            return frozenset()
        if self.fault == "slow" and (self.seconds or 0) <= 1 and self.times == 1:
            return frozenset()
        refused = _REFUSED.get(self.fault, NodesUnavailableError)
        # A refusal for want of credit has the client ask for the balance, and that may be refused otherwise.
        return frozenset({refused, NodesUnavailableError}) if self.call != RUN else frozenset({refused})


@dataclass(slots=True)
class Simulation:
    """One schedule as it runs.

    Attributes:
        seed: Which.
        tally: What came of which fault.
        told: What happened, in lines for people.
    """

    seed: int
    tally: NodeStats = field(default_factory=Counter)
    told: list[str] = field(default_factory=list)

    def run(self) -> None:
        """Run all steps.

        Raises:
            Violation: Something came out that must not.
        """
        items(), sessions()
        random.seed(self.seed)  # the pauses between retries
        environment = ServiceEnvironment(self.seed)
        draw = environment.random
        with environment.entered():
            lit = environment.client(knows_gate=draw.random() < 0.9)
            self.told.append(
                f"{environment.state.profile.name}, {len(environment.service.processes)} processes"
            )
            for _ in range(draw.choice((1, 1, 1, 2, 3))):
                environment.sleep(draw.choice((0, 0, 5, 300)))
                _Step(self, environment, lit).run()


class _Step:
    """One call of the client, and what goes wrong meanwhile.

    Args:
        simulation: Where to tell of it.
        environment: Where.
        lit: The client.
    """

    def __init__(self, simulation: Simulation, environment: ServiceEnvironment, lit: LitClient) -> None:
        self._simulation, self._environment, self._lit = simulation, environment, lit
        draw = environment.random
        environment.faults.clear()
        state = environment.state
        state.set_clock_offset(0)
        state.chain_down = state.ledger.down = False
        self._credit(5_000)
        environment.run_takes_s = draw.choice((0.05, 0.2, 0.2, 3, 60) if draw.random() < 0.1 else (0.05, 0.2))
        self._wrongs = list(wrongs(draw))
        self._account = draw.choice(list(_ACCOUNT)) if draw.random() < 0.25 else ""
        self._account_after = draw.choice((0, 0, 0, 1, 2))
        self._sent = 0

    def run(self) -> None:
        """Decrypt one or many, or now and then encrypt, while it goes wrong.

        Raises:
            Violation: Something came out that must not.
        """
        environment, draw = self._environment, self._environment.random
        environment.before_each_request = self._request
        self._set_in(0)
        verb = draw.choice((self._decrypt, self._decrypt, self._decrypt_many, self._encrypt))
        began_s, cpu_s = environment.now_s, time.thread_time()
        outcomes, runs, problem = verb()
        took_s, cpu_s = environment.now_s - began_s, time.thread_time() - cpu_s
        if took_s > runs * TIMEOUT_S + _PATIENCE_S or cpu_s > _LONGEST_S:
            problem = f"it took {took_s:.1f} s, {cpu_s:.1f} s of them computing"
        if environment.longest_read > _MOST_BYTES:
            problem = f"it read {environment.longest_read} bytes of one answer"
        wrong = " ".join([*map(str, self._wrongs), self._account]).strip() or "nothing"
        came = ", ".join(outcomes)
        self._simulation.told.append(f"{verb.__name__[1:]}, wrong: {wrong} -> {came} after {took_s:.2f} s")
        for name in [*(each.fault for each in self._wrongs), *filter(None, [self._account])]:
            for outcome in set(outcomes):
                self._simulation.tally[f"service {name}", outcome] += 1
        # The next step begins with a key that the service knows.
        if self._account.startswith("key"):
            environment.rotate(by_hash=False, delay_s=0)
            environment.sleep(_LATEST_S + 30)
        if problem:
            raise Violation("\n".join([f"seed {self._simulation.seed}: {problem}", *self._simulation.told]))

    def _request(self) -> None:
        self._sent += 1
        self._set_in(self._sent)

    def _set_in(self, sent: int) -> None:
        for wrong in self._wrongs:
            if wrong.after == sent:
                wrong.set_in(self._environment)
        if self._account and self._account_after == sent:
            self._trouble()

    def _trouble(self) -> None:
        environment, draw = self._environment, self._environment.random
        if self._account == "no credit":
            self._credit(0)
        elif self._account == "billing down":
            environment.state.ledger.down = True
        elif self._account == "chain down":
            environment.state.chain_down = True
        elif self._account == "clock off":
            environment.state.set_clock_offset(draw.choice((-3600, 40 * 86400)))
        elif self._account == "key revoked":
            environment.revoke(environment.api_key, by_hash=draw.random() < 0.5)
        else:
            delay_s = draw.choice((1, 6, _LATEST_S)) if "late" in self._account else 0
            environment.rotate(by_hash=draw.random() < 0.5, delay_s=delay_s)

    def _credit(self, cents: int) -> None:
        environment = self._environment
        account = environment.state.chain.head.accounts[environment.account.account_hash]
        environment.state.ledger.set_credit(account.admin, cents)

    def _decrypt(self) -> tuple[list[str], int, str]:
        draw = self._environment.random
        item, held = self._item(), self._held()
        before = item.expected(held, self._environment.clock())
        log_level = draw.choice((10, 20))
        try:
            found: bytes | Exception = self._lit.decrypt(
                item.sealed, item.sealed, held.session, log_level=log_level
            )
        except Exception as error:  # noqa: BLE001 - most must never come
            found = error
        return [_named(found)], 1, self._judged(found, before, item, held)

    def _decrypt_many(self) -> tuple[list[str], int, str]:
        chosen, held = [self._item() for _ in range(self._environment.random.randint(1, 6))], self._held()
        before = [item.expected(held, self._environment.clock()) for item in chosen]
        try:
            outcomes = list(self._lit.decrypt_many([(i.sealed, i.sealed) for i in chosen], held.session))
        except Exception as error:  # noqa: BLE001 - none must ever come
            return [_named(error)], 1, f"a batch ended with {error!r}"
        found = [outcome.error if outcome.error is not None else outcome.result() for outcome in outcomes]
        if [outcome.index for outcome in outcomes] != list(range(len(chosen))):
            return ["order"], 1, "the outcomes are in another order"
        problems = [
            self._judged(one, expected, item, held)
            for one, expected, item in zip(found, before, chosen, strict=True)
        ]
        # A run that fails is halved until each container was alone; each run has the whole time.
        return [*map(_named, found)], 2 * len(chosen), next(filter(None, problems), "")

    def _encrypt(self) -> tuple[list[str], int, str]:
        plaintext = b"new"
        try:
            sealed = self._lit.make_container(plaintext, Conditions.for_wallet(OURS.address))
        except Exception as error:  # noqa: BLE001 - most must never come
            unfit = type(error) not in self._fitting() | self._fitting_of_the_key()
            return [_named(error)], 1, f"{error!r} does not fit" if unfit else ""
        key, public = gate_keys(gate_secret())
        conditions = Conditions.parse(sealed)
        identity = conditions.identity(sealed["dataToEncryptHash"]).decode()
        inner = opened(key, identity, sealed["ciphertext"])
        good = sealed["gate"] == public and inner is not None
        return ["ciphertext"], 1, "" if good else "a ciphertext under another key"

    def _item(self) -> Item:
        draw = self._environment.random
        return items()[0] if draw.random() < 0.4 else draw.choice(items())

    def _held(self) -> Held:
        draw = self._environment.random
        return sessions()[0] if draw.random() < 0.7 else draw.choice(sessions())

    def _fitting(self) -> set[type[LitError]]:
        fitting = set(_ACCOUNT[self._account]) if self._account else set[type[LitError]]()
        fitting = fitting.union(*(wrong.may_come_to() for wrong in self._wrongs))
        if len(self._wrongs) + bool(self._account) > 1 or self._environment.run_takes_s >= 1:
            fitting.add(NodesUnavailableError)  # one more thing than attempts make good, or no time for them
        return fitting

    def _fitting_of_the_key(self) -> set[type[LitError]]:
        """Another key than the one that the gate is registered under is nothing to encrypt to."""
        lying = {"another-gate-key", "other-enclave"} & {wrong.fault for wrong in self._wrongs}
        return {ProtocolError} if lying or self._fitting() else set()

    def _judged(self, found: bytes | Exception, before: Expected, item: Item, held: Held) -> str:
        """What is wrong with an outcome; empty if nothing is."""
        now = self._environment.clock()
        possible: set[Expected] = {before, item.expected(held, now)}
        if abs((now - held.ends_at).total_seconds()) < _VAGUE_S:
            # The client still takes the session for alive, and the service does not, or the other way round.
            possible |= {
                SessionExpiredError,
                AccessDeniedError,
                item.expected(held, held.ends_at - timedelta(1)),
            }
        if isinstance(found, bytes):
            return "" if found in possible else f"the plaintext {found!r}, where {before!r} is due"
        if not isinstance(found, LitError):
            return f"an error of no tree: {found!r}"
        fitting = self._fitting()
        if type(found) in possible | fitting:
            return ""
        return f"{found!r} does not fit; {before!r} is due" + (f", or {fitting}" if fitting else "")


def _named(found: bytes | Exception) -> str:
    return "plaintext" if isinstance(found, bytes) else type(found).__name__


def wrongs(draw: random.Random) -> Iterator[Wrong]:
    """What goes wrong in one step: drawn anew."""
    count = draw.choice((0, 1, 1, 1, 1, 2, 3))
    for fault in draw.sample(list(FAULTS), count):
        if not FAULTS[fault].listens:
            yield Wrong(fault, ANY, None, None, draw.choice((0, 0, 1)))
            continue
        seconds = draw.choice(_SECONDS[fault]) if fault in _SECONDS else None
        times = draw.choice((None, 1, 1, 2))
        yield Wrong(
            fault, draw.choice((RUN, RUN, RUN, ANY, READS)), seconds, times, draw.choice((0, 0, 1, 2))
        )


def run_many(seeds: Iterable[int]) -> tuple[NodeStats, list[str]]:
    """What came of which fault in all these schedules, and what must not have come."""
    return outcomes(Simulation(seed) for seed in seeds)


if __name__ == "__main__":
    sys.exit(replay(Simulation, sys.argv[1:]))

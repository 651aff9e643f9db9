"""Random fault schedules, and what must come of them whatever they are.

A schedule is a function of its seed: a network, and a few steps, in each of which things go wrong at random
moments while the client works. Where enough nodes are good, the right plaintext must come; where not, that or an
error of the package's tree; in either case within the client's time-out.

Replay one, step by step: ``python -m tests.faults.simulator SEED``
"""

from __future__ import annotations

import logging
import random
import re
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, field
from threading import Lock, get_ident
from typing import Protocol

from lit_airflow import LitClient, Session
from lit_airflow.devnet.faults import CHAIN_FAULTS, FAULTS
from lit_airflow.errors import LitError, NodesUnavailableError
from lit_airflow.transport.http import MAX_BYTES
from tests.faults.in_memory import CONDITIONS, PLAINTEXT, InMemoryEnvironment, Sealed

CHAIN = "chain"
_URL = re.compile(r"http://[0-9.:]+")
_SHAPES = [(3, 2)] * 9 + [(4, 3)] * 4 + [(5, 3)] * 4 + [(7, 5)] * 2 + [(10, 7)]
_SECONDS = {"slow": (0.01, 1, 60), "slower": (0.5, 5), "drip": (0.001, 1), "overloaded-for": (0, 1, 3600)}
# More of the processor's time than this for one step is a hang, whatever the environment's clock says.
_LONGEST_S = 20.0
# How long the client goes by a survey of the nodes.
FRESH_S = 30.0
# What the client may read of one answer, and the piece in which it notices.
_MOST_BYTES = MAX_BYTES + 2**17

NodeStats = Counter[tuple[str, str]]
"""(fault, outcome) -> how often."""


class Environment(Protocol):
    """Where a schedule runs.

    Attributes:
        random: Where all chance comes from.
        now_s: The time.
        patience_s: How much later than its time-out the client may end.
        longest_read: How many bytes the client has read of one answer at most.
        before_each_request: Called before each request that the client sends.
    """

    random: random.Random
    patience_s: float
    longest_read: int
    before_each_request: Callable[[], None]

    @property
    def now_s(self) -> float:
        """The time."""

    def entered(self) -> AbstractContextManager[None]:
        """Within it, there is this environment."""

    def build(self, nodes: int, threshold: int) -> tuple[Sealed, Session]:
        """Make the network; something encrypted on it, and a session for it."""

    def nodes(self) -> dict[int, str]:
        """Who is there: number -> URL."""

    def set_fault(self, place: int | str, fault: str | None, seconds: float | None = None) -> None:
        """Give a node or the chain a fault."""

    def set_clock_offset(self, seconds: float) -> None:
        """Move the nodes' clock."""

    def client(self, *, pinned: bool) -> LitClient:
        """A client that has surveyed nobody."""

    def timeout_s(self, *, must_work: bool) -> float:
        """The client's time-out for a step."""

    def opens(self, sealed: Sealed) -> bool:
        """Whether the network's own secret opens what was encrypted, and it is what it must be."""

    def sleep(self, seconds: float) -> None:
        """Time passes."""


_FALSE_KEY = "false-key"
"""The fault in which nodes name another key than the network's, all the same one."""


class Violation(AssertionError):  # noqa: N818 - it is no error of a program, but of the client
    """Something came out that must never come."""


@dataclass(frozen=True, slots=True)
class Wrong:
    """Something that goes wrong in a step.

    Attributes:
        place: A node's number, or the chain.
        fault: Its name.
        seconds: Its seconds, if it has some.
        after: How many requests the client has sent in this step by then.
    """

    place: int | str
    fault: str
    seconds: float | None
    after: int

    @property
    def name(self) -> str:
        """The fault's name, and whose it is where that is the chain."""
        return f"{CHAIN} {self.fault}" if self.place == CHAIN else self.fault

    def __str__(self) -> str:
        seconds = "" if self.seconds is None else f":{self.seconds:g}"
        return f"{self.place}={self.fault}{seconds}@{self.after}"

    def set_in(self, environment: Environment) -> None:
        """Let it begin, if the node is still there."""
        with suppress(IndexError):
            environment.set_fault(self.place, self.fault, self.seconds)


@dataclass(slots=True)
class Simulation:
    """One schedule as it runs.

    Attributes:
        seed: Which.
        make: Makes the environment it runs in.
        tally: What came of which fault.
        told: What happened, in lines for people.
        blamable: Whom the client may call bad: the URLs of all that were, so far.
        last_bad_s: Node -> when a step ended in which it was bad.
        pinned: Whether the client was told the network's key.
        misled: Whether so many nodes named another key that the client may have believed them; then it refuses the
            right one.
    """

    seed: int
    make: Callable[[int], Environment] = InMemoryEnvironment
    tally: NodeStats = field(default_factory=Counter)
    told: list[str] = field(default_factory=list)
    blamable: set[str] = field(default_factory=set)
    last_bad_s: dict[int, float] = field(default_factory=dict)
    pinned: bool = False
    misled: bool = False

    def run(self) -> None:
        """Run all steps.

        Raises:
            Violation: Something came out that must not.
        """
        environment = self.make(self.seed)
        with environment.entered():
            nodes, threshold = environment.random.choice(_SHAPES)
            sealed, session = environment.build(nodes, threshold)
            self.pinned = environment.random.random() < 0.5
            self.told.append(f"{nodes} nodes, {threshold} needed, key {'' if self.pinned else 'not '}pinned")
            lit = environment.client(pinned=self.pinned)
            for _ in range(environment.random.choice((1, 1, 1, 1, 2, 3))):
                environment.sleep(environment.random.choice((0, 0, 5, 40)))
                _Step(self, environment, lit, (nodes, threshold)).run(sealed, session)


class _Step:
    """One call of the client, and what goes wrong meanwhile.

    Args:
        simulation: Where to tell of it.
        environment: Where.
        lit: The client.
        shape: How many nodes there were when the client was made, and how many are needed.
    """

    def __init__(
        self, simulation: Simulation, environment: Environment, lit: LitClient, shape: tuple[int, int]
    ) -> None:
        self._simulation, self._environment, self._lit = simulation, environment, lit
        draw, there, (nodes, self._threshold) = environment.random, environment.nodes(), shape
        for place in (*there, CHAIN):
            environment.set_fault(place, None)
        offset_s = draw.choice((-600.0, 600.0, 3600.0)) if draw.random() < 0.03 else 0.0
        environment.set_clock_offset(offset_s)
        self._wrongs = list(wrongs(draw, list(there), self._threshold))
        bad = {wrong.place for wrong in self._wrongs}
        # A node that failed a handshake is not asked again before the next survey.
        left_out = {n for n, at_s in simulation.last_bad_s.items() if environment.now_s - at_s < FRESH_S}
        good = set(range(nodes)).intersection(there) - bad - left_out
        # Who was bad in an earlier step may be named for as long as the client goes by that step's handshakes.
        simulation.blamable |= {there[node] for node in bad if isinstance(node, int)}
        self._must_work = (
            len(good) >= self._threshold and CHAIN not in bad and not offset_s and not simulation.misled
        )
        misleading = [wrong.place for wrong in self._wrongs if wrong.fault == _FALSE_KEY]
        simulation.misled |= not simulation.pinned and len(misleading) >= self._threshold
        self._about = [*map(str, self._wrongs), *([f"clock {offset_s:+g} s"] if offset_s else [])]
        self._bad_nodes = [node for node in bad if isinstance(node, int)]
        self._sent = 0
        self._lock = Lock()

    def run(self, sealed: Sealed, session: Session) -> None:
        """Decrypt, or now and then encrypt, while it goes wrong.

        Raises:
            Violation: Something came out that must not.
        """
        environment = self._environment
        environment.before_each_request = self._request
        timeout_s = self._lit._timeout_s = environment.timeout_s(must_work=self._must_work)
        self._set_in(0)
        verb = "encrypt" if environment.random.random() < 0.1 else "decrypt"
        began_s, cpu_s = environment.now_s, time.thread_time()
        outcome, problem = self._encrypt() if verb == "encrypt" else self._decrypt(sealed, session)
        took_s, cpu_s = environment.now_s - began_s, time.thread_time() - cpu_s
        self._simulation.last_bad_s |= dict.fromkeys(self._bad_nodes, environment.now_s)
        if took_s > timeout_s + environment.patience_s or cpu_s > _LONGEST_S:
            problem = f"it took {took_s:.1f} s, {cpu_s:.1f} s of them computing"
        if environment.longest_read > _MOST_BYTES:
            problem = f"it read {environment.longest_read} bytes of one answer"
        due = "must work" if self._must_work else "may fail"
        wrongs = " ".join(self._about) or "nothing"
        self._simulation.told.append(f"{verb}, wrong: {wrongs} ({due}) -> {outcome} after {took_s:.2f} s")
        for wrong in self._wrongs:
            self._simulation.tally[wrong.name, outcome] += 1
        if problem:
            raise Violation("\n".join([f"seed {self._simulation.seed}: {problem}", *self._simulation.told]))

    def _request(self) -> None:
        with self._lock:
            self._sent += 1
            self._set_in(self._sent)

    def _set_in(self, sent: int) -> None:
        for wrong in self._wrongs:
            if wrong.after == sent:
                wrong.set_in(self._environment)

    def _decrypt(self, sealed: Sealed, session: Session) -> tuple[str, str]:
        with _logged() as lines:
            try:
                plaintext = self._lit.decrypt(sealed, CONDITIONS, session)
            except Exception as error:  # noqa: BLE001 - most must never come
                return type(error).__name__, self._judged(error)
        if plaintext != PLAINTEXT:
            return "plaintext", f"a wrong plaintext: {plaintext!r}"
        _, _, failed = "".join(lines).rpartition("Failed: ")
        wrongly_blamed = set(_URL.findall(failed)) - self._simulation.blamable
        return "plaintext", f"good nodes are blamed: {failed}" if wrongly_blamed and self._must_work else ""

    def _encrypt(self) -> tuple[str, str]:
        try:
            sealed = self._lit.encrypt(PLAINTEXT, CONDITIONS)
        except Exception as error:  # noqa: BLE001 - most must never come
            return type(error).__name__, self._judged(error)
        return "ciphertext", "" if self._environment.opens(sealed) else "a ciphertext under another key"

    def _judged(self, error: Exception) -> str:
        """What is wrong with an error; nothing where it is one that may come."""
        if not isinstance(error, LitError):
            return f"{error!r} left the package"
        if self._must_work:
            return f"enough nodes are good, but: {error!r}"
        if isinstance(error, NodesUnavailableError):
            told = f"needed {error.needed}, reached {error.reached}, failures {dict(error.failures)}"
            if error.needed != self._threshold or error.reached >= error.needed:
                return told
            if not error.failures or not all(error.failures.values()):
                return f"no causes: {told}"
        return ""


@contextmanager
def _logged() -> Iterator[list[str]]:
    """What the package logs within, in this thread."""
    lines: list[str] = []
    thread = get_ident()

    class Listening(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.thread == thread:
                lines.append(record.getMessage())

    package, listening = logging.getLogger("lit_airflow"), Listening(logging.INFO)
    package.setLevel(logging.INFO)
    package.addHandler(listening)
    try:
        yield lines
    finally:
        package.removeHandler(listening)


def wrongs(draw: random.Random, there: list[int], threshold: int) -> Iterator[Wrong]:
    """What goes wrong in one step: drawn anew."""
    spare, share = len(there) - threshold, draw.random()
    if share < 0.45:
        count = draw.randint(0, spare)
    elif share < 0.75:
        count = spare
    else:
        count = draw.randint(spare + 1, len(there))
    at_once = draw.random() < 0.6

    def after() -> int:
        return 0 if at_once else draw.randint(0, 2 * len(there) + 2)

    alike = draw.choice(list(FAULTS)) if draw.random() < 0.2 else None
    for node in draw.sample(there, count):
        fault = alike or draw.choice(list(FAULTS))
        yield Wrong(node, fault, _seconds(draw, fault), after())
    if draw.random() < 0.15:
        fault = draw.choice(list(CHAIN_FAULTS))
        yield Wrong(CHAIN, fault, _seconds(draw, fault), after())


def _seconds(draw: random.Random, fault: str) -> float | None:
    return draw.choice(_SECONDS[fault]) if fault in _SECONDS else None


def run_many(
    seeds: Iterable[int], make: Callable[[int], Environment] = InMemoryEnvironment
) -> tuple[NodeStats, list[str]]:
    """What came of which fault in all these schedules, and what must not have come."""
    return outcomes(Simulation(seed, make) for seed in seeds)


class Schedule(Protocol):
    """One schedule of faults, on any network."""

    tally: NodeStats
    told: list[str]

    def run(self) -> object:
        """Run it; raises :class:`Violation`."""


def outcomes(schedules: Iterable[Schedule]) -> tuple[NodeStats, list[str]]:
    """Run schedules: what came of which fault, and what must not have come."""
    tally: NodeStats = Counter()
    violations: list[str] = []
    for schedule in schedules:
        try:
            schedule.run()
        except Violation as violation:
            violations.append(str(violation))
        tally += schedule.tally
    return tally, violations


def replay(make: Callable[[int], Schedule], arguments: list[str]) -> int:
    """Replay schedules by their seeds, and say what happened; 1 if something came out that must not."""
    failed = 0
    for argument in arguments:
        schedule = make(int(argument))
        try:
            schedule.run()
        except Violation as violation:
            print(violation)  # noqa: T201 - a command's output
            failed = 1
        else:
            print("\n".join([f"seed {argument}: as it must be", *schedule.told]))  # noqa: T201 - the same
    return failed


if __name__ == "__main__":
    sys.exit(replay(Simulation, sys.argv[1:]))

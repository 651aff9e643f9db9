"""Decrypting many containers: read in groups of up to a hundred, and opened in as few runs as the limits allow.

Source: docs/protocol/gate.md#batches-limits-and-costs.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from typing import Protocol

from lit_airflow.clock import Deadline
from lit_airflow.errors import LitError
from lit_airflow.networks import contract
from lit_airflow.networks.batch import decrypt_each
from lit_airflow.networks.chipotle import batching
from lit_airflow.networks.chipotle.api import Reply
from lit_airflow.networks.chipotle.batching import LIMITS, Weight
from lit_airflow.networks.chipotle.description import ChipotleDescription
from lit_airflow.networks.chipotle.gate_answers import Outcome
from lit_airflow.networks.chipotle.gate_runs import Job
from lit_airflow.networks.contract import Cost, Decrypted, DecryptionReport, Load
from lit_airflow.protocol.container import Container

log = logging.getLogger(__name__)

_NOTHING = Weight(None, 0, 0)


class Gates(Protocol):
    """What bulk decryption needs of a network."""

    description: ChipotleDescription

    def job(self, container: Container, session: contract.Session) -> Job:
        """Return all that opening a container takes. Sends nothing.

        Raises:
            LitError: What can be known before anything is sent.
        """
        ...

    def run(self, jobs: Sequence[Job], deadline: Deadline) -> tuple[list[Outcome], Reply]:
        """Run a gate for jobs of one group.

        Raises:
            LitError: The run failed, for all of them alike.
        """
        ...

    def reported(self, reply: Reply) -> DecryptionReport:
        """Pass on how a run was answered and what it cost, and return that."""
        ...


@dataclass(frozen=True, slots=True)
class BulkDecryption:
    """Decrypts many containers on one network.

    Attributes:
        network: The network.
        session: Returns the session to use for a container.
        timeout_s: Seconds within which each run ends.
    """

    network: Gates
    session: Callable[[Container], contract.Session]
    timeout_s: float

    def outcomes(self, items: Iterable[Load], at_once: int) -> Iterator[Decrypted]:
        """Yield the outcomes in the items' order, as they are taken.

        Up to a hundred are read ahead, whatever ``at_once``: a run costs the same for one as for a hundred.

        Args:
            items: Fetched as they are needed.
            at_once: How many outcomes are opened ahead.

        Raises:
            SettingsError: ``at_once`` is not positive.
        """
        paid = _Paid()
        return _told(decrypt_each(lambda ready: ready(), self._opened(items, paid), at_once), paid)

    def _opened(self, items: Iterable[Load], paid: _Paid) -> Iterator[Callable[[], bytes]]:
        """Yield for each item what returns its plaintext or raises its error."""
        source, waiting, more = iter(items), list[_Prepared](), True
        while more:
            wanted = LIMITS.items - len(waiting)
            read = [self._prepared(load) for load in islice(source, wanted)]
            # What waited is prepared again: meanwhile its session may have ended, or another taken its place.
            waiting, more = [*map(self._again, waiting), *read], len(read) == wanted
            opened = self._open_first(waiting, paid, more=more)
            yield from opened
            del waiting[: len(opened)]

    def _open_first(
        self,
        waiting: Sequence[_Prepared],
        paid: _Paid,
        *,
        more: bool,
    ) -> list[Callable[[], bytes]]:
        """Open as many containers as fill runs, from the first on."""
        jobs = {index: each.job for index, each in enumerate(waiting) if each.job is not None}
        weights = [waiting[index].weight for index in jobs]
        numbers, frame_bytes = list(jobs), max((job.frame_bytes() for job in jobs.values()), default=0)
        planned = [
            [numbers[place] for place in batch] for batch in batching.plan(weights, frame_bytes=frame_bytes)
        ]
        batches, count = batching.to_run_now(planned, len(waiting), more=more)
        results = {index: partial(_raise, each.error) for index, each in enumerate(waiting) if each.error}
        for index, outcome in batching.run_all(
            batches, partial(self._run, jobs, paid), lambda e: Outcome(error=e)
        ):
            results[index] = partial(jobs[index].open, outcome)
        return [results[index] for index in range(count)]

    def _prepared(self, load: Load) -> _Prepared:
        try:
            container = load()
            job = self.network.job(container, self.session(container))
            weight = job.weight(self.network.description.rpc)
            batching.check_weight(weight, LIMITS, job.frame_bytes())
        except LitError as error:
            return _Prepared(error=error)
        return _Prepared(job, weight, container=container)

    def _again(self, each: _Prepared) -> _Prepared:
        container = each.container
        return each if container is None else self._prepared(lambda: container)

    def _run(self, jobs: Mapping[int, Job], paid: _Paid, batch: Sequence[int]) -> Sequence[Outcome]:
        """Run one batch. What fails for every container alike is each one's outcome."""
        network = self.network
        deadline = Deadline.after(self.timeout_s)
        chosen = [jobs[place] for place in batch]
        try:
            outcomes, reply = network.run(chosen, deadline)
        except LitError as error:
            return [Outcome(error=error) for _ in batch]
        report = network.reported(reply)
        paid.add(report.cost)
        log.debug("One run for %d containers. %s", len(batch), report)
        return outcomes


@dataclass(frozen=True, slots=True)
class _Prepared:
    """A container that was read: what opening it takes, or why it cannot be opened."""

    job: Job | None = None
    weight: Weight = _NOTHING
    error: LitError | None = None
    container: Container | None = None


@dataclass(slots=True)
class _Paid:
    """The runs that were answered, and what they cost together."""

    costs: list[Cost] = field(default_factory=list)

    def add(self, cost: Cost | None) -> None:
        if cost is not None:
            self.costs.append(cost)

    def __str__(self) -> str:
        total = Cost(sum(cost.seconds for cost in self.costs), sum(cost.cents for cost in self.costs))
        return f"Runs that were answered: {len(self.costs):,}. {total}"


def _told(outcomes: Iterator[Decrypted], paid: _Paid) -> Iterator[Decrypted]:
    """Pass the outcomes on, and log at the end what the runs cost, also if not all outcomes are taken."""
    try:
        yield from outcomes
    finally:
        if paid.costs:
            log.info("%s", paid)


def _raise(error: LitError) -> bytes:
    raise error

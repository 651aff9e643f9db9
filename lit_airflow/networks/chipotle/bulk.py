"""Decrypting many containers: read in groups of up to a hundred, and opened in as few runs as the limits allow.

Source: docs/protocol/gate.md#batches-limits-and-costs.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING

from lit_airflow.clock import Deadline
from lit_airflow.errors import LitError
from lit_airflow.networks import contract
from lit_airflow.networks.batch import decrypt_each
from lit_airflow.networks.chipotle import batching
from lit_airflow.networks.chipotle.batching import LIMITS, Weight
from lit_airflow.networks.chipotle.gate_answers import Outcome
from lit_airflow.networks.chipotle.gate_runs import Job
from lit_airflow.networks.contract import Cost, Decrypted, Load
from lit_airflow.protocol.container import Container

if TYPE_CHECKING:
    from lit_airflow.networks.chipotle.network import ChipotleNetwork

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class BulkDecryption:
    """Decrypts many containers on one network.

    Attributes:
        network: The network.
        session: Returns the session to use for a container.
        timeout_s: Seconds within which each run ends.
    """

    network: ChipotleNetwork
    session: Callable[[Container], contract.Session]
    timeout_s: float

    def outcomes(self, items: Iterable[Load], at_once: int) -> Iterator[Decrypted]:
        """Yield the outcomes in the items' order, as they are taken.

        A group of up to a hundred is read and opened together, whatever ``at_once``: a run costs the same for one
        container as for a hundred.

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
        waiting = iter(items)
        while group := list(islice(waiting, LIMITS.items)):
            yield from self._open_group(group, paid)

    def _open_group(self, loads: Sequence[Load], paid: _Paid) -> list[Callable[[], bytes]]:
        results: dict[int, Callable[[], bytes]] = {}
        jobs: dict[int, Job] = {}
        weights: list[Weight] = []
        for index, load in enumerate(loads):
            try:
                job, weight = self._prepared(load)
            except LitError as error:
                results[index] = partial(_raise, error)
                continue
            jobs[index] = job
            weights.append(weight)
        numbers, prepared = list(jobs), list(jobs.values())
        frame_bytes = max((job.frame_bytes() for job in prepared), default=0)
        batches = batching.plan(weights, frame_bytes=frame_bytes)
        for place, outcome in batching.run_all(
            batches, partial(self._run, prepared, paid), lambda e: Outcome(error=e)
        ):
            results[numbers[place]] = partial(prepared[place].open, outcome)
        return [results[index] for index in range(len(loads))]

    def _prepared(self, load: Load) -> tuple[Job, Weight]:
        container = load()
        job = self.network.job(container, self.session(container))
        weight = job.weight(self.network.description.rpc)
        batching.check_weight(weight, LIMITS, job.frame_bytes())
        return job, weight

    def _run(self, jobs: Sequence[Job], paid: _Paid, batch: Sequence[int]) -> Sequence[Outcome]:
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

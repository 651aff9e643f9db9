"""Which containers go to the gate in one run, and what to do when a run fails whole.

A run costs the same for one container as for a hundred. What bounds it: the size of the answer, requests to chains,
memory and time, the size of the request.

Source: docs/protocol/gate.md#batches-limits-and-costs.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from lit_airflow.errors import CiphertextError, LitError, SettingsError
from lit_airflow.networks.chipotle.gate_conditions import MOST_FETCHES
from lit_airflow.networks.chipotle.sealing import OVERHEAD_BYTES

# A refusal takes at most this much of an answer.
_REFUSAL_BYTES = 300
_BATCH_FRAME_BYTES = len('{"ok":true,"items":[]}')
_ITEM_FRAME_BYTES = len('{"ok":true,"sealed":""},')
_SINGLE_FRAME_BYTES = len('{"ok":true,"sealed":""}')

Outcome = TypeVar("Outcome")


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one run takes.

    Attributes:
        response_bytes: The service's ``max_response_length``.
        request_bytes: The longest body that the service reads.
        items: Containers.
        fetches: Requests to chains.
    """

    response_bytes: int = 102_400
    request_bytes: int = 10 * 1024 * 1024
    items: int = 100
    fetches: int = MOST_FETCHES


LIMITS = Limits()
"""Those of the service since April 2026; later ones are wider."""


@dataclass(frozen=True, slots=True)
class Weight:
    """What one container adds to a run.

    Attributes:
        group: Only containers of one group share a run: one gate, one session. A stranger's container, whose RPC
            servers could use the run up, is in a group apart.
        given_bytes: How many bytes the gate gives out.
        request_bytes: Its part of the request.
        fetches: The requests to chains that it may take; those of several containers that are equal are made once.
    """

    group: Hashable
    given_bytes: int
    request_bytes: int
    fetches: frozenset[Hashable] = frozenset()


def check_size(plaintext_bytes: int, *, locked: bool, limits: Limits = LIMITS) -> None:
    """Check that a gate will be able to give the data out.

    Args:
        plaintext_bytes: Length of the data.
        locked: Whether it is sealed to a lock too, which takes 48 bytes.
        limits: What one run takes.

    Raises:
        SettingsError: It is too long for one answer.
    """
    lock_bytes = OVERHEAD_BYTES if locked else 0
    if _single_response_bytes(plaintext_bytes + lock_bytes) > limits.response_bytes:
        most = largest_given(limits) - lock_bytes
        raise SettingsError(
            f"{plaintext_bytes:,} bytes do not fit into one answer of the service; it carries {most:,}.",
            field="plaintext",
            hint="Encrypt larger data as an envelope: encrypt_file does.",
        )


def largest_given(limits: Limits = LIMITS) -> int:
    """Return how many bytes a gate can give out in one answer."""
    return (limits.response_bytes - _SINGLE_FRAME_BYTES) // 4 * 3 - OVERHEAD_BYTES


def check_weight(weight: Weight, limits: Limits, frame_bytes: int) -> None:
    """Check that a container fits into a run alone.

    Raises:
        CiphertextError: Its plaintext or its request is too long.
    """
    if _single_response_bytes(weight.given_bytes) > limits.response_bytes:
        raise CiphertextError(
            f"The container holds {weight.given_bytes:,} bytes; an answer carries {largest_given(limits):,}."
        )
    if frame_bytes + weight.request_bytes > limits.request_bytes:
        raise CiphertextError("The container's request is longer than the service reads.")


def plan(weights: Sequence[Weight], limits: Limits = LIMITS, *, frame_bytes: int = 0) -> list[list[int]]:
    """Return the runs: for each the indices of its containers, in order.

    Args:
        weights: One for each container; each fits into a run alone (:func:`check_weight`).
        limits: What one run takes.
        frame_bytes: What a request takes beside its containers: the gate's text and the session signature.
    """
    batches: list[list[int]] = []
    filling: dict[Hashable, _Batch] = {}
    for index, weight in enumerate(weights):
        batch = filling.get(weight.group)
        if batch is None or not batch.takes(weight, limits):
            batch = filling[weight.group] = _Batch(frame_bytes)
            batches.append(batch.indices)
        batch.add(index, weight)
    return batches


def to_run_now(
    batches: Sequence[Sequence[int]], count: int, *, more: bool
) -> tuple[Sequence[Sequence[int]], int]:
    """Return which runs to make now, and how many of the containers, from the first on, are done with them.

    The last run may have room left. If further containers will follow, it waits for them, unless other runs have
    containers behind its first one.

    Args:
        batches: What :func:`plan` returned.
        count: How many containers were read so far.
        more: Whether further ones follow.
    """
    if more and len(batches) > 1:
        first = batches[-1][0]
        if all(batch[-1] < first for batch in batches[:-1]):
            return batches[:-1], first
    return batches, count


def run_all(
    batches: Sequence[Sequence[int]],
    run: Callable[[Sequence[int]], Sequence[Outcome]],
    failed: Callable[[LitError], Outcome],
) -> Iterator[tuple[int, Outcome]]:
    """Run batch after batch; one that fails whole is halved, so that one container does not spoil the others.

    Args:
        batches: Indices of the containers in each.
        run: Runs one batch. Raises :class:`RunFailed` where the run was lost as a whole.
        failed: Makes an outcome of the error of a container that failed alone.

    Yields:
        Index and outcome of each container.
    """
    waiting = [list(batch) for batch in reversed(batches)]
    while waiting:
        batch = waiting.pop()
        try:
            outcomes = run(batch)
        except RunFailed as failure:
            if len(batch) == 1:
                yield batch[0], failed(failure.error)
                continue
            middle = len(batch) // 2
            waiting += [batch[middle:], batch[:middle]]
            continue
        yield from zip(batch, outcomes, strict=True)


class RunFailed(Exception):  # noqa: N818 - never leaves this package
    """A run ended without an answer for any of its containers.

    Attributes:
        error: What it means for a container that was alone in it.
    """

    def __init__(self, error: LitError) -> None:
        super().__init__(str(error))
        self.error = error


@dataclass(slots=True)
class _Batch:
    """A run that is being filled, with what it takes so far."""

    request_bytes: int
    response_bytes: int = _BATCH_FRAME_BYTES
    fetches: set[Hashable] = field(default_factory=set)
    indices: list[int] = field(default_factory=list)

    def takes(self, weight: Weight, limits: Limits) -> bool:
        """Return whether there is room for another container."""
        return (
            len(self.indices) < limits.items
            and self.response_bytes + _item_response_bytes(weight.given_bytes) <= limits.response_bytes
            and self.request_bytes + weight.request_bytes <= limits.request_bytes
            and len(self.fetches | weight.fetches) <= limits.fetches
        )

    def add(self, index: int, weight: Weight) -> None:
        self.indices.append(index)
        self.response_bytes += _item_response_bytes(weight.given_bytes)
        self.request_bytes += weight.request_bytes
        self.fetches |= weight.fetches


def _item_response_bytes(given_bytes: int) -> int:
    return max(_REFUSAL_BYTES, _ITEM_FRAME_BYTES + _base64_length(given_bytes + OVERHEAD_BYTES))


def _single_response_bytes(given_bytes: int) -> int:
    return _SINGLE_FRAME_BYTES + _base64_length(given_bytes + OVERHEAD_BYTES)


def _base64_length(size: int) -> int:
    return 4 * -(-size // 3)

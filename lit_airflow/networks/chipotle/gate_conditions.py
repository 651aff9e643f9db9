"""The conditions that gate 1 can judge, checked before anything is encrypted under them.

A gate refuses a list of conditions whole when one of them is of a kind that it does not know. A container under
such a list would be locked for ever, so nothing is encrypted under it.

Source: docs/protocol/gate.md#expression, #what-gate-1-evaluates, #chains and #batches-limits-and-costs.
"""

from __future__ import annotations

from collections.abc import Iterable

from lit_airflow.errors import ConditionError
from lit_airflow.networks.chipotle.condition_kinds import JUDGED, ChainRead, read_condition
from lit_airflow.networks.chipotle.rpc_urls import check_rpc
from lit_airflow.networks.chipotle.sealing import Rpc
from lit_airflow.protocol.condition_validation import MAX_CONDITIONS, check_order, leaves
from lit_airflow.protocol.conditions import UNIFIED, Conditions
from lit_airflow.text import is_encodable, quoted, word

MOST_FETCHES = 45
"""Reads times URLs in one run of the gate; the service allows 50."""

FIELDS = ("accessControlConditions", "evmContractConditions", UNIFIED)


def check_conditions(conditions: Conditions, rpc: Rpc, *, local: bool = False) -> None:
    """Check that a gate will be able to judge the conditions with these RPC URLs.

    Args:
        conditions: What data is to be encrypted under.
        rpc: The URLs that go into the container: exactly the chains that the conditions read.
        local: Whether the service is the local network, where chains may be served on this machine.

    Raises:
        ConditionError: Names the field and the reason.
    """
    _check_reads(conditions, chain_reads(conditions), rpc, local=local)


def judged_rpc(conditions: Conditions, available: Rpc, *, local: bool = False) -> dict[str, list[str]]:
    """Check as :func:`check_conditions`, and return what :func:`rpc_of` returns.

    Raises:
        ConditionError: As :func:`check_conditions`.
    """
    reads = chain_reads(conditions)
    rpc = _read_chains(reads, available)
    _check_reads(conditions, reads, rpc, local=local)
    return rpc


def _check_reads(conditions: Conditions, reads: frozenset[ChainRead], rpc: Rpc, *, local: bool) -> None:
    check_rpc(rpc, local=local)
    read_chains = {read.chain for read in reads}
    for chain in sorted(read_chains - set(rpc)):
        raise ConditionError(
            f"The conditions read the chain {quoted(chain)}, and rpc names no URL for it.",
            field=f"rpc.{word(chain)}",
            hint="Give the URLs of one to four JSON-RPC servers of the chain.",
        )
    for chain in sorted(set(rpc) - read_chains):
        raise ConditionError(
            f"rpc names the chain {quoted(chain)}, which no condition reads.", field=f"rpc.{word(chain)}"
        )
    count = len(fetches(reads, rpc))
    if count > MOST_FETCHES:
        raise ConditionError(
            f"The conditions take {count} requests to chains (reads times URLs); the gate makes {MOST_FETCHES}.",
            field=conditions.field,
            hint="Name fewer URLs, or ask fewer questions.",
        )


def rpc_of(conditions: Conditions, available: Rpc) -> dict[str, list[str]]:
    """Return the part of the known RPC URLs that belongs into a container: the chains that its conditions read.

    Raises:
        ConditionError: A condition that the gate cannot judge.
    """
    return _read_chains(chain_reads(conditions), available)


def _read_chains(reads: frozenset[ChainRead], available: Rpc) -> dict[str, list[str]]:
    chains = {read.chain for read in reads}
    return {chain: list(available[chain]) for chain in sorted(chains) if chain in available}


def fetches(reads: Iterable[ChainRead], rpc: Rpc) -> frozenset[tuple[str, ChainRead]]:
    """Return every request that a gate may have to make: each question at each of its chain's URLs, once."""
    return frozenset((url, read) for read in reads for url in rpc.get(read.chain, ()))


def chain_reads(conditions: Conditions) -> frozenset[ChainRead]:
    """Return the questions that the conditions put to chains.

    Raises:
        ConditionError: The gate cannot judge them: not of the shape condition (operator condition)*, more than 30
            conditions, a kind, method, type, comparator or value that it does not know.
    """
    if conditions.field not in FIELDS:
        raise ConditionError(
            f"The gate does not judge {conditions.field}.", field=conditions.field, hint=JUDGED
        )
    if not is_encodable(conditions.canonical_json):
        raise ConditionError("The conditions contain an unpaired surrogate.", field=conditions.field)
    check_order(conditions.items, conditions.field)
    found = list(leaves(conditions.items, conditions.field))
    if len(found) > MAX_CONDITIONS:
        raise ConditionError(
            f"{len(found)} conditions; the gate takes at most {MAX_CONDITIONS}.", field=conditions.field
        )
    reads = (read_condition(item, at, conditions.field) for item, at in found)
    return frozenset(read for read in reads if read is not None)

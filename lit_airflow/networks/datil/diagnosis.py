"""A network checked step by step: chain, staking contract, every node, network key, clock, margin."""

from __future__ import annotations

from collections.abc import Iterator

from lit_airflow.clock import Deadline
from lit_airflow.errors import LitError, NodesUnavailableError, ProtocolError
from lit_airflow.networks.contract import Check, Verdict
from lit_airflow.networks.datil.ended import explained
from lit_airflow.networks.datil.survey import Survey, Surveyor
from lit_airflow.networks.datil.wire import ListedValidators
from lit_airflow.transport.chain import Chain
from lit_airflow.transport.clock_skew import clock_warning, odd_clock_warning

_ASK_OPERATOR = "Ask the node's operator, or wait; check that this host can reach it."

_ASK_ABOUT_CLOCK = (
    "Ask the node's operator to set its clock; by it, the node judges when sessions begin and end."
)


def diagnose(surveyor: Surveyor, deadline: Deadline) -> Iterator[Check]:
    """Yield each check as soon as it is known; what depends on a failed one is left out.

    Args:
        surveyor: The network's.
        deadline: When to stop.
    """
    description = surveyor.description
    if description.rpc_url:
        chain = _chain(surveyor, deadline)
        yield chain
        if chain.verdict is Verdict.BAD:
            return
    try:
        listed = surveyor.listed(deadline)
    except LitError as error:
        yield Check.failed("staking contract", error)
        return
    found = f"{len(listed.nodes)} nodes, {listed.threshold} needed, epoch {listed.epoch.number}"
    if description.rpc_url:
        yield Check.good("staking contract", f"lists {found}")
    else:
        yield Check.note("staking contract", f"not asked: the description itself names {found}")
    yield from _nodes(surveyor, listed, deadline)


def _chain(surveyor: Surveyor, deadline: Deadline) -> Check:
    description = surveyor.description
    chain = Chain(surveyor.http, description.rpc_url, description.chain_id)
    try:
        with explained(description):
            number = chain.number(deadline)
    except LitError as error:
        return Check.failed("chain", error)
    if description.chain_id not in (0, number):
        return Check.bad(
            "chain",
            f"{chain.where} serves chain {number}; the network is on chain {description.chain_id}",
            "Check rpc_url in the Lit connection.",
        )
    return Check.good("chain", f"{chain.where} answers, chain {number}")


def _nodes(surveyor: Surveyor, listed: ListedValidators, deadline: Deadline) -> Iterator[Check]:
    try:
        survey = surveyor.survey(deadline)
    except NodesUnavailableError as error:
        for node in listed.nodes:
            failed = error.failures.get(node)
            yield Check.bad(node, failed.message, _ASK_OPERATOR) if failed else Check.good(node, "answered")
        found = f"{error.reached} of {len(listed.nodes)} nodes answered, {error.needed} needed"
        yield Check.bad("threshold", found, error.hint)
        return
    except ProtocolError as error:
        yield Check.failed("network key", error)
        return
    except LitError as error:
        yield Check.failed("nodes", error)
        return
    yield from _each_node(survey)
    key = f"{survey.public_key[:16]}..."
    if surveyor.description.network_public_key:
        yield Check.good("network key", f"{key}, the pinned one")
    else:
        yield Check.note(
            "network key", f"{key}, not pinned", "Set network_public_key to it once you trust it."
        )
    yield _clock(survey)
    yield _margin(survey)


def _each_node(survey: Survey) -> Iterator[Check]:
    for node in survey.nodes:
        absence = survey.absent.get(node)
        if absence is not None:
            yield Check.note(node, absence.message, _ASK_OPERATOR)
            continue
        proof = "proved its hardware" if survey.attested else "not asked to prove its hardware"
        handshake = survey.handshakes[node]
        found = f"handshake in {handshake.took_s * 1000:.0f} ms, {proof}"
        if warning := odd_clock_warning(handshake.skew_s, survey.skew_s):
            yield Check.note(node, f"{found}; {warning}", _ASK_ABOUT_CLOCK)
        else:
            yield Check.good(node, found)


def _clock(survey: Survey) -> Check:
    if survey.skew_s is None:
        return Check.note("clock", "no node told the time")
    if warning := clock_warning(survey.skew_s):
        return Check.bad(
            "clock", warning, "Set this machine's clock by NTP: nodes refuse sessions from the future."
        )
    return Check.good("clock", "this machine's clock agrees with the nodes' to a few seconds")


def _margin(survey: Survey) -> Check:
    present = len(survey.nodes) - len(survey.absent)
    found = f"{present} of {len(survey.nodes)} nodes shook hands, {survey.threshold} needed"
    spare = present - survey.threshold
    if spare <= 0:
        return Check.note("threshold", f"{found}: none may fail", "Decryption stops if one more node fails.")
    return Check.good("threshold", f"{found}: {spare} more may fail (shares were not requested)")

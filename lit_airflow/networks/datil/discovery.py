"""The validators that the chain lists: from the staking contract, which a resolver may name.

Source: docs/protocol/discovery.md.
"""

from __future__ import annotations

from lit_airflow.clock import Deadline
from lit_airflow.errors import ProtocolError
from lit_airflow.networks.datil import wire
from lit_airflow.networks.datil.consensus import Epoch
from lit_airflow.networks.datil.description import DatilDescription
from lit_airflow.transport.chain import Chain
from lit_airflow.transport.http import Http

_ZERO_ADDRESS = "0x" + "0" * 40


def listed(row: DatilDescription, http: Http, deadline: Deadline) -> wire.ListedValidators:
    """Return the validators now: from the chain if the description names one, else from the description.

    Raises:
        ChainUnavailableError: The chain does not answer.
        ProtocolError: The chain lists too few nodes, or has no such contract.
    """
    if not row.rpc_url:
        return wire.ListedValidators(Epoch(0, row.epoch, 0), row.threshold, row.nodes)
    chain = Chain(http, row.rpc_url, row.chain_id)
    staking_address = row.staking_address or _resolved(row, chain, deadline)
    result = chain.call(staking_address, wire.VALIDATORS, (), deadline)
    return wire.validators(result, default_scheme=row.default_scheme)


def _resolved(row: DatilDescription, chain: Chain, deadline: Deadline) -> str:
    """Ask the resolver for the staking contract, each time: it may change."""
    (kind,) = chain.call(row.resolver_address, wire.STAKING_CONTRACT, (), deadline)
    (address,) = chain.call(row.resolver_address, wire.GET_CONTRACT, (kind, row.environment), deadline)
    if address == _ZERO_ADDRESS:
        raise ProtocolError(
            f"The resolver has no staking contract for environment {row.environment}.",
            hint="Check resolver_address and environment.",
        )
    return str(address)

"""Whom the chain lists: the staking contract's answer, after the resolver's where that is asked for its address.

Source: spec of the protocol, sections 1.1 and 1.3.
"""

from __future__ import annotations

from lit_airflow.clock import Deadline
from lit_airflow.errors import ProtocolError
from lit_airflow.networks.datil import wire
from lit_airflow.networks.datil.consensus import Epoch
from lit_airflow.networks.descriptions import NetworkDescription
from lit_airflow.transport.chain import Chain
from lit_airflow.transport.http import Http

_NOBODY = "0x" + "0" * 40


def listed(row: NetworkDescription, http: Http, deadline: Deadline) -> wire.Validators:
    """The nodes now, from the chain where the description names one, else from the description.

    Raises:
        ChainUnavailableError: The chain does not answer.
        ProtocolError: The chain lists too few nodes, or knows no such contract.
    """
    if not row.rpc_url:
        return wire.Validators(Epoch(0, row.epoch, 0), row.threshold, row.nodes)
    chain = Chain(http, row.rpc_url, row.chain_id)
    staking_address = row.staking_address or _resolved(row, chain, deadline)
    result = chain.call(staking_address, wire.VALIDATORS, (), deadline)
    return wire.validators(result, default_scheme=row.default_scheme)


def _resolved(row: NetworkDescription, chain: Chain, deadline: Deadline) -> str:
    """The staking contract, as the resolver knows it; asked each time, since that is what a resolver is for."""
    (kind,) = chain.call(row.resolver_address, wire.STAKING_CONTRACT, (), deadline)
    (address,) = chain.call(row.resolver_address, wire.GET_CONTRACT, (kind, row.environment), deadline)
    if address == _NOBODY:
        raise ProtocolError(
            f"The resolver knows no staking contract for environment {row.environment}.",
            hint="Check resolver_address and environment.",
        )
    return str(address)

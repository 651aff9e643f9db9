"""Whether the account contract has registered a gate's derivation path or its address in anybody's name.

Who registers a gate's path as that of a wallet can have the gate's secret released, as long as the service does not
separate the two kinds of paths. Set-up registers neither, so each registration is a stranger's.

Source: docs/protocol/gate.md#the-services-key-namespace; the contract's ABI of April 2026, and owners of addresses
from July.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from lit_airflow.clock import Deadline
from lit_airflow.errors import ChainUnavailableError, LitError, ProtocolError
from lit_airflow.networks.contract import Check
from lit_airflow.transport.chain import Chain

CHAIN = "base"
"""The chain with the contract, as a connection's ``rpc`` names it."""

_ADDRESS = re.compile(r"0x[0-9a-fA-F]{40}")
_WORD = re.compile(r"0x[0-9a-fA-F]{64}")
# keccak-256 of WalletDerivationRegistered(uint256,address,uint256); the first two are indexed, the path is not.
_REGISTERED = "0x1b7561a9627fa84d82b24435d040afcf609a93e967d51c16204121a6ea55ddea"
_TOPICS = 3
TAKEN_ADVICE = (
    "Treat the gate's key as public: do not encrypt to it. Make another gate, and convert the data. What is locked "
    "stays closed."
)
"""What to do if somebody has registered a gate."""


def derivation_path(cid: str) -> int:
    """Return the number of a path that a wallet would need to have an action's secret."""
    from eth_utils.crypto import keccak  # noqa: PLC0415 - only this look needs it

    return int.from_bytes(keccak(text=f"lit_action_{cid}"))


def read_contract(config: object) -> tuple[str, int]:
    """Return the contract's address and its chain's number, from the service's answer.

    Raises:
        ProtocolError: They are missing or malformed.
    """
    fields = config if isinstance(config, Mapping) else {}
    address, number = fields.get("contract_address"), fields.get("chain_id")
    if not isinstance(address, str) or not _ADDRESS.fullmatch(address) or type(number) is not int:
        raise ProtocolError("The service does not name its account contract.")
    return address, number


def look(chain: Chain, contract: str, gates: Mapping[str, tuple[str, str]], deadline: Deadline) -> Check:
    """Read all registrations and compare them with the gates.

    Args:
        chain: JSON-RPC of the contract's chain.
        contract: The contract's address.
        gates: Public key -> the gate's CID, and the address of its action's wallet.
        deadline: When to stop.
    """
    name = "registrations"
    try:
        if (found := chain.number(deadline)) != chain.chain_id:
            return Check.bad(
                name,
                f"{chain.where} serves chain {found}; the contract is on chain {chain.chain_id}",
                f"Correct {CHAIN} in the connection's rpc.",
            )
        registered = [_read(log) for log in chain.logs(contract, [_REGISTERED], deadline)]
    except ChainUnavailableError as error:
        advice = "Use a server of the chain that returns a contract's events from its first block."
        return Check.note(name, f"could not be read: {error.message}", advice)
    except LitError as error:
        return Check.failed(name, error)
    taken = [
        public_key
        for public_key, (cid, address) in gates.items()
        if any(wallet == int(address, 16) or path == derivation_path(cid) for wallet, path in registered)
    ]
    if taken:
        gate = f"{taken[0][:16]}..."
        return Check.bad(
            name, f"somebody has registered the path or the address of gate {gate}", TAKEN_ADVICE
        )
    return Check.good(name, f"{len(registered)} in the account contract, none of them of a gate")


def _read(log: Any) -> tuple[int, int]:  # noqa: ANN401 - JSON
    """Return wallet and path of an event."""
    fields = log if isinstance(log, Mapping) else {}
    topics, data = fields.get("topics"), fields.get("data")
    if not isinstance(topics, list) or len(topics) != _TOPICS:
        topics = [None] * _TOPICS
    words = [*topics[1:], data]
    if not all(isinstance(word, str) and _WORD.fullmatch(word) for word in words):
        raise ProtocolError("The chain returned an event of another shape.")
    return int(topics[2], 16), int(str(data), 16)

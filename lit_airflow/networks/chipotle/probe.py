"""A small container sealed to the gate, and opened again: the whole way of the data, tried for real.

The wallet is drawn for the occasion, so neither the deployment's wallet nor a chain is needed.

Source: docs/protocol/gate.md#what-a-client-does.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from lit_airflow.errors import CiphertextError
from lit_airflow.keys.secret import Secret
from lit_airflow.keys.wallet import Wallet
from lit_airflow.networks.contract import SessionOptions
from lit_airflow.protocol.conditions import Conditions
from lit_airflow.protocol.container import Container

if TYPE_CHECKING:
    from lit_airflow.clock import Deadline
    from lit_airflow.networks.contract import Network

_BYTES = 32
_SESSION_S = 300.0


def seal_and_open(network: Network, deadline: Deadline) -> None:
    """Encrypt to the gate and the lock, open a session, and decrypt; $0.01.

    Args:
        network: The network, with the secret of decrypting roles.
        deadline: When it must have ended.

    Raises:
        LitError: A step fails.
        CiphertextError: What was opened is not what was sealed.
    """
    wallet = Wallet.from_key(Secret(secrets.token_bytes(_BYTES)))
    conditions = Conditions.for_wallet(wallet.address)
    sealed = secrets.token_bytes(_BYTES)
    fields = network.encrypt(sealed, conditions, deadline)
    container = Container({**fields, "network": network.name}, conditions)
    options = SessionOptions(ttl_s=_SESSION_S)
    session = network.open_session(wallet, network.scope_of(container), options, deadline)
    if network.decrypt(container, session, deadline) != sealed:
        raise CiphertextError(
            "What was opened is not what was sealed.",
            hint="Do not encrypt to this gate. Report this as a bug.",
        )

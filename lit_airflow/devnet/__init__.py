"""A local Lit network on loopback ports, for tests and trials.

::

    from lit_airflow.devnet import Devnet

    with Devnet(nodes=3, threshold=2) as net:
        client = LitClient(net.description)
        net.stop_node(1)
        net.set_fault(0, "slow", 2)
        net.set_fault("chain", "down")
        joined = net.add_node()

The devnet speaks the wire protocol of the Datil generation, lists its nodes on its own chain, and refuses what a
real node refuses, with the error bodies of a real node. It shares no code with the client. It cannot show that the
real network is available, attests its hardware or charges as expected, and it does not know the balances and
contract results that conditions ask for: pass them as ``state``.
"""

from __future__ import annotations

from lit_airflow.devnet.devnet import Devnet
from lit_airflow.devnet.server import GENERATIONS, serve

__all__ = ["GENERATIONS", "Devnet", "serve"]

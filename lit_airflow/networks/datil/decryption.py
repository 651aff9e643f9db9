"""Gathering the shares that open one ciphertext: all nodes sign the same, known identity."""

from __future__ import annotations

import threading
from collections.abc import Callable

from lit_airflow.clock import Deadline
from lit_airflow.networks.base import Committee
from lit_airflow.networks.datil.gathering import Contribution, Gathering
from lit_airflow.threshold.shares import Recovered, Share


class Decryption(Gathering):
    """Collects shares until a threshold of good ones is in hand.

    Args:
        committee: Whom to ask.
        identity: What the nodes are asked to sign.
    """

    def __init__(self, committee: Committee, identity: bytes) -> None:
        super().__init__(committee, "Decrypting")
        self._identity = identity

    def run(self, ask: Callable[[str, threading.Event], Share], deadline: Deadline) -> Recovered:
        """Ask all nodes; the verified group signature, as soon as there is one.

        Args:
            ask: Gets one node's share.
            deadline: When to stop waiting.

        Raises:
            NetworkError: As :meth:`gather`.
        """
        _, recovered = self.gather(
            lambda node, cancelled: Contribution(self._identity, ask(node, cancelled)), deadline
        )
        return recovered

"""ShareCollector the shares that open one ciphertext: all nodes sign the same, known identity."""

from __future__ import annotations

import threading
from collections.abc import Callable

from lit_airflow.clock import Deadline
from lit_airflow.errors import CiphertextError
from lit_airflow.networks.contract import Committee
from lit_airflow.networks.datil.share_collector import ShareCollector, SignedShare
from lit_airflow.threshold import ciphertext
from lit_airflow.threshold.curve import Signature
from lit_airflow.threshold.shares import Share


class Decryption(ShareCollector):
    """Collects shares until a threshold of them opens a ciphertext.

    A signature that opens it needs no verifying: ``docs/adr/0012``. Where the first one does not, some share is
    wrong or the ciphertext is; from then on signatures are verified, which tells the two apart and finds who lied.

    Args:
        committee: Whom to ask.
        identity: What the nodes are asked to sign.
        encrypted: The ciphertext.
    """

    def __init__(self, committee: Committee, identity: bytes, encrypted: bytes) -> None:
        super().__init__(committee, "Decrypting")
        self._identity = identity
        self._encrypted = encrypted
        self._attempted = False
        self._plaintext: bytes | None = None

    def run(self, ask: Callable[[str, threading.Event], Share], deadline: Deadline) -> bytes:
        """Ask all nodes; the plaintext, as soon as there are shares enough.

        Args:
            ask: Gets one node's share.
            deadline: When to stop waiting.

        Raises:
            CiphertextError: The network's signature does not open it.
            NetworkError: As :meth:`gather`.
        """
        _, recovered = self.gather(
            lambda node, cancelled: SignedShare(self._identity, ask(node, cancelled)), deadline
        )
        if self._plaintext is None:
            return ciphertext.unseal(recovered.signature, self._encrypted)
        return self._plaintext

    def _opens(self, candidate: Signature) -> bool:
        if self._attempted:
            return False
        self._attempted = True
        try:
            self._plaintext = ciphertext.unseal(candidate, self._encrypted)
        except CiphertextError:
            return False
        return True

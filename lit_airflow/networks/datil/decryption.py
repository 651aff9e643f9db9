"""One decryption: every node signs the same, known identity; a threshold of shares opens the ciphertext."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Mapping

from lit_airflow.clock import Deadline
from lit_airflow.errors import CiphertextError, FailureKind, NodeError
from lit_airflow.networks.committee import Committee
from lit_airflow.networks.contract import DecryptionReport
from lit_airflow.networks.datil import wire
from lit_airflow.networks.datil.share_collector import ShareCollector, SignedShare
from lit_airflow.networks.datil.survey import Survey
from lit_airflow.protocol.container import Container
from lit_airflow.protocol.session import Session
from lit_airflow.protocol.session_signature import session_signature
from lit_airflow.threshold import ciphertext
from lit_airflow.threshold.curve import Signature
from lit_airflow.threshold.shares import Share
from lit_airflow.transport.http import Http, Repeat


class DecryptionShares(ShareCollector):
    """Collects shares until a threshold of them opens a ciphertext.

    A signature that opens it needs no verifying (``docs/adr/0012``). If the first one does not, a share is
    wrong or the ciphertext is; from then on signatures are verified, which tells the two apart and finds the
    wrong shares.

    Args:
        committee: The nodes to ask.
        identity: What the nodes are asked to sign.
        encrypted: The ciphertext.
    """

    def __init__(self, committee: Committee, identity: bytes, encrypted: bytes) -> None:
        super().__init__(committee, "Decrypting")
        self._identity = identity
        self._encrypted = encrypted
        self._attempted = False
        self._plaintext: bytes | None = None

    def open(self, ask: Callable[[str, threading.Event], Share], deadline: Deadline) -> bytes:
        """Ask the nodes; return the plaintext as soon as enough shares have arrived.

        Args:
            ask: Gets one node's share.
            deadline: When to stop waiting.

        Raises:
            CiphertextError: The network's signature does not open it.
            NetworkError: As :meth:`collect`.
        """
        _, recovered = self.collect(
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


class Decryption:
    """A container to decrypt with a session, checked before anything is sent.

    Args:
        container: The container.
        session: The session.
        http: How to send requests.

    Raises:
        CiphertextError: The container is malformed.
        ConditionError: Its hash or its conditions are.
        ScopeError: The session does not cover it.
    """

    def __init__(self, container: Container, session: Session, http: Http) -> None:
        self._encrypted, self._data_hash = wire.read_sealed(container.fields)
        self._identity = container.conditions.identity(self._data_hash)
        session.check_covers(container.scope())
        request = container.conditions.to_json()
        chain = request.pop("chain")
        # In the order in which the SDK writes it.
        self._request = request | {"dataToEncryptHash": self._data_hash, "chain": chain}
        self._headers = wire.headers()
        self._session = session
        self._http = http

    def ask_nodes(self, survey: Survey, deadline: Deadline) -> tuple[bytes, DecryptionReport]:
        """Return the plaintext, and how the nodes answered.

        Raises:
            CiphertextError: The network's signature does not open it, or the plaintext has another hash.
            NetworkError: As :meth:`ShareCollector.collect`.
        """

        def ask(node: str, cancelled: threading.Event) -> Share:
            body = {**self._request, "authSig": signature_for(self._session, node), "epoch": survey.epoch}
            response = self._http.post(
                node + wire.ENCRYPTION_SIGN,
                wire.compact(body),
                deadline=deadline,
                repeat=Repeat.ALWAYS,
                headers=self._headers,
                cancelled=cancelled,
            )
            if cancelled.is_set():  # reading a share takes longer than receiving it
                raise NodeError("no longer wanted", kind=FailureKind.TIMEOUT)
            return wire.read_share(wire.read_answer(response))

        collector = DecryptionShares(survey, self._identity, self._encrypted)
        plaintext = collector.open(ask, deadline)
        if hashlib.sha256(plaintext).hexdigest() != self._data_hash:
            raise CiphertextError(
                "The plaintext does not match dataToEncryptHash.",
                hint="The container was altered, or its fields come from different containers. Encrypt again.",
            )
        return plaintext, collector.report()


def signature_for(session: Session, node: str) -> Mapping[str, str]:
    """Return the session signature for a node: as signed when the session was opened, else signed now.

    Raises:
        NodeError: The session has none for this node, and no key to sign with.
    """
    signed = session.session_sigs.get(node)
    if signed is not None:
        return signed
    if session.key is None:
        raise NodeError("the session has no signature for this node", kind=FailureKind.UNTRUSTED, sent=False)
    times = (session.issued_at, session.expiration)
    return session_signature(session.key, session.scope, session.capabilities, times, node)

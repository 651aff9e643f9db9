"""The Datil network behind the contract: a committee of nodes that sign with shares of one BLS key.

Source: docs/protocol/handshake.md, docs/protocol/session-signatures.md, docs/protocol/encryption.md and
docs/protocol/requests.md.
"""

from __future__ import annotations

import base64
import hashlib
import logging
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from lit_airflow.clock import Clock, Deadline
from lit_airflow.errors import FailureKind, NodeError, NodesUnavailableError, SessionError, SettingsError
from lit_airflow.keys.secret import Secret
from lit_airflow.networks import contract
from lit_airflow.networks.batch import decrypt_each
from lit_airflow.networks.committee import Committee, Validators
from lit_airflow.networks.contract import (
    Check,
    Decrypted,
    Health,
    Load,
    NetworkTraits,
    OnReport,
    SessionOptions,
)
from lit_airflow.networks.datil import handed_on
from lit_airflow.networks.datil.decryption import Decryption
from lit_airflow.networks.datil.description import DatilDescription
from lit_airflow.networks.datil.survey import Surveyor
from lit_airflow.protocol.conditions import CONDITION_FIELDS, Conditions
from lit_airflow.protocol.container import Container
from lit_airflow.protocol.scope import Scope
from lit_airflow.protocol.session import SESSION_SIGS, Session
from lit_airflow.text import quoted
from lit_airflow.threshold import ciphertext
from lit_airflow.transport.clock_skew import clock_sentence
from lit_airflow.transport.http import BUSY_STATUSES, Http

if TYPE_CHECKING:
    from lit_airflow.keys.wallet import Signer
    from lit_airflow.networks.datil.attestation import AttestationVerifier
    from lit_airflow.networks.datil.sessions import SessionOpener
    from lit_airflow.protocol.auth_method import PkpAccess
    from lit_airflow.protocol.auth_sig import AuthNeeded

log = logging.getLogger(__name__)

# A chip's certificate has about 1400.
_MAX_CERTIFICATE_BYTES = 16 * 1024

TRAITS = NetworkTraits(
    single_server=False,
    encrypts_offline=False,
    condition_fields=frozenset(CONDITION_FIELDS),
    max_plaintext_bytes=32 * 1024 * 1024,
)


@dataclass(slots=True)
class DatilNetwork:
    """One Datil network.

    Attributes:
        description: Which network.
        http: How to send requests.
        clock: Tells the time.
        verifier: Checks nodes' proofs of their hardware; ``None`` where the network does not require them.
        on_report: Called with each decryption's report.
    """

    description: DatilDescription
    http: Http
    clock: Clock
    verifier: AttestationVerifier | None = None
    on_report: OnReport | None = None
    surveyor: Surveyor = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if self.description.attestation and self.verifier is None:
            # It brings the reading of certificates, which most networks never need.
            from lit_airflow.networks.datil.attestation import AttestationVerifier  # noqa: PLC0415

            self.verifier = AttestationVerifier(self._certificate, self.clock)
        self.surveyor = Surveyor(self.description, self.http, self.clock, self.verifier)

    @property
    def name(self) -> str:
        """The network's name."""
        return self.description.network

    @property
    def traits(self) -> NetworkTraits:
        """What Datil can do."""
        return TRAITS

    def scope_of(self, container: Container) -> Scope:
        """Return the narrowest scope that decrypts this container.

        Raises:
            CiphertextError: It has no ``dataToEncryptHash``, or is for another network.
            ConditionError: The conditions cannot be hashed.
        """
        container.check_network(self.name, unnamed=True)
        return container.scope()

    def check_conditions(self, conditions: Conditions) -> None:
        """Return nothing if nodes can read and judge these conditions, and somebody can meet them.

        Raises:
            ConditionError: They cannot, or nobody can.
        """
        conditions.validate(now=self.clock())

    def load_session(self, kind: str, contents: Mapping[str, Any]) -> Session:
        """Return the session that a ticket holds.

        Raises:
            SessionError: It is incomplete, or not made of session sigs.
        """
        if kind != SESSION_SIGS:
            raise SessionError(f"The ticket holds {quoted(kind)}; this network uses {SESSION_SIGS}.")
        session = Session.from_json(contents)
        found = handed_on.usable(session.committee, self.description, self.clock())
        if found is not None:
            self.surveyor.hand_on(*found)
        return session

    def health(self, deadline: Deadline) -> Health:
        """Shake hands with every node.

        Raises:
            NetworkError: As :meth:`survey`.
        """
        survey = self.surveyor.survey(deadline)
        servers = {
            node: survey.absent[node] if node in survey.absent else survey.handshakes[node].took_s
            for node in survey.nodes
        }
        return Health(servers, survey.threshold, clock_sentence(survey.skew_s))

    def diagnose(self, deadline: Deadline) -> Iterator[Check]:
        """Check chain, staking contract, every node, the network key, the clock and the margin."""
        from lit_airflow.networks.datil import diagnosis  # noqa: PLC0415 - decryption does not need it

        return diagnosis.diagnose(self.surveyor, deadline)

    def open_session(
        self, signer: Signer, scope: Scope, options: SessionOptions, deadline: Deadline
    ) -> Session:
        """Have the wallet delegate to a session key, and sign for every listed node.

        Raises:
            LitError: As :meth:`SessionOpener.open`.
        """
        from lit_airflow.protocol.auth_sig import sign_in  # noqa: PLC0415 - see _opener

        auth_needed = partial(sign_in, signer=signer, statement=options.statement)
        return self._opener.open(auth_needed, scope, options, deadline)

    def open_session_with(
        self, auth_needed: AuthNeeded, scope: Scope, options: SessionOptions, deadline: Deadline
    ) -> Session:
        """Open a session whose delegation a callback returns.

        Raises:
            LitError: As :meth:`SessionOpener.open`.
        """
        return self._opener.open(auth_needed, scope, options, deadline, verify=True)

    def open_pkp_session(
        self, access: PkpAccess, scope: Scope, options: SessionOptions, deadline: Deadline
    ) -> Session:
        """Have the network delegate from a PKP to a session key, and sign for every listed node.

        Raises:
            SettingsError: Nodes need not prove their hardware, and the description does not allow that here.
            LitError: As :meth:`SessionOpener.open_for_pkp`.
        """
        if not (self.description.attestation or self.description.pkp_without_attestation):
            raise SettingsError(
                "The nodes of this network are not asked for an attestation, and each would be sent the PKP's "
                "authentication methods, which it could use itself.",
                field="pkp_without_attestation",
                hint="Set attestation in the network description, or pkp_without_attestation if you trust every "
                "node that the chain can list.",
            )
        return self._opener.open_for_pkp(access, scope, options, deadline)

    @property
    def _opener(self) -> SessionOpener:
        # It brings sign-in messages, ReCaps and wallets, which decryption does not need.
        from lit_airflow.networks.datil.sessions import SessionOpener  # noqa: PLC0415 - see above

        return SessionOpener(self.name, self.surveyor, self.http, self.clock)

    def encrypt(self, plaintext: bytes, conditions: Conditions, deadline: Deadline) -> dict[str, Any]:
        """Encrypt under the network's key: the pinned one, else the one that the nodes agree on.

        Returns:
            ``{"ciphertext": base64, "dataToEncryptHash": hex}``, as the SDK's ``encrypt``; with a ``recovery_key``
            also ``recovery``.

        Raises:
            ConditionError: As :meth:`check_conditions`.
            SettingsError: The recovery key is of small order.
            NetworkError: As :meth:`survey`; never where the key is pinned, since no node is asked then.
        """
        secret = Secret(plaintext)
        del plaintext  # no frame of an error may hold it
        self.check_conditions(conditions)
        public_key = self.description.network_public_key or self.surveyor.survey(deadline).public_key
        data_hash = hashlib.sha256(secret.reveal()).hexdigest()
        identity = conditions.identity(data_hash)
        sealed = ciphertext.seal(bytes.fromhex(public_key), secret.reveal(), identity)
        container: dict[str, Any] = {
            "ciphertext": base64.b64encode(sealed).decode(),
            "dataToEncryptHash": data_hash,
        }
        if self.description.recovery_key:
            from lit_airflow.protocol import recovery  # noqa: PLC0415 - few connections have a recovery key

            copy = recovery.recovery_copy(self.description.recovery_key, identity, secret.reveal())
            container[recovery.FIELD] = copy
        return container

    def decrypt(
        self,
        container: Container,
        session: contract.Session,
        deadline: Deadline,
        *,
        log_level: int = logging.INFO,
    ) -> bytes:
        """Ask the nodes for shares, combine the first threshold of good ones, open the ciphertext.

        Raises:
            CiphertextError: Malformed, for another network, or not opened by the network's signature.
            ScopeError: The session does not cover it.
            SessionExpiredError: The session has ended.
            AccessDeniedError: So many nodes refused that the threshold cannot be reached.
            NodesUnavailableError: Too few usable answers; names every node and why.
            NetworkError: As :meth:`survey`.
        """
        container.check_network(self.name, unnamed=True)
        session.check_alive(self.clock())
        sigs = _session_sigs(session)
        decryption = Decryption(container, sigs, self.http)
        try:
            plaintext, report = self.surveyor.with_known_nodes(decryption.ask_nodes, deadline)
        except NodesUnavailableError as error:
            raise _of_another_network(sigs, error, self.name) or error from None
        if self.on_report:
            self.on_report(report)
        log.log(
            log_level,
            "Decrypted the %d bytes of %s. %s",
            len(plaintext),
            container.fields["dataToEncryptHash"],
            report,
        )
        return plaintext

    def decrypt_many(
        self,
        items: Iterable[Load],
        session: Callable[[Container], contract.Session],
        *,
        timeout_s: float,
        at_once: int,
    ) -> Iterator[Decrypted]:
        """Decrypt many containers with one survey, several at a time.

        Raises:
            SettingsError: ``at_once`` is not positive.
            NetworkError: As :meth:`survey`.
        """

        def decrypt(load: Load) -> bytes:
            container = load()
            deadline = Deadline.after(timeout_s)
            return self.decrypt(container, session(container), deadline, log_level=logging.DEBUG)

        outcomes = decrypt_each(decrypt, items, at_once)
        self.surveyor.ready(Deadline.after(timeout_s))
        return outcomes

    def validators(self, deadline: Deadline) -> Validators:
        """Return the validators listed on the chain. Contacts no node.

        Raises:
            NetworkError: As :meth:`Surveyor.listed`.
        """
        listed = self.surveyor.listed(deadline)
        return Validators(listed.nodes, listed.threshold, listed.epoch.number)

    def survey(self, deadline: Deadline) -> Committee:
        """Find the nodes and what they agree on; a survey younger than 30 s is reused.

        Raises:
            NetworkError: As :meth:`Surveyor.survey`.
        """
        return self.surveyor.survey(deadline)

    def close(self) -> None:
        """Close all connections."""
        self.http.close()

    def _certificate(self, url: str, deadline: Deadline, cancelled: threading.Event) -> bytes:
        response = self.http.get(
            url, deadline=deadline, max_bytes=_MAX_CERTIFICATE_BYTES, cancelled=cancelled
        )
        if not response.succeeded:
            busy = response.status in BUSY_STATUSES
            raise NodeError(
                f"HTTP {response.status}",
                kind=FailureKind.BUSY if busy else FailureKind.REFUSED,
                status=response.status,
                retryable=busy,
                retry_after_s=response.retry_after_s,
            )
        return response.body


def _of_another_network(session: Session, error: NodesUnavailableError, name: str) -> SessionError | None:
    """Return the error for a session that has no signature for any node and no key to sign with, else ``None``."""
    if session.key is not None or error.reached or not error.failures:
        return None
    if session.session_sigs.keys() & error.failures:
        return None
    return SessionError(
        f"The session has no signature for any node of {quoted(name)}.",
        hint="It was opened for another network, or all nodes have changed. Open a session for this network.",
    )


def _session_sigs(session: contract.Session) -> Session:
    if session.kind != SESSION_SIGS:
        raise SessionError(f"A session of kind {quoted(session.kind)} is for another network.")
    return session  # type: ignore[return-value]  # the kind says so

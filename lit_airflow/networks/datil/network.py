"""Datil, the generation that the JavaScript SDK 7.4.0 speaks.

Source: spec of the protocol, sections 3, 8, 10 and 11.
"""

from __future__ import annotations

import base64
import hashlib
import logging
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeVar

from lit_airflow.clock import Clock, Deadline, iso
from lit_airflow.errors import CiphertextError, NetworkError, NodeError, NodesUnavailableError
from lit_airflow.networks.contract import (
    Committee,
    DecryptionReport,
    Listing,
    OnReport,
    Sealed,
    SessionOptions,
)
from lit_airflow.networks.datil import discovery, pkp, survey, wire
from lit_airflow.networks.datil.consensus import Handshake, check_public, consensus, unavailable, votes
from lit_airflow.networks.datil.decryption import Decryption
from lit_airflow.networks.descriptions import CREDITS, NetworkDescription
from lit_airflow.protocol.auth_method import PkpAccess
from lit_airflow.protocol.auth_sig import AuthNeeded, AuthRequest, AuthSig, needs_new_signature
from lit_airflow.protocol.conditions import Conditions
from lit_airflow.protocol.lifetime import ending
from lit_airflow.protocol.scope import Scope
from lit_airflow.protocol.session import Session, SessionKey, earliest_end
from lit_airflow.threshold import ciphertext
from lit_airflow.threshold.shares import Share
from lit_airflow.transport.clock_skew import skew_s, wrong_clock
from lit_airflow.transport.fan_out import FanOut
from lit_airflow.transport.http import Http

if TYPE_CHECKING:
    from lit_airflow.networks.datil.attestation import AttestationVerifier

log = logging.getLogger(__name__)

# After enough nodes agree, the rest get this much longer to be counted as present.
_STRAGGLERS_S = 0.5
# The same where AMD may have to be asked about each of them.
_STRAGGLERS_ATTESTED_S = 5.0
# A chip's certificate has about 1400.
_MOST_CERTIFICATE_BYTES = 16 * 1024
# How long a survey may be reused: as long as a block hash is good as a nonce.
_SURVEY_LASTS_S = 30.0

Result = TypeVar("Result")


@dataclass(slots=True)
class DatilNetwork:
    """The four verbs, on one network.

    Attributes:
        description: Which network.
        http: How to post.
        clock: What tells the time.
        attestor: Checks nodes' proofs of their hardware; ``None`` where the network does not demand them.
        on_report: Told how each decryption was answered.
    """

    description: NetworkDescription
    http: Http
    clock: Clock
    attestor: AttestationVerifier | None = None
    on_report: OnReport | None = None
    _surveyed: tuple[float, Committee] | None = field(default=None, repr=False)
    _public_key: str = field(default="", repr=False)
    _surveying: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def __post_init__(self) -> None:
        if self.description.attestation and self.attestor is None:
            # It brings the reading of certificates, which most networks never need.
            from lit_airflow.networks.datil.attestation import AttestationVerifier, concatenated  # noqa: PLC0415

            self.attestor = AttestationVerifier(self._certificate, self.clock, concatenated)

    def listing(self, deadline: Deadline) -> Listing:
        """Whom the chain lists; asks no node.

        Raises:
            ChainUnavailableError: The chain does not answer.
            ProtocolError: The chain lists too few nodes, or knows no such contract.
        """
        listed = discovery.listed(self.description, self.http, deadline)
        return Listing(listed.nodes, listed.threshold, listed.epoch.number)

    def survey(self, deadline: Deadline) -> Committee:
        """Find the nodes and agree with them; what is younger than 30 s is reused.

        Where the network demands attestation, a node that does not prove its hardware counts as absent, with
        the failed check as its cause: it has no say in what the nodes agree on and is not asked for anything else.

        Raises:
            ChainUnavailableError: The chain does not answer.
            NodesUnavailableError: Fewer handshakes than the threshold; names every node and why.
            ProtocolError: The chain lists too few nodes, or the nodes disagree, or deny the key that is pinned or
                that they named before: a network's key never changes.
        """
        committee = self._known()
        if committee is not None:
            return committee
        # One surveys, the others wait for what it finds; whoever has waited in vain has no time left anyway.
        alone = self._surveying.acquire(timeout=deadline.left_s())
        try:
            return self._known() or self._survey(deadline)
        finally:
            if alone:
                self._surveying.release()

    def _known(self) -> Committee | None:
        """What the last survey found, while that may be reused."""
        surveyed = self._surveyed
        if surveyed is None or time.monotonic() - surveyed[0] >= _SURVEY_LASTS_S:
            return None
        return survey.at(surveyed[1], self.clock().timestamp())

    def _survey(self, deadline: Deadline) -> Committee:
        listed = discovery.listed(self.description, self.http, deadline)
        committee = self._shake_hands(listed, deadline)
        if committee.absent:
            absent = "; ".join(f"{node}: {cause}" for node, cause in committee.absent.items())
            log.warning("Lit nodes missing at the handshake: %s", absent)
        if wrong := wrong_clock(committee.skew_s):
            log.warning("%s Lit nodes take sessions that begin up to a minute ahead of their time.", wrong)
        self._surveyed = (time.monotonic(), committee)
        return committee

    def open_session(
        self, auth_needed: AuthNeeded, scope: Scope, terms: SessionOptions, deadline: Deadline
    ) -> Session:
        """Have the wallet delegate to a session key, and sign for every listed node.

        Raises:
            SettingsError: A lifetime that nodes do not accept.
            SiweError: A domain, statement or resource that cannot stand in a sign-in message.
            SessionError: What ``auth_needed`` returned does not carry this session.
            NetworkError: As :meth:`survey`.
        """
        now = self.clock()
        expiration = ending(now, ttl_s=terms.ttl_s, expiration=terms.expiration)
        committee = self.survey(deadline)
        storage = terms.storage
        key = terms.session_key or (storage.session_key() if storage else SessionKey.generate())
        request = AuthRequest(
            chain=terms.chain,
            expiration=expiration,
            uri=key.uri,
            session_key=key,
            nonce=committee.nonce,
            scope=scope,
            now=now,
            domain=terms.domain,
        )
        delegation = self._delegation(auth_needed, request, terms, committee.public_key)
        capabilities = (*terms.capabilities, delegation.to_json())
        times = (iso(now), expiration)
        # Having the delegation made may have shown that the nodes had to be surveyed anew.
        nodes = self._surveyed[1].nodes if self._surveyed else committee.nodes
        return Session(
            network=self.description.network,
            wallet=delegation.address,
            public_key=key.public_key,
            scope=scope,
            issued_at=times[0],
            expiration=times[1],
            expires_at=earliest_end(expiration, capabilities),
            capabilities=capabilities,
            session_sigs={
                node: wire.session_signature(key, scope, capabilities, times, node) for node in nodes
            },
            key=key,
        )

    def open_pkp_session(
        self, access: PkpAccess, scope: Scope, terms: SessionOptions, deadline: Deadline
    ) -> Session:
        """Have the network delegate from a PKP to a session key, and sign for every listed node.

        Raises:
            LitError: As :meth:`open_session` and :func:`lit_airflow.networks.datil.pkp.delegation`.
        """

        def auth_needed(request: AuthRequest) -> AuthSig:
            return self._with_nodes(
                lambda committee: pkp.delegation(access, request, committee, self.http, deadline), deadline
            )

        return self.open_session(auth_needed, scope, terms, deadline)

    def _delegation(
        self, auth_needed: AuthNeeded, request: AuthRequest, terms: SessionOptions, public_key: str
    ) -> AuthSig:
        """The stored signature while it is good, else a new one."""

        def unfit(auth_sig: AuthSig) -> bool:
            return needs_new_signature(
                auth_sig,
                session_uri=request.uri,
                scope=request.scope,
                now=request.now,
                network_public_key=public_key,
            )

        storage, wallet, network = terms.storage, terms.wallet, self.description.network
        held = storage.auth_sig(network, wallet) if storage and wallet else None
        if held is not None and not unfit(held):
            return held
        auth_sig = auth_needed(request)
        if storage:
            storage.keep(network, auth_sig.address, auth_sig)
        return auth_sig

    def encrypt(self, plaintext: bytes, conditions: Conditions, deadline: Deadline) -> Sealed:
        """Encrypt under the network's key: the pinned one, else the one the nodes agree on.

        Raises:
            NetworkError: As :meth:`survey`; not where the key is pinned, since no node is asked then.
        """
        public_key = self.description.network_public_key or self.survey(deadline).public_key
        data_hash = hashlib.sha256(plaintext).hexdigest()
        sealed = ciphertext.seal(bytes.fromhex(public_key), plaintext, conditions.identity(data_hash))
        return {"ciphertext": base64.b64encode(sealed).decode(), "dataToEncryptHash": data_hash}

    def decrypt(
        self,
        sealed: Mapping[str, Any],
        conditions: Conditions,
        session: Session,
        deadline: Deadline,
        *,
        log_level: int = logging.INFO,
    ) -> bytes:
        """Ask all nodes, combine the first threshold of shares, open; look for liars if it does not.

        Raises:
            CiphertextError: Malformed, or not openable with the network's signature.
            ScopeError: The session may not decrypt this.
            SessionExpiredError: The session's time is over.
            AccessDeniedError: So many nodes refused that the threshold cannot be reached.
            NodesUnavailableError: Too few usable answers; names every node and why.
            NetworkError: As :meth:`survey`.
        """
        encrypted, data_hash = wire.read_sealed(sealed)
        identity = conditions.identity(data_hash)
        session.check_alive(self.clock())
        session.check_covers(Scope.to_decrypt(conditions.resource_id(data_hash)))
        request = conditions.to_json()
        chain = request.pop("chain")
        request |= {"dataToEncryptHash": data_hash, "chain": chain}  # the order in which the SDK writes it
        headers = wire.headers()

        def opened(committee: Committee) -> tuple[bytes, DecryptionReport]:
            def ask(node: str, cancelled: threading.Event) -> Share:
                body = {**request, "authSig": self.signature_for(session, node), "epoch": committee.epoch}
                url = node + wire.ENCRYPTION_SIGN
                answer = self.http.post(
                    url, wire.compact(body), deadline=deadline, headers=headers, cancelled=cancelled
                )
                if cancelled.is_set():
                    raise NodeError("no longer wanted")  # reading a share takes longer than receiving it
                return wire.read_share(answer)

            decryption = Decryption(committee, identity, encrypted)
            return decryption.run(ask, deadline), decryption.turnout()

        plaintext, turnout = self._with_nodes(opened, deadline)
        if self.on_report:
            self.on_report(turnout)
        if hashlib.sha256(plaintext).hexdigest() != data_hash:
            raise CiphertextError("The plaintext is not what dataToEncryptHash names.")
        log.log(log_level, "Decrypted %d bytes. %s", len(plaintext), turnout)
        return plaintext

    def signature_for(self, session: Session, node: str) -> Mapping[str, str]:
        """What to send this node: as signed when the session was opened, else signed now.

        Raises:
            NodeError: The session has nothing for this node and no key to sign with.
        """
        signed = session.session_sigs.get(node)
        if signed is not None:
            return signed
        if session.key is None:
            raise NodeError("the session has no signature for this node")
        times = (session.issued_at, session.expiration)
        return wire.session_signature(session.key, session.scope, session.capabilities, times, node)

    def _with_nodes(self, work: Callable[[Committee], Result], deadline: Deadline) -> Result:
        """Do what needs the nodes; if they fail and the chain by now lists others, once more with those."""
        committee = self.survey(deadline)
        try:
            return work(committee)
        except NodesUnavailableError as error:
            try:
                listed = discovery.listed(self.description, self.http, deadline)
            except NetworkError:
                raise error from None  # it says more: the chain is a second thought here
            if not survey.superseded(committee, listed):
                raise
            log.info("The chain lists other nodes now, or a new epoch; asking those. %s", error)
        surveyed = self._surveyed
        if surveyed and survey.superseded(surveyed[1], listed):  # else another thread has noticed already
            self._surveyed = None
        return work(self.survey(deadline))

    def _certificate(self, url: str, deadline: Deadline, cancelled: threading.Event) -> bytes:
        return self.http.get(url, deadline=deadline, most_bytes=_MOST_CERTIFICATE_BYTES, cancelled=cancelled)

    def _shake_hands(self, listed: wire.Validators, deadline: Deadline) -> Committee:
        epoch = listed.epoch.current(self.clock().timestamp())
        headers = wire.headers()

        def shake(node: str, cancelled: threading.Event) -> Handshake:
            if self.description.public:
                check_public(node)
            challenge = secrets.token_bytes(32)
            body = {"clientPublicKey": "test", "challenge": challenge.hex(), "epoch": epoch}
            url = node + wire.HANDSHAKE
            answer = self.http.post_dated(
                url, wire.compact(body), deadline=deadline, headers=headers, cancelled=cancelled
            )
            ahead_s = skew_s(self.clock(), answer.date, answer.took_s)
            handshake = wire.read_handshake(answer.content)
            if self.attestor:
                proof = answer.content.get("attestation")
                self.attestor.check(proof, node, challenge, deadline, cancelled)
            return replace(handshake, skew_s=ahead_s)

        stragglers_s = _STRAGGLERS_ATTESTED_S if self.attestor else _STRAGGLERS_S
        only = self.description.network_public_key or self._public_key
        handshakes: dict[str, Handshake] = {}
        absent: dict[str, str] = {}
        with FanOut(listed.nodes, shake, deadline) as asking:
            while outcome := asking.next(
                stragglers_s if votes(handshakes.values(), only) >= listed.threshold else None
            ):
                if outcome.answer is None:
                    absent[outcome.node] = str(outcome.error).rstrip(".")
                else:
                    handshakes[outcome.node] = replace(outcome.answer, took_s=outcome.took_s)
            late = (
                f"no handshake within {stragglers_s:g} s of the others"
                if deadline.left_s()
                else "no answer in time"
            )
            absent |= dict.fromkeys(asking.waiting, late)
        if len(handshakes) < listed.threshold:
            raise unavailable("Connecting", listed.threshold, len(handshakes), absent)
        shared = consensus([*handshakes.values()], listed.threshold, only)
        self._public_key = shared.public_key
        for node, handshake in handshakes.items():
            if handshake.public_key != shared.public_key:
                absent[node] = "it names another network key"
        return survey.Standing(
            nodes=listed.nodes,
            threshold=listed.threshold,
            epoch=epoch,
            public_key=shared.public_key,
            nonce=shared.nonce,
            absent=absent,
            handshakes=handshakes,
            credit_contract=self.description.contracts.get(CREDITS, ""),
            attested=self.attestor is not None,
            public=self.description.public,
            listed=listed,
        )

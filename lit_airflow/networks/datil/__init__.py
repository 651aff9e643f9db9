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
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from lit_airflow.clock import Clock, Deadline, iso
from lit_airflow.conditions import Conditions
from lit_airflow.errors import CiphertextError, NodeError, SettingsError
from lit_airflow.networks.base import Committee, Sealed, SessionTerms
from lit_airflow.networks.chain import Chain
from lit_airflow.networks.committee import Epoch, Handshake, agreed, unavailable
from lit_airflow.networks.datil import wire
from lit_airflow.networks.datil.decryption import Decryption
from lit_airflow.networks.http import Http
from lit_airflow.networks.known import NetworkDescription
from lit_airflow.networks.quorum import Asking
from lit_airflow.session import authsig, siwe
from lit_airflow.session.scope import Scope
from lit_airflow.session.session import Session, SessionKey, earliest_end
from lit_airflow.threshold import ciphertext
from lit_airflow.threshold.shares import Share
from lit_airflow.wallet import Signer

log = logging.getLogger(__name__)

LONGEST_SESSION_S = 30 * 24 * 3600

# After enough nodes agree, the rest get this much longer to be counted as present.
_STRAGGLERS_S = 0.5
# How long a survey may be reused: as long as a block hash is good as a nonce.
_SURVEY_LASTS_S = 30.0


@dataclass(slots=True)
class DatilNetwork:
    """The four verbs, on one network.

    Attributes:
        description: Which network.
        http: How to post.
        clock: What tells the time.
    """

    description: NetworkDescription
    http: Http
    clock: Clock
    _surveyed: tuple[float, Committee] | None = field(default=None, repr=False)

    def survey(self, deadline: Deadline) -> Committee:
        """Find the nodes and agree with them; what is younger than 30 s is reused.

        Raises:
            ChainUnavailableError: The chain does not answer.
            NodesUnavailableError: Fewer handshakes than the threshold.
            ProtocolError: The chain lists too few nodes, or the nodes disagree, or deny the pinned key.
        """
        if self._surveyed and time.monotonic() - self._surveyed[0] < _SURVEY_LASTS_S:
            return self._surveyed[1]
        if self.description.attestation:
            raise SettingsError(
                f"{self.description.network} demands that nodes prove their hardware, "
                "which this version cannot verify.",
                field="network",
                hint="Use datil-dev or a custom network.",
            )
        listed = self._listed(deadline)
        committee = self._shake_hands(listed, deadline)
        if committee.absent:
            absent = "; ".join(f"{node}: {cause}" for node, cause in committee.absent.items())
            log.warning("Lit nodes that gave no handshake: %s", absent)
        self._surveyed = (time.monotonic(), committee)
        return committee

    def open_session(self, signer: Signer, scope: Scope, terms: SessionTerms, deadline: Deadline) -> Session:
        """Have the wallet delegate to a session key, and sign for every listed node.

        Raises:
            SettingsError: A lifetime that nodes do not accept.
            SiweError: A domain, statement or resource that cannot stand in a sign-in message.
            NetworkError: As :meth:`survey`.
        """
        if not 1 <= terms.ttl_s <= LONGEST_SESSION_S:
            raise SettingsError(
                f"A session lasts from 1 second to 30 days, not {terms.ttl_s:g} seconds.", field="ttl_s"
            )
        committee = self.survey(deadline)
        now = self.clock()
        expiration = iso(now + timedelta(seconds=terms.ttl_s))
        key = terms.session_key or SessionKey.generate()
        message = siwe.sign_in(
            address=signer.address,
            nonce=committee.nonce,
            now=now,
            requests=scope.requests,
            domain=terms.domain,
            statement=terms.statement,
            uri=key.uri,
            expiration=expiration,
        )
        delegation = authsig.sign(signer, siwe.write(message))
        capabilities = (*terms.capabilities, delegation.to_json())
        times = (iso(now), expiration)
        return Session(
            network=self.description.network,
            wallet=signer.address,
            public_key=key.public_key,
            scope=scope,
            issued_at=times[0],
            expiration=times[1],
            expires_at=earliest_end(expiration, capabilities),
            capabilities=capabilities,
            session_sigs={
                node: wire.session_signature(key, scope, capabilities, times, node)
                for node in committee.nodes
            },
            key=key,
        )

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
        self, sealed: Mapping[str, Any], conditions: Conditions, session: Session, deadline: Deadline
    ) -> bytes:
        """Ask all nodes, combine the first threshold of good shares, open.

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
        committee = self.survey(deadline)
        request = conditions.to_json()
        chain = request.pop("chain")
        request |= {"dataToEncryptHash": data_hash, "chain": chain}  # the order in which the SDK writes it
        headers = wire.headers()

        def ask(node: str, cancelled: threading.Event) -> Share:
            body = {**request, "authSig": self.signature_for(session, node), "epoch": committee.epoch}
            url = node + wire.ENCRYPTION_SIGN
            answer = self.http.post(
                url, wire.compact(body), deadline=deadline, headers=headers, cancelled=cancelled
            )
            return wire.read_share(answer)

        decryption = Decryption(committee, identity)
        signature = decryption.run(ask, deadline).signature
        plaintext = ciphertext.unseal(signature, encrypted)
        if hashlib.sha256(plaintext).hexdigest() != data_hash:
            raise CiphertextError("The plaintext is not what dataToEncryptHash names.")
        log.info("Decrypted %d bytes. %s", len(plaintext), decryption.report())
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

    def _listed(self, deadline: Deadline) -> wire.Validators:
        row = self.description
        if not row.rpc_url:
            return wire.Validators(Epoch(0, row.epoch, 0), row.threshold, row.nodes)
        result = Chain(self.http, row.rpc_url).call(row.staking_address, wire.VALIDATORS, (), deadline)
        return wire.validators(result, default_scheme=row.default_scheme)

    def _shake_hands(self, listed: wire.Validators, deadline: Deadline) -> Committee:
        epoch = listed.epoch.current(self.clock().timestamp())
        headers = wire.headers()

        def shake(node: str, cancelled: threading.Event) -> Handshake:
            body = {"clientPublicKey": "test", "challenge": secrets.token_hex(32), "epoch": epoch}
            url = node + wire.HANDSHAKE
            answer = self.http.post(
                url, wire.compact(body), deadline=deadline, headers=headers, cancelled=cancelled
            )
            return wire.read_handshake(answer)

        handshakes: list[Handshake] = []
        absent: dict[str, str] = {}
        with Asking(listed.nodes, shake, deadline) as asking:
            while outcome := asking.next(_STRAGGLERS_S if len(handshakes) >= listed.threshold else None):
                if outcome.answer is None:
                    absent[outcome.node] = str(outcome.error)
                else:
                    handshakes.append(outcome.answer)
            absent |= dict.fromkeys(asking.waiting, "no answer in time")
        if len(handshakes) < listed.threshold:
            raise unavailable("Connecting", listed.threshold, len(handshakes), absent)
        shared = agreed(handshakes, listed.threshold, self.description.network_public_key)
        return Committee(listed.nodes, listed.threshold, epoch, shared.public_key, shared.nonce, absent)

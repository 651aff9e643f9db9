"""Opening sessions: the wallet's delegation, stored or new, and a session signature for every node.

Source: docs/protocol/session-signatures.md and docs/protocol/siwe.md.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from lit_airflow.clock import Deadline, iso
from lit_airflow.networks.contract import SessionOptions
from lit_airflow.networks.datil import handed_on, pkp
from lit_airflow.networks.datil.survey import Survey, Surveyor
from lit_airflow.protocol.auth_method import PkpAccess
from lit_airflow.protocol.auth_sig import AuthNeeded, AuthRequest, AuthSig
from lit_airflow.protocol.delegation import fits_request, is_usable
from lit_airflow.protocol.lifetime import ending
from lit_airflow.protocol.scope import Scope
from lit_airflow.protocol.session import Session, SessionKey, earliest_end
from lit_airflow.protocol.session_signature import session_signature
from lit_airflow.transport.http import Http


@dataclass(frozen=True, slots=True)
class SessionOpener:
    """Opens sessions on one network.

    Attributes:
        network: The network's name.
        surveyor: Knows the nodes.
        http: How to send requests.
        clock: Tells the time.
    """

    network: str
    surveyor: Surveyor
    http: Http
    clock: Callable[[], datetime]

    def open(
        self,
        auth_needed: AuthNeeded,
        scope: Scope,
        options: SessionOptions,
        deadline: Deadline,
        *,
        verify: bool = False,
    ) -> Session:
        """Have the wallet delegate to a session key, and sign for every listed node.

        Args:
            auth_needed: Returns the wallet's delegation.
            scope: What the session may do.
            options: How to open it.
            deadline: When to stop.
            verify: Check what ``auth_needed`` returns; needed where it is not this package's own signer.

        Raises:
            SettingsError: A lifetime that nodes do not accept.
            SiweError: A domain, statement or resource that a sign-in message cannot carry.
            SessionError: What ``auth_needed`` returned does not carry this session.
            NetworkError: As :meth:`Surveyor.survey`.
        """
        now = self.clock()
        expiration = ending(now, ttl_s=options.ttl_s, expiration=options.expiration)
        survey = self.surveyor.survey(deadline)
        storage = options.storage
        key = options.session_key or (storage.session_key() if storage else SessionKey.generate())
        request = AuthRequest(
            chain=options.chain,
            expiration=expiration,
            uri=key.uri,
            session_key=key,
            nonce=survey.nonce,
            scope=scope,
            now=now,
            domain=options.domain,
        )
        delegation = self._delegation(auth_needed, request, options, survey, verify=verify)
        capabilities = (*(each.to_json() for each in options.capabilities), delegation.to_json())
        times = (iso(now), expiration)
        # The delegation may have needed a new survey: sign for its nodes.
        latest = self.surveyor.survey(deadline)
        return Session(
            network=self.network,
            wallet=delegation.address,
            public_key=key.public_key,
            scope=scope,
            issued_at=times[0],
            expiration=times[1],
            expires_at=earliest_end(expiration, capabilities),
            capabilities=capabilities,
            session_sigs={
                node: session_signature(key, scope, capabilities, times, node) for node in latest.nodes
            },
            key=key,
            committee=None if latest.attested else handed_on.written(latest, now),
        )

    def open_for_pkp(
        self, access: PkpAccess, scope: Scope, options: SessionOptions, deadline: Deadline
    ) -> Session:
        """Have the network delegate from a PKP to a session key, and sign for every listed node.

        Raises:
            LitError: As :meth:`open` and :func:`lit_airflow.networks.datil.pkp.delegation`.
        """

        def auth_needed(request: AuthRequest) -> AuthSig:
            return self.surveyor.with_nodes(
                lambda survey: pkp.delegation(access, request, survey, self.http, deadline), deadline
            )

        return self.open(auth_needed, scope, options, deadline)

    def _delegation(
        self,
        auth_needed: AuthNeeded,
        request: AuthRequest,
        options: SessionOptions,
        survey: Survey,
        *,
        verify: bool,
    ) -> AuthSig:
        """Return the stored signature while it can carry the session, else a new one."""
        storage, wallet = options.storage, options.wallet
        stored = storage.auth_sig(self.network, wallet) if storage and wallet else None
        key = survey.public_key
        if stored is not None and is_usable(stored, request, wallet=wallet, network_public_key=key):
            return stored
        auth_sig = auth_needed(request)
        if verify:
            fits_request(auth_sig, request, wallet=wallet, network_public_key=key)
        if storage:
            storage.keep(self.network, auth_sig.address, auth_sig)
        return auth_sig

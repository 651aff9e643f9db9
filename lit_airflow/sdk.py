"""The calls of Lit's JavaScript SDK, parameter by parameter, for networks whose nodes form a committee.

:class:`lit_airflow.LitClient` covers what a pipeline needs; :attr:`LitClient.sdk <lit_airflow.LitClient.sdk>` is an
:class:`SdkCalls` for the rest. ``docs/sdk.md`` maps the SDK's names to these.

Source: ``@lit-protocol/lit-node-client`` 7.4.0.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

from lit_airflow.clock import Deadline
from lit_airflow.errors import SettingsError
from lit_airflow.networks.committee import Committee, CommitteeNetwork, Validators
from lit_airflow.networks.contract import Network, SessionOptions
from lit_airflow.protocol.auth_method import AuthMethod, PkpAccess
from lit_airflow.protocol.auth_sig import AuthNeeded, AuthSig
from lit_airflow.protocol.scope import Scope
from lit_airflow.protocol.session import Session, SessionKey, SessionSigs
from lit_airflow.protocol.session_storage import SessionStorage

DEFAULT_TTL_S = 3600.0
SDK_TTL_S = 24 * 3600.0


def sdk_calls(network: Network, storage: SessionStorage | None, deadline: Callable[[], Deadline]) -> SdkCalls:
    """Return the SDK's calls on a network.

    Args:
        network: The network.
        storage: See :class:`SdkCalls`.
        deadline: See :class:`SdkCalls`.

    Raises:
        SettingsError: The network is served by a single server, and has none of these.
    """
    if network.traits.single_server:
        raise SettingsError(
            f"The SDK's calls are not available on {network.name}.",
            field="network",
            hint="Use open_session, encrypt and decrypt, which every network offers.",
        )
    # The traits say that several servers form a committee; nothing asks for the class.
    return SdkCalls(cast("CommitteeNetwork", network), storage, deadline)


class SdkCalls:
    """The SDK's calls on one network.

    Args:
        network: The network.
        storage: Where the session key and the wallet's signatures are kept between calls.
        deadline: Makes the deadline of each call.
    """

    def __init__(
        self, network: CommitteeNetwork, storage: SessionStorage | None, deadline: Callable[[], Deadline]
    ) -> None:
        self._network = network
        self._storage = storage
        self._deadline = deadline

    def validators(self) -> Validators:
        """Return the validators listed on the chain. Contacts no node.

        Raises:
            NetworkError: The chain does not answer, or not sensibly.
        """
        return self._network.validators(self._deadline())

    def survey(self) -> Committee:
        """Find the nodes and what they agree on, as the SDK's ``connect``.

        Raises:
            NetworkError: The chain or too many nodes do not answer, or they disagree.
        """
        return self._network.survey(self._deadline())

    def open_pkp_session(  # noqa: PLR0913 - all but three optional
        self,
        pkp_public_key: str,
        auth_methods: Sequence[AuthMethod | Mapping[str, Any]],
        scope: Scope,
        *,
        ttl_s: float = DEFAULT_TTL_S,
        domain: str | None = None,
        session_key: SessionKey | None = None,
        capabilities: Sequence[AuthSig] = (),
    ) -> Session:
        """Open a session in the name of a PKP: the network signs the delegation, no wallet does.

        The nodes then take the PKP's address for ``:userAddress``.

        Args:
            pkp_public_key: ``0x04`` and 128 hex digits.
            auth_methods: Proofs that the PKP may be used; at least one of them must be permitted. See
                :func:`lit_airflow.protocol.auth_method.eth_wallet_auth_method`.
            scope: What the session may do.
            ttl_s: Lifetime in seconds, up to 30 days.
            domain: The domain that the signed message names; ``litprotocol.com`` by default.
            session_key: Use this key; else the stored one, else a new one.
            capabilities: Further AuthSigs to carry, such as a capacity delegation.

        Returns:
            The session; ``.session_sigs`` is what the SDK's ``getPkpSessionSigs`` returns.

        Raises:
            SettingsError: A malformed public key, no authentication method, a lifetime that nodes do not accept, or
                a network without attestation whose description does not set ``pkp_without_attestation``.
            SiweError: A domain or resource id that a sign-in message cannot carry.
            AccessDeniedError: No authentication method permits this PKP, or one has expired.
            NetworkError: The chain or too many nodes do not answer, or they disagree.
        """
        access = PkpAccess.of(pkp_public_key, auth_methods)
        options = SessionOptions(
            ttl_s=ttl_s,
            domain=domain,
            session_key=session_key,
            capabilities=capabilities,
            storage=self._storage,
            wallet=access.address,
        )
        return self._network.open_pkp_session(access, scope, options, self._deadline())

    def get_session_sigs(  # noqa: PLR0913 - the SDK's parameters
        self,
        *,
        resource_ability_requests: Scope,
        auth_needed_callback: AuthNeeded,
        chain: str = "ethereum",
        expiration: str | None = None,
        domain: str | None = None,
        session_key: SessionKey | None = None,
        capability_auth_sigs: Sequence[AuthSig] = (),
        capacity_delegation_auth_sig: AuthSig | None = None,
        wallet_address: str | None = None,
    ) -> SessionSigs:
        """Return session sigs whose delegation a callback signs, as the SDK's ``getSessionSigs``.

        Args:
            resource_ability_requests: What they are good for.
            auth_needed_callback: Called when the wallet has to sign; see ``AuthRequest`` and ``sign_in`` in
                :mod:`lit_airflow.protocol.auth_sig`.
            chain: Passed on to the callback.
            expiration: RFC 3339 text, signed unchanged; 24 hours from now by default.
            domain: Passed on to the callback.
            session_key: Use this key; else the stored one, else a new one.
            capability_auth_sigs: Further AuthSigs to carry, in signed order.
            capacity_delegation_auth_sig: A capacity delegation to carry after them.
            wallet_address: The wallet that must sign, and whose stored signature may be used; without it the
                callback is always called, and any wallet may sign.

        Returns:
            Node URL -> ``{sig, derivedVia, signedMessage, address, algo}``.

        Raises:
            SettingsError: A time that nodes do not accept.
            SessionError: What the callback returned does not carry this session, or carries more.
            NetworkError: The chain or too many nodes do not answer, or they disagree.
        """
        delegations = () if capacity_delegation_auth_sig is None else (capacity_delegation_auth_sig,)
        options = SessionOptions(
            ttl_s=SDK_TTL_S,
            expiration=expiration,
            chain=chain,
            domain=domain,
            session_key=session_key,
            capabilities=(*capability_auth_sigs, *delegations),
            storage=self._storage,
            wallet=wallet_address,
        )
        opened = self._network.open_session_with(
            auth_needed_callback, resource_ability_requests, options, self._deadline()
        )
        return opened.session_sigs

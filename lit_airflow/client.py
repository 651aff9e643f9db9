"""3 to 7 for people without Airflow: wallet, session, encrypt, decrypt.

::

    lit = LitClient("network.json")
    wallet = Wallet.from_key(os.environ["KEY"])
    conditions = {"chain": "ethereum", "accessControlConditions": [...]}
    sealed = lit.encrypt(b"secret", conditions)
    session = lit.open_session(wallet, lit.scope_of(sealed, conditions))
    assert lit.decrypt(sealed, conditions, session) == b"secret"
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lit_airflow import clock as clocks
from lit_airflow.clock import Clock, Deadline
from lit_airflow.conditions import Conditions
from lit_airflow.errors import CiphertextError, SettingsError
from lit_airflow.networks import open_network
from lit_airflow.networks.base import Committee, Sealed, SessionTerms
from lit_airflow.networks.known import NetworkDescription
from lit_airflow.session.scope import Scope
from lit_airflow.session.session import Session, SessionKey
from lit_airflow.wallet import Signer

DEFAULT_TTL_S = 3600.0
DEFAULT_TIMEOUT_S = 30.0

ConditionsLike = Conditions | Mapping[str, Any]


class LitClient:
    """A client of one Lit network. Safe to use from several threads; nothing is sent before it is needed.

    Args:
        network: A known network's name, the path of a network description, or its object.
        timeout_s: Seconds within which each call ends, retries included.
        clock: What tells the time.

    Raises:
        SettingsError: An unknown network, a description that cannot be right, a time-out that is none.
    """

    def __init__(
        self,
        network: str | Path | Mapping[str, Any] | NetworkDescription,
        *,
        timeout_s: float = DEFAULT_TIMEOUT_S,
        clock: Clock = clocks.now,
    ) -> None:
        if not timeout_s > 0:
            raise SettingsError(f"A time-out of {timeout_s:g} seconds is none.", field="timeout_s")
        self._network = open_network(network, clock=clock)
        self._timeout_s = timeout_s

    def survey(self) -> Committee:
        """Who the nodes are now, and who of them is absent.

        Raises:
            NetworkError: The chain or too many nodes do not answer, or they disagree.
        """
        return self._network.survey(self._deadline())

    def open_session(  # noqa: PLR0913 - the SDK's parameters, all but two optional
        self,
        wallet: Signer,
        scope: Scope,
        *,
        ttl_s: float = DEFAULT_TTL_S,
        domain: str = "localhost",
        statement: str = "",
        session_key: SessionKey | None = None,
        capabilities: Sequence[Mapping[str, Any]] = (),
    ) -> Session:
        """Open a session: one wallet signature, and one session signature per node.

        Args:
            wallet: Who signs.
            scope: What the session may do.
            ttl_s: Lifetime in seconds, 1 to 30 days' worth.
            domain: Who asks, as the wallet's message shows it.
            statement: A sentence for people in that message.
            session_key: Use this key; a new one by default.
            capabilities: Further authSigs to carry, such as a capacity delegation.

        Returns:
            The session; ``.session_sigs`` is what the SDK's ``getSessionSigs`` returns.

        Raises:
            SettingsError: A lifetime that nodes do not accept.
            SiweError: A domain, statement or resource id that a sign-in message cannot carry.
            NetworkError: The chain or too many nodes do not answer, or they disagree.
        """
        terms = SessionTerms(
            ttl_s=ttl_s,
            domain=domain,
            statement=statement,
            session_key=session_key,
            capabilities=capabilities,
        )
        return self._network.open_session(wallet, scope, terms, self._deadline())

    def encrypt(self, plaintext: bytes, conditions: ConditionsLike) -> Sealed:
        """Encrypt for whoever meets the conditions.

        Returns:
            ``{"ciphertext": base64, "dataToEncryptHash": hex}``.

        Raises:
            ConditionError: The conditions do not validate.
            NetworkError: The network's key is not pinned and cannot be learnt.
        """
        validated = _conditions(conditions).validate()
        return self._network.encrypt(plaintext, validated, self._deadline())

    def decrypt(self, sealed: Mapping[str, Any], conditions: ConditionsLike, session: Session) -> bytes:
        """Decrypt with a session.

        Args:
            sealed: What :meth:`encrypt` returned; more keys do no harm.
            conditions: Those it was encrypted under.
            session: A session whose scope covers it.

        Raises:
            ConditionError: The conditions have no canonical form.
            CiphertextError: Malformed, altered, or for another network or other conditions.
            ScopeError: The session may not decrypt this.
            SessionExpiredError: The session's time is over.
            AccessDeniedError: The nodes refuse.
            NodesUnavailableError: Too few nodes answer; names each and why.
        """
        return self._network.decrypt(sealed, _conditions(conditions), session, self._deadline())

    @staticmethod
    def scope_of(sealed: Mapping[str, Any], conditions: ConditionsLike) -> Scope:
        """The narrowest scope that decrypts this one item.

        Raises:
            ConditionError: The conditions have no canonical form, or the hash is none.
            CiphertextError: There is no dataToEncryptHash.
        """
        data_hash = sealed.get("dataToEncryptHash")
        if not isinstance(data_hash, str):
            raise CiphertextError("There is no dataToEncryptHash.")
        return Scope.to_decrypt(_conditions(conditions).resource_id(data_hash))

    def _deadline(self) -> Deadline:
        return Deadline.after(self._timeout_s)


def _conditions(conditions: ConditionsLike) -> Conditions:
    return conditions if isinstance(conditions, Conditions) else Conditions.parse(conditions)

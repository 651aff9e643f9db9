"""3 to 7 for people without Airflow: wallet, session, encrypt, decrypt.

As here:

    lit = LitClient("network.json")
    wallet = Wallet.from_key(os.environ["KEY"])
    conditions = {"chain": "ethereum", "accessControlConditions": [...]}
    sealed = lit.encrypt(b"secret", conditions)
    session = lit.open_session(wallet, lit.scope_of(sealed, conditions))
    assert lit.decrypt(sealed, conditions, session) == b"secret"
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, MutableMapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from lit_airflow import clock as clocks
from lit_airflow.clock import Clock, Deadline
from lit_airflow.errors import CiphertextError, ConditionsNotMetError, SettingsError
from lit_airflow.keys.secret import Secret
from lit_airflow.keys.wallet import Signer
from lit_airflow.networks import open_network
from lit_airflow.networks.contract import Committee, Listing, OnReport, Sealed, SessionOptions
from lit_airflow.networks.descriptions import NetworkDescription
from lit_airflow.protocol.auth_method import AuthMethod, PkpAccess
from lit_airflow.protocol.auth_sig import AuthNeeded, AuthSig, checked, sign_in
from lit_airflow.protocol.conditions import Conditions
from lit_airflow.protocol.scope import Scope
from lit_airflow.protocol.session import Session, SessionKey, SessionSigs
from lit_airflow.protocol.session_storage import SessionStorage
from lit_airflow.transport import batch
from lit_airflow.transport.batch import AT_ONCE, Decrypted

if TYPE_CHECKING:
    from lit_airflow.envelope import Progress

DEFAULT_TTL_S = 3600.0
DEFAULT_TIMEOUT_S = 30.0
SDK_TTL_S = 24 * 3600.0
DEFAULT_STATEMENT = "Open a Lit session."

ConditionsLike = Conditions | Mapping[str, Any]
Source = str | Path | BinaryIO
Target = str | Path | BinaryIO


class LitClient:
    """A client of one Lit network. Safe to use from several threads; nothing is sent before it is needed.

    Args:
        network: A known network's name, the path of a network description, or its object.
        timeout_s: Seconds within which each call ends, retries included.
        storage: Where the session key and the wallet's signatures are kept between calls, and so reused; by
            default nowhere. It then holds secrets.
        clock: What tells the time.
        on_report: Told how each decryption was answered: by whom, how fast, and who failed.

    Raises:
        SettingsError: An unknown network, a description that cannot be right, a time-out that is none.
    """

    def __init__(
        self,
        network: str | Path | Mapping[str, Any] | NetworkDescription,
        *,
        timeout_s: float = DEFAULT_TIMEOUT_S,
        storage: MutableMapping[str, str] | None = None,
        clock: Clock = clocks.now,
        on_report: OnReport | None = None,
    ) -> None:
        if not timeout_s > 0:
            raise SettingsError(f"A time-out of {timeout_s:g} seconds is none.", field="timeout_s")
        self._network = open_network(network, clock=clock, on_report=on_report)
        self._timeout_s = timeout_s
        self._storage = None if storage is None else SessionStorage(storage)

    def listing(self) -> Listing:
        """Whom the chain lists; asks no node.

        Raises:
            NetworkError: The chain does not answer, or not sensibly.
        """
        return self._network.listing(self._deadline())

    def survey(self) -> Committee:
        """Who the nodes are now, and who of them is absent.

        Raises:
            NetworkError: The chain or too many nodes do not answer, or they disagree.
        """
        return self._network.survey(self._deadline())

    def open_session(  # noqa: PLR0913 - all but two optional
        self,
        wallet: Signer,
        scope: Scope,
        *,
        ttl_s: float = DEFAULT_TTL_S,
        domain: str | None = None,
        statement: str = DEFAULT_STATEMENT,
        session_key: SessionKey | None = None,
        capabilities: Sequence[AuthSig] = (),
    ) -> Session:
        """Open a session: one wallet signature, and one session signature per node.

        Args:
            wallet: Who signs.
            scope: What the session may do.
            ttl_s: Lifetime in seconds, up to 30 days' worth.
            domain: Who asks, as the wallet's message shows it; ``localhost`` by default.
            statement: A sentence for people in that message.
            session_key: Use this key; else the stored one, else a new one.
            capabilities: Further authSigs to carry, such as a capacity delegation.

        Returns:
            The session; ``.session_sigs`` is what the SDK's ``getSessionSigs`` returns.

        Raises:
            SettingsError: A lifetime that nodes do not accept.
            SiweError: A domain, statement or resource id that a sign-in message cannot carry.
            NetworkError: The chain or too many nodes do not answer, or they disagree.
        """
        terms = SessionOptions(
            ttl_s=ttl_s,
            domain=domain,
            session_key=session_key,
            capabilities=[capability.to_json() for capability in capabilities],
            storage=self._storage,
            wallet=wallet.address,
        )
        auth_needed = partial(sign_in, signer=wallet, statement=statement)
        return self._network.open_session(auth_needed, scope, terms, self._deadline())

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
        """Open a session in the name of a PKP: the network signs the delegation, and no wallet.

        The nodes then take the PKP's address for ``:userAddress``.

        Args:
            pkp_public_key: ``0x04`` and 128 hex digits.
            auth_methods: Proofs that the PKP may be used; at least one of them must be permitted. See
                :func:`lit_airflow.protocol.auth_method.eth_wallet_auth_method`.
            scope: What the session may do.
            ttl_s: Lifetime in seconds, up to 30 days' worth.
            domain: Who asks, as the signed message says; ``litprotocol.com`` by default.
            session_key: Use this key; else the stored one, else a new one.
            capabilities: Further authSigs to carry, such as a capacity delegation.

        Returns:
            The session; ``.session_sigs`` is what the SDK's ``getPkpSessionSigs`` returns.

        Raises:
            SettingsError: No public key, no authentication method, or a lifetime that nodes do not accept.
            SiweError: A domain or resource id that a sign-in message cannot carry.
            AccessDeniedError: The nodes refuse: no method permits this PKP, or one has expired.
            NetworkError: The chain or too many nodes do not answer, or they disagree.
        """
        access = PkpAccess.of(pkp_public_key, auth_methods)
        terms = SessionOptions(
            ttl_s=ttl_s,
            domain=domain,
            session_key=session_key,
            capabilities=[capability.to_json() for capability in capabilities],
            storage=self._storage,
            wallet=access.address,
        )
        return self._network.open_pkp_session(access, scope, terms, self._deadline())

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
        """Session sigs with a signer elsewhere, parameter by parameter as the SDK's ``getSessionSigs``.

        Args:
            resource_ability_requests: What they are good for.
            auth_needed_callback: Called when the wallet has to sign; see ``AuthRequest`` and ``sign_in`` in
                :mod:`lit_airflow.protocol.auth_sig`.
            chain: Passed on to the callback.
            expiration: RFC 3339 text, signed unchanged; 24 hours from now by default.
            domain: Passed on to the callback.
            session_key: Use this key; else the stored one, else a new one.
            capability_auth_sigs: Further authSigs to carry, in signed order.
            capacity_delegation_auth_sig: A capacity delegation to carry after them.
            wallet_address: Whose stored signature may be used; without it the callback is always called.

        Returns:
            Node URL -> ``{sig, derivedVia, signedMessage, address, algo}``.

        Raises:
            SettingsError: A time that nodes do not accept.
            SessionError: What the callback returned does not fit.
            NetworkError: The chain or too many nodes do not answer, or they disagree.
        """
        delegations = () if capacity_delegation_auth_sig is None else (capacity_delegation_auth_sig,)
        terms = SessionOptions(
            ttl_s=SDK_TTL_S,
            expiration=expiration,
            chain=chain,
            domain=domain,
            session_key=session_key,
            capabilities=[sig.to_json() for sig in (*capability_auth_sigs, *delegations)],
            storage=self._storage,
            wallet=wallet_address,
        )
        auth_needed = partial(checked, callback=auth_needed_callback)
        opened = self._network.open_session(auth_needed, resource_ability_requests, terms, self._deadline())
        return opened.session_sigs

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

    def decrypt(
        self,
        sealed: Mapping[str, Any],
        conditions: ConditionsLike,
        session: Session,
        *,
        log_level: int = logging.INFO,
    ) -> bytes:
        """Decrypt with a session.

        Args:
            sealed: What :meth:`encrypt` returned; more keys do no harm.
            conditions: Those it was encrypted under.
            session: A session whose scope covers it.
            log_level: At which the log says how the nodes answered; for those who decrypt many, a lower one.

        Raises:
            ConditionError: The conditions have no canonical form.
            CiphertextError: Malformed, altered, or for another network or other conditions.
            ScopeError: The session may not decrypt this.
            SessionExpiredError: The session's time is over.
            AccessDeniedError: The nodes refuse.
            NodesUnavailableError: Too few nodes answer; names each and why.
        """
        return self._network.decrypt(
            sealed, _conditions(conditions), session, self._deadline(), log_level=log_level
        )

    def decrypt_many(
        self,
        items: Iterable[tuple[Mapping[str, Any], ConditionsLike]],
        session: Session,
        *,
        at_once: int = AT_ONCE,
    ) -> Iterator[Decrypted]:
        """Decrypt many with one session and one survey; what fails does so by itself.

        Args:
            items: Pairs of what :meth:`decrypt` takes; any iterable, fetched as it is needed.
            session: A session whose scope covers them.
            at_once: How many are in work, or done and not yet taken.

        Returns:
            The outcomes in the items' order, as they are taken; each has its own time-out.

        Raises:
            SettingsError: ``at_once`` is not positive.
            NetworkError: The chain or too many nodes do not answer to begin with, or they disagree.
        """

        def decrypt(item: tuple[Mapping[str, Any], ConditionsLike]) -> bytes:
            return self.decrypt(*item, session, log_level=logging.DEBUG)

        outcomes = batch.each(decrypt, items, at_once)
        self.survey()
        return outcomes

    def encrypt_file(
        self, source: Source, target: Target, conditions: ConditionsLike, *, progress: Progress = int
    ) -> dict[str, Any]:
        """Encrypt a file of any size as an envelope: its data key under Lit, itself under that key.

        Args:
            source: A path, or a binary stream, which is read to its end.
            target: A path, written whole or not at all with mode 0600, or a binary stream.
            conditions: Who may decrypt.
            progress: Called after each megabyte with the bytes done.

        Returns:
            The container of the data key, which stands in the file's first line: what :meth:`encrypt` returns, the
            conditions and ``chain``. A session needs ``scope_of(container, container)`` to decrypt the file.

        Raises:
            ConditionError: The conditions do not validate.
            NetworkError: The network's key is not pinned and cannot be learnt.
            OSError: The file cannot be read or written.

        Source: :mod:`lit_airflow.envelope`.
        """
        from lit_airflow import envelope  # noqa: PLC0415 - only files need it

        parsed = _conditions(conditions)
        key = envelope.new_key()
        head = envelope.write_head({**self.encrypt(key.reveal(), parsed), **parsed.to_json()})
        with _reading(source) as plaintext, _writing(target) as sealed:
            envelope.seal(plaintext, sealed, key, head, progress=progress)
        return dict(head.container)

    def decrypt_file(
        self, source: Source, target: Target, session: Session, *, progress: Progress = int
    ) -> int:
        """Decrypt what :meth:`encrypt_file` wrote.

        Args:
            source: A path or a binary stream.
            target: A path, written whole or not at all with mode 0600. Or a binary stream: each megabyte is written
                when it has proved right, so throw what was written away if this raises.
            session: A session whose scope covers the file's container.
            progress: Called after each megabyte with the bytes done.

        Returns:
            Bytes of plaintext.

        Raises:
            CiphertextError: No envelope; or altered, cut short or continued.
            LitError: As :meth:`decrypt`.
            OSError: The file cannot be read or written.
        """
        from lit_airflow import envelope  # noqa: PLC0415 - only files need it

        with _reading(source) as sealed:
            head = envelope.read_head(sealed)
            if head is None:
                raise CiphertextError("This is no envelope.", hint="Files that encrypt_file wrote are.")
            key = Secret(self.decrypt(head.container, head.container, session))
            with _writing(target) as plaintext:
                return envelope.unseal(sealed, plaintext, key, head, progress=progress)

    def grants(self, sealed: Mapping[str, Any], conditions: ConditionsLike, session: Session) -> bool:
        """Whether the nodes would let this session decrypt it now.

        They are asked the same as to decrypt, for there is no other question to which they judge conditions; what
        they answer is dropped here.

        Args:
            sealed: What :meth:`encrypt` returned.
            conditions: Those it was encrypted under.
            session: A session whose scope covers it.

        Returns:
            False only if the conditions do not hold.

        Raises:
            LitError: As :meth:`decrypt`, for anything else.
        """
        try:
            self.decrypt(sealed, conditions, session)
        except ConditionsNotMetError:
            return False
        return True

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


def _reading(source: Source) -> AbstractContextManager[BinaryIO]:
    return Path(source).open("rb") if isinstance(source, str | Path) else nullcontext(source)


def _writing(target: Target) -> AbstractContextManager[BinaryIO]:
    from lit_airflow import atomic_file  # noqa: PLC0415 - only files need it

    return atomic_file.writing(Path(target)) if isinstance(target, str | Path) else nullcontext(target)

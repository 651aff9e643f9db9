"""The Lit client for programs without Airflow: wallet, session, encrypt, decrypt.

lit = LitClient("network.json")
wallet = Wallet.from_key(os.environ["KEY"])
conditions = Conditions.for_wallet(wallet.address)
sealed = lit.encrypt(b"secret", conditions)
session = lit.open_session(wallet, lit.scope_of(sealed, conditions))
assert lit.decrypt(sealed, conditions, session) == b"secret"
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping, Sequence, Sized
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, BinaryIO, Self, cast

from lit_airflow import clock as clocks
from lit_airflow.clock import Clock, Deadline
from lit_airflow.errors import CiphertextError, ConditionsNotMetError, LitError, SettingsError, in_file
from lit_airflow.keys.secret import Secret
from lit_airflow.networks import actions
from lit_airflow.networks.actions import Action, ActionRun
from lit_airflow.networks.batch import AT_ONCE, check_count
from lit_airflow.networks.contract import (
    DEFAULT_STATEMENT,
    Attestation,
    AttestedNetwork,
    Check,
    Cost,
    Decrypted,
    Health,
    Load,
    NetworkDescription,
    NetworkTraits,
    OnReport,
    Session,
    SessionOptions,
)
from lit_airflow.networks.descriptions import described, open_network
from lit_airflow.protocol.conditions import Conditions
from lit_airflow.protocol.container import Container
from lit_airflow.protocol.scope import Scope

if TYPE_CHECKING:
    from lit_airflow.envelope import Progress
    from lit_airflow.keys.wallet import Signer
    from lit_airflow.protocol.auth_sig import AuthSig
    from lit_airflow.protocol.session import SessionKey
    from lit_airflow.protocol.session_storage import SessionStorage
    from lit_airflow.protocol.signing import Signed, SigningPolicy, SigningRequest
    from lit_airflow.sdk import SdkCalls

DEFAULT_TTL_S = 3600.0
DEFAULT_TIMEOUT_S = 30.0

# Calls of version 0.1 that :class:`lit_airflow.sdk.SdkCalls` has now.
_MOVED_TO_SDK = {
    "get_session_sigs": "get_session_sigs",
    "listing": "validators",
    "open_pkp_session": "open_pkp_session",
    "survey": "survey",
}

ConditionsLike = Conditions | Mapping[str, Any]
Source = str | Path | BinaryIO
Target = str | Path | BinaryIO


class LitClient:
    """A client of one Lit network. Safe to use from several threads; sends nothing before it is needed.

    Use it as a context manager, or call :meth:`close`, to close its connections.

    Args:
        network: A known network's name, the path of a network description, or its object.
        timeout_s: Seconds within which each call ends, retries included.
        storage: Where the session key and the wallet's signatures are kept between calls, and so reused; by default
            nowhere. It then contains secrets.
        clock: Tells the time.
        on_report: Called with each decryption's report: which servers answered, how fast, and which failed.

    Raises:
        SettingsError: An unknown network, a description that cannot be right, or a time-out that is not positive.
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
            raise SettingsError(f"timeout_s must be positive, got {timeout_s:g}.", field="timeout_s")
        self._description = described(network)
        self._network = open_network(self._description, clock=clock, on_report=on_report)
        self._on_report = on_report
        self._timeout_s = timeout_s
        self._clock = clock
        self._store = storage

    @property
    def traits(self) -> NetworkTraits:
        """What the network can do."""
        return self._network.traits

    @property
    def sdk(self) -> SdkCalls:
        """The further calls of Lit's SDK: sessions signed by a callback or by a PKP, and the network's nodes.

        Raises:
            SettingsError: The network is served by a single server, and has none of these.
        """
        from lit_airflow.sdk import sdk_calls  # noqa: PLC0415 - pipelines do not need it

        return sdk_calls(self._network, self._storage(), self._deadline)

    def health(self) -> Health:
        """Ask every server of the network how it is.

        Raises:
            NetworkError: Too few answer, or they disagree.
        """
        return self._network.health(self._deadline())

    @property
    def attestation(self) -> Attestation | None:
        """What this process knows of the software that the server runs; ``None`` if the network proves none.

        Asks nobody; see :meth:`attest`.
        """
        return self._attested.attestation if self.traits.proves_build else None

    def attest(self) -> Attestation:
        """Have the server prove now which software it runs, whatever the description demands.

        Returns:
            What it proved. ``accepted`` says whether the description names that build.

        Raises:
            SettingsError: The network's servers prove no build, or what verifies it is not installed.
            AttestationError: The server did not prove it; says which check failed.
            NetworkError: It, or the server of the collateral, does not answer.
        """
        if not self.traits.proves_build:
            raise SettingsError(
                f"The servers of {self._network.name} do not prove which software they run.", field="network"
            )
        return self._attested.attest(self._deadline())

    @property
    def _attested(self) -> AttestedNetwork:
        return cast("AttestedNetwork", self._network)  # as its traits say; nothing asks for the class

    def diagnose(self) -> Iterator[Check]:
        """Check the network step by step; each result comes as soon as it is known. Raises nothing."""
        return self._network.diagnose(self._deadline())

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
        """Open a session: one signature by the wallet, the others by the session key.

        Args:
            wallet: The signer.
            scope: What the session may do.
            ttl_s: Lifetime in seconds, up to 30 days.
            domain: The domain that the wallet's message names; ``localhost`` by default.
            statement: A sentence for people in that message.
            session_key: Use this key; else the stored one, else a new one.
            capabilities: Further AuthSigs to carry, such as a capacity delegation.

        Returns:
            The session; ``.session_sigs`` is what the SDK's ``getSessionSigs`` returns.

        Raises:
            SettingsError: A lifetime that the network does not accept.
            SessionError: A domain, statement or resource id that a sign-in message cannot carry.
            NetworkError: The network must be asked and does not answer.
        """
        options = SessionOptions(
            ttl_s=ttl_s,
            domain=domain,
            statement=statement,
            session_key=session_key,
            capabilities=capabilities,
            storage=self._storage(),
            wallet=wallet.address,
        )
        return self._network.open_session(wallet, scope, options, self._deadline())

    def load_session(self, kind: str, contents: Mapping[str, Any]) -> Session:
        """Return the session that a ticket holds.

        Args:
            kind: The ticket's ``kind``.
            contents: What was sealed.

        Raises:
            SessionError: It is incomplete, or of a kind that this network does not know.
        """
        try:
            return self._network.load_session(kind, contents)
        except LitError as error:
            problem = error.with_traceback(None)
        del contents  # no frame of the error may hold a secret
        raise problem

    def encrypt(self, plaintext: bytes, conditions: ConditionsLike) -> dict[str, Any]:
        """Encrypt for wallets that meet the conditions.

        Returns:
            ``{"ciphertext": base64, "dataToEncryptHash": hex}``, and what else the network needs.

        Raises:
            ConditionError: The conditions do not validate, or the network cannot judge them.
            NetworkError: The network's key is not pinned and cannot be learnt.
            SettingsError: The plaintext is longer than the network allows.
        """
        secret = Secret(plaintext)
        del plaintext  # no frame of an error may hold it
        longest = self._network.traits.max_plaintext_bytes
        if len(secret) > longest:
            raise SettingsError(
                f"The plaintext has {len(secret)} bytes; {self._network.name} allows {longest}.",
                field="plaintext",
                hint="Use encrypt_file, which makes an envelope of any size.",
            )
        parsed = _conditions(conditions)
        return self._network.encrypt(secret.reveal(), parsed, self._deadline())

    def make_container(self, plaintext: bytes, conditions: ConditionsLike) -> dict[str, Any]:
        """Encrypt, and return one object that has all that decryption needs beside a session.

        Returns:
            What :meth:`encrypt` returns, the conditions under their own name, ``chain`` and ``network``.

        Raises:
            LitError: As :meth:`encrypt`.
        """
        secret = Secret(plaintext)
        del plaintext
        parsed = _conditions(conditions)
        sealed = self.encrypt(secret.reveal(), parsed)
        return {**sealed, **parsed.to_json(), "network": self._network.name}

    def decrypt(
        self,
        sealed: Mapping[str, Any],
        conditions: ConditionsLike,
        session: Session,
        *,
        log_level: int = logging.INFO,
        data_key: bool = False,
    ) -> bytes:
        """Decrypt with a session.

        Args:
            sealed: What :meth:`encrypt` or :meth:`make_container` returned.
            conditions: Those it was encrypted under.
            session: A session whose scope covers it.
            log_level: The level at which the log says how the servers answered.
            data_key: Whether this is the container of an envelope's data key; otherwise one is refused, so that
                a key is never delivered as data.

        Raises:
            ConditionError: The conditions have no canonical form.
            CiphertextError: Malformed, altered, or for another network or other conditions; or a data key.
            ScopeError: The session does not cover it.
            SessionExpiredError: The session has ended.
            AccessDeniedError: The network refuses.
            NodesUnavailableError: Too few servers answer; names each and why.
        """
        container = Container(sealed, _conditions(conditions))
        try:
            plaintext = self._network.decrypt(container, session, self._deadline(), log_level=log_level)
        except ConditionsNotMetError as error:
            self._explain(error, container.conditions)
            raise
        return plaintext if data_key else refuse_data_key(plaintext)

    def decrypt_many(
        self,
        items: Iterable[tuple[Mapping[str, Any], ConditionsLike]],
        session: Session,
        *,
        at_once: int | None = None,
        processes: int = 1,
    ) -> Iterator[Decrypted]:
        """Decrypt many with one session; one that fails costs the others nothing.

        Args:
            items: Pairs of what :meth:`decrypt` takes; any iterable, fetched as it is needed. A container that
                contains its conditions is both: ``(container, container)``.
            session: A session whose scope covers them.
            at_once: How many are in work, or done and not yet taken, in all processes together; by default eight
                for each.
            processes: How many processes decrypt. One is this one. More are started for this call and end with its
                iterator; each takes half a second of CPU time to start, so they pay from hundreds of items on. No
                effect where a single server decrypts: there, this process has next to nothing to do.

        Returns:
            The outcomes in the items' order, as they are taken; each has its own time-out. Of a process that dies,
            the items in work have a :class:`~lit_airflow.errors.WorkerDiedError`.

        Raises:
            SettingsError: ``at_once`` or ``processes`` is not positive; or there are several processes and the
                client has its own clock.
            NetworkError: The network cannot be used to begin with. With several processes, each item has it.
        """
        loads: Iterable[Load] = (partial(_paired, item) for item in items)
        if isinstance(items, Sized):
            loads = list(loads)  # so that the log can say how many there are
        return self.decrypt_loads(loads, lambda _: session, at_once=at_once, processes=processes)

    def decrypt_loads(
        self,
        loads: Iterable[Load],
        session: Callable[[Container], Session],
        *,
        at_once: int | None = None,
        processes: int = 1,
        data_keys: bool = False,
    ) -> Iterator[Decrypted]:
        """Decrypt many containers that are read when they are needed, each with the session that it needs.

        Args:
            loads: Functions that read a container; a ``LitError`` that one raises is that item's outcome.
            session: Returns the session to use for a container.
            at_once: As for :meth:`decrypt_many`.
            processes: The same. Containers are read, and sessions returned, in this process.
            data_keys: Whether the containers of envelopes' data keys may be among them; see :meth:`decrypt`.

        Returns:
            The outcomes in order, as they are taken.

        Raises:
            LitError: As :meth:`decrypt_many`.
        """
        asked: dict[int, Conditions] = {}

        def remembering(index: int, load: Load) -> Container:
            container = load()
            asked[index] = container.conditions
            return container

        def explained(outcome: Decrypted) -> Decrypted:
            conditions = asked.pop(outcome.index, None)
            if isinstance(outcome.error, ConditionsNotMetError) and conditions is not None:
                self._explain(outcome.error, conditions)
            return outcome

        numbered: Iterable[Load] = (partial(remembering, *each) for each in enumerate(loads))
        if isinstance(loads, Sized):
            numbered = list(numbered)  # see decrypt_many
        check_count("processes", processes)
        workers = 1 if self.traits.single_server else processes
        window = AT_ONCE * workers if at_once is None else at_once
        if workers == 1:
            found = self._network.decrypt_many(numbered, session, timeout_s=self._timeout_s, at_once=window)
        else:
            found = self._decrypt_in_processes(numbered, session, window, workers)
        outcomes = map(explained, found)
        return outcomes if data_keys else map(_without_data_key, outcomes)

    def _decrypt_in_processes(
        self, loads: Iterable[Load], session: Callable[[Container], Session], at_once: int, processes: int
    ) -> Iterator[Decrypted]:
        from lit_airflow.networks.processes import PACKAGE, Start, decrypt_in_processes  # noqa: PLC0415 - few need it

        if self._clock is not clocks.now:
            raise SettingsError(
                "Other processes have the system's clock, not this client's.", field="processes"
            )
        level = logging.getLogger(PACKAGE).getEffectiveLevel()
        return decrypt_in_processes(
            Start(self._description, self._timeout_s, level),
            loads,
            session,
            at_once=at_once,
            processes=processes,
            on_report=self._on_report,
        )

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
        head = envelope.write_head(self.make_container(envelope.tagged_key(key).reveal(), parsed))
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

        with in_file(source), _reading(source) as sealed:
            head = envelope.read_head(sealed)
            if head is None:
                raise CiphertextError("This is not an envelope.", hint="Give a file that encrypt_file wrote.")
            opened = Secret(self.decrypt(head.container, head.container, session, data_key=True))
            with _writing(target) as plaintext:
                return envelope.unseal(sealed, plaintext, opened, head, progress=progress)

    def check_conditions(self, conditions: ConditionsLike) -> None:
        """Return nothing if the network can judge these conditions. Sends nothing.

        Raises:
            ConditionError: It cannot; what were encrypted under them could never be decrypted.
        """
        self._network.check_conditions(_conditions(conditions))

    def grants(self, sealed: Mapping[str, Any], conditions: ConditionsLike, session: Session) -> bool:
        """Return whether the network would let this session decrypt it now.

        It is asked for the decryption itself, the only request for which conditions are judged; the answer is
        dropped.

        Args:
            sealed: What :meth:`encrypt` or :meth:`encrypt_file` returned.
            conditions: Those it was encrypted under.
            session: A session whose scope covers it.

        Returns:
            False only if the conditions do not hold.

        Raises:
            LitError: As :meth:`decrypt`, for anything else.
        """
        try:
            self.decrypt(sealed, conditions, session, data_key=True)
        except ConditionsNotMetError:
            return False
        return True

    def scope_of(self, sealed: Mapping[str, Any], conditions: ConditionsLike) -> Scope:
        """Return the narrowest scope that decrypts this one item.

        Raises:
            ConditionError: The conditions have no canonical form, or the hash is malformed.
            CiphertextError: It has no ``dataToEncryptHash``, or is for another network.
        """
        return self._network.scope_of(Container(sealed, _conditions(conditions)))

    def run_action(  # noqa: PLR0913 - all optional
        self,
        code: str = "",
        params: Any = None,  # noqa: ANN401 - JSON
        *,
        gate: str = "",
        expected_cid: str = "",
        repeatable: bool = False,
        timeout_s: float | None = None,
    ) -> ActionRun:
        """Run an action: a program in the network's enclave.

        Args:
            code: Its text, byte for byte: its CID follows from it.
            params: What it is given: any JSON. The service sees it: no secrets in clear.
            gate: The public key of a gate that the connection's secret lists, instead of a text.
            expected_cid: Refuse any text with another CID.
            repeatable: Whether it may run again when the answer to a run was lost.
            timeout_s: Seconds to wait; the client's by default. The service lets the action run on.

        Returns:
            The response with its JSON type, the action's log, its CID, and what it cost.

        Raises:
            SettingsError: The network runs no actions; no text, another CID than expected, or too long.
            AccessDeniedError: The API key is unknown, or may not run this action.
            PaymentError: There is no credit left.
            RateLimitedError: The service is too busy.
            ActionFailedError: The action threw an error, or reached a limit.
            OutcomeUnknownError: The answer was lost, and the action is not repeatable.
            NetworkError: The service does not answer.
        """
        network = actions.acting(self._network)
        action = Action(code=code, gate=gate, expected_cid=expected_cid, repeatable=repeatable)
        deadline = self._deadline() if timeout_s is None else Deadline.after(timeout_s)
        return network.run_action(action, params, deadline)

    def sign(
        self,
        request: SigningRequest,
        policy: SigningPolicy,
        *,
        on_cost: Callable[[Cost], None] = lambda _: None,
    ) -> Signed:
        """Have the network sign with a key that it holds, and verify the signature.

        Args:
            request: What to sign.
            policy: Which key signs, and for which chain and address only.
            on_cost: Called with what the run cost.

        Raises:
            SettingsError: The network does not sign, or the policy does not permit it.
            SignatureError: What came back is not the signature that was asked for.
            LitError: As :meth:`run_action`.
        """
        return actions.signing(self._network).sign(request, policy, self._deadline(), on_cost)

    def action_cid(self, code: str) -> str:
        """Return the CID of an action's text, as an API key's group must contain it. Sends nothing.

        Raises:
            SettingsError: The network runs no actions, or the text is blank.
        """
        return actions.acting(self._network).action_cid(code)

    def signing_code(self, policy: SigningPolicy) -> tuple[str, str]:
        """Return the text of the action that signs under a policy, and its CID. Sends nothing.

        Raises:
            SettingsError: The network does not sign.
        """
        return actions.signing(self._network).signing_code(policy)

    def credit_cents(self) -> int:
        """Return the credit of the account that pays, in US cents.

        Raises:
            SettingsError: The network runs no actions, so there is no credit.
            LitError: The service does not answer, or does not know the API key.
        """
        return actions.acting(self._network).credit_cents(self._deadline())

    def price_cents(self, seconds: float) -> int:
        """Return what a run of that many seconds costs, in US cents. Sends nothing.

        Raises:
            SettingsError: The network runs no actions.
        """
        return actions.acting(self._network).price_cents(seconds)

    def decryption_runs(self, containers: int) -> int:
        """Return how many runs it takes at least to decrypt that many containers. Sends nothing.

        Raises:
            SettingsError: The network runs no actions.
        """
        return actions.acting(self._network).decryption_runs(containers)

    def close(self) -> None:
        """Close all connections. The client must not be used afterwards."""
        self._network.close()

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - one of the SDK's calls
        moved = _MOVED_TO_SDK.get(name)
        if moved is None:
            raise AttributeError(
                f"{type(self).__name__!r} object has no attribute {name!r}", name=name, obj=self
            )
        warnings.warn(f"Use LitClient.sdk.{moved}.", DeprecationWarning, stacklevel=2)
        return getattr(self.sdk, moved)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _explain(self, error: ConditionsNotMetError, conditions: Conditions) -> None:
        from lit_airflow.protocol.time_lock import not_met_hint  # noqa: PLC0415 - only failures need it

        error.hint = not_met_hint(conditions, self._clock())

    def _deadline(self) -> Deadline:
        return Deadline.after(self._timeout_s)

    def _storage(self) -> SessionStorage | None:
        if self._store is None:
            return None
        from lit_airflow.protocol.session_storage import SessionStorage  # noqa: PLC0415 - most keep nothing

        return SessionStorage(self._store)


def _without_data_key(outcome: Decrypted) -> Decrypted:
    try:
        refuse_data_key(outcome.plaintext or b"")
    except CiphertextError as error:
        return replace(outcome, plaintext=None, error=error)
    return outcome


def refuse_data_key(plaintext: bytes) -> bytes:
    """Return a plaintext, unless it is the data key of an envelope.

    Raises:
        CiphertextError: It is.
    """
    from lit_airflow.envelope import is_data_key  # noqa: PLC0415 - brings nothing heavy, but few need it

    if is_data_key(plaintext):
        del plaintext
        raise CiphertextError(
            "This container holds the data key of an envelope, not data.",
            hint="Decrypt the envelope itself: the whole file, not its first line.",
        )
    return plaintext


def _conditions(conditions: ConditionsLike) -> Conditions:
    return conditions if isinstance(conditions, Conditions) else Conditions.parse(conditions)


def _container(sealed: Mapping[str, Any], conditions: ConditionsLike) -> Container:
    return Container(sealed, _conditions(conditions))


def _paired(item: object) -> Container:
    """Return the container of an item of :meth:`LitClient.decrypt_many`.

    Raises:
        SettingsError: It is not a pair.
        LitError: As :func:`_container`.
    """
    if not isinstance(item, tuple | list) or len(item) != 2:  # noqa: PLR2004 - a pair
        raise SettingsError(
            "An item is not a pair of a container and its conditions.",
            field="items",
            hint="Give a container that contains its conditions twice: (container, container).",
        )
    return _container(*item)


def _reading(source: Source) -> AbstractContextManager[BinaryIO]:
    return Path(source).open("rb") if isinstance(source, str | Path) else nullcontext(source)


def _writing(target: Target) -> AbstractContextManager[BinaryIO]:
    from lit_airflow import atomic_file  # noqa: PLC0415 - only files need it

    return atomic_file.writing(Path(target)) if isinstance(target, str | Path) else nullcontext(target)

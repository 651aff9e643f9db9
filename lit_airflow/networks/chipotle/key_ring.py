"""What a process learns once: the secret of decrypting roles, and the gate's key where the connection names none.

Source: docs/protocol/gate.md#who-holds-what; docs/protocol/chipotle.md#statuses.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from lit_airflow.clock import Deadline
from lit_airflow.errors import (
    AccessDeniedError,
    LitError,
    NodesUnavailableError,
    PaymentError,
    SecretNotFoundError,
    SettingsError,
)
from lit_airflow.keys.secret import Secret
from lit_airflow.networks.chipotle import api_calls, gate_runs
from lit_airflow.networks.chipotle.api import Api
from lit_airflow.networks.chipotle.api_errors import ApiFailureKind
from lit_airflow.networks.chipotle.batching import RunFailed
from lit_airflow.networks.chipotle.credentials import Credentials
from lit_airflow.networks.chipotle.description import ChipotleDescription
from lit_airflow.networks.chipotle.gate_answers import GateKey
from lit_airflow.networks.chipotle.setup_checks import check_gate_key

log = logging.getLogger(__name__)

Result = TypeVar("Result")


@dataclass(slots=True)
class KeyRing:
    """The keys of one network, as this process knows them. Safe to use from several threads.

    Attributes:
        description: The network's.
        api: The service.
    """

    description: ChipotleDescription
    api: Api
    _credentials: Credentials | None = field(default=None, init=False, repr=False)
    _asked: str = field(default="", init=False, repr=False)
    _learning: threading.RLock = field(default_factory=threading.RLock, init=False, repr=False)

    def credentials(self) -> Credentials:
        """Return the secret of decrypting roles; read once.

        Raises:
            SecretError: This role has none, it cannot be read, or it is malformed.
        """
        with self._learning:
            if self._credentials is None:
                read = self.description.read_secret
                if read is None:
                    raise SecretNotFoundError(
                        "This connection has no API key: it encrypts and opens sessions, and does not decrypt.",
                        hint="Set api_key_path in a decrypting role's connection. In a shell, give --api-key-env.",
                    )
                self._credentials = Credentials.parse(
                    read(), where="The gate's secret", api_key_field=self.description.api_key_field
                )
            return self._credentials

    def renew(self, refused: Secret) -> bool:
        """Read the secret again after its API key was refused; return whether there is another key now.

        A key that was rotated is revoked while tasks still hold it.

        Args:
            refused: The key that the service refused.

        Raises:
            SecretError: As :meth:`credentials`.
        """
        with self._learning:
            if self._credentials is not None and self._credentials.api_key == refused:
                self._credentials = None
            return self.credentials().api_key != refused

    def paid(self, deadline: Deadline, ask: Callable[[Secret], Result]) -> Result:
        """Ask with the API key; once more if it was rotated meanwhile.

        Args:
            deadline: When all must end.
            ask: Called with the key.

        Raises:
            LitError: What ``ask`` raises, also with the key that is in the secret now.
            RunFailed: The same.
        """
        key = self.credentials().api_key
        try:
            return ask(key)
        except AccessDeniedError as error:
            if error.code != ApiFailureKind.AUTHENTICATION.value or not self.renew(key):
                raise
        except PaymentError:  # builds of April say so of a key that they do not know, too
            if not self.renew(key):
                raise
        except RunFailed:
            if not self._was_revoked(key, deadline) or not self.renew(key):
                raise
        return ask(self.credentials().api_key)

    def _was_revoked(self, key: Secret, deadline: Deadline) -> bool:
        """Ask whether an API key is dead: the runs of one that was revoked by its hash fail for an hour."""
        try:
            alive = self.api.send(api_calls.account_exists(), key, deadline)
        except LitError as error:
            return isinstance(error, AccessDeniedError)
        return alive is False

    def gate_key(self, deadline: Deadline) -> str:
        """Return what data is sealed to: the key in the description, else the newest gate's, asked for once.

        Raises:
            SettingsError: There is none, and this role has no secret to ask with.
            LitError: No gate is listed, the service does not answer, or answers with another key.
        """
        if self.description.gate_key:
            return self.description.gate_key
        if self.description.read_secret is None:
            raise SettingsError(
                "There is no gate_key, and without an API key no gate can be asked for its key.",
                field="gate_key",
                hint="Set it in the connection or the network description, to what `lit-airflow chipotle setup` "
                "has printed.",
            )
        with self._learning:
            if not self._asked:
                credentials = self.credentials()
                registered = credentials.newest_gate()
                entry = credentials.gate(registered)
                check_gate_key(self._ask(entry.text(), deadline), registered, entry.version)
                log.warning(
                    "The gate was asked for its key. Set gate_key to %s in the connection.", registered
                )
                self._asked = registered
            return self._asked

    def _ask(self, text: Secret, deadline: Deadline) -> GateKey:
        """Ask a gate for its key."""

        def ask(key: Secret) -> GateKey:
            try:
                return gate_runs.ask_key(self.api, key, text, deadline)
            except NodesUnavailableError as error:
                raise RunFailed(error) from None

        try:
            return self.paid(deadline, ask)
        except RunFailed as failure:
            error = failure.error
        raise error

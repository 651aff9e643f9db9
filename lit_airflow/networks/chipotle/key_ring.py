"""What a process learns once: the secret of decrypting roles, and the gate's key where the connection names none.

Source: docs/protocol/gate.md#who-holds-what; docs/protocol/chipotle.md#statuses.
"""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass, field

from lit_airflow.clock import Deadline
from lit_airflow.errors import SecretNotFoundError
from lit_airflow.keys.secret import Secret
from lit_airflow.networks.chipotle import gate_runs
from lit_airflow.networks.chipotle.api import Api
from lit_airflow.networks.chipotle.credentials import Credentials
from lit_airflow.networks.chipotle.description import ChipotleDescription
from lit_airflow.networks.chipotle.setup_checks import check_gate_key

log = logging.getLogger(__name__)


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

    def gate_key(self, deadline: Deadline) -> str:
        """Return what data is sealed to: the key in the description, else the newest gate's, asked for once.

        Raises:
            LitError: There is none, the service does not answer, or answers with another key.
        """
        if self.description.gate_key:
            return self.description.gate_key
        with self._learning:
            if not self._asked:
                credentials = self.credentials()
                registered = credentials.newest_gate()
                entry = credentials.gate(registered)
                asked = gate_runs.ask_key(self.api, credentials.api_key, entry.text(), deadline)
                check_gate_key(asked, registered, entry.version)
                log.warning(
                    "The gate was asked for its key. Set gate_key to %s in the connection.", registered
                )
                self._asked = registered
            return self._asked

"""5, across DAGs: Ticket -> Vault KV -> Ticket: sessions that are published under a name.

The same tickets as cross XCom, under the same seal. Vault's policies say who may publish and who may fetch, and a
KV engine of version 2 deletes a ticket when its session ends.

Source: design of this package, ``docs/adr/0013-named-sessions-in-vault.md``.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from lit_airflow.clock import parse_iso
from lit_airflow.errors import SecretNotFoundError, SettingsError, TicketError

if TYPE_CHECKING:
    from lit_airflow.handoff.ticket import Ticket
    from lit_airflow.keys.vault import Vault

_FIELD = "ticket"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")


def checked_name(name: str) -> str:
    """The name, if a session may be published under it.

    Raises:
        SettingsError: It may not. A name is one segment of a path in Vault, and never a way out of its folder.
    """
    if not _NAME.fullmatch(name):
        raise SettingsError(
            f"A session cannot have the name {name[:60]!r}.",
            field="name",
            hint="Up to 100 letters, digits, and _ . - after the first.",
        )
    return name


@dataclass(frozen=True, slots=True)
class PublishedSessions:
    """A folder of tickets in Vault.

    Attributes:
        vault: The server, as this role sees it.
        mount: The KV engine's mount.
        folder: Below it.
        kv_version: The engine's.
    """

    vault: Vault
    mount: str
    folder: str
    kv_version: int

    def publish(self, name: str, ticket: Ticket, now: datetime) -> None:
        """Put a ticket under a name, in place of the one before, for as long as its session lasts.

        Raises:
            SettingsError: No such name is possible.
            SecretError: Vault cannot be used, or this role may not publish.
        """
        self.vault.write(
            mount=self.mount,
            path=self._path(name),
            entry={_FIELD: json.dumps(ticket, separators=(",", ":"))},
            kv_version=self.kv_version,
            lasts_s=(parse_iso(ticket["expires_at"]) - now).total_seconds(),
        )

    def fetch(self, name: str) -> object | None:
        """What is published under a name, unchecked; ``None`` if nothing is, or no longer.

        Raises:
            SettingsError: No such name is possible.
            TicketError: What lies there is no JSON.
            SecretError: Vault cannot be used, or this role may not fetch.
        """
        try:
            found = self.vault.read(
                mount=self.mount, path=self._path(name), field=_FIELD, kv_version=self.kv_version
            )
        except SecretNotFoundError:
            return None
        try:
            ticket: object = json.loads(found.reveal())
        except ValueError:
            raise TicketError(
                f"What is published as {name!r} is no ticket.", hint="Run the task that publishes it again."
            ) from None
        return ticket

    def _path(self, name: str) -> str:
        return f"{self.folder.strip('/')}/{checked_name(name)}"

"""Sessions published under a name: tickets in a folder of Vault's KV engine.

The same tickets as cross XCom, under the same seal. Vault's policies say which roles may publish and fetch,
and a KV engine of version 2 deletes a ticket when its session ends.

Source: ``docs/adr/0013-named-sessions-in-vault.md``.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from lit_airflow.clock import parse_iso
from lit_airflow.errors import SecretNotFoundError, SettingsError, TicketError
from lit_airflow.json_input import JsonInputError, parse
from lit_airflow.keys.secret import Secret
from lit_airflow.text import quoted

if TYPE_CHECKING:
    from lit_airflow.handoff.ticket import Ticket
    from lit_airflow.keys.vault import Vault

_FIELD = "ticket"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")


def checked_name(name: str) -> str:
    """Return a name if a session may be published under it.

    Raises:
        SettingsError: It may not: a name is one segment of a path in Vault, and must not lead out of its folder.
    """
    if not _NAME.fullmatch(name):
        raise SettingsError(
            f"A session cannot be published as {quoted(name)}.",
            field="name",
            hint="Use up to 100 letters, digits, '_', '.' and '-', beginning with a letter or a digit.",
        )
    return name


@dataclass(frozen=True, slots=True)
class TicketStore:
    """A folder of tickets in Vault.

    Attributes:
        vault: The server, as this role sees it.
        mount: The KV engine's mount.
        folder: The folder below it.
        kv_version: The engine's.
    """

    vault: Vault
    mount: str
    folder: str
    kv_version: int

    def publish(self, name: str, ticket: Ticket, now: datetime) -> None:
        """Put a ticket under a name, in place of the one before, for as long as its session lasts.

        Raises:
            SettingsError: The name is not possible.
            SecretError: Vault cannot be used, or this role may not publish.
        """
        self.vault.write_secret(
            mount=self.mount,
            path=self._path(name),
            entry={_FIELD: Secret(json.dumps(ticket, separators=(",", ":")).encode())},
            kv_version=self.kv_version,
            ttl_s=(parse_iso(ticket["expires_at"]) - now).total_seconds(),
        )

    def fetch(self, name: str) -> object | None:
        """Return what is published under a name, unchecked; ``None`` if nothing is, or no longer.

        Raises:
            SettingsError: The name is not possible.
            TicketError: It is not JSON.
            SecretError: Vault cannot be used, or this role may not fetch.
        """
        try:
            found = self.vault.read_secret(
                mount=self.mount, path=self._path(name), field=_FIELD, kv_version=self.kv_version
            )
        except SecretNotFoundError:
            return None
        try:
            ticket: object = parse(found)
            return ticket  # noqa: TRY300 - as it was parsed
        except JsonInputError:
            raise TicketError(
                f"What is published as {name!r} is not a ticket.",
                hint="Run the task that publishes it again.",
            ) from None

    def _path(self, name: str) -> str:
        return f"{self.folder.strip('/')}/{checked_name(name)}"

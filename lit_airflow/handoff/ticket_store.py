"""Sessions published under a name: tickets in a folder of Vault's KV engine.

The same tickets as cross XCom, under the same seal. Vault's policies say which roles may publish and fetch,
and a KV engine of version 2 deletes a ticket when its session ends.

Source: ``docs/adr/0013-named-sessions-in-vault.md``.
"""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from lit_airflow.clock import parse_iso
from lit_airflow.errors import SecretNotFoundError, VaultUnavailableError
from lit_airflow.handoff.names import checked_name
from lit_airflow.json_input import try_parse
from lit_airflow.keys.secret import Secret
from lit_airflow.keys.vault import Version
from lit_airflow.text import quoted

if TYPE_CHECKING:
    from lit_airflow.handoff.ticket import Ticket
    from lit_airflow.keys.vault import Vault

log = logging.getLogger(__name__)

_FIELD = "ticket"
_TRIES = 5
_SHORTEST_S = 2.0
_LONG_AGO = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Published:
    """What is published under a name.

    Attributes:
        ticket: Whatever is there, unchecked: JSON, or an empty text if it is none; ``None`` if nothing is.
        version: Which version of the secret it is.
    """

    ticket: object | None
    version: Version


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

    def publish(self, name: str, ticket: Ticket, now: datetime, *, replaces: Published | None = None) -> bool:
        """Put a ticket under a name for as long as its session lasts.

        Where several tasks publish at the same time, the ticket that ends last stays. A KV engine of version 1 does
        not tell that they do; there, the last one that is written stays.

        Args:
            name: The name.
            ticket: The ticket.
            now: The time.
            replaces: What :meth:`read` returned, which the ticket may replace; whatever is there now if ``None``.

        Returns:
            Whether it is published; ``False`` if another was meanwhile, and ends later.

        Raises:
            SettingsError: The name is not possible.
            SecretError: Vault cannot be used, or this role may not publish.
        """
        before = self.read(name) if replaces is None else replaces
        ttl_s = (parse_iso(ticket["expires_at"]) - now).total_seconds()
        for _ in range(_TRIES):
            written = self.vault.write_secret(
                mount=self.mount,
                path=self._path(name),
                entry={_FIELD: Secret(json.dumps(ticket, separators=(",", ":")).encode())},
                kv_version=self.kv_version,
                ttl_s=ttl_s,
                replaces=before.version,
            )
            if written is None:
                before = self.read(name)
                if _end(before.ticket) >= _end(ticket):
                    return False
            elif written.lasts_s is None or written.lasts_s > ttl_s - _SHORTEST_S:
                return True
            else:  # another task set the lifetime of its own session between the two requests
                before = Published(ticket, written)
        if written is None:
            raise VaultUnavailableError(
                f"Other tasks keep publishing sessions as {quoted(name)}.",
                hint="Let one task publish under a name.",
            )
        log.warning(
            "Vault deletes the session %s %.0f s after now, before it ends.", quoted(name), written.lasts_s
        )
        return True

    def fetch(self, name: str) -> object | None:
        """Return what is published under a name, unchecked; ``None`` if nothing is, or no longer.

        Raises:
            LitError: As :meth:`read`.
        """
        return self.read(name).ticket

    def read(self, name: str) -> Published:
        """Return what is published under a name, unchecked, and which version it is.

        Raises:
            SettingsError: The name is not possible.
            SecretError: Vault cannot be used, or this role may not fetch.
        """
        found, version = self._found(name)
        if found is None:
            return Published(None, version)
        ticket = try_parse(found)
        return Published("" if ticket is None else ticket, version)

    def _found(self, name: str) -> tuple[Secret | None, Version]:
        where = {"mount": self.mount, "path": self._path(name), "field": _FIELD}
        try:
            if self.kv_version != 1:
                return self.vault.read_version(**where)
            return self.vault.read_secret(**where, kv_version=1), Version(0)
        except SecretNotFoundError:
            return None, Version(0)

    def _path(self, name: str) -> str:
        return f"{self.folder.strip('/')}/{checked_name(name)}"


def _end(ticket: object) -> datetime:
    """Return when a ticket ends, by its own word; long ago if it is not a ticket."""
    try:
        return parse_iso(ticket["expires_at"]) if isinstance(ticket, dict) else _LONG_AGO
    except (KeyError, TypeError, ValueError):
        return _LONG_AGO

"""All fields of one secret in Vault, read and replaced as a whole.

With check-and-set: what somebody else has written meanwhile is never overwritten. So the KV engine must be of
version 2.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lit_airflow.errors import SecretNotFoundError, SettingsError
from lit_airflow.keys.secret import Secret
from lit_airflow.keys.vault_answers import Version

if TYPE_CHECKING:
    from lit_airflow.keys.vault import Vault

NOTHING = Secret(b"{}")


@dataclass(frozen=True, slots=True)
class VaultFields:
    """One secret.

    Attributes:
        vault: The server, as one role sees it.
        mount: The KV engine's mount.
        path: The secret's path below it.
        on_read: Called with what was read, a JSON object: to mask it in logs.
    """

    vault: Vault
    mount: str
    path: str
    on_read: Callable[[Secret], None] = lambda _fields: None

    @property
    def where(self) -> str:
        """The secret's place, for messages."""
        return f"{self.mount}/{self.path}"

    def read(self) -> tuple[Secret, Version]:
        """Return the fields as a JSON object, and their version; an empty object and 0 where there is no secret.

        Raises:
            SettingsError: The secret was deleted: to write another in its place could be a mistake.
            SecretError: Vault cannot be used, or this role may not read it.
        """
        try:
            fields, version = self.vault.read_fields_version(mount=self.mount, path=self.path)
        except SecretNotFoundError:
            return NOTHING, Version(0)
        if fields == NOTHING:
            raise SettingsError(
                f"The secret {self.where} was deleted.",
                field="path",
                hint="Restore it with `bao kv undelete`, or remove it for good with `bao kv metadata delete`.",
            )
        self.on_read(fields)
        return fields, version

    def write(self, fields: Mapping[str, Secret], replaces: Version) -> bool:
        """Write all fields; return whether they were written.

        Args:
            fields: The fields, UTF-8.
            replaces: The version that :meth:`read` returned. If another one is there, nothing is written.

        Raises:
            SecretError: Vault cannot be used, or this role may not write it.
        """
        written = self.vault.write_secret(mount=self.mount, path=self.path, entry=fields, replaces=replaces)
        return written is not None

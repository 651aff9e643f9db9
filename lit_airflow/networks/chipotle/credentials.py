"""What decrypting roles read from Vault: the API key, each gate's version and salt, each lock's secret half.

    {"api_key": text, "gates": {public key: {"version": 1, "salt": hex}}, "locks": {public key: hex}}

``gates`` and ``locks`` may also be JSON texts, since Vault's command line writes texts. Old entries stay for as
long as their containers.

Source: docs/protocol/gate.md#who-holds-what.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lit_airflow.errors import CredentialsError, LitError, SecretNotFoundError, SettingsError
from lit_airflow.json_input import JsonInputError, parse
from lit_airflow.keys.secret import Secret
from lit_airflow.networks.chipotle.description import API_KEY_FIELD
from lit_airflow.networks.chipotle.gates import deployment_text
from lit_airflow.networks.chipotle.sealing import checked_key, public_key_of
from lit_airflow.text import quoted

_VERSION = re.compile(r"[0-9]{1,9}")
_HEX_32 = re.compile(r"[0-9a-f]{64}")
_API_KEY = re.compile(r"[!-~]{1,512}")
_OTHER = "The container was made for another deployment, or the entry was removed."
_WITHOUT_VAULT = "Where no Vault is used, as in a shell, the network description needs gates and locks."


@dataclass(frozen=True, slots=True)
class GateEntry:
    """Which text a gate has.

    Attributes:
        version: Of the template.
        salt: 64 hex digits; the line that makes the text this deployment's own. Who has it can compute the CID.
    """

    version: int
    salt: Secret

    def text(self) -> Secret:
        """Return the gate's text, which contains the salt.

        Raises:
            SettingsError: This package does not ship the version.
        """
        return Secret(deployment_text(self.version, self.salt.reveal().decode()).encode())


@dataclass(frozen=True, slots=True)
class Credentials:
    """The secret of decrypting roles.

    Attributes:
        api_key: What runs are paid with; it opens nothing.
        gates: Public key -> which text has it.
        locks: Public key -> the lock's secret half, 32 bytes.
        where: The path it was read from, for messages.
    """

    api_key: Secret
    gates: Mapping[str, GateEntry]
    locks: Mapping[str, Secret]
    where: str

    @classmethod
    def parse(
        cls, entry: Mapping[str, Any], *, where: str, api_key_field: str = API_KEY_FIELD
    ) -> Credentials:
        """Read the fields of the secret.

        Args:
            entry: The fields.
            where: The path it was read from, for messages.
            api_key_field: Which field has the API key.

        Raises:
            SecretNotFoundError: There is no ``api_key``.
            CredentialsError: A field has not the form that it needs. Names the field, never its value.
        """
        try:
            return cls._read(entry, where, api_key_field)
        except LitError as error:
            problem = error.with_traceback(None)
        del entry  # no frame of the error may hold a secret
        raise problem

    @classmethod
    def _read(cls, entry: Mapping[str, Any], where: str, api_key_field: str) -> Credentials:
        api_key = read_api_key(entry, where, api_key_field)
        if api_key is None:
            raise SecretNotFoundError(
                f"{where} has no field {quoted(api_key_field)}.",
                hint="`lit-airflow chipotle setup` prepares an account and puts its API key there.",
            )
        return cls(api_key, read_gates(entry, where), read_locks(entry, where), where)

    def gate(self, public_key: str) -> GateEntry:
        """Return which text has a public key.

        Raises:
            SecretNotFoundError: It is not listed. Send nothing then: a foreign text would be handed a session.
        """
        found = self.gates.get(public_key)
        if found is None:
            raise SecretNotFoundError(
                f"{self.where} does not list the gate {public_key} under 'gates'.",
                hint=_OTHER if self.gates else f"{_OTHER} {_WITHOUT_VAULT}",
            )
        return found

    def lock(self, public_key: str) -> Secret:
        """Return the secret half of a lock.

        Raises:
            SecretNotFoundError: It is not listed.
        """
        found = self.locks.get(public_key)
        if found is None:
            raise SecretNotFoundError(
                f"{self.where} does not list the lock {public_key} under 'locks'.",
                hint=_OTHER,
            )
        return found

    def newest_gate(self) -> str:
        """Return the public key of the gate with the highest version, of several the one listed last.

        Raises:
            SecretNotFoundError: No gate is listed.
        """
        if not self.gates:
            raise SecretNotFoundError(
                f"{self.where} lists no gate.",
                hint=f"`lit-airflow chipotle setup` makes one. {_WITHOUT_VAULT}",
            )
        return max(reversed([*self.gates]), key=lambda public_key: self.gates[public_key].version)


def read_api_key(entry: Mapping[str, Any], where: str, field: str = API_KEY_FIELD) -> Secret | None:
    """Return the API key; ``None`` where there is none yet.

    Raises:
        CredentialsError: It cannot be a key.
    """
    api_key = entry.get(field)
    if api_key is None or api_key == "":
        return None
    if not isinstance(api_key, str) or not _API_KEY.fullmatch(api_key):
        del entry, api_key
        raise _malformed(where, field, "must be a text of printable ASCII without blanks")
    return Secret(api_key.encode())


def read_gates(entry: Mapping[str, Any], where: str) -> dict[str, GateEntry]:
    """Return which text each gate has, by its public key.

    Raises:
        CredentialsError: ``gates`` is malformed.
    """
    return {key: gate_entry(row, f"gates.{key}", where) for key, row in _table(entry, "gates", where).items()}


def read_locks(entry: Mapping[str, Any], where: str) -> dict[str, Secret]:
    """Return the secret half of each lock, by its public key.

    Raises:
        CredentialsError: ``locks`` is malformed.
    """
    return {key: _lock(key, value, where) for key, value in _table(entry, "locks", where).items()}


def _table(entry: Mapping[str, Any], field: str, where: str) -> Mapping[str, Any]:
    table = entry.get(field)
    if isinstance(table, str):
        try:
            table = parse(table) if table.strip() else None
        except JsonInputError:
            raise _malformed(where, field, "is a text, but not JSON") from None
    if table is None:
        return {}
    if not isinstance(table, Mapping):
        raise _malformed(where, field, "must be an object whose keys are public keys")
    for key in table:
        try:
            checked_key(key, field)
        except SettingsError:
            raise _malformed(where, field, "has a key that is not 64 lower-case hex digits") from None
    return table


def gate_entry(row: object, field: str, where: str) -> GateEntry:
    """Read which text a gate has.

    Raises:
        CredentialsError: It is malformed.
    """
    fields = row if isinstance(row, Mapping) else {}
    version, salt = fields.get("version"), fields.get("salt")
    if isinstance(version, str) and _VERSION.fullmatch(version):
        version = int(version)
    if type(version) is not int or version < 1:
        raise _malformed(where, f"{field}.version", "must be a positive whole number")
    if not isinstance(salt, str) or not _HEX_32.fullmatch(salt):
        raise _malformed(where, f"{field}.salt", "must be 64 lower-case hex digits")
    return GateEntry(version, Secret(salt.encode()))


def _lock(public_key: str, value: object, where: str) -> Secret:
    field = f"locks.{public_key}"
    if not isinstance(value, str) or not _HEX_32.fullmatch(value):
        raise _malformed(where, field, "must be 64 lower-case hex digits")
    secret = Secret(bytes.fromhex(value))
    if public_key_of(secret) != public_key:
        raise _malformed(where, field, "is not the secret half of the public key that it stands under")
    return secret


def _malformed(where: str, field: str, what: str) -> CredentialsError:
    return CredentialsError(f"{where}: {field} {what}.", hint="Correct the secret in Vault.")

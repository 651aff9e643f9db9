"""The secret of decrypting roles as set-up and rotation change it.

Beside what decrypting roles read (:mod:`lit_airflow.networks.chipotle.credentials`) it has what a later run needs
to continue after a crash:

    {"pending_gate": {"version": 1, "salt": hex},
     "rotation": {"tag": text, "group": 1, "draining": {hash of a key: Unix seconds}}}

``pending_gate`` is a gate whose text was drawn and whose key is not known yet. ``tag`` marks the names of the
deployment's keys and group. Tables are written as JSON texts. Unknown fields are kept.

Source: docs/protocol/gate.md#who-holds-what; docs/protocol/chipotle.md#names-of-keys.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from lit_airflow.clock import LAST_SECOND
from lit_airflow.errors import CredentialsError, LitError
from lit_airflow.json_input import JsonInputError, parse_object
from lit_airflow.keys.secret import Secret
from lit_airflow.networks.chipotle.cid import cid_v0
from lit_airflow.networks.chipotle.credentials import (
    Credentials,
    GateEntry,
    gate_entry,
    read_api_key,
    read_gates,
    read_locks,
)
from lit_airflow.networks.chipotle.identifiers import key_hash
from lit_airflow.networks.chipotle.usage_key_name import is_tag

_GATES, _LOCKS, _PENDING, _ROTATION = "gates", "locks", "pending_gate", "rotation"


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """One deployment's secret.

    Attributes:
        where: The secret's place, for messages.
        api_key_field: The field with the API key.
        api_key: The API key; ``None`` until set-up has finished.
        gates: Public key -> which text has it.
        locks: Public key -> the secret half, 32 bytes.
        pending: A gate whose key is not known yet.
        tag: Marks the names of keys and group; empty until set-up has begun.
        group: The number of the gates' group; 0 until set-up has finished.
        draining: Hash of a replaced key -> until when tasks may be using it.
        others: Fields of other programs.
    """

    where: str
    api_key_field: str
    api_key: Secret | None = None
    gates: Mapping[str, GateEntry] = field(default_factory=dict)
    locks: Mapping[str, Secret] = field(default_factory=dict)
    pending: GateEntry | None = None
    tag: str = ""
    group: int = 0
    draining: Mapping[str, datetime] = field(default_factory=dict)
    others: Mapping[str, Secret] = field(default_factory=dict)

    @classmethod
    def parse(cls, secret: Secret, *, where: str, api_key_field: str) -> Deployment:
        """Read the secret.

        Args:
            secret: Its fields, a JSON object.
            where: Its place, for messages.
            api_key_field: The field with the API key.

        Raises:
            CredentialsError: A field is malformed. Names the field, never its value.
        """
        try:
            return cls._read(parse_object(secret), where, api_key_field)
        except LitError as error:
            problem = error.with_traceback(None)
        except JsonInputError:
            problem = CredentialsError(f"{where} is not a JSON object.")
        except UnicodeEncodeError:
            problem = CredentialsError(f"{where}: a field contains an unpaired surrogate.")
        raise problem

    @classmethod
    def _read(cls, entry: Mapping[str, Any], where: str, api_key_field: str) -> Deployment:
        rotation = _table(entry, _ROTATION, where)
        tag, group, draining = (rotation.get(name) for name in ("tag", "group", "draining"))
        if not (
            (tag in (None, "") or is_tag(tag))
            and (group is None or (type(group) is int and group >= 0))
            and (draining is None or _are_times(draining))
        ):
            raise CredentialsError(
                f"{where}: {_ROTATION} is malformed.",
                hint="Remove the field; `lit-airflow chipotle setup` writes it again.",
            )
        pending = _table(entry, _PENDING, where)
        ours = {api_key_field, _GATES, _LOCKS, _PENDING, _ROTATION}
        return cls(
            where=where,
            api_key_field=api_key_field,
            api_key=read_api_key(entry, where, api_key_field),
            gates=read_gates(entry, where),
            locks=read_locks(entry, where),
            pending=gate_entry(pending, _PENDING, where) if pending else None,
            tag=tag or "",
            group=group or 0,
            draining={
                hashed: datetime.fromtimestamp(until, UTC) for hashed, until in (draining or {}).items()
            },
            others={name: _as_text(value) for name, value in entry.items() if name not in ours},
        )

    @property
    def api_key_hash(self) -> str:
        """The API key's id on the chain; empty while there is none."""
        return "" if self.api_key is None else key_hash(self.api_key.reveal().decode())

    def entries(self) -> list[GateEntry]:
        """Return all gates, a pending one included."""
        return [*self.gates.values(), *([self.pending] if self.pending else [])]

    def cid_hashes(self) -> list[str]:
        """Return the ids on the chain of all gates' CIDs, a pending one's included."""
        return [key_hash(cid_of(entry)) for entry in self.entries()]

    def in_use(self, now: datetime) -> set[str]:
        """Return the hashes of keys that tasks may be using."""
        used = {hashed for hashed, until in self.draining.items() if until > now}
        return used | {self.api_key_hash} - {""}

    def credentials(self, api_key: Secret) -> Credentials:
        """Return what decrypting roles would read with this API key."""
        return Credentials(api_key, self.gates, self.locks, self.where)

    def fields(self) -> dict[str, Secret]:
        """Return the secret's fields, to be written."""
        rotation = {
            "tag": self.tag,
            "group": self.group,
            "draining": {hashed: int(until.timestamp()) for hashed, until in self.draining.items()},
        }
        found = {
            **self.others,
            _GATES: _as_text({key: _row(entry) for key, entry in self.gates.items()}),
            _LOCKS: _as_text({key: secret.reveal().hex() for key, secret in self.locks.items()}),
            _ROTATION: _as_text(rotation),
        }
        if self.api_key is not None:
            found[self.api_key_field] = self.api_key
        if self.pending is not None:
            found[_PENDING] = _as_text(_row(self.pending))
        return found


def cid_of(entry: GateEntry) -> str:
    """Return the CID of a gate's text, which only the deployment can compute."""
    return cid_v0(entry.text().reveal().decode())


def _row(entry: GateEntry) -> dict[str, Any]:
    return {"version": entry.version, "salt": entry.salt.reveal().decode()}


def _as_text(value: object) -> Secret:
    return Secret((value if isinstance(value, str) else json.dumps(value)).encode())


def _table(entry: Mapping[str, Any], name: str, where: str) -> Mapping[str, Any]:
    given = entry.get(name)
    if given in (None, ""):
        return {}
    try:
        return given if isinstance(given, Mapping) else parse_object(given)
    except (JsonInputError, AttributeError):
        problem = CredentialsError(
            f"{where}: {name} must be a JSON object.", hint="Correct the secret in Vault."
        )
    del entry, given
    raise problem


def _are_times(draining: object) -> bool:
    return isinstance(draining, Mapping) and all(
        isinstance(hashed, str) and type(until) is int and 0 <= until <= LAST_SECOND
        for hashed, until in draining.items()
    )

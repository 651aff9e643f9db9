"""A container: a ciphertext, the hash of its data, the conditions it was encrypted under, and its network.

A JSON object. ``network`` names the network that it is for; containers without it come from the JS SDK or from
an earlier version of this package, and are Datil's. What else is in it is for that network's generation to
read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from lit_airflow.errors import CiphertextError
from lit_airflow.protocol.conditions import Conditions
from lit_airflow.protocol.scope import Scope
from lit_airflow.text import quoted


@dataclass(frozen=True, slots=True)
class Container:
    """One container, its conditions parsed.

    Attributes:
        fields: The object itself; it may lack the conditions where they were given apart.
        conditions: The conditions that it was encrypted under.
    """

    fields: Mapping[str, Any] = field(repr=False)
    conditions: Conditions

    @classmethod
    def parse(cls, source: Mapping[str, Any], *, default_chain: str | None = None) -> Container:
        """Read a container that carries its conditions.

        Args:
            source: The JSON object.
            default_chain: Used where ``source`` has no ``chain``.

        Raises:
            ConditionError: It has no conditions, or they have no canonical form.
        """
        return cls(source, Conditions.parse(source, default_chain=default_chain))

    @property
    def network(self) -> str:
        """The network that it names; empty if it names none."""
        found = self.fields.get("network")
        return found if isinstance(found, str) else ""

    def check_network(self, name: str, *, unnamed: bool = False) -> None:
        """Return nothing if it is for this network.

        Args:
            name: The network.
            unnamed: Whether a container that names no network is this network's too.

        Raises:
            CiphertextError: It is for another network.
        """
        if self.network == name or (unnamed and not self.network):
            return
        named = (
            f"for the network {quoted(self.network)}"
            if self.network
            else "for a Datil network (it names none)"
        )
        raise CiphertextError(
            f"This container was encrypted {named}, not for {quoted(name)}.",
            hint="Use a connection to the network that it was encrypted for.",
        )

    def scope(self) -> Scope:
        """Return the narrowest scope that decrypts it, by the hashes of its conditions and its data.

        Raises:
            CiphertextError: It has no ``dataToEncryptHash``.
            ConditionError: The hash is not the hex of a SHA-256, or the conditions cannot be hashed.
        """
        data_hash = self.fields.get("dataToEncryptHash")
        if not isinstance(data_hash, str):
            raise CiphertextError("The container has no dataToEncryptHash.")
        return Scope.to_decrypt(self.conditions.resource_id(data_hash))

    def to_json(self) -> dict[str, Any]:
        """Return the object with its conditions, as it is written to files."""
        return {**self.fields, **self.conditions.to_json()}

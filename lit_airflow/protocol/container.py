"""Containers: JSON objects with a ciphertext, the hash of its data, its conditions and its network.

``network`` names the network. Containers without it were made by the JS SDK or by an earlier version of this
package, for a Datil network. The generation of the network defines all other fields.
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
    """A container with parsed conditions.

    Attributes:
        fields: The object. It may lack the conditions if they were given separately.
        conditions: The conditions that the data was encrypted for.
    """

    fields: Mapping[str, Any] = field(repr=False)
    conditions: Conditions

    @classmethod
    def parse(cls, source: Mapping[str, Any], *, default_chain: str | None = None) -> Container:
        """Read a container that contains its conditions.

        Args:
            source: The JSON object.
            default_chain: Used if ``source`` has no ``chain``.

        Raises:
            ConditionError: It has no conditions, or they have no canonical form.
        """
        return cls(source, Conditions.parse(source, default_chain=default_chain))

    @property
    def network(self) -> str:
        """The network that the container names; empty if it names none."""
        found = self.fields.get("network")
        return found if isinstance(found, str) else ""

    def check_network(self, name: str, *, unnamed: bool = False) -> None:
        """Check that the container is for a network.

        Args:
            name: The network.
            unnamed: Whether to accept a container that names no network.

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
        """Return the narrowest scope that decrypts the container, from the hashes of its conditions and data.

        Raises:
            CiphertextError: The container has no ``dataToEncryptHash``.
            ConditionError: The hash is not the hex of a SHA-256, or the conditions have no hash.
        """
        data_hash = self.fields.get("dataToEncryptHash")
        if not isinstance(data_hash, str):
            raise CiphertextError(
                "The container has no dataToEncryptHash.",
                hint="Give what encrypt or the SDK returned, unchanged.",
            )
        return Scope.to_decrypt(self.conditions.resource_id(data_hash))

    def to_json(self) -> dict[str, Any]:
        """Return the object including its conditions, for writing to a file."""
        return {**self.fields, **self.conditions.to_json()}

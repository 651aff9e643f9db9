"""A login to Vault with a token from the environment, for the command line; tasks log in through a connection.

The variables are those of Vault's own program and of OpenBao's: ``VAULT_ADDR`` or ``BAO_ADDR``, ``VAULT_TOKEN`` or
``BAO_TOKEN``, ``VAULT_NAMESPACE`` or ``BAO_NAMESPACE``. Certificates are found as hvac finds them, in
``VAULT_CACERT`` and others.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import TYPE_CHECKING

from lit_airflow.errors import SettingsError
from lit_airflow.keys.secret import Secret

if TYPE_CHECKING:
    import hvac

_PREFIXES = ("VAULT_", "BAO_")


class TokenLogin:
    """Uses one token.

    Args:
        environment: Where the variables are.
        timeout_s: Seconds that one request may take.

    Raises:
        SettingsError: The address or the token is missing.
    """

    def __init__(self, environment: Mapping[str, str], *, timeout_s: float) -> None:
        self.where, self._url = _found(environment, "ADDR")
        name, token = _found(environment, "TOKEN")
        self.settings = f"the environment ({self.where}, {name})"
        self._token = Secret(token.encode())
        self._namespace = next(
            (environment[p + "NAMESPACE"] for p in _PREFIXES if p + "NAMESPACE" in environment), None
        )
        self._timeout_s = timeout_s

    @functools.cached_property
    def _client(self) -> hvac.Client:
        import hvac  # noqa: PLC0415 - kept out of DAG parsing

        token = self._token.reveal().decode()
        return hvac.Client(
            url=self._url,
            token=token,
            namespace=self._namespace,
            timeout=self._timeout_s,
        )

    def client(self) -> hvac.Client:
        """Return the client."""
        return self._client

    def again(self) -> hvac.Client:
        """Return the same client: there is no other token."""
        return self._client


def _found(environment: Mapping[str, str], name: str) -> tuple[str, str]:
    """Return the name and the value of a variable."""
    for prefix in _PREFIXES:
        if found := environment.get(prefix + name, "").strip():
            return prefix + name, found
    raise SettingsError(
        f"Neither VAULT_{name} nor BAO_{name} is set.",
        field=f"VAULT_{name}",
        hint="Set the server's address and a token that may write the secrets, as for the program vault or bao.",
    )

"""Which error a failed request to Vault is.

Source: the status codes of Vault's HTTP API, and the texts of its errors where a status has several meanings.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from lit_airflow.errors import (
    LitError,
    SecretNotFoundError,
    TicketError,
    VaultDeniedError,
    VaultUnavailableError,
)

if TYPE_CHECKING:
    import hvac.exceptions


@dataclass(frozen=True, slots=True)
class Failure:
    """A request that failed.

    Attributes:
        server: The server's name in messages.
        settings: What names the server, and how to log in: where a user corrects it.
        what: The path that was requested.
        verb: What the role wanted to do with it.
    """

    server: str
    settings: str
    what: str
    verb: str

    def error(self, error: Exception) -> LitError:
        """Return the typed error for an exception of hvac, requests or the file system."""
        import hvac.exceptions as vault  # noqa: PLC0415 - kept out of DAG parsing

        if isinstance(error, OSError):
            return self._unreachable(error)
        if isinstance(error, vault.VaultDown | vault.VaultNotInitialized | vault.BadGateway):
            return VaultUnavailableError(
                f"Vault ({self.server}) is sealed or in standby.", hint="Unseal it, or wait."
            )
        if isinstance(error, vault.RateLimitExceeded):
            return VaultUnavailableError(
                f"Vault ({self.server}) limits the rate of requests.",
                hint="Run fewer tasks at once, or raise the server's rate-limit quota.",
            )
        if isinstance(error, vault.InternalServerError | vault.PreconditionFailed | vault.UnexpectedError):
            return VaultUnavailableError(
                f"Vault ({self.server}) failed at {self.what}.", hint="See the server's log, and try again."
            )
        if isinstance(error, vault.InvalidPath | vault.InvalidRequest | vault.UnsupportedOperation):
            return self._refused(error)
        return VaultDeniedError(
            f"Vault ({self.server}) does not allow this role to {self.verb} {self.what}, or refuses its login.",
            hint="Check the role's policy, and that its credentials have not expired.",
        )

    def unexpected(self) -> LitError:
        """Return the error for an answer without the fields that Vault's API has."""
        return VaultUnavailableError(
            f"The answer of Vault ({self.server}) at {self.what} is not one of Vault's API.",
            hint=f"Check host and port in {self.settings}, and any proxy between.",
        )

    def _unreachable(self, error: OSError) -> LitError:
        import requests  # noqa: PLC0415 - kept out of DAG parsing

        if not isinstance(error, requests.RequestException):
            return VaultDeniedError(
                f"A file for the login to Vault ({self.server}) cannot be read ({error.strerror}).",
                hint=f"Check the paths of tokens and certificates in {self.settings}, on this machine.",
            )
        if isinstance(error, requests.exceptions.InvalidHeader):
            return VaultDeniedError(
                f"The token for Vault ({self.server}) contains a character that no token has, like a line break.",
                hint="Store the token alone.",
            )
        if isinstance(error, requests.exceptions.SSLError):
            return VaultUnavailableError(
                f"The TLS handshake with Vault ({self.server}) failed.",
                hint=f"Check TLS in {self.settings}, and the server's certificate. client_kwargs.verify of a "
                "connection, or VAULT_CACERT, names the file of a private root certificate.",
            )
        return VaultUnavailableError(
            f"Vault ({self.server}) cannot be reached ({type(error).__name__}).",
            hint=f"Check host, port and TLS in {self.settings}.",
        )

    def _refused(self, error: hvac.exceptions.VaultError) -> LitError:
        """Return what a status 400, 404 or 405 is about: the login, a path, a Transit key or a ciphertext."""
        import hvac.exceptions as vault  # noqa: PLC0415 - kept out of DAG parsing

        if "to an HTTPS server" in (error.text or ""):
            return VaultUnavailableError(
                f"Vault ({self.server}) expects TLS, but the request used none.",
                hint=f"Switch TLS on in {self.settings}: use_tls in a connection, https in an address.",
            )
        if "/v1/auth/" in (error.url or ""):
            return VaultDeniedError(
                f"Vault ({self.server}) refuses this role's login.",
                hint=f"Check the credentials in {self.settings}.",
            )
        if isinstance(error, vault.InvalidPath):
            return SecretNotFoundError(
                f"{self.what} does not exist in Vault ({self.server}).",
                hint=f"Check mount, path and KV version, and the server in {self.settings}.",
            )
        # Only the server's reasons: the exception's text also contains the URL, and so names that users chose.
        reasons = " ".join(error.errors or ())
        if "encryption key not found" in reasons:
            return SecretNotFoundError(
                f"Vault ({self.server}) has no Transit key for {self.what}.",
                hint="Check transit_key in the Lit connection.",
            )
        if "/decrypt/" not in self.what:
            return VaultDeniedError(
                f"Vault ({self.server}) refuses the request to {self.what}.",
                hint="Check mount, path and key type in the Lit connection.",
            )
        if "too old" in reasons:
            reason = "the version of its Transit key is below the minimum that Vault still decrypts"
        else:
            reason = "it was altered, or sealed under another key"
        return TicketError(
            f"The ticket cannot be opened: {reason}.",
            hint="Delete the XCom of the session task's last run, and run it again.",
        )


_PORTS = {"http": 80, "https": 443}


def named(error: Exception | None, where: str, url: str = "") -> str:
    """Return the server's name in messages, with its host and port as far as they are known.

    Args:
        error: What failed; often has the URL of its request.
        where: The server's name.
        url: The server's URL, for errors that have none.
    """
    request = getattr(error, "request", None)
    found = str(getattr(request, "url", None) or getattr(error, "url", None) or url)
    parts = urlsplit(found)
    host = parts.netloc.rpartition("@")[2]
    if not host:
        return where
    ported = re.search(r":\d+$", host) or parts.scheme not in _PORTS
    return f"{where}, {host}" if ported else f"{where}, {host}:{_PORTS[parts.scheme]}"

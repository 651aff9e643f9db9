"""2: Settings -> Secret: read the wallet's key, seal and open sessions, at any server with Vault's API.

The only edge where ``hvac``'s exceptions are wrapped. A token that Vault no longer takes is renewed once.

Source: HashiCorp's HTTP API for KV v1, KV v2 and Transit, which OpenBao shares.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from lit_airflow.errors import (
    LitError,
    SecretNotFoundError,
    TicketError,
    VaultDeniedError,
    VaultUnavailableError,
)
from lit_airflow.keys.secret import Secret

if TYPE_CHECKING:
    import hvac
    import hvac.exceptions

Result = TypeVar("Result")

_KV_V1 = 1


class Login(Protocol):
    """Whoever can log in to Vault."""

    @property
    def where(self) -> str:
        """What to call it in messages: a connection id or a URL."""
        ...

    def client(self) -> hvac.Client:
        """A client that is logged in; the same one as long as its token is not known to be bad."""
        ...

    def again(self) -> hvac.Client:
        """A client with a new token, if the present one is no longer taken."""
        ...


@dataclass(frozen=True, slots=True)
class Token:
    """What a Vault token is good for; not the token itself.

    Attributes:
        policies: Their names.
        left_s: Seconds until it ends; 0 for one that does not.
    """

    policies: tuple[str, ...]
    left_s: int


@dataclass(frozen=True, slots=True)
class Vault:
    """A Vault server, as one role sees it.

    Attributes:
        login: Who logs in.
    """

    login: Login

    def read(self, *, mount: str, path: str, field: str, kv_version: int = 2) -> Secret:
        """One field of one secret.

        Raises:
            SecretNotFoundError: Nothing at the path, or no such field, or it is empty.
            VaultDeniedError: This role may not read it, or cannot log in.
            VaultUnavailableError: Unreachable, sealed or too busy.
        """
        what = f"{mount}/{path}"

        def read(client: hvac.Client) -> dict[str, Any]:
            if kv_version == _KV_V1:
                return dict(client.secrets.kv.v1.read_secret(path=path, mount_point=mount)["data"])
            answer = client.secrets.kv.v2.read_secret_version(
                path=path, mount_point=mount, raise_on_deleted_version=True
            )
            return dict(answer["data"]["data"])

        found = self._run(read, what, "read").get(field)
        if not isinstance(found, str) or not found.strip():
            raise SecretNotFoundError(
                f"The secret {what} in {self.login.where} has no field {field!r} with a text.",
                hint="Check vault_field in the Lit connection.",
            )
        return Secret(found.encode())

    def write(
        self,
        *,
        mount: str,
        path: str,
        entry: Mapping[str, str],
        kv_version: int = 2,
        lasts_s: float | None = None,
    ) -> None:
        """Write one secret in place of what was there.

        Args:
            mount: The KV engine's mount.
            path: Below it.
            entry: The secret's fields.
            kv_version: The engine's; version 1 knows no expiry, so ``lasts_s`` does nothing there.
            lasts_s: Seconds after which Vault deletes it by itself; by default never.

        Raises:
            VaultDeniedError: This role may not write it, or set its metadata, or cannot log in.
            VaultUnavailableError: Unreachable, sealed or too busy.
            SecretNotFoundError: No such mount.
        """

        def write(client: hvac.Client) -> None:
            if kv_version == _KV_V1:
                client.secrets.kv.v1.create_or_update_secret(
                    path, dict(entry), method="PUT", mount_point=mount
                )
                return
            if lasts_s is not None:
                # Read when a version is written, so it is set before; a further version is never wanted back.
                client.secrets.kv.v2.update_metadata(
                    path,
                    max_versions=1,
                    delete_version_after=f"{max(1, int(lasts_s))}s",
                    mount_point=mount,
                )
            client.secrets.kv.v2.create_or_update_secret(path, dict(entry), mount_point=mount)

        self._run(write, f"{mount}/{path}", "write")

    def token(self) -> Token:
        """What this role's login gives.

        Raises:
            VaultDeniedError: It cannot log in, or the token may not look at itself (policy ``default`` lets it).
            VaultUnavailableError: Unreachable, sealed or too busy.
        """
        what = "auth/token/lookup-self"
        found = self._run(lambda client: dict(client.auth.token.lookup_self()["data"]), what, "read")
        return Token(tuple(found["policies"]), int(found["ttl"]))

    def seal(self, plaintext: bytes, bound: bytes, *, mount: str, key: str) -> str:
        """Encrypt with Transit.

        Args:
            plaintext: What to seal.
            bound: What opening must name again (Transit's ``associated_data``).
            mount: The Transit engine's mount.
            key: The Transit key's name; of an AEAD type, such as the default ``aes256-gcm96``.

        Raises:
            VaultDeniedError: This role may not encrypt with the key, or cannot log in.
            VaultUnavailableError: Unreachable, sealed or too busy.
            SecretNotFoundError: No such mount or key.
        """

        def encrypt(client: hvac.Client) -> str:
            answer = client.secrets.transit.encrypt_data(
                name=key, mount_point=mount, plaintext=_b64(plaintext), associated_data=_b64(bound)
            )
            return str(answer["data"]["ciphertext"])

        return self._run(encrypt, f"{mount}/encrypt/{key}", "use")

    def open(self, sealed: str, bound: bytes, *, mount: str, key: str) -> bytes:
        """Decrypt what :meth:`seal` made.

        Raises:
            TicketError: Altered, bound to something else, or sealed under another key or key version.
            VaultDeniedError: This role may not decrypt with the key, or cannot log in.
            VaultUnavailableError: Unreachable, sealed or too busy.
        """

        def decrypt(client: hvac.Client) -> bytes:
            answer = client.secrets.transit.decrypt_data(
                name=key, mount_point=mount, ciphertext=sealed, associated_data=_b64(bound)
            )
            return base64.b64decode(answer["data"]["plaintext"])

        return self._run(decrypt, f"{mount}/decrypt/{key}", "use")

    def ask(self, path: str) -> dict[str, Any]:
        """What an engine answers at a path, such as an account's address.

        Raises:
            SecretNotFoundError: There is nothing.
            VaultDeniedError: This role may not read it, or cannot log in.
            VaultUnavailableError: Unreachable, sealed or too busy.
        """

        def read(client: hvac.Client) -> dict[str, Any]:
            # Not client.read(): that takes a missing path for an empty answer.
            return _data(client.adapter.get(f"/v1/{path}"))

        return self._run(read, path, "read")

    def tell(self, path: str, entry: Mapping[str, str]) -> dict[str, Any]:
        """What an engine answers to an entry, such as a text to sign.

        Raises:
            SecretNotFoundError: There is nothing at the path.
            VaultDeniedError: The engine refuses, this role may not use it, or cannot log in.
            VaultUnavailableError: Unreachable, sealed or too busy, or the engine failed.
        """

        def write(client: hvac.Client) -> dict[str, Any]:
            return _data(client.write_data(path, data=dict(entry)))

        return self._run(write, path, "use")

    def _run(self, request: Callable[[hvac.Client], Result], what: str, verb: str) -> Result:
        """One request; if the token is refused, one login and one more request."""
        import hvac.exceptions  # noqa: PLC0415 - kept out of DAG parsing

        with self._edge(what, verb):
            try:
                return request(self.login.client())
            except hvac.exceptions.Forbidden:
                return request(self.login.again())

    @contextmanager
    def _edge(self, what: str, verb: str) -> Iterator[None]:
        import hvac.exceptions as vault  # noqa: PLC0415 - kept out of DAG parsing
        import requests  # noqa: PLC0415 - the same

        where = self.login.where
        try:
            yield
        except (vault.VaultDown, vault.VaultNotInitialized, vault.BadGateway) as error:
            raise VaultUnavailableError(
                f"Vault ({where}) is sealed or standing by.", hint="Unseal it or wait."
            ) from error
        except vault.RateLimitExceeded as error:
            raise VaultUnavailableError(
                f"Vault ({where}) asks for fewer requests.",
                hint="Run fewer tasks at once, or raise its rate-limit quota.",
            ) from error
        except (vault.InternalServerError, vault.PreconditionFailed, vault.UnexpectedError) as error:
            raise VaultUnavailableError(
                f"Vault ({where}) failed at {what}.", hint="Its log says why; try again."
            ) from error
        except requests.exceptions.SSLError as error:
            raise VaultUnavailableError(
                f"TLS with Vault ({where}) failed.",
                hint="Check use_tls, and its certificate; client_kwargs.verify names the file of a private root.",
            ) from error
        except requests.RequestException as error:
            raise VaultUnavailableError(
                f"Vault ({where}) cannot be reached ({type(error).__name__}).",
                hint="Check host, port and TLS in the Vault connection.",
            ) from error
        except OSError as error:  # after requests' own, which are such too
            raise VaultDeniedError(
                f"A file that the login to Vault ({where}) needs cannot be read ({error.strerror}).",
                hint="Check the paths of tokens and certificates in the Vault connection, on this worker.",
            ) from error
        except (vault.InvalidPath, vault.InvalidRequest, vault.UnsupportedOperation) as error:
            raise _refusal(error, what, where) from error
        except vault.VaultError as error:
            raise VaultDeniedError(
                f"Vault ({where}) does not let this role {verb} {what}, or refuses its login.",
                hint="Check the role's policy, and that its credentials have not expired.",
            ) from error


def _refusal(error: hvac.exceptions.VaultError, what: str, where: str) -> LitError:
    """What a 400 or 404 is about: the login, a path or key that is not there, or a ciphertext."""
    import hvac.exceptions as vault  # noqa: PLC0415 - kept out of DAG parsing

    if "to an HTTPS server" in (error.text or ""):
        return VaultUnavailableError(
            f"Vault ({where}) speaks TLS, and was asked without.", hint="Set use_tls in the Vault connection."
        )
    if "/v1/auth/" in (error.url or ""):
        return VaultDeniedError(
            f"Vault ({where}) refuses this role's login.",
            hint="Check the credentials in the Vault connection.",
        )
    # Vault's own words alone: the exception's text also has the URL, and so names that users chose.
    reasons = " ".join(error.errors or ())
    if isinstance(error, vault.InvalidPath):
        return SecretNotFoundError(
            f"There is nothing at {what} in {where}.",
            hint="Check mount, path and KV version in the Lit and Vault connections.",
        )
    if "encryption key not found" in reasons:
        return SecretNotFoundError(
            f"There is no Transit key for {what} in {where}.", hint="Check transit_key in the Lit connection."
        )
    if "/decrypt/" not in what:
        return VaultDeniedError(
            f"Vault ({where}) refuses the request to {what}.",
            hint="Check mount, path and key type in the Lit connection.",
        )
    if "too old" in reasons:
        reason = "its Transit key version is below the minimum that Vault still opens"
    else:
        reason = "it was altered, or sealed under another key"
    return TicketError(
        f"The ticket does not open: {reason}.",
        hint="Delete the XCom of the session task's last run, and run it again.",
    )


def _data(answer: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON, or a response without a body
    found = answer.get("data") if isinstance(answer, dict) else None
    return found if isinstance(found, dict) else {}


def _b64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()

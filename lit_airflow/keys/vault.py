"""HashiCorp Vault, or any server with its API: read and write secrets, seal and open with Transit.

The only module that wraps the exceptions of ``hvac``. Their frames contain tokens and secrets, so nothing of
them is kept: the errors raised here have no cause and no context. A token that Vault refuses is replaced once.

Source: HashiCorp's HTTP API for KV version 1, KV version 2 and Transit, which OpenBao shares.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from lit_airflow.errors import LitError, SecretNotFoundError
from lit_airflow.keys import vault_kv as kv
from lit_airflow.keys.secret import Secret
from lit_airflow.keys.vault_answers import (
    Token,
    UnexpectedAnswerError,
    Version,
    base64_of,
    data_of,
    secret_of,
    text_of,
    token_of,
    unbase64,
)
from lit_airflow.keys.vault_errors import Failure, named
from lit_airflow.text import quoted

if TYPE_CHECKING:
    import hvac

__all__ = ["Login", "Token", "Vault", "Version"]

Result = TypeVar("Result")


class Login(Protocol):
    """A way to log in to Vault."""

    @property
    def where(self) -> str:
        """The server's name in messages, such as the id of its connection."""
        ...

    @property
    def settings(self) -> str:
        """What names the server, and how to log in, for hints: such as "the Vault connection"."""
        ...

    def client(self) -> hvac.Client:
        """Return a client that is logged in; the same one until its token is refused."""
        ...

    def again(self) -> hvac.Client:
        """Return a client with a new token, if the present token is refused."""
        ...


@dataclass(frozen=True, slots=True)
class Vault:
    """A Vault server, with the login of one role.

    Attributes:
        login: The login.
    """

    login: Login

    def read_secret(self, *, mount: str, path: str, field: str, kv_version: int = 2) -> Secret:
        """Read one field of a secret in a KV engine.

        Args:
            mount: The engine's mount.
            path: The secret's path below the mount.
            field: The field.
            kv_version: The engine's version, 1 or 2.

        Raises:
            SecretNotFoundError: The path does not exist, or has no such field, or the field is empty.
            VaultDeniedError: The role may not read the path, or cannot log in.
            VaultUnavailableError: The server is unreachable, sealed or overloaded.
        """

        def read(client: hvac.Client) -> Secret | None:
            return secret_of(kv.read(client, mount, path, kv_version), field)

        found = self._run(read, f"{mount}/{path}", "read")
        if found is None:
            raise SecretNotFoundError(
                f"The secret {mount}/{path} in {self.login.where} has no text in the field {quoted(field)}.",
                hint="Check vault_field in the Lit connection.",
            )
        return found

    def read_fields(self, *, mount: str, path: str, kv_version: int = 2) -> Secret:
        """Read all fields of one secret.

        Args:
            mount: The KV engine's mount.
            path: The secret's path below the mount.
            kv_version: The engine's version.

        Returns:
            A JSON object: field -> value.

        Raises:
            SecretNotFoundError: The path does not exist.
            VaultDeniedError: The role may not read the path, or cannot log in.
            VaultUnavailableError: The server is unreachable, sealed or overloaded.
        """

        def read(client: hvac.Client) -> Secret:
            return Secret(json.dumps(kv.read(client, mount, path, kv_version)).encode())

        return self._run(read, f"{mount}/{path}", "read")

    def read_fields_version(self, *, mount: str, path: str) -> tuple[Secret, Version]:
        """Read all fields of the present version of a secret in a KV engine of version 2.

        Args:
            mount: The engine's mount.
            path: The secret's path below the mount.

        Returns:
            A JSON object: field -> value, empty if the version is deleted; and the version, to be replaced.

        Raises:
            SecretNotFoundError: The path never existed.
            VaultDeniedError: The role may not read the path, or cannot log in.
            VaultUnavailableError: The server is unreachable, sealed or overloaded.
        """

        def read(client: hvac.Client) -> tuple[Secret, Version]:
            fields, version = kv.read_version(client, mount, path)
            return Secret(json.dumps(fields).encode()), version

        return self._run(read, f"{mount}/{path}", "read")

    def read_version(self, *, mount: str, path: str, field: str) -> tuple[Secret | None, Version]:
        """Read one field of the present version of a secret in a KV engine of version 2.

        Args:
            mount: The engine's mount.
            path: The secret's path below the mount.
            field: The field.

        Returns:
            The field, ``None`` if the version is deleted or has no such field; and the version, to be replaced.

        Raises:
            SecretNotFoundError: The path never existed.
            VaultDeniedError: The role may not read the path, or cannot log in.
            VaultUnavailableError: The server is unreachable, sealed or overloaded.
        """

        def read(client: hvac.Client) -> tuple[Secret | None, Version]:
            fields, version = kv.read_version(client, mount, path)
            return secret_of(fields, field), version

        return self._run(read, f"{mount}/{path}", "read")

    def write_secret(  # noqa: PLR0913 - each is needed
        self,
        *,
        mount: str,
        path: str,
        entry: Mapping[str, Secret],
        kv_version: int = 2,
        ttl_s: float | None = None,
        replaces: Version | None = None,
    ) -> Version | None:
        """Write a secret into a KV engine, replacing the previous one.

        Args:
            mount: The engine's mount.
            path: The secret's path below the mount.
            entry: The secret's fields, UTF-8.
            kv_version: The engine's version. Version 1 has no expiry and ignores ``ttl_s``.
            ttl_s: Seconds after which Vault deletes the secret; ``None`` for never.
            replaces: Write only if this is the present version; ``None`` to replace any. Version 1 ignores it.

        Returns:
            The new version; ``None`` if nothing was written because another one than ``replaces`` is present.

        Raises:
            VaultDeniedError: The role may not write the secret, or its metadata, or cannot log in.
            VaultUnavailableError: The server is unreachable, sealed or overloaded.
            SecretNotFoundError: The mount does not exist.
        """

        def write(client: hvac.Client) -> Version | None:
            if kv_version == kv.V1:
                return kv.write_v1(client, mount, path, entry)
            return kv.write_v2(client, mount, path, entry, ttl_s=ttl_s, replaces=replaces)

        return self._run(write, f"{mount}/{path}", "write")

    def token(self) -> Token:
        """Log in if necessary, and return the properties of the token.

        Raises:
            VaultDeniedError: The role cannot log in, or its token may not look itself up (policy ``default``
                allows it).
            VaultUnavailableError: The server is unreachable, sealed or overloaded.
        """
        return self._run(
            lambda client: token_of(client.auth.token.lookup_self()), "auth/token/lookup-self", "read"
        )

    def seal(self, plaintext: Secret, bound: bytes, *, mount: str, key: str) -> str:
        """Encrypt with Transit.

        Args:
            plaintext: What to encrypt.
            bound: Transit's ``associated_data``; opening requires the same.
            mount: The Transit engine's mount.
            key: The Transit key's name; of an AEAD type, such as the default ``aes256-gcm96``.

        Raises:
            VaultDeniedError: The role may not encrypt with the key, or cannot log in.
            VaultUnavailableError: The server is unreachable, sealed or overloaded.
            SecretNotFoundError: The mount or the key does not exist.
        """

        def encrypt(client: hvac.Client) -> str:
            answer = client.secrets.transit.encrypt_data(
                name=key,
                mount_point=mount,
                plaintext=base64_of(plaintext.reveal()),
                associated_data=base64_of(bound),
            )
            return text_of(answer, "ciphertext")

        return self._run(encrypt, f"{mount}/encrypt/{key}", "use")

    def open(self, sealed: str, bound: bytes, *, mount: str, key: str) -> Secret:
        """Decrypt what :meth:`seal` returned.

        Args:
            sealed: The ciphertext.
            bound: The ``associated_data`` it was sealed with.
            mount: The Transit engine's mount.
            key: The Transit key's name.

        Raises:
            TicketError: It was altered, or sealed with other associated data, another key or an older key
                version.
            VaultDeniedError: The role may not decrypt with the key, or cannot log in.
            VaultUnavailableError: The server is unreachable, sealed or overloaded.
            SecretNotFoundError: The mount or the key does not exist.
        """

        def decrypt(client: hvac.Client) -> Secret:
            answer = client.secrets.transit.decrypt_data(
                name=key, mount_point=mount, ciphertext=sealed, associated_data=base64_of(bound)
            )
            return unbase64(text_of(answer, "plaintext"))

        return self._run(decrypt, f"{mount}/decrypt/{key}", "use")

    def read(self, path: str) -> dict[str, Any]:
        """Read a path of any engine, such as an account of a signing engine.

        Returns:
            The ``data`` of the answer; empty if it has none.

        Raises:
            SecretNotFoundError: The path does not exist.
            VaultDeniedError: The role may not read it, or cannot log in.
            VaultUnavailableError: The server is unreachable, sealed or overloaded.
        """

        def read(client: hvac.Client) -> dict[str, Any]:
            # Not client.read(): it returns None for a path that does not exist.
            return data_of(client.adapter.get(f"/v1/{path}"))

        return self._run(read, path, "read")

    def write(self, path: str, entry: Mapping[str, str]) -> dict[str, Any]:
        """Write to a path of any engine, such as a text to sign.

        Args:
            path: The path, including the engine's mount.
            entry: The fields; not secret.

        Returns:
            The ``data`` of the answer; empty if it has none.

        Raises:
            SecretNotFoundError: The path does not exist.
            VaultDeniedError: The engine refuses, or the role may not use it, or cannot log in.
            VaultUnavailableError: The server is unreachable, sealed or overloaded, or the engine failed.
        """

        def write(client: hvac.Client) -> dict[str, Any]:
            return data_of(client.write_data(path, data=dict(entry)))

        return self._run(write, path, "use")

    def _run(self, request: Callable[[hvac.Client], Result], what: str, verb: str) -> Result:
        outcome = self._outcome(request, what, verb)
        # Raised outside of any except block, so that no frame of hvac is attached to it.
        if isinstance(outcome, LitError):
            raise outcome
        return outcome

    def _outcome(self, request: Callable[[hvac.Client], Result], what: str, verb: str) -> Result | LitError:
        """Send a request; if the token is refused, log in and send it once more."""
        import hvac.exceptions  # noqa: PLC0415 - kept out of DAG parsing

        url = ""
        try:
            client = self.login.client()
            url = str(getattr(client, "url", ""))
            try:
                return request(client)
            except hvac.exceptions.Forbidden:
                return request(self.login.again())
        except (hvac.exceptions.VaultError, OSError) as error:  # the errors of requests are OSErrors
            return self._failure(error, url, what, verb).error(error)
        except UnexpectedAnswerError as error:
            return self._failure(error, url, what, verb).unexpected()

    def _failure(self, error: Exception, url: str, what: str, verb: str) -> Failure:
        return Failure(named(error, self.login.where, url), self.login.settings, what, verb)

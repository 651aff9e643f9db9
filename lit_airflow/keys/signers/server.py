"""A wallet at a signing service that is reached over HTTP.

Source: Consensys web3signer, ``Eth1SignForIdentifierHandler``; ``execution-apis``, ``eth_sign``.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from lit_airflow.clock import Deadline
from lit_airflow.errors import NodeError, SettingsError, SignerDeniedError, SignerUnavailableError
from lit_airflow.keys.signers.remote_wallet import RemoteWallet, prefixed
from lit_airflow.keys.wallet import ADDRESS, checksummed
from lit_airflow.transport.fan_out import ask_one
from lit_airflow.transport.http import Http

Answer = TypeVar("Answer")

_PUBLIC_KEY = re.compile(r"(0x)?(04)?([0-9a-fA-F]{128})")
_MOST_BYTES = 4 * 1024 * 1024
_MOST_SIGNATURE_BYTES = 1024


class SignerServer:
    """A signing service that is reached over HTTP.

    Args:
        url: http or https, up to where its own paths begin.
        timeout_s: Within this time each call ends, retries included.
        certificate: Path of a PEM file with this side's certificate and key, for a service that asks for one.

    Raises:
        SettingsError: There is no such file.
    """

    def __init__(self, url: str, *, timeout_s: float = 30.0, certificate: str | None = None) -> None:
        if certificate is not None and not Path(certificate).is_file():
            raise SettingsError(
                f"There is no file {certificate} on this host.",
                field="signer_certificate",
                hint="Name a PEM file with a certificate and its key that every worker has.",
            )
        self._url = url.rstrip("/")
        self._timeout_s = timeout_s
        self._http = Http(certificate=certificate)

    @property
    def where(self) -> str:
        """Host and port; the rest of the URL may hold a key of the service's customer."""
        parts = urlsplit(self._url)
        return f"{parts.hostname}:{parts.port}" if parts.port else str(parts.hostname)

    def get(self, path: str) -> Any:  # noqa: ANN401 - whatever JSON the server sent; callers check its shape
        """The JSON at a path; ``None`` if it is none."""

        def get(url: str, deadline: Deadline, cancelled: threading.Event) -> bytes:
            return self._http.get(url, deadline=deadline, most_bytes=_MOST_BYTES, cancelled=cancelled)

        try:
            return json.loads(self._asked(path, get))
        except (ValueError, RecursionError):
            return None

    def post_for_text(self, path: str, body: Mapping[str, str]) -> str:
        """Post JSON, read a text as short as a signature is."""

        def post(url: str, deadline: Deadline, cancelled: threading.Event) -> str:
            return self._http.post_for_text(
                url,
                json.dumps(body),
                deadline=deadline,
                most_bytes=_MOST_SIGNATURE_BYTES,
                cancelled=cancelled,
            )

        return self._asked(path, post)

    def call(self, method: str, *params: str) -> Any:  # noqa: ANN401 - whatever the method returns
        """The result of a JSON-RPC call."""
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params})

        def post(url: str, deadline: Deadline, cancelled: threading.Event) -> Any:  # noqa: ANN401 - JSON
            return self._http.post(url, body, deadline=deadline, cancelled=cancelled)

        answer = self._asked("", post)
        if not isinstance(answer, dict) or "result" not in answer:
            raise SignerDeniedError(
                f"The signer {self.where} refuses {method}.",
                hint="Check signer and signer_url in the Lit connection, and what the service's log says.",
            )
        return answer["result"]

    def _asked(self, path: str, request: Callable[[str, Deadline, threading.Event], Answer]) -> Answer:
        deadline = Deadline.after(self._timeout_s)
        with _edge(self.where):
            return ask_one(self._url + path, lambda url, over: request(url, deadline, over), deadline)


def web3signer(server: SignerServer, address: str = "") -> RemoteWallet:
    """A wallet at Consensys Web3Signer in ``eth1`` mode, by its REST API: it hashes what it gets, adding no prefix.

    Args:
        server: The service.
        address: Which of its keys; may be empty if it has but one.

    Raises:
        SignerUnavailableError: It does not answer.
        SignerDeniedError: It refuses, or does not hold the wallet.
        SettingsError: It holds several, and ``address`` does not say which, or is none.
    """
    listed = server.get("/api/v1/eth1/publicKeys")
    keys = [key for key in listed if isinstance(key, str)] if isinstance(listed, list) else []
    held = {_address_of(key): key for key in keys if _PUBLIC_KEY.fullmatch(key)}
    wallet = _chosen(held, address, server.where)
    path = f"/api/v1/eth1/sign/{held[wallet]}"

    def ask(text: str) -> str:
        return server.post_for_text(path, {"data": "0x" + prefixed(text).hex()})

    return RemoteWallet(wallet, server.where, ask)


def eth_sign(server: SignerServer, address: str = "") -> RemoteWallet:
    """A wallet at whoever answers the JSON-RPC call ``eth_sign``: it adds the prefix itself.

    Args:
        server: The service.
        address: Which of its accounts; may be empty if it has but one.

    Raises:
        SignerUnavailableError: It does not answer.
        SignerDeniedError: It refuses, or does not hold the wallet.
        SettingsError: It holds several, and ``address`` does not say which, or is none.
    """
    listed = server.call("eth_accounts")
    accounts = [each for each in listed if isinstance(each, str)] if isinstance(listed, list) else []
    held = {checksummed(account): account for account in accounts if ADDRESS.fullmatch(account)}
    wallet = _chosen(held, address, server.where)

    def ask(text: str) -> object:
        return server.call("eth_sign", held[wallet], "0x" + text.encode().hex())

    return RemoteWallet(wallet, server.where, ask)


def _address_of(public_key: str) -> str:
    from eth_utils.crypto import keccak  # noqa: PLC0415 - heavy

    raw = bytes.fromhex(public_key.removeprefix("0x"))[-64:]
    return checksummed(keccak(raw)[-20:].hex())


def _chosen(held: Iterable[str], address: str, where: str) -> str:
    """The expected one among the wallets that a signer holds; the only one, if none is expected."""
    wallets = list(held)
    if address:
        wanted = checksummed(address)
        if wanted not in wallets:
            raise SignerDeniedError(
                f"The signer {where} does not hold the wallet {wanted}.",
                hint="Correct wallet_address in the Lit connection, or give the signer that key.",
            )
        return wanted
    if len(wallets) != 1:
        raise SettingsError(
            f"The signer {where} holds {len(wallets)} wallets.",
            field="wallet_address",
            hint="Say in the Lit connection which one, as wallet_address.",
        )
    return wallets[0]


@contextmanager
def _edge(where: str) -> Iterator[None]:
    try:
        yield
    except NodeError as error:
        if error.status is None or error.retryable:
            raise SignerUnavailableError(
                f"The signer {where} cannot be used: {error}.",
                hint="Check signer_url in the Lit connection, and that this host may reach it.",
            ) from error
        raise SignerDeniedError(
            f"The signer {where} refuses: {error}.",
            hint="Check signer, signer_url and signer_certificate in the Lit connection.",
        ) from error

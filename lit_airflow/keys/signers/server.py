"""Wallets whose key is held by a signing service with an HTTP API.

Source: Consensys web3signer, ``Eth1SignForIdentifierHandler``; Ethereum's ``execution-apis``, ``eth_sign``.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from lit_airflow.clock import Deadline
from lit_airflow.errors import (
    FailureKind,
    NodeError,
    SettingsError,
    SignerDeniedError,
    SignerUnavailableError,
)
from lit_airflow.json_input import try_parse
from lit_airflow.keys.address import checksummed, parse_address
from lit_airflow.keys.signers.remote_wallet import RemoteWallet, prefixed
from lit_airflow.transport.fan_out import ask_one
from lit_airflow.transport.http import BUSY_STATUSES, Http, Repeat, Response

_PUBLIC_KEY = re.compile(r"(0x)?(04)?([0-9a-fA-F]{128})")
_MAX_SIGNATURE_BYTES = 1024


class SignerServer:
    """A signing service with an HTTP API.

    Args:
        url: Its base URL, http or https.
        timeout_s: Maximum duration of each call in seconds, retries included.
        certificate: Path of a PEM file with a client certificate and its key, for a service that requires one.

    Raises:
        SettingsError: The certificate's file does not exist.
    """

    def __init__(self, url: str, *, timeout_s: float = 30.0, certificate: str | None = None) -> None:
        self._url = url.rstrip("/")
        del url  # no frame of the error may hold a key in it
        if certificate is not None and not Path(certificate).is_file():
            raise SettingsError(
                f"The file {certificate} does not exist on this host.",
                field="signer_certificate",
                hint="Set it to the path, on every worker, of a PEM file with a certificate and its key.",
            )
        self._timeout_s = timeout_s
        self._http = Http(certificate=certificate)

    @property
    def where(self) -> str:
        """Host and port. The rest of the URL may contain a customer's key."""
        parts = urlsplit(self._url)
        return f"{parts.hostname}:{parts.port}" if parts.port else str(parts.hostname)

    def get(self, path: str) -> object | None:
        """Return the JSON at a path; ``None`` if it is not JSON."""

        def get(url: str, deadline: Deadline, cancelled: threading.Event) -> Response:
            return self._http.get(url, deadline=deadline, cancelled=cancelled)

        found: object | None = try_parse(self._asked(path, get).body)
        return found

    def post_for_text(self, path: str, body: Mapping[str, str]) -> str:
        """Post JSON and return a text as short as a signature."""

        def post(url: str, deadline: Deadline, cancelled: threading.Event) -> Response:
            return self._http.post(
                url,
                json.dumps(body),
                deadline=deadline,
                repeat=Repeat.ALWAYS,
                headers={"Accept": "text/plain, */*"},
                max_bytes=_MAX_SIGNATURE_BYTES,
                cancelled=cancelled,
            )

        raw = self._asked(path, post).body
        if not raw.isascii():
            raise SignerDeniedError(
                f"The signer {self.where} did not answer with a signature.",
                hint="Check signer and signer_url in the Lit connection.",
            )
        return raw.decode("ascii")

    def call(self, method: str, *params: str) -> Any:  # noqa: ANN401 - the method's own result
        """Return the result of a JSON-RPC call."""
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params})

        def post(url: str, deadline: Deadline, cancelled: threading.Event) -> Response:
            return self._http.post(url, body, deadline=deadline, repeat=Repeat.ALWAYS, cancelled=cancelled)

        answer = try_parse(self._asked("", post).body)
        if not isinstance(answer, dict) or "result" not in answer:
            raise SignerDeniedError(
                f"The signer {self.where} refused {method}.",
                hint="Check signer and signer_url in the Lit connection, and the service's log.",
            )
        return answer["result"]

    def _asked(self, path: str, request: Callable[[str, Deadline, threading.Event], Response]) -> Response:
        def ask(url: str, cancelled: threading.Event) -> Response:
            response = request(url, deadline, cancelled)
            if response.succeeded:
                return response
            raise NodeError(
                f"HTTP {response.status}",
                kind=FailureKind.REFUSED,
                status=response.status,
                retryable=response.status in BUSY_STATUSES,
            )

        deadline = Deadline.after(self._timeout_s)
        with _edge(self.where):
            return ask_one(self._url + path, ask, deadline)


def web3signer(server: SignerServer, address: str = "") -> RemoteWallet:
    """Return a wallet of Consensys Web3Signer in ``eth1`` mode, by its REST API.

    Web3Signer hashes what it receives and adds no prefix.

    Args:
        server: The service.
        address: Which of its wallets to use; may be empty if it holds only one.

    Raises:
        SignerUnavailableError: The service does not answer.
        SignerDeniedError: The service refuses, or does not hold the wallet.
        SettingsError: It holds several wallets and ``address`` is empty, or ``address`` is not an address.
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
    """Return a wallet of a server with the JSON-RPC methods ``eth_accounts`` and ``eth_sign``.

    The server adds the prefix and hashes.

    Args:
        server: The service.
        address: Which of its accounts to use; may be empty if it holds only one.

    Raises:
        SignerUnavailableError: The service does not answer.
        SignerDeniedError: The service refuses, or does not hold the wallet.
        SettingsError: It holds several wallets and ``address`` is empty, or ``address`` is not an address.
    """
    listed = server.call("eth_accounts")
    accounts = listed if isinstance(listed, list) else []
    held = {wallet: account for account in accounts if (wallet := parse_address(account)) is not None}
    wallet = _chosen(held, address, server.where)

    def ask(text: str) -> object:
        return server.call("eth_sign", held[wallet], "0x" + text.encode().hex())

    return RemoteWallet(wallet, server.where, ask)


def _address_of(public_key: str) -> str:
    from eth_utils.crypto import keccak  # noqa: PLC0415 - heavy

    raw = bytes.fromhex(public_key.removeprefix("0x"))[-64:]
    return checksummed(keccak(raw)[-20:].hex())


def _chosen(held: Iterable[str], address: str, where: str) -> str:
    """Return the expected wallet of those that the signer holds; the only one if none is expected."""
    wallets = list(held)
    if address:
        wanted = checksummed(address)
        if wanted not in wallets:
            raise SignerDeniedError(
                f"The signer {where} does not hold the wallet {wanted}.",
                hint="Correct wallet_address in the Lit connection, or add the key to the signer.",
            )
        return wanted
    if len(wallets) != 1:
        raise SettingsError(
            f"The signer {where} holds {len(wallets)} wallets.",
            field="wallet_address",
            hint="Set wallet_address in the Lit connection to one of them.",
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
                hint="Check signer_url in the Lit connection, and that this host can connect to it.",
            ) from None
        raise SignerDeniedError(
            f"The signer {where} refuses: {error}.",
            hint="Check signer, signer_url and signer_certificate in the Lit connection.",
        ) from None
